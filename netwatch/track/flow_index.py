"""From a key's hash to its row: open addressing with linear probing over 8-byte slots.

A slot is ``upper half of the hash << 32 | row + 1``; 0 is empty. A probe therefore reads one cache line of slots and then, nearly always,
only the one row that is the right one. A key's place is the highest bits of its hash, which the slot itself holds: an entry can be taken
out and its followers moved up (Knuth, TAOCP 6.4 R) without looking at any row. The array has at least twice as many slots as the table
has rows, so a probe is short; it is as large as it will ever be from the start, since memory that is never touched costs nothing.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, wide

Slots = NDArray[np.uint64]

ROW_BITS = np.uint64(0xFFFF_FFFF)
TAG_SHIFT = np.uint64(32)


@inlined
def home(slots: Slots, tag: int) -> int:
    """Where the entry of a tag lies if nothing is in its way; the number of slots is a power of two, at most 2**32."""
    return (wide(tag) * len(slots)) >> 32


@inlined
def tag_of(key_hash: int) -> int:
    return wide(np.uint64(key_hash) >> TAG_SHIFT)


@inlined
def candidate(slots: Slots, place: int, tag: int) -> tuple[int, int]:
    """Return the first slot from ``place`` on that holds the tag, and its row + 1; at the end of the run, the empty slot and 0."""
    last = len(slots) - 1
    while True:
        entry = slots[place]
        if entry == np.uint64(0):
            return place, 0
        if wide(entry >> TAG_SHIFT) == tag:
            return place, wide(entry & ROW_BITS)
        place = (place + 1) & last


@inlined
def fill_slot(slots: Slots, place: int, tag: int, row: int) -> None:
    slots[place] = (np.uint64(tag) << TAG_SHIFT) | np.uint64(row + 1)


@inlined
def empty_slot(slots: Slots, tag: int, row: int) -> None:
    """Take out the entry of a row, and move up what was pushed behind it."""
    last = len(slots) - 1
    hole = home(slots, tag)
    while wide(slots[hole] & ROW_BITS) != row + 1:
        hole = (hole + 1) & last
    place = hole
    while True:
        place = (place + 1) & last
        entry = slots[place]
        if entry == np.uint64(0):
            break
        pushed_by = (place - home(slots, wide(entry >> TAG_SHIFT))) & last
        if pushed_by >= ((place - hole) & last):
            slots[hole] = entry
            hole = place
    slots[hole] = np.uint64(0)
