"""Rows that are moved and not looked at.

numpy copies a row of fields field by field, which takes ten to forty times as long as its bytes do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def as_bytes(rows: NDArray[np.void]) -> NDArray[np.void]:
    """The same memory, each row one piece of bytes: copies and assignments of it are fast."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize)))


def copied(rows: NDArray[np.void]) -> NDArray[np.void]:
    """A copy of rows."""
    return as_bytes(rows).copy().view(rows.dtype)


def chosen(rows: NDArray[np.void], places: NDArray[np.intp]) -> NDArray[np.void]:
    """A copy of some rows, in the order of their places."""
    return as_bytes(rows)[places].view(rows.dtype)


def joined(parts: Sequence[NDArray[np.void]]) -> NDArray[np.void]:
    """Rows of one type behind one another; at least one part."""
    return np.concatenate([as_bytes(part) for part in parts]).view(parts[0].dtype)
