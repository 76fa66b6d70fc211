"""Flows that a mitigation refused or evicted: what follows on them, and whether it hurt a healthy session.

A what-if runs packets that were captured without the mitigation. Some of them would never have been sent with it in force: the answer to a
SYN that was dropped, the data of a handshake that never came about. They must neither open entries nor look like faults, so what follows on
a refused attempt, in either direction, is not shown to the table (``Verdict.NONE``). A new SYN is a new attempt and judged anew; what a
client sends again of UDP is one too.

The same memory answers the question that decides about a mitigation: whom did it hit? A session whose handshake completes in the capture
and that carries payload both ways, some of it after it was refused or evicted, was healthy. The memory holds 262,144 flows; a flood of more
pushes out first those that showed no life.
"""

import numpy as np

from netwatch.jit import called, inlined, wide
from netwatch.model.tuple_hash import FIXED_SEED, tuple_hash
from netwatch.track.admission import ADMIT, ADMIT_PROXIED, ONE, REFUSE, Guard, admit, in_ranges
from netwatch.track.plain_enums import VERDICT_DROPPED, VERDICT_NONE
from netwatch.track.session_entry import (
    CLIENT_ANSWERS,
    CLIENT_PAYLOAD,
    EVICTED_BEFORE,
    HANDSHAKE,
    HEALTHY,
    HEALTHY_HIT,
    NO_ROW,
    SERVER_PAYLOAD,
    SHED_TOTAL,
    Arrays,
    Row,
)
from netwatch.track.tcp_tracker import ACK, NO_KIND, ORIGINAL, SYN, SYN_ACK

# Bits of Guard.refused_marks beside HANDSHAKE, CLIENT_PAYLOAD and SERVER_PAYLOAD.
CLIENT_LOWER = 0x08  # the client's endpoint is the smaller of the two
ANSWERED = 0x10  # a SYN-ACK was seen
WAS_EVICTED = 0x20
WAS_HIT = 0x40  # already counted as healthy

REFUSED_SETS, REFUSED_WAYS = 65_536, 4
SET_SHIFT = np.uint64(48)
TUPLE_SEED = np.uint64(FIXED_SEED)
NOT_REMEMBERED = -1
SHOWN_TO_TABLE = -1


@inlined
def tuple_key(
    src_hi: np.uint64, src_lo: np.uint64, dst_hi: np.uint64, dst_lo: np.uint64, sport: int, dport: int, protocol: int
) -> np.uint64:
    """A flow's key in the memory, the same in both directions and never 0."""
    return tuple_hash(src_hi, src_lo, dst_hi, dst_lo, sport, dport, protocol, TUPLE_SEED) | ONE


@inlined
def source_is_lower(src_hi: np.uint64, src_lo: np.uint64, dst_hi: np.uint64, dst_lo: np.uint64, sport: int, dport: int) -> bool:
    """Tells the two directions of a flow apart without a look at any entry."""
    if src_hi != dst_hi:
        return bool(src_hi < dst_hi)
    if src_lo != dst_lo:
        return bool(src_lo < dst_lo)
    return sport < dport


@called
def refused_place(guard: Guard, key: np.uint64) -> int:
    """Where a flow is remembered."""
    base = wide(key >> SET_SHIFT) * REFUSED_WAYS
    for place in range(base, base + REFUSED_WAYS):
        if guard.refused_keys[place] == key:
            return place
    return NOT_REMEMBERED


@called
def remember(guard: Guard, key: np.uint64, marks: int) -> int:
    """Remember a flow in place of the one of its set that shows the least life."""
    base = wide(key >> SET_SHIFT) * REFUSED_WAYS
    chosen, chosen_life = base, HEALTHY + 2
    for step in range(REFUSED_WAYS):
        place = base + ((wide(key) >> 1) + step) % REFUSED_WAYS
        life = 0 if guard.refused_keys[place] == 0 else 1 + wide(guard.refused_marks[place] & HEALTHY)
        if life < chosen_life:
            chosen, chosen_life = place, life
    guard.refused_keys[chosen] = key
    guard.refused_marks[chosen] = marks
    return chosen


@called
def follow(table: Arrays, guard: Guard, place: int, lower: bool, kind: int, payload_len: int) -> None:
    """One more packet of a remembered flow: has it proved healthy?"""
    marks = wide(guard.refused_marks[place])
    from_client = lower == (marks & CLIENT_LOWER != 0)
    if kind == SYN_ACK and not from_client:
        marks |= ANSWERED
    if kind == ACK and from_client and marks & ANSWERED:
        marks |= HANDSHAKE
    if payload_len > 0:
        marks |= CLIENT_PAYLOAD if from_client else SERVER_PAYLOAD
        if marks & HEALTHY == HEALTHY and not marks & WAS_HIT:
            marks |= WAS_HIT
            table.numbers[HEALTHY_HIT] += 1
    guard.refused_marks[place] = marks


@inlined
def marks_of_entry(table: Arrays, row: np.uint64, lower: bool, direction: np.uint64) -> int:
    """What an entry knows of its flow. ``lower`` and ``direction`` are of one of its packets."""
    history = wide(table.entries[row]["history"])
    from_client = (direction == ORIGINAL) == (history & CLIENT_ANSWERS == 0)
    return history & HEALTHY | (CLIENT_LOWER if lower == from_client else 0)


@called
def refuse(
    table: Arrays, guard: Guard, row: np.uint64, direction: np.uint64, key: np.uint64, lower: bool, kind: int, payload_len: int
) -> None:
    """A packet is refused. Without an entry the first packet refused says who the client is; only TCP has a handshake to complete."""
    table.numbers[SHED_TOTAL] += 1
    place = refused_place(guard, key)
    if place == NOT_REMEMBERED:
        marks = marks_of_entry(table, row, lower, direction) if row != NO_ROW else (CLIENT_LOWER if lower else 0)
        place = remember(guard, key, marks | (HANDSHAKE if kind == NO_KIND else 0))
    follow(table, guard, place, lower, kind, payload_len)


@called
def stopped_in_front(
    table: Arrays, guard: Guard, row: np.uint64, direction: np.uint64, packet: Row, sport: int, dport: int, kind: int
) -> int:
    """What a mitigation does with a packet before the table sees it: a verdict, or ``SHOWN_TO_TABLE``."""
    src_hi, src_lo, dst_hi, dst_lo = packet["src_hi"], packet["src_lo"], packet["dst_hi"], packet["dst_lo"]
    key = tuple_key(src_hi, src_lo, dst_hi, dst_lo, sport, dport, wide(packet["protocol"]))
    lower = source_is_lower(src_hi, src_lo, dst_hi, dst_lo, sport, dport)
    payload_len = wide(packet["payload_len"])
    if len(guard.dropped) and in_ranges(guard.dropped, src_hi, src_lo):
        refuse(table, guard, row, direction, key, lower, kind, payload_len)
        return VERDICT_DROPPED
    place = refused_place(guard, key)
    if place == NOT_REMEMBERED or guard.refused_marks[place] & WAS_EVICTED:
        return SHOWN_TO_TABLE
    from_client = lower == (guard.refused_marks[place] & CLIENT_LOWER != 0)
    if from_client and kind in (SYN, NO_KIND):
        return SHOWN_TO_TABLE
    follow(table, guard, place, lower, kind, payload_len)
    return VERDICT_NONE


@called
def ask_admission(
    table: Arrays, guard: Guard, packet: Row, sport: int, dport: int, group: int, from_service: bool, kind: int, opens: bool, now_ns: int
) -> tuple[int, int]:
    """A packet without an entry: is it admitted, and which history does its entry take over from one that was evicted?

    A remembered flow that opens an entry again is forgotten.
    """
    src_hi, src_lo, dst_hi, dst_lo = packet["src_hi"], packet["src_lo"], packet["dst_hi"], packet["dst_lo"]
    key = tuple_key(src_hi, src_lo, dst_hi, dst_lo, sport, dport, wide(packet["protocol"]))
    lower = source_is_lower(src_hi, src_lo, dst_hi, dst_lo, sport, dport)
    payload_len = wide(packet["payload_len"])
    admission = admit(table, guard, key, src_hi, src_lo, group, from_service, kind, opens, now_ns)
    if admission == REFUSE:
        refuse(table, guard, NO_ROW, ORIGINAL, key, lower, kind, payload_len)
    place = refused_place(guard, key)
    if place == NOT_REMEMBERED or admission == REFUSE:
        return admission, 0
    evicted = guard.refused_marks[place] & WAS_EVICTED != 0
    if evicted:
        follow(table, guard, place, lower, kind, payload_len)
    if admission != ADMIT_PROXIED and not (admission == ADMIT and opens):
        return admission, 0
    marks = wide(guard.refused_marks[place])
    guard.refused_keys[place] = 0
    if not evicted or kind == SYN:
        return admission, 0
    return admission, marks & HEALTHY | (0 if marks & WAS_HIT else EVICTED_BEFORE)


@called
def count_returned(table: Arrays, row: np.uint64) -> None:
    """An evicted session that came back carries payload: it is healthy once it has all that makes it so."""
    entry = table.entries[row]
    if entry["history"] & EVICTED_BEFORE and entry["history"] & HEALTHY == HEALTHY:
        entry["history"] &= 0xFF ^ EVICTED_BEFORE
        table.numbers[HEALTHY_HIT] += 1
