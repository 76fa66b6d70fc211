"""The session table's way of one block of packets: find the entry, ask its protocol's tracker, count.

While a packet is judged, the row of the one 96 behind it, the slot of the one 32 and the entry of the one 16 behind it are fetched, so that
none is waited for. What cannot be foreseen (which way a packet goes, whether it has payload) is reckoned with, not branched on.
Its own search begins anew, since a packet may make or remove what the next one looks for. Everything on the common way is inlined into one
kernel; what opens a session is one call away, or the compiler would prepare for it with every packet.

Where rows, slots or pages run out, the kernel returns how far it came; the caller makes the arrays larger and calls again.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import called, inlined, njit, prefetch, wide
from netwatch.model.packet import DecodeStatus, Layer, Rows
from netwatch.model.service_index import ServiceIndex, service_of
from netwatch.track.admission import ACTIVE, ADMIT_PROXIED, REFUSE, UNTRACK, Guard, apply_rules
from netwatch.track.expiry import PAGE_ROWS, UNSET, WHEEL_SLOTS, look_ahead, reap_window, release, run_timers
from netwatch.track.plain_enums import (
    CREATED_EVENT,
    EARLY_DROPPED_EVENT,
    ERROR_REASON,
    ICMP_PROTOCOL,
    ICMPV6_PROTOCOL,
    MALFORMED_PACKET,
    NO_SESSION,
    PICKED_UP_EVENT,
    REOPENED_EVENT,
    SHED_EVENT,
    TCP_PROTOCOL,
    VALID,
    VERDICT_DROPPED,
    VERDICT_ESTABLISHED,
    VERDICT_INVALID,
    VERDICT_NEW,
    VERDICT_NONE,
    VERDICT_RELATED,
    VERDICT_UNTRACKED,
)
from netwatch.track.refusals import SHOWN_TO_TABLE, ask_admission, count_returned, stopped_in_front
from netwatch.track.session_entry import (
    CLIENT_ANSWERS,
    DROPPED_FULL,
    EARLY_DROP,
    EXPIRED_TOTAL,
    EXPIRY,
    HUNG,
    LIMIT,
    LINGERING,
    LIVE,
    NEXT_TIMER,
    NO_ROW,
    NOW,
    OPTIONS,
    SEEN_REPLY,
    STRICT,
    Arrays,
    Row,
)
from netwatch.track.session_lookup import ERROR_TYPE, ICMP_ANSWERS, ICMP_OPENS, UNKNOWN_TYPE, UNTRACKED_TYPE, concerns_session, find
from netwatch.track.session_rows import likely_victim, make_entry, make_room
from netwatch.track.session_slots import EMPTY, ONE, ROW_MASK, SLOTS_PER_ENTRY, TAG_SHIFT, hash_tag, home_slot, slot_of
from netwatch.track.session_trackers import REOPEN, begin_proxied, begin_syn, begin_tcp, track_datagram, track_tcp
from netwatch.track.tcp_tracker import ACK, KINDS, MALFORMED, NO_KIND, ORIGINAL, REPLY, SYN

BATCH = 32
"""Packets that there must be room for before the next one is judged."""

AHEAD = 16
"""Packets between the fetching of an entry and its use, and between that of a slot and its."""

FAR_AHEAD = 96
"""Packets between the fetching of a packet's row and its first use: another core has just written it."""

SECOND_LINE = 64  # where it begins in an entry or a packet
LATEST_NS = 1 << 62
"""A clock set beyond this (the year 2116) would overflow when a time-out is added."""

# What a decode status means for the tracker.
NOT_SHOWN, SHOWN, SHOWN_MALFORMED = range(3)


def _shown() -> NDArray[np.uint8]:
    """IP itself drops what has no sound IP header before any tracker sees it; a bad transport header is for the tracker to judge."""
    shown = np.full(256, NOT_SHOWN, np.uint8)
    shown[[DecodeStatus.OK, DecodeStatus.TOO_MANY_LAYERS, DecodeStatus.CUT_TUNNEL_HEADER]] = SHOWN
    shown[
        [
            DecodeStatus.CUT_EXTENSION_HEADER,
            DecodeStatus.CUT_TRANSPORT_HEADER,
            DecodeStatus.BAD_TCP_OFFSET,
            DecodeStatus.BAD_TRANSPORT_LENGTH,
        ]
    ] = SHOWN_MALFORMED
    return shown


STATUS_SHOWN = _shown()
IP_LAYERS = int(Layer.IPV4 | Layer.IPV6)
IPV6_LAYER, FRAGMENT_LAYER, HELD_LAYER = int(Layer.IPV6), int(Layer.FRAGMENT), int(Layer.HELD)
WHOLE_LAYERS = int(Layer.FIRST_FRAGMENT | Layer.REASSEMBLED)
TCP_FLAG_MASK = 0x3F
NO_NEXT_HEADER = 59  # RFC 8200 section 4.7

STILL_TO_TRACK = -1
"""In place of a verdict: the entry is made, and its tracker has yet to judge the packet."""


@called
def open_session(
    table: Arrays,
    guard: Guard,
    packet: Row,
    mark: Row,
    tag: np.uint64,
    sport: int,
    dport: int,
    icmp_type: int,
    kind: int,
    opens: bool,
    events: int,
) -> tuple[int, int, int, np.uint64]:
    """A packet without an entry: verdict (or ``STILL_TO_TRACK``), reason, events, and the row of its entry if it made one.

    As in netfilter, room is made before the tracker is asked whether the packet may open a session at all.
    """
    numbers = table.numbers
    now_ns = numbers[NOW]
    group, from_service = wide(mark["service"]), mark["service"] != 0 and mark["toward_service"] == 0
    if group >= len(table.counts):  # a service that this table was not made for: it counts, but under no service
        group = 0
    history, proxied = 0, False
    guarded = guard.settings[ACTIVE] != 0
    if guarded:
        admission, history = ask_admission(table, guard, packet, sport, dport, group, from_service, kind, opens, now_ns)
        if admission == UNTRACK:
            return VERDICT_UNTRACKED, VALID, events, NO_ROW
        if admission == REFUSE:
            return VERDICT_DROPPED, VALID, events | SHED_EVENT, NO_ROW
        proxied = admission == ADMIT_PROXIED
    if numbers[LIVE] >= numbers[LIMIT]:
        if not numbers[OPTIONS] & EARLY_DROP or not make_room(table, tag):
            numbers[DROPPED_FULL] += 1
            return VERDICT_DROPPED, VALID, events, NO_ROW
        events |= EARLY_DROPPED_EVENT
    if kind == MALFORMED:
        return VERDICT_INVALID, MALFORMED_PACKET, events, NO_ROW
    if not opens and not proxied:
        return VERDICT_INVALID, NO_SESSION, events, NO_ROW
    row = make_entry(table, packet, tag, sport, dport, icmp_type, group, from_service, now_ns)
    events |= CREATED_EVENT
    if guarded:
        table.entries[row]["history"] |= history
        apply_rules(table, guard, row)
    if kind == NO_KIND:
        return STILL_TO_TRACK, VALID, events, row
    begin_tcp(table, row, packet, kind)
    if proxied:
        return VERDICT_NEW, VALID, events | begin_proxied(table, row, packet, now_ns), row
    if kind == SYN:
        begin_syn(table, row, packet, now_ns)
        return VERDICT_NEW, VALID, events, row
    return STILL_TO_TRACK, VALID, events | PICKED_UP_EVENT, row


@called
def name_service(services: ServiceIndex, packet: Row, mark: Row) -> None:
    """Note the service of a packet that has no entry."""
    mark["service"], mark["toward_service"] = service_of(services, packet)


@inlined
def judge(table: Arrays, guard: Guard, services: ServiceIndex, packet: Row, quoted: Rows, mark: Row, now_ns: int) -> tuple[int, int, int]:
    """One packet: its verdict, why it is invalid, and its events. Notes its service too, which its entry knows if it has one."""
    layers = wide(packet["layers"])
    shown = STATUS_SHOWN[packet["status"]]
    mark["service"], mark["toward_service"] = 0, 0
    if shown != SHOWN or layers & (FRAGMENT_LAYER | HELD_LAYER) or not layers & IP_LAYERS:
        name_service(services, packet, mark)
        if shown == NOT_SHOWN or layers & HELD_LAYER or not layers & IP_LAYERS:
            return VERDICT_NONE, VALID, 0
        if layers & FRAGMENT_LAYER and not layers & WHOLE_LAYERS:  # reassembly let it pass as it is, and it has no ports
            return VERDICT_INVALID, MALFORMED_PACKET, 0
        if shown == SHOWN_MALFORMED:
            return VERDICT_INVALID, MALFORMED_PACKET, 0
    protocol = wide(packet["protocol"])
    sport, dport = wide(packet["sport"]), wide(packet["dport"])
    icmp_type, icmp_answer, icmp_id = wide(0), wide(0), wide(0)
    kind = wide(NO_KIND)
    opens = True
    if protocol == TCP_PROTOCOL:
        kind = wide(KINDS[packet["tcp_flags"] & TCP_FLAG_MASK])
        opens = kind == SYN or (kind == ACK and not table.numbers[OPTIONS] & STRICT)
    elif protocol in (ICMP_PROTOCOL, ICMPV6_PROTOCOL):
        family = 1 if layers & IPV6_LAYER else 0
        if family != (protocol == ICMPV6_PROTOCOL):
            return VERDICT_INVALID, MALFORMED_PACKET, 0
        icmp_type = wide(packet["icmp_type"])
        icmp_answer = wide(ICMP_ANSWERS[family, icmp_type])
        if icmp_answer < 0:
            if icmp_answer == UNTRACKED_TYPE:
                return VERDICT_UNTRACKED, VALID, 0
            if icmp_answer == ERROR_TYPE:
                if concerns_session(table, quoted, wide(packet["quoted"]), packet["dst_hi"], packet["dst_lo"], now_ns):
                    return VERDICT_RELATED, VALID, 0
                return VERDICT_INVALID, ERROR_REASON, 0
            return VERDICT_INVALID, MALFORMED_PACKET if icmp_answer == UNKNOWN_TYPE else NO_SESSION, 0
        icmp_id = wide(packet["icmp_id"])
        sport = dport = icmp_id
        opens = ICMP_OPENS[family, icmp_type]
    elif protocol == NO_NEXT_HEADER and layers & IPV6_LAYER:  # nothing that get_l4proto could name
        return VERDICT_INVALID, MALFORMED_PACKET, 0

    tag = hash_tag(packet["hash"], np.uint64(icmp_id))
    row, direction = find(
        table,
        tag,
        packet["src_hi"],
        packet["src_lo"],
        packet["dst_hi"],
        packet["dst_lo"],
        sport,
        dport,
        protocol,
        icmp_type,
        icmp_answer,
        wide(packet["icmp_code"]),
    )
    if row != NO_ROW and table.entries[row]["expires_ns"] <= now_ns:
        release(table, row, slot_of(table, row))
        table.numbers[EXPIRED_TOTAL] += 1
        row, direction = NO_ROW, ORIGINAL
    if row == NO_ROW:
        name_service(services, packet, mark)
    else:
        group, client_answers = table.entries[row]["group"], table.entries[row]["history"] & CLIENT_ANSWERS != 0
        mark["service"] = group
        mark["toward_service"] = (group != 0) & ((direction == REPLY) == client_answers)
    if table.numbers[LINGERING]:
        reap_window(table, tag, row)
    if guard.settings[ACTIVE]:
        stopped = stopped_in_front(table, guard, row, direction, packet, sport, dport, kind)
        if stopped != SHOWN_TO_TABLE:
            return stopped, VALID, SHED_EVENT if stopped == VERDICT_DROPPED else 0

    events = 0
    if row == NO_ROW:
        verdict, reason, events, row = open_session(table, guard, packet, mark, tag, sport, dport, icmp_type, kind, opens, 0)
        if verdict != STILL_TO_TRACK:
            return verdict, reason, events
    answered = (direction == REPLY) | (table.entries[row]["status"] & SEEN_REPLY != 0)
    verdict = VERDICT_NEW + answered * (VERDICT_ESTABLISHED - VERDICT_NEW)  # as likely one as the other: a branch would be guessed wrong
    if kind == NO_KIND:
        events |= track_datagram(table, row, direction, packet, now_ns)
    elif kind == MALFORMED:
        return VERDICT_INVALID, MALFORMED_PACKET, events
    else:
        reason, tcp_events = track_tcp(table, row, direction, packet, kind, now_ns)
        if reason == REOPEN:
            release(table, row, slot_of(table, row))
            verdict, reason, events, _ = open_session(table, guard, packet, mark, tag, sport, dport, icmp_type, kind, opens, REOPENED_EVENT)
            return verdict, reason, events
        if reason != VALID:
            return VERDICT_INVALID, reason, events
        events |= tcp_events
    if guard.settings[ACTIVE]:
        count_returned(table, row)
    return verdict, VALID, events


@inlined
def fetch_slot(table: Arrays, packet: Row) -> None:
    """Begin to fetch the slot where the search for a packet's entry begins."""
    prefetch(table.slots, home_slot(packet["hash"] >> TAG_SHIFT, np.uint64(len(table.slots))), 0)


@inlined
def fetch_entry(table: Arrays, packet: Row, full: bool) -> None:
    """Begin to fetch the entry that is probably the packet's, or that it will evict."""
    slot_count, tag = np.uint64(len(table.slots)), packet["hash"] >> TAG_SHIFT
    position = home_slot(tag, slot_count)
    slot = table.slots[position]
    if slot >> TAG_SHIFT != tag:
        slot = table.slots[(position + ONE) & (slot_count - ONE)]
    if full and slot == EMPTY:
        slot = likely_victim(table, tag)
    prefetch(table.entries, slot & ROW_MASK, 0)
    prefetch(table.entries, slot & ROW_MASK, SECOND_LINE)


@inlined
def has_room(table: Arrays) -> bool:
    """Whether a batch of packets may each make an entry, and write it into the wheel twice."""
    live, page_rows = table.numbers[LIVE], (len(table.pages) - WHEEL_SLOTS - 2) * PAGE_ROWS
    return bool(
        live + BATCH < len(table.entries) and SLOTS_PER_ENTRY * live <= len(table.slots) and table.numbers[HUNG] + 2 * BATCH <= page_rows
    )


@njit
def track_block(packets: Rows, quoted: Rows, tracked: Rows, services: ServiceIndex, table: Arrays, guard: Guard, begin: int) -> int:
    """Judge packets from ``begin`` on, each into its row of ``tracked``; returns the first that there was no room for, or their number."""
    numbers = table.numbers
    count = len(packets)
    for index in range(np.uint64(begin), np.uint64(min(begin + 2 * AHEAD, count))):
        fetch_slot(table, packets[index])
    for index in range(np.uint64(begin), np.uint64(min(begin + AHEAD, count))):
        fetch_entry(table, packets[index], False)
    while begin < count:
        if not has_room(table):
            return begin
        stop = min(begin + BATCH, count)
        full = numbers[LIVE] >= numbers[LIMIT]
        for index in range(np.uint64(begin), np.uint64(stop)):
            packet, mark = packets[index], tracked[index]
            prefetch(packets, index + np.uint64(FAR_AHEAD), 0)
            prefetch(packets, index + np.uint64(FAR_AHEAD), SECOND_LINE)
            if index + np.uint64(2 * AHEAD) < np.uint64(count):
                fetch_slot(table, packets[index + np.uint64(2 * AHEAD)])
            if index + np.uint64(AHEAD) < np.uint64(count):
                fetch_entry(table, packets[index + np.uint64(AHEAD)], full)
            ts_ns = min(packet["ts_ns"], LATEST_NS)
            if ts_ns > numbers[NOW]:
                if ts_ns >= numbers[NEXT_TIMER]:
                    run_timers(table, ts_ns)
                else:
                    numbers[NOW] = ts_ns
            verdict, reason, events = judge(table, guard, services, packet, quoted, mark, numbers[NOW])
            mark["verdict"], mark["invalid"], mark["session_events"] = verdict, reason, events
            table.verdicts[verdict] += 1
        begin = stop
    return begin


@njit
def pass_time(table: Arrays, now_ns: int) -> None:
    """Let time pass without packets; what has expired by then is known exactly. The first packet starts the clock."""
    if table.numbers[NOW] == UNSET:
        return
    if now_ns > table.numbers[NOW]:
        run_timers(table, min(now_ns, LATEST_NS))
    if table.numbers[OPTIONS] & EXPIRY:
        look_ahead(table, table.numbers[NOW])
