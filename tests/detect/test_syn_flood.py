"""A SYN flood is seen within seconds at any rate that hurts, and not in what only looks like one."""

from typing import Any

import pytest

from netwatch.detect.syn_flood import SynFlood, SynFloodSettings
from netwatch.model.incident import Attribution, EvidenceKind, Severity
from netwatch.model.session import FirewallProfile
from netwatch.model.window import Normal, PrefixShare, ServiceWindow, Window
from tests.detect.windows import LIMIT, LINUX, NO_EARLY_DROP, SMTP, T0, evidence, fired_at, judged, quiet, service, window

FILLING_PER_S = (LIMIT - 15_000) / 60.0
"""SYNs that the server answers and nobody finishes hold an entry for 60 s: this rate fills what is free of the default table."""


def detector(profile: FirewallProfile = LINUX) -> SynFlood:
    return SynFlood(SynFloodSettings(), profile)


def flooded(per_s: float, **differs: Any) -> ServiceWindow:
    """The quiet service with a spoofed flood on top, of which the server answers each SYN once."""
    syn = round(per_s)
    flood: dict[str, Any] = {
        "syn": 121 + syn,
        "synack": 120 + syn,
        "new_attempts": 120 + syn,
        "new_sessions": 120 + syn,
        "distinct_sources": 100 + syn,
        "known_sources_share": 120 / (120 + syn) * 0.9,
        "half_open": 12 + syn,
        "packets_in": 1_300 + syn,
    }
    return service(**{**flood, **differs})


def attack(per_s: float, seconds: range, **differs: Any) -> list[Window]:
    """The half-open entries and the table grow with the flood."""
    return [
        window(
            second,
            flooded(per_s, half_open=12 + round(per_s) * (second - seconds.start + 1), **differs),
            entries=15_000 + round(per_s) * (second - seconds.start + 1),
            new_sessions=122 + round(per_s),
            fill_slope_per_s=per_s,
        )
        for second in seconds
    ]


@pytest.mark.parametrize(("times", "within_s"), [(5.0, 1), (2.0, 1), (1.2, 1), (0.3, 1), (0.12, 3)])
def test_a_flood_is_seen_the_sooner_the_more_it_hurts(times: float, within_s: int) -> None:
    found = judged(detector(), [*quiet(), *attack(times * FILLING_PER_S, range(20, 30))])
    assert found[0].at_s <= T0 + 20 + within_s
    assert found[0].onset_s == T0 + 20
    assert found[0].service == SMTP.label
    assert fired_at(found) == list(range(int(found[0].at_s - T0), 31))


def test_a_fraction_of_a_second_of_a_heavy_flood_is_enough() -> None:
    found = judged(detector(), [*quiet(), *attack(5 * FILLING_PER_S * 0.05, range(20, 21))])
    assert fired_at(found) == [21]


def test_a_flood_that_early_drop_absorbs_is_a_warning() -> None:
    found = judged(detector(), [*quiet(), *attack(5 * FILLING_PER_S, range(20, 25))])
    assert {finding.severity for finding in found} == {Severity.WARNING}
    assert found[-1].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.STATE}


def test_the_same_flood_is_critical_where_nothing_is_evicted() -> None:
    found = judged(detector(NO_EARLY_DROP), [*quiet(), *attack(5 * FILLING_PER_S, range(20, 25))])
    assert {finding.severity for finding in found} == {Severity.CRITICAL}


def test_a_small_flood_that_stops_the_service_is_critical() -> None:
    windows = [*quiet(), *attack(60, range(20, 26), handshakes_completed=5)]
    found = judged(detector(), windows)
    assert found[-1].severity == Severity.CRITICAL
    assert EvidenceKind.HEALTH in found[-1].kinds
    assert found[0].at_s <= T0 + 23


def test_evidence_has_units_and_bases() -> None:
    found = judged(detector(), [*quiet(), *attack(20_000, range(20, 21))])[0]
    assert found.evidence[0].text == "20,121 SYN/s, normally 121; 0.6 % completed"
    assert evidence(found)["half_open"] == 20_012
    assert found.evidence[2].text == "20,012 half-open entries, 8 % of 262,144; table 13 % of 262,144"


def test_a_capture_that_begins_within_the_attack_has_no_normal() -> None:
    windows = [
        window(second, flooded(4_000, warming=True, normal_syn=Normal(0, 0), normal_completed=Normal(0, 0)), warming=True)
        for second in range(3)
    ]
    found = judged(detector(), windows)
    assert fired_at(found) == [1, 2, 3]
    assert "no normal known yet" in found[0].evidence[0].text


def test_a_spoofed_crowd_is_named_with_its_growing_number() -> None:
    found = judged(detector(), [*quiet(), *attack(4_000, range(20, 22))])
    assert found[0].attribution[0] == Attribution("spoofed", "4100 sources", 1.0)
    assert found[1].attribution[0] == Attribution("spoofed", "8200 sources", 1.0)


def test_a_prefix_is_named_with_its_share_of_the_excess() -> None:
    prefixes = (PrefixShare("192.0.2.0/24", 3_000, 0.73, 0.0), PrefixShare("198.18.1.0/24", 60, 0.02, 60.0))
    windows = attack(4_000, range(20, 21), distinct_sources=300, top_prefixes=prefixes)
    found = judged(detector(), [*quiet(), *windows])
    assert found[0].attribution == (Attribution("prefix", "192.0.2.0/24", 0.75),)


def test_a_long_flood_does_not_become_its_own_normal() -> None:
    learned = {"normal_syn": Normal(4_121.0, 100.0), "normal_completed": Normal(119.0, 11.0)}
    windows = [*quiet(), *attack(4_000, range(20, 40)), *attack(4_000, range(40, 60), **learned)]
    assert fired_at(judged(detector(), windows)) == list(range(21, 61))


def test_two_hundred_syns_are_no_flood_on_a_large_table() -> None:
    alone = service(
        warming=True,
        syn=200,
        syn_retransmitted=0,
        synack=0,
        handshakes_completed=0,
        new_attempts=200,
        packets_out=0,
        acks_in=0,
        half_open=200,
    )
    assert judged(detector(), [window(0, alone, warming=True, entries=200)]) == []


FLASH_CROWD = service(
    syn=3_000,
    synack=2_990,
    handshakes_completed=2_700,
    new_attempts=2_980,
    new_sessions=2_980,
    distinct_sources=2_000,
    known_sources_share=0.1,
)
OUTAGE = service(syn=360, syn_retransmitted=240, synack=0, handshakes_completed=0, packets_out=0, known_sources_share=0.9)
OUTAGE_FIRST_SECOND = service(syn=125, syn_retransmitted=4, synack=0, handshakes_completed=0, packets_out=0, known_sources_share=0.9)
OUTAGE_ENDS = service(syn=360, syn_retransmitted=20, synack=90, handshakes_completed=4, packets_out=90, known_sources_share=0.9)
IMPATIENT = service(syn=700, syn_retransmitted=240, synack=0, handshakes_completed=0, packets_out=0, known_sources_share=0.9)
REFUSED = service(syn=900, syn_retransmitted=0, synack=0, handshakes_completed=0, resets_out=900, known_sources_share=0.9)
ONE_WAY_TAP = service(warming=True, syn=900, synack=0, handshakes_completed=0, packets_out=0, acks_in=4_000)


@pytest.mark.parametrize(
    "twin",
    [FLASH_CROWD, OUTAGE_FIRST_SECOND, OUTAGE, OUTAGE_ENDS, IMPATIENT, REFUSED, ONE_WAY_TAP],
    ids=["flash crowd", "outage begins", "outage", "outage ends", "clients that try anew", "closed port", "one-way tap"],
)
def test_what_only_looks_like_a_flood_is_none(twin: ServiceWindow) -> None:
    windows = [*quiet(), *(window(second, twin) for second in range(20, 30))]
    assert judged(detector(), windows) == []


def test_known_sources_before_a_server_that_is_down_are_no_flood_even_before_a_normal_is_known() -> None:
    down = service(warming=True, syn=360, syn_retransmitted=5, synack=0, handshakes_completed=0, packets_out=0, known_sources_share=0.9)
    assert judged(detector(), [window(second, down, warming=True) for second in range(5)]) == []


def test_known_sources_that_are_not_all_served_are_no_flood_right_after_an_outage_and_one_later() -> None:
    partly = service(syn=700, syn_retransmitted=20, synack=300, handshakes_completed=70, packets_out=300, known_sources_share=0.9)
    after = [window(second, IMPATIENT) for second in range(20, 24)] + [window(second, partly) for second in range(24, 30)]
    assert fired_at(judged(detector(), [*quiet(), *after])) == [28, 29, 30]


def test_a_small_table_is_hurt_by_a_small_flood() -> None:
    windows = [window(second, flooded(100), limit=20_000) for second in range(20, 23)]
    assert fired_at(judged(detector(), [*quiet(limit=20_000), *windows])) == [21, 22, 23]
