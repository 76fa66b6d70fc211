"""Numbers out of bytes, in either byte order, for the kernels.

Indices are unsigned, since numba lets signed ones count from the end and checks for that; the compiler joins the byte loads into one.
"""

import numpy as np

from netwatch.collect.walk import Bytes
from netwatch.jit import inlined


@inlined
def load_u16(data: Bytes, at: np.uint64, big: bool) -> np.int64:
    """Unsigned 16 bits."""
    first, second = np.int64(data[at]), np.int64(data[at + np.uint64(1)])
    return first << 8 | second if big else second << 8 | first


@inlined
def load_u32(data: Bytes, at: np.uint64, big: bool) -> np.int64:
    """Unsigned 32 bits."""
    first, second = np.int64(data[at]), np.int64(data[at + np.uint64(1)])
    third, fourth = np.int64(data[at + np.uint64(2)]), np.int64(data[at + np.uint64(3)])
    if big:
        return first << 24 | second << 16 | third << 8 | fourth
    return fourth << 24 | third << 16 | second << 8 | first
