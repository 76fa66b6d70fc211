"""Known sources: which clients have completed a session with a service before, remembered for about ten minutes in fixed memory.

A crowd that comes back after an outage is known; the sources of a spoofed flood are not, since a forged address cannot complete a
handshake. Two Bloom filters take turns: the younger one learns, both are asked, and after five minutes (or once half of its bits are set,
whichever comes first) the older one is emptied and learns. So a client is remembered for five to ten minutes. A source learned in a window
counts from the next one on: nobody is known by what he is doing right now.

Each filter has 2**23 bits in blocks of 64 bytes, one cache line, so that asking costs one miss. With four bits an item, half-full means
1.45 million sources and a wrong "known" in about 7 % of the questions; at 400,000 it is 0.1 %.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, prefetch, wide
from netwatch.model.tuple_hash import mix

GENERATION_S = 300.0
BLOCKS = 1 << 14
WORDS = 8
"""64-bit words in a block."""

BITS = BLOCKS * WORDS * 64
HASHES = 4
PENDING = 1 << 16
"""Sources that one window can teach; more completed sessions in a second than that are left out."""

SALT = np.uint64(0xA24B_AED4_963E_E407)
BLOCK_MASK = np.uint64(BLOCKS - 1)
BLOCK_SHIFT = np.uint64(14)
POSITION_BITS = np.uint64(9)
WORD_MASK, BIT_MASK, BIT_SHIFT, ONE = np.uint64(7), np.uint64(63), np.uint64(3), np.uint64(1)

Filter = NDArray[np.uint64]


@inlined
def fetch_known(filters: Filter, code: np.uint64) -> None:
    """Begin to fetch the blocks that ``is_known`` will look at."""
    word = wide(mix(code ^ SALT) & BLOCK_MASK) * WORDS
    prefetch(filters, word, 0)
    prefetch(filters, word + BLOCKS * WORDS, 0)


@inlined
def is_known(filters: Filter, code: np.uint64) -> bool:
    """Whether either generation has the source with this hash."""
    mixed = mix(code ^ SALT)
    block = wide(mixed & BLOCK_MASK)
    positions = mixed >> BLOCK_SHIFT
    in_first, in_second = True, True
    for _ in range(HASHES):
        word, bit = wide(positions & WORD_MASK), (positions >> BIT_SHIFT) & BIT_MASK
        in_first = in_first and (filters[0, block, word] >> bit) & ONE != 0
        in_second = in_second and (filters[1, block, word] >> bit) & ONE != 0
        positions >>= POSITION_BITS
    return in_first or in_second


@inlined
def remember(filters: Filter, generation: int, code: np.uint64) -> int:
    """Add a source to a generation; return how many bits that set."""
    mixed = mix(code ^ SALT)
    block = wide(mixed & BLOCK_MASK)
    positions = mixed >> BLOCK_SHIFT
    new_bits = 0
    for _ in range(HASHES):
        word, bit = wide(positions & WORD_MASK), (positions >> BIT_SHIFT) & BIT_MASK
        if (filters[generation, block, word] >> bit) & ONE == 0:
            filters[generation, block, word] |= ONE << bit
            new_bits += 1
        positions >>= POSITION_BITS
    return new_bits


class KnownSources:
    """The two filters, and the sources that the open window has brought."""

    def __init__(self) -> None:
        self.filters: Filter = np.zeros((2, BLOCKS, WORDS), np.uint64)
        self.pending = np.zeros(PENDING, np.uint64)
        self.young = 0  # the generation that learns
        self._bits_set = 0
        self._since_s: float | None = None

    def age(self, now_s: float, *, new_bits: int) -> None:
        """Take turns when it is time."""
        if self._since_s is None:
            self._since_s = now_s
        self._bits_set += new_bits
        if now_s - self._since_s >= GENERATION_S or 2 * self._bits_set >= BITS:
            self.young = 1 - self.young
            self.filters[self.young] = 0
            self._bits_set = 0
            self._since_s = now_s
