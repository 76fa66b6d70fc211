"""Memory for blocks, used again as soon as nobody holds it.

A block of rows is needed for some milliseconds. Fresh memory comes from the system page by page, each one a fault and cleared before it is
filled: that costs more than decoding what goes into it, and memory that was just used is still in the cache. So what a block lay in is
kept, and given out again once the last view of it is gone; whoever keeps a block for longer keeps its memory, and other memory is taken.
"""

import sys

import numpy as np
from numpy.typing import DTypeLike, NDArray

from netwatch.model.packet import Rows

MOST_KEPT = 16
"""Pieces: one for each block that is under way in a pipeline of threads. More are held only by who keeps blocks, and then are his."""

UNHELD = 2
"""References to a piece that only the list of kept ones holds: the list's, and the argument's of ``sys.getrefcount``."""

SPARE = 8
"""A piece is made larger than asked by this part, since the next block will be a little larger or smaller."""


class Buffers:
    """Gives out memory for rows; what it gives holds anything, as of ``np.empty``."""

    def __init__(self) -> None:
        self._kept: list[NDArray[np.uint8]] = []

    def rows(self, count: int, dtype: DTypeLike) -> Rows:
        """``count`` rows in memory that nobody else holds."""
        return self.octets(count * np.dtype(dtype).itemsize).view(dtype)

    def octets(self, wanted: int) -> NDArray[np.uint8]:
        """Memory that nobody else holds. A piece lives as long as what was given of it, so it is never twice as large."""
        for number in range(len(self._kept)):
            if wanted <= len(self._kept[number]) <= 2 * wanted and sys.getrefcount(self._kept[number]) == UNHELD:
                self._kept.append(self._kept.pop(number))
                break
        else:
            del self._kept[: len(self._kept) + 1 - MOST_KEPT]
            self._kept.append(np.empty(wanted + wanted // SPARE, np.uint8))
        return self._kept[-1][:wanted]
