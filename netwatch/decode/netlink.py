"""netlink: chains of messages, each a header and a chain of attributes (type, length, value), some of which hold attributes again.

Headers are in the machine's byte order, which is little-endian on all that numba compiles for. Every length that a message claims is
compared with what is there before it is followed, and each step moves on by at least a header, so nothing loops and nothing is read
outside. Numbers: include/uapi/linux/netlink.h.
"""

from enum import IntEnum

import numpy as np

from netwatch.decode.octets import EIGHT, ONE, SIXTEEN, THREE, TWENTY_FOUR, TWO, Octets, whole
from netwatch.jit import inlined

MESSAGE_HEADER, ATTRIBUTE_HEADER = 16, 4
MESSAGE_ERROR, MESSAGE_DONE = 2, 3
TYPE_MASK = 0x3FFF
"""Without the bits that say "holds attributes" and "network byte order"."""

NO_MORE, CUT = -1, -2
"""Instead of an attribute's type: the chain ended where it should, or inside an attribute."""


class MessageStatus(IntEnum):
    """Why a message gave no row; every reason is counted by its name in lower case."""

    OK = 0
    CUT_MESSAGE = 1  # shorter than its header, or longer than the block: the rest of the block is lost with it
    OTHER_MESSAGE = 2  # whole, but not an entry
    BAD_ATTRIBUTE = 3  # its length does not fit its place or its type, or its value is impossible
    INCOMPLETE = 4  # an entry without both addresses, protocol, state or number


@inlined
def host_16(data: Octets, at: int) -> int:
    """Return the two bytes from ``at`` in the machine's order."""
    index = np.uint64(at)
    return whole(data[index]) | (whole(data[index + ONE]) << 8)


@inlined
def host_32(data: Octets, at: int) -> int:
    """Return the four bytes from ``at`` in the machine's order."""
    index = np.uint64(at)
    return whole(
        np.uint64(data[index])
        | (np.uint64(data[index + ONE]) << EIGHT)
        | (np.uint64(data[index + TWO]) << SIXTEEN)
        | (np.uint64(data[index + THREE]) << TWENTY_FOUR)
    )


@inlined
def aligned(length: int) -> int:
    """Round up to four bytes: where the next message or attribute begins."""
    return (length + 3) & ~3


@inlined
def attribute(data: Octets, at: int, end: int) -> tuple[int, int]:
    """Return the type and the end of the attribute that begins at ``at``; its value begins after its header."""
    if at >= end:
        return NO_MORE, at
    if end - at < ATTRIBUTE_HEADER:
        return CUT, at
    length = host_16(data, at)
    if length < ATTRIBUTE_HEADER or length > end - at:
        return CUT, at
    return host_16(data, at + 2) & TYPE_MASK, at + length
