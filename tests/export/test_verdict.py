"""The one sentence."""

from dataclasses import dataclass

import msgspec
import pytest

from netwatch.export.verdict import main_incident, verdict, who
from netwatch.model.incident import Attribution, Incident, Mode, Severity
from netwatch.model.plan import WhatIfResult
from netwatch.model.replay import Replay, WhatIf
from tests.export.fakes import DETECTED_S, ONSET_S, empty_replay, flood_incident, flood_replay, quiet_replay


def changed(replay: Replay, **changes: object) -> Replay:
    return msgspec.structs.replace(replay, **changes)


def lasting() -> Incident:
    return msgspec.structs.replace(flood_incident(), ended_s=None)


@dataclass(frozen=True)
class Tried:
    playbook: str
    incidents: int
    healthy_hit: int = 0
    dropped_full: int = 0

    def what_if(self) -> WhatIf:
        return WhatIf(
            result=WhatIfResult(
                playbook=self.playbook,
                applied_at_s=DETECTED_S,
                peak_entries=1,
                full_at_s=None,
                dropped_full=self.dropped_full,
                healthy_hit=self.healthy_hit,
                incidents=self.incidents,
            )
        )


def test_it_says_what_whom_since_when_by_whom_the_table_and_the_cure() -> None:
    assert verdict(changed(flood_replay(), incidents=(lasting(),))) == (
        "syn-flood against 203.0.113.25:25/tcp since 15:00:21 UTC: 37,669 spoofed sources, table of 30,000 full 11.4 s later;"
        " synproxy would have ended it"
    )


def test_an_incident_that_ended_has_both_its_times() -> None:
    assert verdict(flood_replay()).startswith("syn-flood against 203.0.113.25:25/tcp from 15:00:21 to 15:01:24 UTC: ")


def test_the_date_is_named_where_a_capture_spans_more_than_a_day() -> None:
    capture = msgspec.structs.replace(flood_replay().captures[0], last_s=ONSET_S + 90_000)
    assert "from 2024-03-07 15:00:21 to " in verdict(changed(flood_replay(), captures=(capture,)))


def test_an_incident_of_the_whole_firewall_names_the_firewall() -> None:
    incident = msgspec.structs.replace(lasting(), mode=Mode.TABLE_FULL, service=None, attribution=())
    assert verdict(changed(flood_replay(), incidents=(incident,), what_if=())) == (
        "table-full on firewall edge-1 since 15:00:21 UTC: table of 30,000 full 11.4 s later"
    )


def test_a_firewall_without_a_name_is_not_called_twice() -> None:
    incident = msgspec.structs.replace(lasting(), mode=Mode.TABLE_FULL, service=None, firewall="firewall")
    assert verdict(changed(flood_replay(), incidents=(incident,))).startswith("table-full on the firewall since 15:00:21 UTC")


def test_a_table_that_was_full_before_the_onset_is_not_blamed_on_it() -> None:
    firewall = msgspec.structs.replace(flood_replay().firewall, full_at_s=ONSET_S - 60)
    assert "table of 30,000 already full" in verdict(changed(flood_replay(), firewall=firewall))


@pytest.mark.parametrize(("peak_entries", "told"), [(23_400, "table of 30,000 at most 78 % full"), (6_000, None)])
def test_a_fill_that_matters_is_told_and_one_that_does_not_is_left_out(peak_entries: int, told: str | None) -> None:
    firewall = msgspec.structs.replace(flood_replay().firewall, full_at_s=None, peak_entries=peak_entries)
    sentence = verdict(changed(flood_replay(), firewall=firewall))
    assert told in sentence if told else "table" not in sentence


@pytest.mark.parametrize(
    ("tried", "told"),
    [
        ((Tried("meter", 1), Tried("synproxy", 0)), "synproxy would have ended it"),
        ((Tried("drop-prefix", 0, 40), Tried("meter", 0, 3)), "meter would have ended it, at the cost of 3 healthy sessions"),
        ((Tried("meter", 1, 5), Tried("drop-prefix", 2)), "with drop-prefix nothing more would have been dropped"),
        ((Tried("meter", 1, dropped_full=9), Tried("drop-prefix", 2, dropped_full=1)), "meter and drop-prefix would not have ended it"),
    ],
)
def test_the_cure_that_hurts_fewest_healthy_sessions_is_named(tried: tuple[Tried, ...], told: str) -> None:
    replay = changed(flood_replay(), what_if=tuple(one.what_if() for one in tried))
    assert verdict(replay).split("; ")[1] == told


def test_a_playbook_that_nothing_called_for_is_no_cure() -> None:
    idle = [one for one in flood_replay().what_if if one.result.applied_at_s is None]
    assert idle
    assert "ended it" not in verdict(changed(flood_replay(), what_if=tuple(idle)))


def test_the_gravest_incident_is_told_and_the_others_are_counted() -> None:
    earlier = msgspec.structs.replace(flood_incident(), id="x", mode=Mode.ACK_FLOOD, severity=Severity.WARNING, onset_s=ONSET_S - 5)
    replay = changed(flood_replay(), incidents=(earlier, flood_incident()))
    assert main_incident(replay.incidents) == flood_incident()
    assert verdict(replay).endswith("; 1 more incident below")


def test_prefixes_are_named_with_their_share() -> None:
    prefixes = tuple(Attribution("prefix", f"10.0.{index}.0/24", share) for index, share in enumerate((0.62, 0.2, 0.09)))
    assert who(prefixes) == "10.0.0.0/24 (62 %) and 2 more prefixes (91 % together)"
    assert who(prefixes[:1]) == "10.0.0.0/24 (62 %)"


def test_an_incident_of_several_services_counts_them_and_blames_none_of_them() -> None:
    hit = tuple(Attribution("service", label, 0.5) for label in ("203.0.113.25:25/tcp", "203.0.113.26:25/tcp"))
    incident = msgspec.structs.replace(lasting(), attribution=(Attribution("prefix", "10.0.0.0/24", 0.9), *hit))
    assert verdict(changed(flood_replay(), incidents=(incident,))).startswith(
        "syn-flood against 203.0.113.25:25/tcp and 1 more service since 15:00:21 UTC: 10.0.0.0/24 (90 %), table"
    )


def test_where_nobody_is_to_blame_the_strongest_evidence_is_told() -> None:
    incident = msgspec.structs.replace(lasting(), mode=Mode.SERVICE_SILENT, attribution=())
    firewall = msgspec.structs.replace(flood_replay().firewall, full_at_s=None, peak_entries=900)
    assert verdict(changed(flood_replay(), incidents=(incident,), firewall=firewall, what_if=())) == (
        "service-silent against 203.0.113.25:25/tcp since 15:00:21 UTC: 2,071 SYN/s, 34 times the normal of 60 ± 6"
    )


def test_no_incident_says_what_was_watched_and_for_how_long() -> None:
    assert verdict(quiet_replay()) == "No incident in 20.0 s of traffic: 1 service watched, table of 30,000 at most 24 % full"


def test_a_capture_without_packets_is_no_all_clear() -> None:
    assert verdict(empty_replay()) == "No packet in the capture: nothing to judge"


def test_foreign_names_in_the_sentence_cannot_act() -> None:
    incident = msgspec.structs.replace(lasting(), service="\x1b]0;owned\x07")
    assert "\x1b" not in verdict(changed(flood_replay(), incidents=(incident,)))
