"""The session table's hash: from a packet's tuple to the row of its entry, in either direction.

A slot is 8 bytes: 32 bits of the hash, a bit "expired", a bit "assured", and the row. Slots are probed one after the other from the place that the upper
bits of the hash name, never more than half are in use, and removing moves later ones back, so there are no tombstones to walk over. The
32 bits kept in a slot hold that place too; so removing and growing need no look at the entries.

The same array stands for netfilter's buckets, where the kernel's behaviour depends on them. There an entry hangs in two of ``B`` buckets,
one for each direction, and a packet walks over one bucket: ``2 n / B`` of ``n`` entries on average. Here an entry lies in one slot; ``B / 2``
windows of equal length cut the slots, a packet's hash names one, and that again holds ``2 n / B`` entries on average, Poisson distributed
as in the kernel. Eight neighbouring buckets are eight neighbouring windows.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, njit
from netwatch.track.session_entry import BUCKETS, Arrays

TAG_BITS = 32
TAG_MASK = 0xFFFF_FFFF
ROW_MASK = 0x3FFF_FFFF
EXPIRED_BIT = 0x8000_0000
ASSURED_BIT = 0x4000_0000
"""Both bits spare a look at the entry to those that walk over slots."""

ECHO_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)
"""The shared hash of a packet does not know ICMP's identifier: it is spread by the golden ratio and added."""

HASH_SHIFT = np.uint64(64 - TAG_BITS)


@inlined
def hash_tag(packet_hash: np.uint64, icmp_id: int) -> int:
    """The 32 bits that a slot keeps."""
    return np.int64((packet_hash + np.uint64(icmp_id) * ECHO_SPREAD) >> HASH_SHIFT)


@inlined
def home_slot(tag: int, slot_count: int) -> int:
    """Where the search for a tag begins."""
    return (tag * slot_count) >> TAG_BITS


@inlined
def insert_slot(table: Arrays, row: int, tag: int) -> None:
    """Make a row findable; the caller has seen to it that at most half of the slots are in use."""
    last = len(table.slots) - 1
    position = home_slot(tag, last + 1)
    while table.slots[position] != 0:
        position = (position + 1) & last
    table.slots[position] = (tag << TAG_BITS) | (row + 1)
    table.entries[row]["tag"] = tag


@inlined
def slot_of(table: Arrays, row: int) -> int:
    """The slot that holds a row which is in the table."""
    last = len(table.slots) - 1
    position = home_slot(np.int64(table.entries[row]["tag"]), last + 1)
    while (table.slots[position] & ROW_MASK) != row + 1:
        position = (position + 1) & last
    return position


@inlined
def remove_slot(table: Arrays, position: int) -> None:
    """Empty a slot and move back those behind it that may lie nearer to their home."""
    slots = table.slots
    last = len(slots) - 1
    hole, position = position, (position + 1) & last
    while slots[position] != 0:
        home = home_slot((slots[position] >> TAG_BITS) & TAG_MASK, last + 1)
        if ((position - home) & last) >= ((position - hole) & last):
            slots[hole] = slots[position]
            hole = position
        position = (position + 1) & last
    slots[hole] = 0


@inlined
def window(table: Arrays, tag: int, ahead: int) -> tuple[int, int]:
    """First slot and end of the window, ``ahead`` windows behind the one that a tag names, which stands for a bucket of netfilter's."""
    windows = max(1, table.numbers[BUCKETS] // 2)
    number = (((tag * windows) >> TAG_BITS) + ahead) % windows
    return number * len(table.slots) // windows, (number + 1) * len(table.slots) // windows


@njit
def move_slots(old: NDArray[np.int64], new: NDArray[np.int64]) -> None:
    """Fill a larger array of slots from a smaller one."""
    last = len(new) - 1
    for slot in old:
        if slot != 0:
            position = home_slot((slot >> TAG_BITS) & TAG_MASK, last + 1)
            while new[position] != 0:
                position = (position + 1) & last
            new[position] = slot
