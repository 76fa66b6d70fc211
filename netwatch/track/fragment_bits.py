"""Which parts of a datagram have come: one bit for each 8 bytes, the unit in which fragment offsets are counted (RFC 791).

Linux keeps runs of adjacent fragments in a tree (net/ipv4/inet_fragment.c). Its answers depend on three things only: which units are there,
where runs begin, and what comes: a fragment that lies inside one run is a duplicate and is ignored, one that shares any other unit with
what is there is an overlap and costs the whole datagram its life. Two bits a unit say that in constant time, whatever order a hostile
sender chooses (FragmentSmack, CVE-2018-5391, was the cost of walking a list of fragments).
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import called, inlined

Bits = NDArray[np.uint64]
"""Shape (datagrams, WORDS)."""

WORDS = 65536 // 8 // 64
NEW, DUPLICATE, OVERLAP = 0, 1, 2


@inlined
def mask(word: int, first: int, last: int) -> np.uint64:
    """The bits of units ``first`` … ``last`` that lie in a word."""
    low, high = max(first - word * 64, 0), min(last - word * 64, 63)
    return (np.uint64(0xFFFF_FFFF_FFFF_FFFF) >> np.uint64(63 - high)) & (np.uint64(0xFFFF_FFFF_FFFF_FFFF) << np.uint64(low))


@called
def add_range(held: Bits, starts: Bits, row: int, offset: int, end: int, appended: bool) -> int:
    """Take bytes ``offset`` … ``end`` in, or say why not. ``appended``: the last run goes on, no new one begins."""
    first, last = offset >> 3, (end - 1) >> 3
    some, all_there, run_begins = False, True, False
    for word in range(first >> 6, (last >> 6) + 1):
        wanted = mask(word, first, last)
        some |= held[row, word] & wanted != np.uint64(0)
        all_there &= held[row, word] & wanted == wanted
        if last > first:
            run_begins |= starts[row, word] & mask(word, first + 1, last) != np.uint64(0)
    if some:
        return DUPLICATE if all_there and not run_begins else OVERLAP
    for word in range(first >> 6, (last >> 6) + 1):
        held[row, word] |= mask(word, first, last)
    if not appended:
        starts[row, first >> 6] |= np.uint64(1) << np.uint64(first & 63)
    return NEW
