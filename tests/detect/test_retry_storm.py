"""A rush of known sources after an outage is a storm; the same rush without one, or of new sources, is not."""

import pytest

from netwatch.detect.retry_storm import RetryStorm, RetryStormSettings
from netwatch.model.incident import EvidenceKind, Severity
from netwatch.model.window import Window
from tests.detect.windows import LINUX, SMTP, T0, evidence, fired_at, judged, quiet, service, window


def detector() -> RetryStorm:
    return RetryStorm(RetryStormSettings(), LINUX)


def down(second: float) -> Window:
    return window(second, service(syn=400, syn_retransmitted=280, synack=0, handshakes_completed=0, packets_out=0))


def rush(second: float, known: float = 0.9, completed: int = 550) -> Window:
    one = service(syn=600, synack=completed, handshakes_completed=completed, new_attempts=600, new_sessions=600, known_sources_share=known)
    return window(second, one, new_sessions=602)


OUTAGE = [*quiet(range(20)), *(down(second) for second in range(20, 40))]


def test_the_rush_after_an_outage_is_told_in_its_first_second() -> None:
    found = judged(detector(), [*OUTAGE, *(rush(second) for second in range(40, 45)), *quiet(range(45, 60))])
    assert fired_at(found) == [41, 42, 43, 44, 45]
    assert (found[0].service, found[0].onset_s, found[0].severity) == (SMTP.label, T0 + 40, Severity.WARNING)
    assert found[0].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.HEALTH, EvidenceKind.STATE}
    assert evidence(found[0])["outage_s"] == 20.0
    assert "follows an outage of 20 s" in found[0].evidence[1].text


def test_it_is_critical_when_the_service_cannot_cope() -> None:
    found = judged(detector(), [*OUTAGE, rush(40, completed=200)])
    assert found[0].severity == Severity.CRITICAL


@pytest.mark.parametrize(
    "windows",
    [
        [*quiet(), *(rush(second) for second in range(20, 30))],
        [*OUTAGE, *(rush(second, known=0.1) for second in range(40, 50))],
        [*quiet(), down(20), *(rush(second) for second in range(21, 30))],
        [*OUTAGE, *quiet(range(40, 60))],
    ],
    ids=["no outage", "new sources", "a hiccup", "no rush"],
)
def test_what_only_looks_like_a_storm_is_none(windows: list[Window]) -> None:
    assert judged(detector(), windows) == []
