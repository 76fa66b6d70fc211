"""A service that does not answer is told, with what was ruled out; a pause, a restart and a quiet night are not."""

import pytest

from netwatch.detect.service_silent import ServiceSilent, ServiceSilentSettings
from netwatch.model.incident import EvidenceKind, Severity
from netwatch.model.window import ServiceWindow, Window
from tests.detect.windows import DNS, LINUX, SMTP, T0, fired_at, judged, quiet, resolver, service, window

UNANSWERED = service(syn=400, syn_retransmitted=280, synack=0, handshakes_completed=0, packets_out=0)
REFUSED = service(syn=121, synack=0, handshakes_completed=0, resets_out=130)
NOBODY = service(syn=0, syn_retransmitted=0, synack=0, handshakes_completed=0, new_attempts=0, packets_in=0, packets_out=0)


def detector() -> ServiceSilent:
    return ServiceSilent(ServiceSilentSettings(), LINUX)


@pytest.mark.parametrize(
    ("silence", "packets", "sign"),
    [
        (UNANSWERED, 1_400, "120 attempts/s and 280 repeated, 0 packets/s come back"),
        (REFUSED, 1_400, "120 attempts/s, 130 answered with RST: the server refuses"),
        (NOBODY, 0, "nobody asks, normally 120 attempts/s; nothing at all is seen: the link or the tap"),
    ],
    ids=["asked in vain", "refused", "link down"],
)
def test_an_outage_is_critical_from_its_third_second_on(silence: ServiceWindow, packets: int, sign: str) -> None:
    found = judged(detector(), [*quiet(), *(window(second, silence, packets=packets) for second in range(20, 25))])
    assert fired_at(found) == [23, 24, 25]
    assert (found[0].service, found[0].onset_s, found[0].severity) == (SMTP.label, T0 + 20, Severity.CRITICAL)
    assert found[0].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.HEALTH}
    assert (
        found[0].evidence[0].text
        == "0 handshakes/s completed, normally 119; no cause is seen (table 6 % of 262,144, 0 new flows/s dropped)"
    )
    assert found[0].evidence[1].text == sign


def test_a_busy_service_that_nobody_asks_any_more_is_told_after_some_seconds() -> None:
    found = judged(detector(), [*quiet(), *(window(second, NOBODY, packets=900) for second in range(20, 40))])
    assert fired_at(found)[0] == 32
    assert found[0].onset_s == T0 + 20
    assert found[0].evidence[1].text == "nobody asks, normally 120 attempts/s; others go on at 900 packets/s"


def test_a_udp_service_that_stops_answering_is_told() -> None:
    mute = resolver(two_sided_flows=0, packets_out=0)
    found = judged(detector(), [*quiet(range(20), resolver()), *(window(second, mute) for second in range(20, 25))])
    assert fired_at(found) == [23, 24, 25]
    assert found[0].service == DNS.label


def test_a_udp_service_that_never_answers_is_none() -> None:
    mute = resolver(two_sided_flows=0, packets_out=0)
    assert judged(detector(), [window(second, mute) for second in range(60)]) == []


def test_many_who_ask_in_vain_from_the_start_are_told_although_no_normal_is_known() -> None:
    vain = service(
        warming=True, syn=60, syn_retransmitted=30, synack=0, handshakes_completed=0, packets_out=0, acks_in=0, distinct_sources=20
    )
    found = judged(detector(), [window(second, vain, warming=True) for second in range(6)])
    assert fired_at(found) == [4, 5, 6]
    assert "no normal known yet" in found[0].evidence[0].text


QUIET_NIGHT = service(syn=8, synack=8, handshakes_completed=8, new_attempts=8)
ONE_WAY_TAP = service(warming=True, syn=120, syn_retransmitted=40, synack=0, handshakes_completed=0, packets_out=0, acks_in=500)
ONE_HOST = service(
    warming=True, syn=40, syn_retransmitted=20, synack=0, handshakes_completed=0, packets_out=0, acks_in=0, distinct_sources=1
)


@pytest.mark.parametrize("twin", [QUIET_NIGHT, ONE_WAY_TAP, ONE_HOST], ids=["quiet night", "one-way tap", "one host knocks"])
def test_what_only_looks_like_silence_is_none(twin: ServiceWindow) -> None:
    assert judged(detector(), [*quiet(), *(window(second, twin) for second in range(20, 40))]) == []


def test_a_quick_restart_is_none() -> None:
    windows: list[Window] = [*quiet(), window(20, REFUSED), window(21, REFUSED), *quiet(range(22, 40))]
    assert judged(detector(), windows) == []
