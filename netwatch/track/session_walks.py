"""Walks over the whole session table, for what the running counts cannot say. Taken every few seconds, not every packet.

The busiest source prefixes are found in two walks: the first counts hashed prefixes in 4096 counters and notes each entry's counter, the
second counts exactly, but only entries of the 64 fullest counters. What it finds is exact; a prefix can only be missed if 64 others hold
more than it, or share its counter.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, njit, wide
from netwatch.model.packet import Rows
from netwatch.track.admission import LIMITED, Guard, count_holder, holder_of, in_ranges
from netwatch.track.expiry import count, release
from netwatch.track.plain_enums import TCP_PROTOCOL
from netwatch.track.refusals import (
    ANSWERED,
    WAS_EVICTED,
    marks_of_entry,
    remember,
    source_is_lower,
    tuple_key,
)
from netwatch.track.session_entry import (
    CLIENT_ANSWERS,
    CLIENT_PAYLOAD,
    COUNTED,
    EVICTED_TOTAL,
    EXPIRED,
    HANDSHAKE,
    NOW,
    ROWS_USED,
    SEEN_REPLY,
    SERVER_PAYLOAD,
    Arrays,
    Row,
)
from netwatch.track.session_slots import ONE, slot_of
from netwatch.track.source_prefix import prefix_hash, prefix_key
from netwatch.track.tcp_tracker import ESTABLISHED, ORIGINAL, SYN_RECV

PREFIX_COUNTERS = 4096
CANDIDATE_COUNTERS = 64
CANDIDATE_SLOTS = 4096
"""Of the exact count, a power of two. Where more prefixes share the fullest counters, those that come last are left out."""

PROBES = 16
SILENT_AFTER_NS = 2_000_000_000


@inlined
def fullest(counters: NDArray[np.int64]) -> int:
    """The count that at most ``CANDIDATE_COUNTERS`` reach or pass, by halving; at least 1."""
    low, high = 1, 1
    for counter in counters:
        high = max(high, counter)
    while low < high:
        middle = (low + high) // 2
        reaching = 0
        for counter in counters:
            reaching += counter >= middle
        if reaching > CANDIDATE_COUNTERS:
            low = middle + 1
        else:
            high = middle
    return low


@njit
def walk_table(
    table: Arrays, idle_edges_ns: NDArray[np.int64], idle_ns: int, idle_at_least: NDArray[np.int64]
) -> tuple[int, int, NDArray[np.uint64], NDArray[np.int64]]:
    """Established entries, silent ones, and candidates for the busiest prefixes: keys, and rows of entries, idle and silent."""
    rows, now_ns = np.uint64(table.numbers[ROWS_USED]), table.numbers[NOW]
    established, silent_total = 0, 0
    counters = np.zeros(PREFIX_COUNTERS, np.int64)
    counter_of = np.zeros(rows, np.uint16)
    about = np.zeros(rows, np.uint8)
    for row in range(ONE, rows):
        entry = table.entries[row]
        if entry["protocol"] == 0:
            continue
        number = wide(prefix_hash(entry["src_hi"], entry["src_lo"], wide(0))) & (PREFIX_COUNTERS - 1)
        counters[number] += 1
        counter_of[row] = number
        about[row] = 1
        if entry["state"] == ESTABLISHED:
            established += 1
            silence_ns = now_ns - entry["last_seen_ns"]
            for edge in range(len(idle_edges_ns)):
                idle_at_least[edge] += silence_ns >= idle_edges_ns[edge]
            if silence_ns >= idle_ns:
                about[row] |= 2
            if not entry["history"] & CLIENT_PAYLOAD and now_ns - entry["created_ns"] > SILENT_AFTER_NS:
                about[row] |= 4
                silent_total += 1
    threshold = fullest(counters)
    keys = np.zeros(CANDIDATE_SLOTS, np.uint64)
    counts = np.zeros((CANDIDATE_SLOTS, 3), np.int64)
    for row in range(ONE, rows):
        if not about[row] or counters[counter_of[row]] < threshold:
            continue
        entry = table.entries[row]
        key = prefix_key(entry["src_hi"], entry["src_lo"])
        slot = wide(prefix_hash(entry["src_hi"], entry["src_lo"], wide(0)) >> np.uint64(40)) & (CANDIDATE_SLOTS - 1)
        for _ in range(PROBES):
            if counts[slot, 0] == 0 or keys[slot] == key:
                keys[slot] = key
                counts[slot, 0] += 1
                counts[slot, 1] += about[row] & 2 != 0
                counts[slot, 2] += about[row] & 4 != 0
                break
            slot = (slot + 1) & (CANDIDATE_SLOTS - 1)
    return established, silent_total, keys, counts


LEARNED = np.dtype(
    [
        ("net_hi", np.uint64),
        ("net_lo", np.uint64),
        ("mask_hi", np.uint64),
        ("mask_lo", np.uint64),
        ("group", np.int64),
        ("port", np.int64),
        ("protocol", np.int64),
    ]
)
"""A service that was learned."""


@inlined
def join_service(table: Arrays, guard: Guard, row: np.uint64, service: Row) -> bool:
    """Put an entry that belongs to no service under the number of this one, if it is one of its."""
    entry, port = table.entries[row], service["port"]
    if entry["protocol"] != service["protocol"] or (entry["dport"] != port and entry["sport"] != port) or entry["group"] != 0:
        return False  # mostly without a look at the entry's second cache line
    net_hi, net_lo, mask_hi, mask_lo = service["net_hi"], service["net_lo"], service["mask_hi"], service["mask_lo"]
    asked = entry["dport"] == port and entry["dst_hi"] & mask_hi == net_hi and entry["dst_lo"] & mask_lo == net_lo
    asking = entry["sport"] == port and entry["src_hi"] & mask_hi == net_hi and entry["src_lo"] & mask_lo == net_lo
    if not asked and not asking:
        return False
    if entry["status"] & COUNTED:
        entry["status"] &= 0xFF ^ COUNTED
        table.holders[holder_of(table, row)] -= 1
    count(table, entry, wide(-1))
    entry["group"] = service["group"]
    if not asked:  # the service's packet made it: so the client is the side that answers
        sent = wide(entry["history"]) & (CLIENT_PAYLOAD | SERVER_PAYLOAD)
        entry["history"] = (entry["history"] & HANDSHAKE) | CLIENT_ANSWERS | ((sent & CLIENT_PAYLOAD) << 1) | ((sent & SERVER_PAYLOAD) >> 1)
    count(table, entry, wide(1))
    if guard.rules[service["group"]] & LIMITED:
        count_holder(table, row)
    return True


@njit
def relabel(table: Arrays, guard: Guard, learned: Rows) -> None:
    """Put the entries of newly learned services (``LEARNED``), which belonged to none, under their numbers: all in one walk."""
    for number in range(1, table.numbers[ROWS_USED]):
        for service in range(len(learned)):
            if join_service(table, guard, np.uint64(number), learned[service]):
                break


@njit
def count_all_holders(table: Arrays, guard: Guard) -> None:
    """Begin a connection limit: what is in the table already counts too."""
    for number in range(1, table.numbers[ROWS_USED]):
        row = np.uint64(number)
        entry = table.entries[row]
        if entry["protocol"] and guard.rules[wide(entry["group"])] & LIMITED:
            count_holder(table, row)


@njit
def evict(
    table: Arrays,
    guard: Guard,
    states: NDArray[np.bool_],
    groups: NDArray[np.bool_],
    prefixes: NDArray[np.uint64],
    any_prefix: bool,
    idle_ns: int,
    only_silent: bool,
    only_unreplied: bool,
) -> None:
    """Delete the entries that all criteria match. ``states`` is by state, ``groups`` by service."""
    now_ns = table.numbers[NOW]
    for number in range(1, table.numbers[ROWS_USED]):
        row = np.uint64(number)
        entry = table.entries[row]
        if entry["protocol"] == 0 or entry["status"] & EXPIRED:
            continue
        if not states[entry["state"]] or not groups[entry["group"]] or now_ns - entry["last_seen_ns"] < idle_ns:
            continue
        if (only_silent and entry["history"] & CLIENT_PAYLOAD) or (only_unreplied and entry["status"] & SEEN_REPLY):
            continue
        src_hi, src_lo = entry["src_hi"], entry["src_lo"]
        if in_ranges(guard.spared, src_hi, src_lo) or not (any_prefix or in_ranges(prefixes, src_hi, src_lo)):
            continue
        dst_hi, dst_lo = entry["dst_hi"], entry["dst_lo"]
        sport, dport = wide(entry["sport"]), wide(entry["dport"])
        key = tuple_key(src_hi, src_lo, dst_hi, dst_lo, sport, dport, wide(entry["protocol"]))
        lower = source_is_lower(src_hi, src_lo, dst_hi, dst_lo, sport, dport)
        marks = marks_of_entry(table, row, lower, ORIGINAL) | WAS_EVICTED
        if entry["state"] == SYN_RECV:
            marks |= ANSWERED
        if entry["protocol"] != TCP_PROTOCOL:  # only TCP has a handshake to complete
            marks |= HANDSHAKE
        remember(guard, key, marks)
        release(table, row, slot_of(table, row))
        table.numbers[EVICTED_TOTAL] += 1
