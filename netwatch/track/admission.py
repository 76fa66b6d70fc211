"""A mitigation in front of the session table: what is admitted, refused, or answered for the server.

``synproxy`` stands for netfilter's: a SYN to the service makes no entry, the SYN's tuple is kept in two Bloom filters that take turns (the
kernel keeps nothing, its cookie comes back in the ACK), and the client's ACK makes the entry, established at once. Its windows are not
enforced, since what the SYN said is not kept. An ACK without its SYN is refused, and what the server says of a handshake that the firewall
has already answered is not tracked.

The meter is a token bucket for SYNs, and for first packets of other protocols, that would make an entry. It is kept as the one time at
which the bucket is full again (GCRA, ITU-T I.371). Buckets and counters are picked by the hash of source prefix and service and never
checked for whose they are: prefixes that meet by chance are limited together. Of a quarter million buckets that befalls one prefix in 260
while a thousand others are at their limit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import called, inlined, wide
from netwatch.model.tuple_hash import mix
from netwatch.track.session_entry import COUNTED, OTHER_TIMEOUTS, Arrays
from netwatch.track.source_prefix import prefix_hash
from netwatch.track.tcp_tracker import ACK, NO_KIND, SYN

# Bits of Guard.rules, a byte for each service.
PROXIED, METERED, LIMITED, RETIMED = 0x01, 0x02, 0x04, 0x08

# Elements of Guard.settings.
(
    ACTIVE,
    METER_STEP_NS,  # time that one new entry costs
    METER_DEPTH_NS,  # how far ahead of the clock a bucket may be: the burst
    CONNECTION_LIMIT,
    SYN_FILTER,  # the one being filled
    SYN_COUNT,  # SYNs in it
    SYN_TURNED_NS,  # when it was begun
) = range(7)
SETTING_COUNT = 7

METER_BUCKETS = 262_144
HOLDER_COUNTERS = 1_048_576

SYN_FILTER_BITS = 8_388_608
SYN_FILTER_FULL = 524_288  # SYNs; a foreign ACK then passes with (1 - exp(-4/16))**4 = 0.24 %
SYN_FILTER_NS = 60_000_000_000
SYN_FILTER_PROBES = 4
WORD_BITS = 64
ONE = np.uint64(1)

# What is to become of a packet without an entry.
ADMIT, REFUSE, UNTRACK, ADMIT_PROXIED = range(4)


class Guard(NamedTuple):
    """A mitigation as kernels see it."""

    dropped: NDArray[np.uint64]  # shape (ranges, 4): first and last address as halves; sorted, disjoint
    spared: NDArray[np.uint64]
    rules: NDArray[np.uint8]  # by service
    syn_filters: NDArray[np.uint64]  # shape (2, words)
    meter_ns: NDArray[np.int64]  # when each bucket is full again
    refused_keys: NDArray[np.uint64]  # flows that were refused or evicted; 0 free
    refused_marks: NDArray[np.uint8]
    settings: NDArray[np.int64]


@called
def in_ranges(ranges: NDArray[np.uint64], hi: np.uint64, lo: np.uint64) -> bool:
    """Whether an address lies in one of some sorted ranges."""
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        if ranges[middle, 2] < hi or (ranges[middle, 2] == hi and ranges[middle, 3] < lo):
            low = middle + 1
        else:
            high = middle
    return low < len(ranges) and (ranges[low, 0] < hi or (ranges[low, 0] == hi and ranges[low, 1] <= lo))


@called
def note_syn(guard: Guard, key: np.uint64, now_ns: int) -> None:
    """Put a SYN's tuple into the filter in use; when that is full or old, the other is emptied and used."""
    settings = guard.settings
    if settings[SYN_COUNT] >= SYN_FILTER_FULL or now_ns - settings[SYN_TURNED_NS] >= SYN_FILTER_NS:
        settings[SYN_FILTER] ^= 1
        settings[SYN_COUNT] = 0
        settings[SYN_TURNED_NS] = now_ns
        guard.syn_filters[settings[SYN_FILTER], :] = 0
    settings[SYN_COUNT] += 1
    bits = mix(key)
    for _ in range(SYN_FILTER_PROBES):
        bit = wide(bits) & (SYN_FILTER_BITS - 1)
        guard.syn_filters[settings[SYN_FILTER], bit // WORD_BITS] |= ONE << np.uint64(bit % WORD_BITS)
        bits = mix(bits)


@called
def syn_was_seen(guard: Guard, key: np.uint64) -> bool:
    """Whether a SYN of this tuple is in one of the two filters."""
    for number in range(2):
        found = True
        bits = mix(key)
        for _ in range(SYN_FILTER_PROBES):
            bit = wide(bits) & (SYN_FILTER_BITS - 1)
            found = found and (guard.syn_filters[number, bit // WORD_BITS] >> np.uint64(bit % WORD_BITS)) & ONE != 0
            bits = mix(bits)
        if found:
            return True
    return False


@inlined
def holder_of(table: Arrays, row: np.uint64) -> int:
    """The counter of an entry's source prefix and service."""
    entry = table.entries[row]
    return wide(prefix_hash(entry["src_hi"], entry["src_lo"], wide(entry["group"]))) & (len(table.holders) - 1)


@called
def count_holder(table: Arrays, row: np.uint64) -> None:
    """Add an entry to what its source prefix holds of its service; ``release`` takes it off again."""
    table.entries[row]["status"] |= COUNTED
    table.holders[holder_of(table, row)] += 1


@called
def apply_rules(table: Arrays, guard: Guard, row: np.uint64) -> None:
    """What a mitigation does with an entry that it admitted."""
    rules = guard.rules[wide(table.entries[row]["group"])]
    if rules & RETIMED:
        table.entries[row]["status"] |= OTHER_TIMEOUTS
    if rules & LIMITED:
        count_holder(table, row)


@called
def admit(
    table: Arrays,
    guard: Guard,
    key: np.uint64,
    src_hi: np.uint64,
    src_lo: np.uint64,
    group: int,
    from_service: bool,
    kind: int,
    opens: bool,
    now_ns: int,
) -> int:
    """Judge a packet that found no entry. ``kind`` is of TCP; ``opens`` says that the table would make an entry."""
    rules = guard.rules[group]
    if not rules or in_ranges(guard.spared, src_hi, src_lo):
        return ADMIT
    if rules & PROXIED:
        if from_service:
            return UNTRACK if syn_was_seen(guard, key) else ADMIT
        if kind == SYN:
            note_syn(guard, key, now_ns)
            return UNTRACK
        return ADMIT_PROXIED if kind == ACK and syn_was_seen(guard, key) else REFUSE
    if not opens or from_service:
        return ADMIT
    hashed = wide(prefix_hash(src_hi, src_lo, group))
    if rules & LIMITED and table.holders[hashed & (len(table.holders) - 1)] >= guard.settings[CONNECTION_LIMIT]:
        return REFUSE
    if rules & METERED and kind in (SYN, NO_KIND):
        bucket = hashed & (METER_BUCKETS - 1)
        full_ns = max(guard.meter_ns[bucket], now_ns)
        if full_ns - now_ns > guard.settings[METER_DEPTH_NS]:
            return REFUSE
        guard.meter_ns[bucket] = full_ns + guard.settings[METER_STEP_NS]
    return ADMIT
