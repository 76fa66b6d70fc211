"""Sessions that stay are seen in their first second, by their leak, or stuck in a full table; sessions that always stayed are none."""

from netwatch.detect.established_creep import EstablishedCreep, EstablishedCreepSettings
from netwatch.model.incident import Attribution, EvidenceKind, Severity
from netwatch.model.session import PrefixEntries
from netwatch.model.window import Normal, PrefixShare, Window
from tests.detect.windows import IMAPS, LINUX, SMTP, T0, census, evidence, fired_at, judged, quiet, service, window

VANISHED = (PrefixShare("10.66.1.0/24", 2_000, 0.5, 0.0), PrefixShare("10.66.2.0/24", 2_000, 0.5, 0.0))


def detector() -> EstablishedCreep:
    return EstablishedCreep(EstablishedCreepSettings(), LINUX)


def burst(second: int, per_s: int = 4_000, used: float = 0.0) -> Window:
    """Finished handshakes whose clients then vanish; 8,000 fit."""
    opened = per_s * (second - 19)
    one = service(
        syn=120 + per_s, synack=120 + per_s, handshakes_completed=119 + per_s, new_attempts=120 + per_s, distinct_sources=1_000,
        first_payloads=118 + round(used * per_s), established=480 + opened, top_prefixes=VANISHED,
    )  # fmt: skip
    return window(second, one, entries=1_500 + opened, limit=8_000, fill_slope_per_s=float(per_s))


def small(second: float) -> Window:
    return window(second, entries=1_500, limit=8_000)


def leaking(second: int, kept: float) -> Window:
    """12 sessions a second are opened; from 60 s on a part of them stays."""
    stayed = round(12 * kept * max(0, second - 60))
    one = service(
        IMAPS,
        handshakes_completed=12,
        new_attempts=12,
        syn=12,
        synack=12,
        first_payloads=12,
        established=40 + stayed,
        normal_completed=Normal(12.0, 3.0),
    )
    idle = census(T0 + second, established=40 + stayed, idle=stayed)
    return window(second, one, entries=1_500 + stayed, limit=8_000, fill_slope_per_s=12 * kept, census=idle)


def test_a_burst_of_sessions_whose_clients_never_speak_is_critical_in_its_first_second() -> None:
    found = judged(detector(), [*map(small, range(20)), burst(20)])
    assert fired_at(found) == [21]
    assert (found[0].service, found[0].onset_s, found[0].severity) == (SMTP.label, T0 + 20, Severity.CRITICAL)
    assert found[0].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.STATE}
    assert found[0].evidence[0].text == "4,119 sessions/s opened, normally 119; 3 % of their clients sent anything"
    assert "full in 1 s" in found[0].evidence[1].text
    assert found[0].attribution == (Attribution("prefix", "10.66.1.0/24", 0.5), Attribution("prefix", "10.66.2.0/24", 0.5))


def test_a_flash_crowd_whose_clients_speak_is_none() -> None:
    assert judged(detector(), [*map(small, range(20)), burst(20, used=0.95)]) == []


def test_a_burst_that_a_large_table_holds_for_minutes_is_none() -> None:
    assert judged(detector(), [*quiet(), window(20, burst(20, per_s=300).services[0], entries=15_300)]) == []


def test_a_table_stuck_full_is_told_when_its_cause_is_long_over() -> None:
    idle = service(handshakes_completed=0, syn=20, synack=0, established=7_000)
    stuck = [
        window(
            second,
            idle,
            entries=8_000,
            limit=8_000,
            dropped_full=20,
            new_sessions=0,
            census=census(T0 + second, established=7_000, idle=6_900, prefixes=[PrefixEntries("10.66.1.0/24", 6_900, 6_900, 6_900)]),
        )
        for second in range(30, 36)
    ]
    found = judged(detector(), stuck)
    assert fired_at(found) == [31, 32, 33, 34, 35, 36]
    assert found[-1].severity == Severity.CRITICAL
    assert found[-1].attribution == (Attribution("prefix", "10.66.1.0/24", 0.9857),)
    assert evidence(found[-1])["idle_share"] > 0.98


def test_what_began_as_a_burst_goes_on_as_a_stuck_table_with_the_same_onset() -> None:
    after = [
        window(second, service(handshakes_completed=0, established=8_480), entries=8_000, limit=8_000, dropped_full=20, new_sessions=0)
        for second in range(22, 26)
    ]
    found = judged(detector(), [*map(small, range(20)), burst(20), burst(21), *after])
    assert fired_at(found) == [21, 22, 23, 24, 25, 26]
    assert {finding.onset_s for finding in found} == {T0 + 20}


def test_a_leak_is_a_step_from_closing_to_keeping() -> None:
    found = judged(detector(), [leaking(second, 0.95) for second in range(140)])
    assert 70 < found[0].at_s - T0 < 100
    assert 58 <= found[0].onset_s - T0 <= 72
    assert found[0].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.STATE}
    assert evidence(found[0])["kept_share"] > 0.7


def test_sessions_that_always_stayed_are_no_leak() -> None:
    """Mail clients in IDLE: none ever closes, from the first second on."""
    windows = []
    for second in range(140):
        one = service(IMAPS, handshakes_completed=12, established=40 + 12 * second, normal_completed=Normal(12.0, 3.0))
        stay = census(T0 + second, established=40 + 12 * second, idle=30 + 12 * second)
        windows.append(window(second, one, entries=100 + 12 * second, limit=8_000, fill_slope_per_s=12.0, census=stay))
    assert judged(detector(), windows) == []
