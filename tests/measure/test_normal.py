"""Baselines: how fast they learn, and what does not teach them."""

import numpy as np
import pytest

from netwatch.measure.normal import WARM_WINDOWS, Normals

ROW = np.zeros(1, np.intp)
CALM, ALARMED = np.array([False]), np.array([True])


def learn(normals: Normals, *rates: float, duration_s: float = 1.0, alarmed: bool = False) -> None:
    for rate in rates:
        normals.learn(ROW, np.array([[rate]]), duration_s=duration_s, alarmed=np.array([alarmed]))


def around(level: float, spread: float, count: int, *, seed: int = 1) -> list[float]:
    values: list[float] = np.random.default_rng(seed).normal(level, spread, count).tolist()
    return values


def test_ten_windows_make_a_normal_and_until_then_it_is_warming() -> None:
    normals = Normals(1, 1)
    for window in range(WARM_WINDOWS):
        assert normals.warming(0), window
        learn(normals, 100.0)
    assert not normals.warming(0)
    assert normals.of(0)[0].level == 100.0


def test_the_first_windows_give_the_median_so_that_some_of_them_may_be_wild() -> None:
    normals = Normals(1, 1)
    rates = [90.0, 100.0, 110.0, 95.0, 50_000.0, 105.0, 60_000.0, 100.0, 0.0, 100.0]
    learn(normals, *rates)
    assert normals.of(0)[0].level == np.median(rates)
    assert normals.of(0)[0].spread == pytest.approx(1.4826 * np.median(np.abs(np.array(rates) - np.median(rates))))


def test_level_and_spread_converge_to_mean_and_deviation() -> None:
    normals = Normals(1, 1)
    learn(normals, *around(500.0, 40.0, 2000))
    normal = normals.of(0)[0]
    assert normal.level == pytest.approx(500.0, rel=0.02)
    assert normal.spread == pytest.approx(40.0, rel=0.25)


def test_follows_a_service_that_has_really_grown_within_minutes() -> None:
    normals = Normals(1, 1)
    learn(normals, *around(100.0, 10.0, 600))
    learn(normals, *around(200.0, 10.0, 900))
    assert normals.of(0)[0].level == pytest.approx(200.0, rel=0.1)


def test_one_wild_window_moves_the_level_no_more_than_a_mild_one() -> None:
    normals = Normals(1, 1)
    learn(normals, *around(100.0, 10.0, 300))
    before = normals.of(0)[0].level
    learn(normals, 1e9)
    assert normals.of(0)[0].level - before < 0.2


def test_an_alarmed_flood_does_not_teach_the_baseline() -> None:
    normals = Normals(1, 1)
    learn(normals, *around(100.0, 10.0, 60))
    before = normals.of(0)[0]
    learn(normals, *[20_000.0] * 3)
    learn(normals, *[20_000.0] * 600, alarmed=True)
    after = normals.of(0)[0]
    assert after.level < 1.1 * before.level
    assert after.spread < 1.5 * before.spread
    assert after.excess(20_000.0) > 500


def test_a_service_first_seen_in_a_flood_warms_up_when_the_flood_is_over() -> None:
    normals = Normals(1, 1)
    learn(normals, 20_000.0, 20_000.0)
    learn(normals, *[20_000.0] * 100, alarmed=True)
    assert normals.warming(0)
    learn(normals, *around(100.0, 10.0, 8))
    assert not normals.warming(0)
    assert normals.of(0)[0].level < 150.0


def test_an_alarm_that_never_ends_is_learned_in_the_end() -> None:
    normals = Normals(1, 1)
    learn(normals, *around(100.0, 10.0, 60))
    learn(normals, *[120.0] * 3600, alarmed=True)
    assert 110.0 < normals.of(0)[0].level <= 120.0


def test_a_service_that_goes_silent_keeps_its_normal_for_minutes() -> None:
    normals = Normals(1, 1)
    learn(normals, *around(100.0, 10.0, 300))
    learn(normals, *[0.0] * 60)
    assert normals.of(0)[0].level > 85.0


def test_silence_after_a_short_life_teaches_slowly_too() -> None:
    normals = Normals(1, 1)
    learn(normals, *around(100.0, 10.0, 15))
    before = normals.of(0)[0].level
    learn(normals, *[0.0] * 30)
    assert normals.of(0)[0].level > 0.95 * before


def test_a_long_window_weighs_as_many_short_ones() -> None:
    once, often = Normals(1, 1), Normals(1, 1)
    for normals in (once, often):
        learn(normals, *around(100.0, 10.0, 400))
    learn(once, 110.0, duration_s=60.0)
    learn(often, *[110.0] * 60)
    assert once.of(0)[0].level == pytest.approx(often.of(0)[0].level, rel=0.01)


def test_subjects_learn_apart_although_they_are_learned_together() -> None:
    together, alone = Normals(3, 2), Normals(3, 2)
    random = np.random.default_rng(3)
    for window in range(40):
        rows = np.array([0, 2]) if window % 3 else np.array([0, 1, 2])
        rates = random.uniform(0, 1000, (len(rows), 2))
        alarmed = np.array([row == 2 and window > 25 for row in rows])
        together.learn(rows, rates, duration_s=1.0, alarmed=alarmed)
        for place, row in enumerate(rows):
            alone.learn(np.array([row]), rates[[place]], duration_s=1.0, alarmed=alarmed[[place]])
    assert np.array_equal(together.level, alone.level)
    assert np.array_equal(together.spread, alone.spread)


def test_agrees_with_the_formulas_written_out_for_one_number() -> None:
    rates = around(50.0, 15.0, 500, seed=5)
    normals = Normals(1, 1)
    learn(normals, *rates)
    level = float(np.median(rates[:10]))
    spread = 1.4826 * float(np.median(np.abs(np.array(rates[:10]) - level)))
    for number, rate in enumerate(rates[10:], start=11):
        weight = 1.0 / min(max(number, 60), 300)
        clip = 2.5 * max(spread, 0.1 * level, 1.0)
        step = min(clip, max(-clip, rate - level))
        level, spread = level + weight * step, spread + weight * (1.2533 * abs(step) - spread)
    assert normals.of(0)[0].level == pytest.approx(level)
    assert normals.of(0)[0].spread == pytest.approx(spread)
