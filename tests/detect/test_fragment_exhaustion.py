"""Fragments whose bytes stay are an attack, whatever their number; fragments that get complete are not."""

from netwatch.detect.fragment_exhaustion import FragmentExhaustion, FragmentExhaustionSettings
from netwatch.model.incident import Attribution, EvidenceKind, Severity
from netwatch.model.window import Normal, Window
from tests.detect.windows import DNS, LINUX, T0, fired_at, judged, quiet, resolver, window


def detector() -> FragmentExhaustion:
    return FragmentExhaustion(FragmentExhaustionSettings(), LINUX)


def incomplete(second: int, per_s: int = 1_000) -> Window:
    """First fragments of 1,480 bytes; when 4 MiB are held, as many datagrams are given up as come."""
    held = 1_480 * per_s * (second - 19)
    full = held > 4_194_304
    return window(
        second, fragments=per_s, fragment_bytes=1_480 * per_s, reassembly_bytes=min(held, 4_194_304), reassembly_failed=per_s if full else 0
    )


def complete(second: float, per_s: int = 3_000) -> Window:
    return window(second, fragments=per_s, fragment_bytes=1_480 * per_s, reassembled=per_s // 3, reassembly_bytes=9_000)


def test_fragments_that_stay_are_told_in_their_first_second_and_while_memory_is_full() -> None:
    found = judged(detector(), [*quiet(), *(incomplete(second) for second in range(20, 30))])
    assert fired_at(found) == list(range(21, 31))
    assert {finding.onset_s for finding in found} == {T0 + 20}
    assert {finding.severity for finding in found} == {Severity.CRITICAL}
    assert found[0].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.STATE}
    assert found[0].evidence[0].text == "1,000 fragments/s, normally 0"
    assert found[-1].evidence[2].text == "1,000 datagrams given up, 100 % of those that came to an end"


def test_a_victim_that_gets_most_of_them_is_named() -> None:
    hit = [
        window(second, resolver(fragments=900), fragments=1_000, fragment_bytes=1_480_000, reassembly_bytes=1_480_000) for second in (20,)
    ]
    found = judged(detector(), [*quiet(), *hit])[0]
    assert found.service is None
    assert found.attribution == (Attribution("service", DNS.label, 0.9),)


def test_large_answers_get_complete() -> None:
    assert judged(detector(), [*quiet(), *(complete(second) for second in range(20, 40))]) == []


def test_a_usual_rate_of_lost_fragments_is_none() -> None:
    usual = [
        window(
            second, fragments=1_000, fragment_bytes=1_480_000, reassembled=300, reassembly_failed=100, normal_fragments=Normal(990.0, 60.0)
        )
        for second in range(30)
    ]
    assert judged(detector(), usual) == []


def test_a_handful_of_stray_fragments_is_none() -> None:
    assert judged(detector(), [*quiet(), window(20, fragments=40, fragment_bytes=59_200, reassembly_bytes=59_200)]) == []
