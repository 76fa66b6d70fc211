"""Pure ACKs of no session are a flood; sessions that are picked up because the watch has only begun are none."""

import pytest

from netwatch.detect.ack_flood import AckFlood, AckFloodSettings
from netwatch.model.incident import EvidenceKind, Severity
from netwatch.model.window import ServiceWindow
from tests.detect.windows import LINUX, NO_EARLY_DROP, SMTP, T0, fired_at, judged, quiet, service, window


def detector() -> AckFlood:
    return AckFlood(AckFloodSettings(), LINUX)


LOOSE = service(
    acks_in=8_500, packets_in=9_300, picked_up=8_000, new_sessions=8_120, new_attempts=8_120, unreplied=8_000, distinct_sources=8_050
)
STRICT = service(acks_in=8_500, packets_in=9_300, invalid_no_session=8_000)
LIVE_HOST = service(acks_in=8_500, packets_in=9_300, picked_up=8_000, resets_out=8_000, packets_out=9_250)


@pytest.mark.parametrize("flood", [LOOSE, STRICT, LIVE_HOST], ids=["loose", "strict", "a host that resets"])
def test_a_flood_is_seen_in_its_first_second(flood: ServiceWindow) -> None:
    found = judged(detector(), [*quiet(), *(window(second, flood, entries=23_000) for second in range(20, 23))])
    assert fired_at(found) == [21, 22, 23]
    assert (found[0].service, found[0].onset_s) == (SMTP.label, T0 + 20)
    assert found[0].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.STATE}
    assert found[0].evidence[0].text == "8,500 pure ACKs/s, normally 500; 94 % belong to no session"


def test_it_is_critical_where_its_entries_will_fill_the_table() -> None:
    loose = AckFlood(AckFloodSettings(), NO_EARLY_DROP)
    assert judged(loose, [*quiet(), window(20, LOOSE)])[0].severity == Severity.CRITICAL
    assert judged(detector(), [*quiet(), window(20, LOOSE)])[0].severity == Severity.WARNING


def test_a_long_flood_does_not_become_its_own_normal() -> None:
    used_to_it = service(
        acks_in=8_500, packets_in=9_300, picked_up=8_000, normal_acks=service().normal_packets, normal_packets=service().normal_packets
    )
    windows = [*quiet(), *(window(second, LOOSE) for second in range(20, 30)), *(window(second, used_to_it) for second in range(30, 40))]
    assert fired_at(judged(detector(), windows)) == list(range(21, 41))


TALKING = service(warming=True, acks_in=900, packets_in=2_600, packets_out=2_500, picked_up=900)
DOWNLOADS = service(acks_in=6_000, packets_in=7_000, packets_out=12_000, picked_up=20)
FAILED_OVER = service(acks_in=520, packets_in=1_300, packets_out=1_250, invalid_no_session=1_100)


@pytest.mark.parametrize("twin", [TALKING, DOWNLOADS, FAILED_OVER], ids=["the watch begins", "downloads", "failover of a strict firewall"])
def test_sessions_that_go_on_are_no_flood(twin: ServiceWindow) -> None:
    assert judged(detector(), [*quiet(), *(window(second, twin) for second in range(20, 25))]) == []


def test_a_flood_that_finds_the_table_full_is_the_same_flood() -> None:
    full = service(acks_in=8_500, packets_in=9_300, picked_up=1_000, dropped_full=7_000 + service().syn)
    (found,) = judged(detector(), [*quiet(), window(20, full, entries=23_000)])
    assert {item.name: item.value for item in found.evidence}["refused_per_s"] == 7_000
    only_syns = service(acks_in=8_500, packets_in=9_300, picked_up=1_000, dropped_full=7_000, syn=7_000)
    assert judged(detector(), [*quiet(), window(20, only_syns, entries=23_000)]) == []
