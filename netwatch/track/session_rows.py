"""Making an entry, and making room for one when the table is full.

Early drop (``early_drop`` in net/netfilter/nf_conntrack_core.c): a packet that would open a session in a full table looks at eight
neighbouring buckets, removes every unassured entry of the first that has any, and is dropped if none has. So a table full of half-open
entries hardly refuses anybody, with U of them in B buckets only exp(-16 U / B), and a table full of established ones refuses everybody.
"""

import numpy as np

from netwatch.jit import called, inlined, wide
from netwatch.track.expiry import FIRST_VISIT_NS, NEVER, count, hang, release
from netwatch.track.session_entry import (
    CLIENT_ANSWERS,
    CREATED,
    EARLY_DROP_FAILED,
    EARLY_DROPPED_TOTAL,
    EXPIRED_TOTAL,
    EXPIRY,
    FREE_ROW,
    FULL_AT,
    LIMIT,
    LIVE,
    NEVER_FULL,
    NO_ROW,
    OPTIONS,
    PEAK,
    PEAK_AT,
    ROWS_USED,
    Arrays,
    Row,
)
from netwatch.track.session_slots import ASSURED_BIT, EMPTY, EXPIRED_BIT, ONE, ROW_MASK, insert_slot, window
from netwatch.track.tcp_tracker import NONE

EVICTION_RANGE = 8  # NF_CT_EVICTION_RANGE, buckets


@called
def make_room(table: Arrays, tag: np.uint64) -> bool:
    """Evict unassured entries beside a full table's newcomer; ``False`` if there is none."""
    numbers = table.numbers
    for ahead in range(EVICTION_RANGE):
        begin, position = window(table, tag, wide(ahead))
        dropped = 0
        while position > begin:
            position -= ONE  # from behind, as reap_window does
            slot = table.slots[position]
            row = slot & ROW_MASK
            if slot & EXPIRED_BIT:
                release(table, row, position)
                numbers[EXPIRED_TOTAL] += 1
            elif slot != EMPTY and not slot & ASSURED_BIT:
                release(table, row, position)
                dropped += 1
        if dropped:
            numbers[EARLY_DROPPED_TOTAL] += dropped
            return True
    numbers[EARLY_DROP_FAILED] = 1
    return False


@inlined
def likely_victim(table: Arrays, tag: np.uint64) -> np.uint64:
    """The slot of an entry that a newcomer to a full table will probably evict, so that it can be fetched ahead; EMPTY if there is none."""
    for ahead in range(2):
        begin, position = window(table, tag, ahead)
        while position > begin:
            position -= ONE
            slot: np.uint64 = table.slots[position]
            if slot != EMPTY and not slot & ASSURED_BIT:
                return slot
    return EMPTY


@inlined
def take_row(table: Arrays) -> np.uint64:
    """A free row: one that was used before, or the next that never was. The caller has seen to it that there is one."""
    row = np.uint64(table.numbers[FREE_ROW])
    if row != NO_ROW:
        table.numbers[FREE_ROW] = table.entries[row]["tag"]
    else:
        row = np.uint64(table.numbers[ROWS_USED])
        table.numbers[ROWS_USED] += 1
    return row


@inlined
def make_entry(
    table: Arrays, packet: Row, tag: np.uint64, sport: int, dport: int, icmp_type: int, group: int, from_service: bool, now_ns: int
) -> np.uint64:
    """A new entry with a packet's tuple, in state NONE; its tracker gives it state and time-out."""
    row = take_row(table)
    entry = table.entries[row]
    entry["src_hi"], entry["src_lo"] = packet["src_hi"], packet["src_lo"]
    entry["dst_hi"], entry["dst_lo"] = packet["dst_hi"], packet["dst_lo"]
    entry["sport"], entry["dport"] = sport, dport
    entry["protocol"] = packet["protocol"]
    entry["state"] = NONE
    entry["status"] = 0
    entry["history"] = CLIENT_ANSWERS if from_service else 0
    entry["expires_ns"] = NEVER
    entry["last_seen_ns"] = entry["created_ns"] = now_ns
    entry["group"] = group
    entry["icmp_type"] = icmp_type
    entry["icmp_code"] = packet["icmp_code"]
    entry["wheel_slot"] = 0
    insert_slot(table, row, tag)
    count(table, entry, wide(1))
    numbers = table.numbers
    if numbers[OPTIONS] & EXPIRY:
        hang(table, entry, row, now_ns + FIRST_VISIT_NS)
    numbers[CREATED] += 1
    numbers[LIVE] += 1
    if numbers[LIVE] > numbers[PEAK]:
        numbers[PEAK], numbers[PEAK_AT] = numbers[LIVE], now_ns
    if numbers[LIVE] >= numbers[LIMIT] and numbers[FULL_AT] == NEVER_FULL:
        numbers[FULL_AT] = now_ns
    return row
