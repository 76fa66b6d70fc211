"""The distinct count against the truth, from one to millions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from netwatch.jit import njit
from netwatch.measure.distinct import REGISTERS, DistinctSketches, Histogram, Registers, add_distinct, estimate_distinct
from netwatch.model.tuple_hash import mix

STANDARD_ERROR = 1.04 / np.sqrt(REGISTERS)


@njit
def add_range(registers: Registers, histogram: Histogram, row: int, begin: int, stop: int) -> None:
    for item in range(begin, stop):
        add_distinct(registers, histogram, row, mix(np.uint64(item)))


@njit
def estimate(histogram: Histogram, row: int) -> float:
    return estimate_distinct(histogram, row)


@njit
def add_codes(registers: Registers, histogram: Histogram, row: int, codes: NDArray[np.uint64]) -> None:
    for code in codes:
        add_distinct(registers, histogram, row, code)


@pytest.mark.parametrize("count", [1, 2, 10, 100, 1000, 10_000, 100_000, 3_000_000])
def test_the_estimate_lies_within_four_standard_errors(count: int) -> None:
    sketches = DistinctSketches(2)
    add_range(sketches.registers, sketches.histogram, 1, 1 << 20, (1 << 20) + count)
    assert abs(estimate(sketches.histogram, 1) - count) <= max(0.5, 4 * STANDARD_ERROR * count)
    assert estimate(sketches.histogram, 0) == 0.0


def test_the_error_over_many_sets_is_what_the_theory_says() -> None:
    sketches = DistinctSketches(100)
    for row in range(100):
        add_range(sketches.registers, sketches.histogram, row, row * 50_000, (row + 1) * 50_000)
    errors = np.array([estimate(sketches.histogram, row) / 50_000 - 1 for row in range(100)])
    assert np.sqrt((errors**2).mean()) < 1.3 * STANDARD_ERROR
    assert abs(errors.mean()) < 0.5 * STANDARD_ERROR


def test_repeating_an_item_changes_nothing() -> None:
    sketches = DistinctSketches(1)
    add_range(sketches.registers, sketches.histogram, 0, 0, 500)
    before = estimate(sketches.histogram, 0)
    add_range(sketches.registers, sketches.histogram, 0, 0, 500)
    assert estimate(sketches.histogram, 0) == before


def test_the_histogram_is_that_of_the_registers_even_for_hashes_of_zeros_only() -> None:
    sketches = DistinctSketches(1)
    codes = np.array([0, 1, 1 << 51, (1 << 64) - 1, 0, 2, 1], np.uint64)
    add_codes(sketches.registers, sketches.histogram, 0, codes)
    add_range(sketches.registers, sketches.histogram, 0, 0, 20_000)
    values, counts = np.unique(sketches.registers[0], return_counts=True)
    assert sketches.registers[0, 0] == 53
    assert {value: count for value, count in enumerate(sketches.histogram[0].tolist()) if count} == {
        value: count for value, count in zip(values.tolist(), counts.tolist(), strict=True) if value
    }


def test_clearing_forgets_only_the_rows_that_are_named() -> None:
    sketches = DistinctSketches(3)
    for row in range(3):
        add_range(sketches.registers, sketches.histogram, row, 0, 100)
    sketches.clear(np.array([0, 2]))
    assert [estimate(sketches.histogram, row) for row in range(3)] == [0.0, pytest.approx(100, abs=4), 0.0]
