"""Source prefixes of new attempts: who asks how much, per service, in fixed memory.

A prefix, not an address, is what an operator can act on: a /24 of IPv4, a /48 of IPv6 (what one site gets, RFC 6177 section 2). Each window
counts up to 65,536 pairs of service and prefix exactly, in an open-addressing table that is emptied by a new stamp and not by writing it
over; what comes after that is counted per service as the rest. A prefix that is heavy turns up early in the window and is not in the rest.

The Shannon entropy of the prefixes is normalised by the logarithm of the attempts: 0 is one prefix, 1 is each attempt from another one. A
spoofed flood drives it up, one abuser down. The rest enters as if each of it came from a prefix of its own.

What a prefix usually opens is kept in a second, longer-lived table: counts that decay with a time constant of five minutes, in sets of
eight of which the smallest leaves. It learns only from services that are not alarmed, or a flood would soon be what is usual; and each
service has a clock of its own that stands still meanwhile, so that an hour of flood does not make it forget either.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, prefetch, wide
from netwatch.model.address import address_text
from netwatch.model.packet import IPV4_MAPPED, Rows
from netwatch.model.tuple_hash import mix

SLOTS = 1 << 17
MOST_PREFIXES = SLOTS // 2
TOP = 8
"""Prefixes told by name for one service and window."""

USUAL_SETS, USUAL_WAYS = 2048, 8
USUAL_TIME_S = 300.0

USUAL = np.dtype([("key", np.uint64), ("amount", np.float64), ("last_s", np.float64)])
"""``amount`` attempts, each weighted by exp(-age / USUAL_TIME_S) as of ``last_s`` on its service's clock; a key of 0 is an empty way."""

IPV4_WORD = np.uint64(IPV4_MAPPED >> 32)
HALF, ADDRESS_MASK, HOST_BITS, IPV6_REST = np.uint64(32), np.uint64(0xFFFF_FFFF), np.uint64(8), np.uint64(16)
IPV6_KEY = np.uint64(1 << 48)
SERVICE_SHIFT = np.uint64(49)
PREFIX_MASK = (1 << 48) - 1

KEY, COUNT_AND_STAMP = 0, 1
STAMP_SHIFT, COUNT_MASK = np.uint64(32), np.uint64(0xFFFF_FFFF)
ONE = np.uint64(1)

Table = NDArray[np.uint64]
Clocks = NDArray[np.float64]


@inlined
def prefix_key(service: int, hi: np.uint64, lo: np.uint64) -> np.uint64:
    """Service (15 bits), family (1 bit) and prefix (48 bits) of an address in one word, never 0 since the service's part is one higher."""
    if hi == 0 and lo >> HALF == IPV4_WORD:
        key = (lo & ADDRESS_MASK) >> HOST_BITS
    else:
        key = IPV6_KEY | hi >> IPV6_REST
    return (np.uint64(service + 1) << SERVICE_SHIFT) | key


@lru_cache(maxsize=4096)
def key_text(key: int) -> str:
    """The prefix in a key as people write it; kept, since the same ones are on top window after window."""
    prefix = key & PREFIX_MASK
    if key & int(IPV6_KEY):
        return f"{address_text(prefix << 16, 0)}/48"
    return f"{prefix >> 16}.{prefix >> 8 & 255}.{prefix & 255}.0/24"


@inlined
def fetch_prefix(table: Table, code: np.uint64) -> None:
    """Begin to fetch the slot where ``count_prefix`` will look first."""
    prefetch(table, (wide(code & np.uint64(SLOTS - 1))) * table.shape[1], 0)


@inlined
def count_prefix(table: Table, occupied: NDArray[np.uint32], used: int, stamp: int, key: np.uint64, code: np.uint64) -> int:
    """Count one attempt. Return the slots used now, or -1 if the table is full and the prefix is not in it."""
    slot = wide(code & np.uint64(SLOTS - 1))
    marked = np.uint64(stamp) << STAMP_SHIFT
    while table[slot, COUNT_AND_STAMP] >> STAMP_SHIFT == np.uint64(stamp):  # ends: at most half of the slots are in use
        if table[slot, KEY] == key:
            table[slot, COUNT_AND_STAMP] += ONE
            return used
        slot = (slot + 1) & (SLOTS - 1)
    if used == MOST_PREFIXES:
        return -1
    table[slot, KEY] = key
    table[slot, COUNT_AND_STAMP] = marked | ONE
    occupied[used] = slot
    return used + 1


@inlined
def attempts_in(table: Table, slot: int) -> int:
    """The count in a slot."""
    return wide(table[slot, COUNT_AND_STAMP] & COUNT_MASK)


@inlined
def rank_prefix(top_keys: Table, top_counts: NDArray[np.int64], row: int, key: np.uint64, count: int) -> None:
    """Keep the ``TOP`` largest prefixes of a row in order; of equals the earlier one stays in front."""
    if count <= top_counts[row, TOP - 1]:
        return
    place = TOP - 1
    while place > 0 and top_counts[row, place - 1] < count:
        top_counts[row, place] = top_counts[row, place - 1]
        top_keys[row, place] = top_keys[row, place - 1]
        place -= 1
    top_counts[row, place] = count
    top_keys[row, place] = key


@inlined
def service_of(key: np.uint64) -> int:
    """The service that a key counts for."""
    return wide(key >> SERVICE_SHIFT) - 1


@inlined
def _usual_place(usual: Rows, key: np.uint64, clock_s: Clocks, seed: np.uint64) -> int:
    """The way that holds the key, or else the one that is worth least now."""
    first = wide(mix(key ^ seed) & np.uint64(USUAL_SETS - 1)) * USUAL_WAYS
    least, least_worth = first, np.inf
    for place in range(first, first + USUAL_WAYS):
        entry = usual[place]
        if entry.key == key:
            return place
        # A hyperbola instead of the exponential: it only has to rank eight entries, and costs a tenth.
        worth = entry.amount / (USUAL_TIME_S + clock_s[service_of(entry.key)] - entry.last_s) if entry.key else -1.0
        if worth < least_worth:
            least, least_worth = place, worth
    return least


@inlined
def usual_amount(usual: Rows, key: np.uint64, clock_s: Clocks, seed: np.uint64) -> float:
    """The decayed attempts of a prefix; 0 if it is not among the usual ones."""
    entry = usual[_usual_place(usual, key, clock_s, seed)]
    return entry.amount * np.exp((entry.last_s - clock_s[service_of(key)]) / USUAL_TIME_S) if entry.key == key else 0.0


@inlined
def learn_usual(usual: Rows, key: np.uint64, count: int, clock_s: Clocks, seed: np.uint64) -> None:
    """Add a window's attempts of a prefix, in place of the least of its set if it is new."""
    entry = usual[_usual_place(usual, key, clock_s, seed)]
    now_s = clock_s[service_of(key)]
    kept = entry.amount * np.exp((entry.last_s - now_s) / USUAL_TIME_S) if entry.key == key else 0.0
    entry.key = key
    entry.amount = kept + count
    entry.last_s = now_s
