"""Which sources are remembered, and for how long."""

import numpy as np
import pytest
from numpy.typing import NDArray

from netwatch.jit import njit
from netwatch.measure import known
from netwatch.measure.known import Filter, KnownSources, is_known, remember
from netwatch.model.tuple_hash import mix


@njit
def remember_range(filters: Filter, generation: int, begin: int, stop: int) -> int:
    new_bits = 0
    for item in range(begin, stop):
        new_bits += remember(filters, generation, mix(np.uint64(item)))
    return new_bits


@njit
def count_known(filters: Filter, begin: int, stop: int) -> int:
    found = 0
    for item in range(begin, stop):
        found += is_known(filters, mix(np.uint64(item)))
    return found


def teach(sources: KnownSources, begin: int, stop: int, *, now_s: float) -> None:
    sources.age(now_s, new_bits=remember_range(sources.filters, sources.young, begin, stop))


def test_every_source_that_was_taught_is_known_and_others_hardly_ever() -> None:
    sources = KnownSources()
    teach(sources, 0, 400_000, now_s=0.0)
    assert count_known(sources.filters, 0, 400_000) == 400_000
    assert count_known(sources.filters, 1_000_000, 1_100_000) < 300


def test_a_source_is_remembered_for_five_minutes_at_least_and_forgotten_after_ten() -> None:
    sources = KnownSources()
    teach(sources, 0, 1000, now_s=0.0)
    sources.age(300.0, new_bits=0)
    assert count_known(sources.filters, 0, 1000) == 1000
    sources.age(599.0, new_bits=0)
    assert count_known(sources.filters, 0, 1000) == 1000
    sources.age(600.0, new_bits=0)
    assert count_known(sources.filters, 0, 1000) == 0


def test_a_filter_that_is_half_full_takes_its_turn_early_so_that_the_answers_stay_right(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = KnownSources()
    for second in range(60):
        teach(sources, second * 100_000, (second + 1) * 100_000, now_s=float(second))
        assert fill(sources.filters).max() <= 0.55
    assert count_known(sources.filters, 5_900_000, 6_000_000) == 100_000
    assert count_known(sources.filters, 10_000_000, 10_100_000) < 0.2 * 100_000


def fill(filters: Filter) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.bitwise_count(filters).sum(axis=(1, 2)) / known.BITS
    return share
