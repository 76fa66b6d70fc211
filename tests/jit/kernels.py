"""Kernels of every shape that netwatch's have, for the tests to run through both ways."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, njit

ROW = np.dtype([("small", np.uint8), ("wide", np.int64), ("parts", np.uint16, (2,))])


class Pair(NamedTuple):
    first: NDArray[np.int64]
    second: NDArray[np.float64]


@inlined
def doubled(value: int) -> int:
    return value * 2


@njit
def add_up(rows: np.ndarray, table: NDArray[np.int64], pair: Pair, factor: float, odd: bool, seed: np.uint64) -> Any:
    total = 0
    for row in rows:
        total += row["small"] + doubled(row["wide"]) + row["parts"][1]
    for at in range(table.shape[0]):
        for column in range(table.shape[1]):
            total += table[at, column] * (at + 1)
            table[at, column] = -1
    pair.second[0] = factor
    return total + pair.first.sum(), factor * pair.second.sum(), not odd, np.uint64(seed + np.uint64(1))


@njit
def own_arrays(count: int) -> tuple[int, NDArray[np.int64], NDArray[np.float64]]:
    return count, np.arange(count), np.ones((count, 2), np.float64)


@njit
def divide(number: int, by: int) -> int:
    return number // by


@njit
def text_of(number: int) -> str:
    return "even" if number % 2 == 0 else "odd"
