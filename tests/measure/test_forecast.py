"""Forecasts on ramps, steps and teeth, and the chance of being dropped against what was measured."""

import math

import numpy as np
import pytest

from netwatch.measure.forecast import FillForecast, drop_probability, time_to_full_s
from netwatch.model.session import FirewallProfile
from tests.measure.rows import table


def fed(*entries: float, step_s: float = 1.0, start_s: float = 1000.0) -> FillForecast:
    forecast = FillForecast()
    for number, count in enumerate(entries):
        forecast.update(start_s + number * step_s, round(count))
    return forecast


def test_a_steady_ramp_is_forecast_exactly() -> None:
    slope = fed(*[500 * second for second in range(40)]).slope_per_s
    assert slope == pytest.approx(500.0)
    assert time_to_full_s(19_500, 262_144, slope) == pytest.approx((262_144 - 19_500) / 500)


def test_a_flood_shows_within_three_seconds_of_its_begin() -> None:
    calm = [10_000.0] * 30
    assert fed(*calm, 14_000, 18_000, 22_000).slope_per_s == pytest.approx(4000.0)
    assert fed(*calm).slope_per_s == 0.0


def test_the_end_of_a_flood_shows_within_three_seconds() -> None:
    ramp = [4000.0 * second for second in range(30)]
    assert fed(*ramp, *[116_000] * 3).slope_per_s <= 0.0
    assert fed(*ramp, 115_000, 113_000, 110_000).slope_per_s < 0.0


def test_noise_around_a_ramp_is_averaged_over_half_a_minute() -> None:
    random = np.random.default_rng(4)
    slopes = [fed(*(200 * np.arange(60) + random.normal(0, 300, 60))).slope_per_s for _ in range(20)]
    assert np.median(slopes) == pytest.approx(200.0, rel=0.15)


def test_a_collectors_step_does_not_turn_the_forecast() -> None:
    ramp = 1000.0 * np.arange(30)
    ramp[20:] -= 8000
    assert fed(*ramp).slope_per_s == pytest.approx(1000.0, rel=0.3)


def test_what_is_older_than_half_a_minute_is_forgotten_except_for_the_last_point() -> None:
    forecast = fed(0, 1000, 2000, 3000)
    forecast.update(1063.0, 3600)
    assert forecast.slope_per_s == pytest.approx(10.0)


def test_windows_of_different_length_are_weighed_by_time() -> None:
    forecast = FillForecast()
    for at_s in (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 24.0):
        forecast.update(at_s, int(100 * at_s))
    assert forecast.slope_per_s == pytest.approx(100.0)


def test_says_nothing_before_two_points_and_takes_the_later_of_two_at_one_time() -> None:
    assert fed().slope_per_s == 0.0
    assert fed(7).slope_per_s == 0.0
    forecast = fed(0, 100)
    forecast.update(1001.0, 300)
    assert forecast.slope_per_s == pytest.approx(300.0)


@pytest.mark.parametrize(
    ("entries", "limit", "slope_per_s", "expected"),
    [(10, 100, 9.0, 10.0), (100, 100, 0.0, 0.0), (120, 100, -5.0, 0.0), (10, 100, 0.0, None), (10, 100, -1.0, None), (10, 0, 5.0, None)],
)
def test_time_to_full(entries: int, limit: int, slope_per_s: float, expected: float | None) -> None:
    assert time_to_full_s(entries, limit, slope_per_s) == expected


@pytest.mark.parametrize(("unassured", "buckets", "measured"), [(20_000, 262_144, 0.277), (26_000, 262_144, 0.181), (6500, 262_144, 0.658)])
def test_the_chance_of_a_drop_is_near_what_a_kernel_showed(unassured: int, buckets: int, measured: float) -> None:
    profile = FirewallProfile(name="test", description="", limit=262_144, buckets=buckets)
    assert drop_probability(table(262_144, assured=262_144 - unassured), profile) == pytest.approx(measured, abs=0.03)


def test_a_table_of_assured_entries_drops_everything_and_one_that_is_not_full_nothing() -> None:
    profile = FirewallProfile(name="test", description="", limit=1000, buckets=1024)
    assert drop_probability(table(1000, assured=1000), profile) == 1.0
    assert drop_probability(table(999, assured=999), profile) == 0.0
    assert drop_probability(table(1001, assured=901), profile) == pytest.approx(math.exp(-16 * 100 / 1024))


def test_a_firewall_without_early_drop_or_without_a_limit() -> None:
    without = FirewallProfile(name="test", description="", limit=1000, early_drop=False)
    assert drop_probability(table(1000, assured=0), without) == 1.0
    unlimited = FirewallProfile(name="test", description="", limit=0)
    assert drop_probability(table(1000, assured=0), unlimited) == 0.0
