"""A live state table in the terms of the modelled one: how many entries in which state, how long idle, whose, and of which service.

A kernel of ours adds up the rows of a dump, datagram by datagram. Kept for each entry are 9 bytes, its source prefix and what is to be said
of it, since which prefixes hold the most is known only at the end; netfilter itself spends 320 bytes on an entry.

Whether a client ever sent payload only the kernel's accounting tells (``nf_conntrack_acct``; without it nobody counts as silent), and
only as bytes: those of a client that sent nothing but headers are 40 or 60 a packet, IPv4 or IPv6, and options. With time stamps (RFC
7323) these are 12 a packet, and 16 or 20 for the SYN; without, up to 20 for the SYN and none for the others.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, njit
from netwatch.model.address import address_text
from netwatch.model.entry import NO_TIMEOUT, EntryStatus
from netwatch.model.firewall_state import TableSurvey
from netwatch.model.packet import IPV4_MAPPED, Rows
from netwatch.model.session import CENSUS_IDLE_EDGES_S, CENSUS_IDLE_S, STATE_COUNT, Census, GroupCounts, PrefixEntries, SessionState
from netwatch.model.tracked import TRACKED

Classify = Callable[[Rows, Rows], None]
"""Fills ``service`` of the second rows (``TRACKED``) for the entries of the first: ``ServiceDirectory.classify`` takes them as it is."""

TOP_PREFIXES = 16
SILENT_AFTER_S = 2
"""A session whose client has not spoken for so long since the handshake is silent, not slow."""

UNREPLIED, ASSURED, COLUMNS = STATE_COUNT, STATE_COUNT + 1, STATE_COUNT + 2
"""Of the counts, behind a column for each state."""

ESTABLISHED = int(SessionState.ESTABLISHED)
SEEN_REPLY_BIT, ASSURED_BIT = np.uint32(EntryStatus.SEEN_REPLY), np.uint32(EntryStatus.ASSURED)
IDLE_EDGES_S = np.array(CENSUS_IDLE_EDGES_S).astype(np.int64)
IDLE_S = int(CENSUS_IDLE_S)
IS_IDLE, IS_SILENT = 1, 2
ABOUT_BITS = np.uint64(2)

AF_INET = 2
IPV4_HEADERS, IPV6_HEADERS = 40, 60
SYN_OPTIONS, STAMP, SMALL_STAMPED_SYN, LARGE_STAMPED_SYN = 20, 12, 16, 20

IPV4_PREFIX, IPV6_PREFIX = 24, 48
MAPPED_TOP, IPV4_BITS, ADDRESS_MASK = np.uint64(IPV4_MAPPED >> 32), np.uint64(32), np.uint64(0xFFFF_FFFF)
IPV4_SHIFT, IPV6_SHIFT = np.uint64(32 - IPV4_PREFIX), np.uint64(64 - IPV6_PREFIX)
IPV6_MARK = np.uint64(1 << 61)
"""Tells the keys of the two families apart; both are shifted so far to the right that it is free, and there is room for ``about``."""


whole = cast("Callable[[Any], int]", np.int64)
"""The whole numbers that the kernel reckons with."""


@inlined
def prefix_key(high: np.uint64, low: np.uint64) -> np.uint64:
    """One number for the prefix of an address: /24 of IPv4, /48 of IPv6, what one customer or one abuser usually holds."""
    if high == 0 and low >> IPV4_BITS == MAPPED_TOP:
        return (low & ADDRESS_MASK) >> IPV4_SHIFT
    return (high >> IPV6_SHIFT) | IPV6_MARK


@inlined
def idle_s(left_s: int, times_s: NDArray[np.uint32]) -> int:
    """Seconds that an entry has certainly been idle, as ``model.idle_age`` reckons them."""
    for time_s in times_s:  # in order, NO_TIMEOUT filling up the row
        if left_s <= whole(time_s) < NO_TIMEOUT:
            return max(whole(time_s) - left_s - 1, 0)
    return 0


@inlined
def sent_only_headers(packets: int, octets: int, family: int) -> bool:
    options = octets - packets * (IPV4_HEADERS if family == AF_INET else IPV6_HEADERS)
    stamped = options - STAMP * (packets - 1)
    return options <= SYN_OPTIONS or stamped in (SMALL_STAMPED_SYN, LARGE_STAMPED_SYN)


@njit
def count_entries(
    entries: Rows,
    tracked: Rows,
    possible_s: NDArray[np.uint32],
    edges_s: NDArray[np.int64],
    counts: NDArray[np.int64],
    idle_at_least: NDArray[np.int64],
    keys: NDArray[np.uint64],
    about: NDArray[np.uint8],
) -> int:
    """Add entries up; note the prefix of each, and whether it is idle or silent. Return how many are silent."""
    silent = 0
    for row in range(len(entries)):
        entry, group = entries[row], whole(tracked[row].service)
        group = group if group < len(counts) else 0
        state, status = whole(entry.state), entry.status
        counts[group, state] += 1
        counts[group, UNREPLIED] += status & SEEN_REPLY_BIT == 0
        counts[group, ASSURED] += status & ASSURED_BIT != 0
        keys[row] = prefix_key(entry.src_hi, entry.src_lo)
        about[row] = 0
        if state != ESTABLISHED:
            continue
        idle = idle_s(whole(entry.timeout_s), possible_s[state])
        for edge in range(len(edges_s)):
            idle_at_least[edge] += idle >= edges_s[edge]
        if idle >= IDLE_S:
            about[row] |= IS_IDLE
        packets, octets = whole(entry.original_packets), whole(entry.original_bytes)
        if entry.accounted and idle >= SILENT_AFTER_S and sent_only_headers(packets, octets, whole(entry.family)):
            about[row] |= IS_SILENT
            silent += 1
    return silent


class TableCount:
    """Adds up one walk over a table."""

    def __init__(self, possible_timeouts: NDArray[np.uint32], *, classify: Classify | None = None, groups: int = 1) -> None:
        """``possible_timeouts`` is what timers may have been set to (``model.idle_age``); ``groups`` services are counted apart."""
        self._possible = possible_timeouts
        self._classify = classify
        self._counts = np.zeros((groups, COLUMNS), np.int64)
        self._idle_at_least = np.zeros(len(IDLE_EDGES_S), np.int64)
        self._silent = 0
        self._keys: list[NDArray[np.uint64]] = []
        self._about: list[NDArray[np.uint8]] = []

    def add(self, entries: Rows) -> None:
        """Count the rows (``ENTRY``) of a block."""
        tracked = np.zeros(len(entries), TRACKED)
        if self._classify is not None:
            self._classify(entries, tracked)
        keys, about = np.empty(len(entries), np.uint64), np.empty(len(entries), np.uint8)
        self._silent += count_entries(entries, tracked, self._possible, IDLE_EDGES_S, self._counts, self._idle_at_least, keys, about)
        self._keys.append(keys)
        self._about.append(about)

    def survey(self, *, at_s: float, duration_s: float, errors: Mapping[str, int]) -> TableSurvey:
        """The result, once all blocks were added."""
        total = self._counts.sum(axis=0)
        census = Census(
            at_s=at_s,
            established=int(total[ESTABLISHED]),
            idle_at_least=tuple(self._idle_at_least.tolist()),
            silent=self._silent,
            top_prefixes=self._top_prefixes(),
        )
        groups = {row: _group(self._counts[row]) for row in np.flatnonzero(self._counts.any(axis=1)).tolist()}
        return TableSurvey(at_s=at_s, duration_s=duration_s, whole=_group(total), groups=groups, census=census, errors=errors)

    def _top_prefixes(self) -> tuple[PrefixEntries, ...]:
        if not self._keys:
            return ()
        # One number of both sorts by prefix, then by what was noted; numpy sorts numbers ten times as fast as it finds their places.
        kinds, entries = np.unique(np.concatenate(self._keys) << ABOUT_BITS | np.concatenate(self._about), return_counts=True)
        keys, begins = np.unique(kinds >> ABOUT_BITS, return_index=True)
        counts = np.add.reduceat(entries, begins)
        idle = np.add.reduceat(np.where(kinds & np.uint64(IS_IDLE) > 0, entries, 0), begins)
        silent = np.add.reduceat(np.where(kinds & np.uint64(IS_SILENT) > 0, entries, 0), begins)
        busiest = np.argsort(-counts, kind="stable")[:TOP_PREFIXES].tolist()
        return tuple(PrefixEntries(prefix_text(int(keys[at])), int(counts[at]), int(idle[at]), int(silent[at])) for at in busiest)


def prefix_text(key: int) -> str:
    """``198.51.100.0/24`` or ``2001:db8:1::/48``."""
    if key & int(IPV6_MARK):
        return f"{address_text((key ^ int(IPV6_MARK)) << (64 - IPV6_PREFIX), 0)}/{IPV6_PREFIX}"
    return f"{address_text(0, IPV4_MAPPED | key << (32 - IPV4_PREFIX))}/{IPV4_PREFIX}"


def _group(counts: NDArray[np.int64]) -> GroupCounts:
    by_state = tuple(counts[:STATE_COUNT].tolist())
    return GroupCounts(sum(by_state), by_state, int(counts[UNREPLIED]), int(counts[ASSURED]))
