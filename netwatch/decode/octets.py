"""Numbers in network byte order, read from a block of bytes.

The bytes are read one by one through an unsigned index and put together with shifts; LLVM makes one wide load and a byte swap of it. An
unsigned index matters: with a signed one numba first asks whether it counts from the end, and the loads are no longer seen to be
neighbours. Whoever calls has compared the place with the end of the captured bytes.
"""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined

Octets = NDArray[np.uint8]
Row = Any
"""One record of a structured array: a pointer to the kernel, ``np.void`` to Python."""

whole = cast("Callable[[Any], int]", np.int64)
"""The whole numbers that kernels reckon with: 64 bits with sign. Addresses and hashes are unsigned; a sum of both is a float."""

ONE, TWO, THREE, FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
EIGHT, SIXTEEN, THIRTY_TWO, TWENTY_FOUR = np.uint64(8), np.uint64(16), np.uint64(32), np.uint64(24)


@inlined
def read_8(data: Octets, at: int) -> int:
    """Return the byte at ``at``."""
    return whole(data[np.uint64(at)])


@inlined
def read_16(data: Octets, at: int) -> int:
    """Return the two bytes from ``at``."""
    index = np.uint64(at)
    return (whole(data[index]) << 8) | whole(data[index + ONE])


@inlined
def read_unsigned_32(data: Octets, at: int) -> np.uint64:
    """Return the four bytes from ``at``, for addresses."""
    index = np.uint64(at)
    return (
        (np.uint64(data[index]) << TWENTY_FOUR)
        | (np.uint64(data[index + ONE]) << SIXTEEN)
        | (np.uint64(data[index + TWO]) << EIGHT)
        | np.uint64(data[index + THREE])
    )


@inlined
def read_32(data: Octets, at: int) -> int:
    """Return the four bytes from ``at``."""
    return whole(read_unsigned_32(data, at))


@inlined
def read_unsigned_64(data: Octets, at: int) -> np.uint64:
    """Return the eight bytes from ``at``, for halves of IPv6 addresses."""
    return (read_unsigned_32(data, at) << THIRTY_TWO) | read_unsigned_32(data, at + 4)
