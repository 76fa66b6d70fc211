"""A step from two-sided to one-sided sessions is told, a part of them is enough; what was one-sided from the start is not."""

from netwatch.detect.asymmetric_routing import AsymmetricRouting, AsymmetricRoutingSettings
from netwatch.model.incident import EvidenceKind, Severity
from netwatch.model.window import PrefixCount, Window
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


def of_peers(second: float, **one_sided: int) -> Window:
    """One-sided flows by the third octet of their peers' prefix, beside 100 with two sides."""
    prefixes = tuple(PrefixCount(f"198.18.{octet[1:]}.0/24", flows) for octet, flows in one_sided.items())
    flows = sum(one_sided.values())
    return window(second, service(one_sided_flows=flows, two_sided_flows=100, one_sided_prefixes=prefixes, invalid_bad_state=4 * flows))


def test_the_peers_whose_path_moved_are_named_and_not_those_that_always_were_one_sided() -> None:
    before = [of_peers(second, n7=2, n8=2) for second in range(30)]
    found = judged(detector(), [*before, *(of_peers(second, n7=2, n8=2, n40=20, n41=20) for second in range(30, 40))])
    assert {who.value for finding in found for who in finding.attribution} == {"198.18.40.0/24", "198.18.41.0/24"}
    assert all(0.4 < who.share < 0.6 for who in found[-1].attribution)


def test_a_crowd_of_peers_is_remembered_in_bounded_memory_and_none_of_it_is_named() -> None:
    crowd = [
        of_peers(20 + second, **{f"n{(second * 16 + number) % 1000}": 4 for number in range(16)}) for second in range(100)
    ]  # fmt: skip
    watching = detector()
    found = judged(watching, [*quiet(), *crowd])
    assert found[-1].attribution == ()
    (paths,) = watching._services._records.values()
    assert max(len(paths.peers), len(paths.usual_peers)) <= 256
