"""Unanswered tuples far beyond the normal are a flood of the table; a busy resolver answers, and a burst of lookups passes."""

import pytest

from netwatch.detect.udp_state_flood import UdpStateFlood, UdpStateFloodSettings
from netwatch.model.incident import Attribution, EvidenceKind, Severity
from netwatch.model.session import FirewallProfile
from netwatch.model.window import PrefixShare, Window
from tests.detect.windows import DNS, LIMIT, LINUX, NO_EARLY_DROP, T0, evidence, fired_at, judged, quiet, resolver, states, window

FILLING_PER_S = (LIMIT - 15_000) / 30.0


def detector(profile: FirewallProfile = LINUX) -> UdpStateFlood:
    return UdpStateFlood(UdpStateFloodSettings(), profile)


def flooded(second: int, per_s: float, answered: float = 0.0) -> Window:
    new = 60 + round(per_s)
    held = round(per_s) * (second - 19)
    one = resolver(
        new_attempts=new,
        new_sessions=new,
        two_sided_flows=60 + round(answered * per_s),
        distinct_sources=40 + round(per_s),
        entries=1_800 + held,
    )
    state = states(udp_unreplied=round(held * (1 - answered)), udp_replied=1_800 + round(held * answered))
    return window(second, one, entries=15_000 + held, new_sessions=122 + new, new_udp=new, by_state=state, fill_slope_per_s=per_s)


@pytest.mark.parametrize(("times", "within_s"), [(5.0, 1), (2.0, 1), (1.2, 1), (0.12, 3)])
def test_a_flood_is_seen_the_sooner_the_more_it_hurts(times: float, within_s: int) -> None:
    found = judged(detector(), [*quiet(range(20), resolver()), *(flooded(second, times * FILLING_PER_S) for second in range(20, 25))])
    assert found[0].at_s <= T0 + 20 + within_s
    assert (found[0].service, found[0].onset_s) == (DNS.label, T0 + 20)


def test_severity_follows_what_early_drop_can_do() -> None:
    windows = [*quiet(range(20), resolver()), *(flooded(second, 20_000) for second in range(20, 24))]
    absorbed, refused = judged(detector(), windows), judged(detector(NO_EARLY_DROP), windows)
    assert {finding.severity for finding in absorbed} == {Severity.WARNING}
    assert {finding.severity for finding in refused} == {Severity.CRITICAL}
    assert absorbed[0].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.STATE}
    assert absorbed[0].evidence[0].text == "20,060 new UDP flows/s, normally 60; 0.3 % answered"


def test_a_busy_resolver_answers() -> None:
    windows = [*quiet(range(20), resolver()), *(flooded(second, 3_000, answered=0.97) for second in range(20, 40))]
    assert judged(detector(), windows) == []


def test_an_answered_flood_is_told_once_its_entries_crowd_the_table() -> None:
    windows = [*quiet(range(20), resolver()), *(flooded(second, 9_000, answered=0.97) for second in range(20, 45))]
    found = judged(detector(), windows)
    assert window(0).start_s + 34 < found[0].at_s
    assert evidence(found[0])["udp_entries"] > 0.6 * LIMIT * 0.9


def test_a_flood_outside_every_service_is_told_for_the_firewall() -> None:
    prefixes = (PrefixShare("192.0.2.0/24", 6_000, 1.0, 0.0),)
    state = states(udp_unreplied=6_000)
    hit = [
        window(
            second,
            entries=21_000,
            new_sessions=6_122,
            new_udp=6_002,
            by_state=state,
            elsewhere_attempts=6_000,
            elsewhere_sources=200,
            elsewhere_prefixes=prefixes,
        )
        for second in range(20, 23)
    ]
    found = judged(detector(), [*quiet(), *hit])
    assert fired_at(found) == [21, 22, 23]
    assert found[0].service is None
    assert found[0].attribution == (Attribution("prefix", "192.0.2.0/24", 1.0),)
