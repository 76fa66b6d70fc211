"""A step from two-sided to one-sided sessions is told, a part of them is enough; what was one-sided from the start is not."""

from netwatch.detect.asymmetric_routing import AsymmetricRouting, AsymmetricRoutingSettings
from netwatch.model.incident import EvidenceKind, Severity
from netwatch.model.window import Window
from tests.detect.windows import LINUX, SMTP, T0, evidence, fired_at, judged, quiet, service, window


def detector() -> AsymmetricRouting:
    return AsymmetricRouting(AsymmetricRoutingSettings(), LINUX)


def moved(second: float, share: float) -> Window:
    one_sided = round(120 * share)
    return window(second, service(one_sided_flows=one_sided, two_sided_flows=120 - one_sided, invalid_bad_state=4 * one_sided))


def test_a_path_that_moves_is_told_within_seconds() -> None:
    found = judged(detector(), [*quiet(), *(moved(second, 0.95) for second in range(20, 30))])
    assert fired_at(found)[0] == 21
    assert (found[0].service, found[0].onset_s) == (SMTP.label, T0 + 20)
    assert found[-1].severity == Severity.CRITICAL
    assert found[-1].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.STATE}
    assert 0.85 < evidence(found[-1])["one_sided_share"] < 0.95
    assert "normally 0 %" in found[-1].evidence[0].text


def test_a_third_of_the_clients_is_enough() -> None:
    found = judged(detector(), [*quiet(), *(moved(second, 0.33) for second in range(20, 30))])
    assert fired_at(found)[0] <= 23


def test_a_tap_that_sees_one_way_from_the_start_is_none() -> None:
    assert judged(detector(), [moved(second, 0.33) for second in range(60)]) == []
    assert judged(detector(), [moved(second, 1.0) for second in range(60)]) == []


def test_a_few_broken_sessions_are_none() -> None:
    assert judged(detector(), [*quiet(), *(moved(second, 0.02) for second in range(20, 60))]) == []
