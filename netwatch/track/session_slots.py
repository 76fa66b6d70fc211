"""The session table's hash: from a packet's tuple to the row of its entry, in either direction.

A slot is 8 bytes: 32 bits of the hash, a bit "expired", a bit "assured", and the row. Slots are probed one after the other from the place
that the upper bits of the hash name, never more than half are in use, and removing moves later ones back, so there are no tombstones
to walk over. The 32 bits kept in a slot hold that place too; so removing and growing need no look at the entries.

The same array stands for netfilter's buckets, where the kernel's behaviour depends on them. There an entry hangs in two of ``B`` buckets,
one for each direction, and a packet walks over one bucket: ``2 n / B`` of ``n`` entries on average. Here an entry lies in one slot; ``B/2``
windows of equal length cut the slots, a packet's hash names one, and that again holds ``2 n / B`` entries on average, Poisson
distributed as in the kernel. Eight neighbouring buckets are eight neighbouring windows.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, njit
from netwatch.track.session_entry import WINDOW_WIDTH, WINDOWS, Arrays

TAG_SHIFT = np.uint64(32)
TAG_MASK = np.uint64(0xFFFF_FFFF)
ROW_MASK = np.uint64(0x3FFF_FFFF)
EXPIRED_BIT = np.uint64(0x8000_0000)
ASSURED_BIT = np.uint64(0x4000_0000)
"""Both bits spare a look at the entry to those that walk over slots."""

WIDTH_SHIFT = np.uint64(20)
"""The width of a window is kept in 2**-20 slots, so that no division is needed to find it."""

SLOTS_PER_ENTRY = 2
"""At least. With four, a search ends at its first slot more often, but whoever comes to a full table walks over twice as many slots to find
whom to evict: in a flood that costs more."""

EMPTY = np.uint64(0)
ONE = np.uint64(1)

ECHO_SPREAD = np.uint64(0x9E37_79B9_7F4A_7C15)
"""The shared hash of a packet does not know ICMP's identifier: it is spread by the golden ratio and added."""


@inlined
def hash_tag(packet_hash: np.uint64, icmp_id: np.uint64) -> np.uint64:
    """The 32 bits that a slot keeps."""
    return (packet_hash + icmp_id * ECHO_SPREAD) >> TAG_SHIFT


@inlined
def home_slot(tag: np.uint64, slot_count: np.uint64) -> np.uint64:
    """Where the search for a tag begins."""
    return (tag * slot_count) >> TAG_SHIFT


@inlined
def insert_slot(table: Arrays, row: np.uint64, tag: np.uint64) -> None:
    """Make a row findable; the caller has seen to it that enough of the slots are empty."""
    slot_count = np.uint64(len(table.slots))
    position = home_slot(tag, slot_count)
    while table.slots[position] != EMPTY:
        position = (position + ONE) & (slot_count - ONE)
    table.slots[position] = (tag << TAG_SHIFT) | row
    table.entries[row]["tag"] = tag


@inlined
def slot_of(table: Arrays, row: np.uint64) -> np.uint64:
    """The slot that holds a row which is in the table."""
    slot_count = np.uint64(len(table.slots))
    position = home_slot(np.uint64(table.entries[row]["tag"]), slot_count)
    while table.slots[position] & ROW_MASK != row:
        position = (position + ONE) & (slot_count - ONE)
    return position


@inlined
def remove_slot(table: Arrays, position: np.uint64) -> None:
    """Empty a slot and move back those behind it that may lie nearer to their home."""
    slots, slot_count = table.slots, np.uint64(len(table.slots))
    last = slot_count - ONE
    hole, position = position, (position + ONE) & last
    while slots[position] != EMPTY:
        home = home_slot(slots[position] >> TAG_SHIFT, slot_count)
        if ((position - home) & last) >= ((position - hole) & last):
            slots[hole] = slots[position]
            hole = position
        position = (position + ONE) & last
    slots[hole] = EMPTY


@inlined
def window(table: Arrays, tag: np.uint64, ahead: int) -> tuple[np.uint64, np.uint64]:
    """First slot and end of the window, ``ahead`` windows behind the one that a tag names, which stands for a bucket of netfilter's."""
    windows, width = np.uint64(table.numbers[WINDOWS]), np.uint64(table.numbers[WINDOW_WIDTH])
    number = ((tag * windows) >> TAG_SHIFT) + np.uint64(ahead)
    if number >= windows:
        number %= windows
    return (number * width) >> WIDTH_SHIFT, ((number + ONE) * width) >> WIDTH_SHIFT


@njit
def move_slots(old: NDArray[np.uint64], new: NDArray[np.uint64]) -> None:
    """Fill a larger array of slots from a smaller one."""
    slot_count = np.uint64(len(new))
    for slot in old:
        if slot != EMPTY:
            position = home_slot(slot >> TAG_SHIFT, slot_count)
            while new[position] != EMPTY:
                position = (position + ONE) & (slot_count - ONE)
            new[position] = slot
