"""A table is told full when it drops, and before, when what gathers can really fill it; how grave depends on what early drop can do."""

from netwatch.detect.table_full import TableFull, TableFullSettings
from netwatch.model.incident import EvidenceKind, Severity
from netwatch.model.session import FirewallProfile
from netwatch.model.window import Window
from tests.detect.windows import LIMIT, LINUX, NO_EARLY_DROP, T0, evidence, fired_at, judged, quiet, service, states, window


def detector(profile: FirewallProfile = LINUX) -> TableFull:
    return TableFull(TableFullSettings(), profile)


def stuck(second: float) -> Window:
    """Full of assured entries: nothing can be evicted."""
    down = service(syn=360, synack=6, handshakes_completed=6)
    return window(
        second, down, entries=LIMIT, assured=LIMIT - 100, dropped_full=340, new_sessions=6, by_state=states(established=LIMIT - 15_000)
    )


def absorbed(second: float) -> Window:
    """Full of half-open entries: early drop finds a victim for nearly every newcomer."""
    return window(second, entries=LIMIT, assured=14_800, new_sessions=9_000, early_dropped=9_000, by_state=states(syn_recv=LIMIT - 15_000))


def filling(second: float, per_s: int, begin: int, gaining: str = "established", new_per_s: int | None = None) -> Window:
    entries = begin + per_s * (int(second) - 19)
    return window(
        second,
        entries=entries,
        assured=entries,
        new_sessions=122 + per_s if new_per_s is None else new_per_s,
        fill_slope_per_s=float(per_s),
        by_state=states(**{gaining: entries - 14_000}),
    )


def test_a_stuck_table_is_critical_with_what_is_dropped_and_what_users_feel() -> None:
    found = judged(detector(), [*quiet(), *(stuck(second) for second in range(20, 24))])
    assert fired_at(found) == [21, 22, 23, 24]
    assert found[0].severity == Severity.CRITICAL
    assert found[0].kinds == {EvidenceKind.STATE, EvidenceKind.TRAFFIC, EvidenceKind.HEALTH}
    assert found[0].evidence[0].text == "table 100 % of 262,144, 100 % of it assured"
    assert "340 packets/s of new flows dropped, 98 % of the new" in found[0].evidence[1].text
    assert {finding.onset_s for finding in found} == {T0 + 20}


def test_a_table_whose_newcomers_are_rescued_is_a_warning() -> None:
    found = judged(detector(), [*quiet(), *(absorbed(second) for second in range(20, 24))])
    assert {finding.severity for finding in found} == {Severity.WARNING}


def test_a_fast_rise_is_forecast_before_the_table_is_full() -> None:
    found = judged(detector(), [*quiet(entries=100_000), *(filling(second, 6_000, 100_000) for second in range(20, 26))])
    assert fired_at(found)[0] == 23
    assert found[0].severity == Severity.CRITICAL
    assert 20 < evidence(found[0])["time_to_full_s"] < 30
    assert "full in" in found[0].evidence[0].text


def test_a_slow_rise_is_forecast_once_the_table_is_70_percent_full() -> None:
    found = judged(detector(), [*quiet(entries=170_000), *(filling(second, 500, 170_000) for second in range(20, 60))])
    assert found[0].at_s - T0 > 40
    assert all(finding.evidence[1].value >= 0.7 for finding in found)


def half_open(second: int) -> Window:
    entries = 100_000 + 6_000 * (second - 19)
    return window(
        second,
        entries=entries,
        assured=14_800,
        new_sessions=6_000,
        new_tcp=6_000,
        fill_slope_per_s=6_000.0,
        by_state=states(syn_recv=entries - 15_000),
    )


def test_a_rise_that_early_drop_will_absorb_is_a_warning() -> None:
    found = judged(detector(), [*quiet(entries=100_000), *(half_open(second) for second in range(20, 36))])
    assert {finding.severity for finding in found} == {Severity.WARNING}
    assert all(evidence(finding)["early_drop_makes_room"] > 0.99 for finding in found)
    assert not any("refused_when_full" in evidence(finding) for finding in found)


def test_without_eviction_the_same_rise_is_critical() -> None:
    windows = [*quiet(entries=100_000), *(half_open(second) for second in range(20, 26))]
    found = judged(detector(NO_EARLY_DROP), windows)
    assert {finding.severity for finding in found} == {Severity.CRITICAL}
    assert {evidence(finding)["refused_when_full"] for finding in found} == {1.0}
    assert not any("early_drop_makes_room" in evidence(finding) for finding in found)


def test_entries_that_time_out_before_the_table_is_full_only_warm_it_up() -> None:
    """1,500 sessions/s in TIME_WAIT for 120 s are never more than 180,000."""
    windows = [filling(second, 1_500, 120_000, gaining="time_wait", new_per_s=1_500) for second in range(20, 60)]
    assert judged(detector(), windows) == []


def test_a_rise_that_flattens_out_is_not_forecast() -> None:
    counts = [156_000, 168_000, 180_000, 184_000, 185_000, 185_100, 185_150, 185_160]
    windows = [window(20 + position, entries=count, by_state=states(established=count - 14_000)) for position, count in enumerate(counts)]
    assert fired_at(judged(detector(), [*quiet(entries=144_000), *windows])) == [23, 24, 25]
