"""Harm: what is refused, what will be when the table is full, and how many handshakes a service lacks."""

import pytest

from netwatch.detect import harm
from netwatch.model.session import FirewallProfile
from netwatch.model.window import FirewallWindow
from tests.detect.windows import LINUX, NO_EARLY_DROP, window


def firewall(*, dropped_full: int = 0, new_sessions: int = 0) -> FirewallWindow:
    return FirewallWindow(entries=1_000, limit=10_000, dropped_full=dropped_full, new_sessions=new_sessions)


@pytest.mark.parametrize(
    ("unassured", "buckets", "measured"), [(20_000, 262_144, 0.277), (26_000, 262_144, 0.181), (6_500, 262_144, 0.658)]
)
def test_refusal_when_full_agrees_with_the_kernel(unassured: int, buckets: int, measured: float) -> None:
    profile = FirewallProfile(name="linux", description="", buckets=buckets)
    table = FirewallWindow(entries=0, limit=unassured)
    assert harm.refusal_when_full(0, table, profile) == pytest.approx(measured, abs=0.03)


def test_a_table_of_assured_entries_refuses_everything() -> None:
    assert harm.refusal_when_full(10_000, firewall(), LINUX) == 1.0


def test_a_firewall_that_evicts_nothing_refuses_everything_when_full() -> None:
    assert harm.refusal_when_full(0, firewall(), NO_EARLY_DROP) == 1.0


@pytest.mark.parametrize(("dropped", "new", "hurts"), [(0, 100, False), (4, 0, False), (5, 400, True), (5, 600, False), (900, 100, True)])
def test_one_new_flow_in_a_hundred_refused_hurts(dropped: int, new: int, hurts: bool) -> None:
    assert harm.refuses_new_flows(firewall(dropped_full=dropped, new_sessions=new)) is hurts


@pytest.mark.parametrize(
    ("fill_ratio", "left_s", "soon"),
    [(0.3, 10.0, False), (0.41, 59.0, True), (0.41, 61.0, False), (0.71, 299.0, True), (0.71, 301.0, False)],
)
def test_soon_full_leaves_more_time_the_fuller_it_is(fill_ratio: float, left_s: float, soon: bool) -> None:
    assert harm.soon_full(fill_ratio, left_s) is soon


def seconds_until_down(level_per_s: float, spread_per_s: float, completed: int) -> int | None:
    missing = harm.MissingHandshakes()
    for second in range(60):
        if missing.update(window(second), completed=completed, level_per_s=level_per_s, spread_per_s=spread_per_s):
            return second + 1
    return None


@pytest.mark.parametrize(
    ("level_per_s", "spread_per_s", "completed", "expected_s"),
    [(120.0, 11.0, 0, 1), (120.0, 11.0, 60, 2), (120.0, 11.0, 100, None), (5.0, 2.0, 0, 3), (50.0, 40.0, 0, 4), (0.0, 0.0, 0, None)],
    ids=["stopped", "halved", "a little less", "small", "bursty", "never used"],
)
def test_health_is_down_the_sooner_the_more_is_missing(
    level_per_s: float, spread_per_s: float, completed: int, expected_s: int | None
) -> None:
    assert seconds_until_down(level_per_s, spread_per_s, completed) == expected_s


def test_health_comes_back_within_seconds_after_a_long_outage() -> None:
    missing = harm.MissingHandshakes()
    for second in range(600):
        missing.update(window(second), completed=0, level_per_s=120.0, spread_per_s=11.0)
    healthy = [not missing.update(window(600 + second), completed=120, level_per_s=120.0, spread_per_s=11.0) for second in range(10)]
    assert healthy.index(True) <= 6
    assert all(healthy[6:])
