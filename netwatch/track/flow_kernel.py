"""The flow table's kernel: while a packet is worked on, what later ones need is on its way.

Every packet of a large table misses the cache twice: on its slot and on its row. Handled one by one, each miss is waited for, which takes
longer than all the rest. So the slot of a packet is fetched while the one 64 in front of it is worked on, and its row, which the slot
names, while the one 32 in front of it is. That row is a hint: a flow may have come, gone or turned around in between, so the packet itself
looks again.

``track_packets`` is long because all it does shares its state; its parts are inlined, since calls would cost more than the work.
"""

import numpy as np

from netwatch.jit import called, inlined, njit, prefetch, wide
from netwatch.model.flow import FlowEnd
from netwatch.model.packet import Layer, Rows
from netwatch.model.tracked import FlowEvent
from netwatch.track.flow_age import ROOM, Links, age_class, emit, enqueue, expire, move_clock, oldest_open, take_closed
from netwatch.track.flow_index import Slots, candidate, empty_slot, fill_slot, home, tag_of
from netwatch.track.flow_packet import ACK, RESUME_ANSWERED, RESUME_UNANSWERED, RESUMED, SYN, TCP, TRANSPORT, count_packet, take_packet
from netwatch.track.flow_row import (
    CLOSED,
    FRAGMENTS_KIND,
    INITIATED,
    OPEN_END,
    SECOND_LINE,
    SYN_SEEN,
    Row,
    clear_record,
    ending,
    has_ended,
    turn_around,
    write_record,
)

AHEAD = 32
"""Packets between the fetching of a row and its use, and between that of a slot and its; a power of two."""

IP_LAYERS, FRAGMENT, HELD = int(Layer.IPV4 | Layer.IPV6), int(Layer.FRAGMENT), int(Layer.HELD)
FIRST = int(FlowEvent.FIRST)
NOTHING = np.uint64(0)
ACTIVE_END, EVICTED_END = int(FlowEnd.ACTIVE), int(FlowEnd.EVICTED)


@inlined
def kind_of(packet: Row) -> int:
    """Protocol, and the mark of later fragments whose ports are not known."""
    kind = wide(packet.protocol)
    if packet.layers & FRAGMENT and packet.fragment_offset > 0 and not packet.layers & TRANSPORT:
        kind |= FRAGMENTS_KIND
    return kind


@inlined
def direction_in(rows: Rows, row: int, packet: Row, kind: int) -> int:
    """0 if the packet goes from the row's initiator to its responder, 1 the other way, -1 if it is of another flow."""
    # Which way it goes cannot be predicted, so both are compared as numbers, without a branch.
    flow = rows[row]
    out = (flow.initiator_lo ^ packet.src_lo) | (flow.responder_lo ^ packet.dst_lo)
    out |= (flow.initiator_hi ^ packet.src_hi) | (flow.responder_hi ^ packet.dst_hi)
    out |= np.uint64(flow.sport ^ packet.sport) | np.uint64(flow.dport ^ packet.dport)
    back = (flow.initiator_lo ^ packet.dst_lo) | (flow.responder_lo ^ packet.src_lo)
    back |= (flow.initiator_hi ^ packet.dst_hi) | (flow.responder_hi ^ packet.src_hi)
    back |= np.uint64(flow.sport ^ packet.dport) | np.uint64(flow.dport ^ packet.sport)
    goes_out = out == NOTHING
    if flow.kind != kind or not goes_out | (back == NOTHING):
        return -1
    return 0 if goes_out else 1


@inlined
def name_sides(rows: Rows, tallies: Rows, keep: bool, row: int, packet: Row) -> int:
    """Write who the initiator of a new connection is: the sender of its first packet, unless that is a SYN-ACK. Return the direction."""
    flow = rows[row]
    is_answer = packet.protocol == TCP and packet.tcp_flags & (SYN | ACK) == (SYN | ACK)
    if is_answer and packet.src_lo == packet.dst_lo and packet.src_hi == packet.dst_hi and packet.sport == packet.dport:
        is_answer = False  # a host that talks to itself on one port has no other side
    if is_answer:
        flow.initiator_hi, flow.initiator_lo, flow.sport = packet.dst_hi, packet.dst_lo, packet.dport
        flow.responder_hi, flow.responder_lo, flow.dport = packet.src_hi, packet.src_lo, packet.sport
    else:
        flow.initiator_hi, flow.initiator_lo, flow.sport = packet.src_hi, packet.src_lo, packet.sport
        flow.responder_hi, flow.responder_lo, flow.dport = packet.dst_hi, packet.dst_lo, packet.dport
    flow.state = 0
    flow.data_packets = 0
    if keep:
        tallies[row].vlan = packet.vlan
    return 1 if is_answer else 0


@inlined
def opens_again(state: int, flow: Row, direction: int, flags: int, sequence: int) -> bool:
    """Of a SYN: whether it has a sequence number of its own after the connection ended, or is the answer where only that side is seen."""
    if not has_ended(state):
        return False
    if state & (SYN_SEEN << direction):
        return sequence != wide(flow.isn[direction])
    return not flags & ACK


@inlined
def find_flow(rows: Rows, slots: Slots, tag: int, packet: Row, kind: int) -> tuple[int, int, int]:
    """Return the packet's row, its direction there, and the slot; row -1 and the first free slot if it is not known."""
    place, last = home(slots, tag), len(slots) - 1
    while True:
        place, entry = candidate(slots, place, tag)
        if entry == 0:
            return -1, -1, place
        direction = direction_in(rows, entry - 1, packet, kind)
        if direction >= 0:
            return entry - 1, direction, place
        place = (place + 1) & last


@called
def make_room(
    table: Rows, rows: Rows, tallies: Rows, slots: Slots, heads: Links, tails: Links, newer: Links, older: Links, records: Rows
) -> int:
    """Free the row of the flow that was idle longest."""
    row: int = table[0].closed_oldest - 1
    if row >= 0:
        take_closed(table, newer, older, row)
        table[0].forgotten += 1
    else:
        row = oldest_open(table, rows, heads, tails, newer)
        emit(table, rows, tallies, row, EVICTED_END, records)
        table[0].evicted += 1
    empty_slot(slots, wide(rows[row].tag), row)
    return row


@inlined
def is_syn(packet: Row) -> bool:
    return bool((packet.protocol == TCP) & (packet.tcp_flags & SYN != 0))


@inlined
def is_too_old(table: Rows, rows: Rows, row: int, ts_ns: int) -> bool:
    """Whether the active time-out is over; of a young table no row need be looked at."""
    return bool(ts_ns - table[0].earliest_ns >= table[0].active_ns and ts_ns - rows[row].first_ns >= table[0].active_ns)


@inlined
def begin_again(
    table: Rows,
    rows: Rows,
    tallies: Rows,
    keep: bool,
    heads: Links,
    tails: Links,
    newer: Links,
    older: Links,
    records: Rows,
    row: int,
    direction: int,
    packet: Row,
) -> int:
    """End the record of a known flow and begin another, if this packet says so; return the direction, which may have turned."""
    state, ts_ns = wide(rows[row].state), packet.ts_ns
    if state & CLOSED:
        if packet.protocol != TCP or packet.tcp_flags & SYN:
            direction = name_sides(rows, tallies, keep, row, packet)
        rows[row].state &= ~CLOSED
        take_closed(table, newer, older, row)
        clear_record(rows, tallies, keep, row, ts_ns)
        enqueue(heads, tails, newer, age_class(rows[row].kind), table[0].tick, row)
    elif is_syn(packet):  # few are, and of packets that go either way it is better asked first than their direction
        if opens_again(state, rows[row], direction, wide(packet.tcp_flags), wide(packet.seq)):
            emit(table, rows, tallies, row, OPEN_END, records)
            direction = name_sides(rows, tallies, keep, row, packet)
            clear_record(rows, tallies, keep, row, ts_ns)
        elif is_too_old(table, rows, row, ts_ns):
            emit(table, rows, tallies, row, ACTIVE_END, records)
            clear_record(rows, tallies, keep, row, ts_ns)
        elif direction == 1 and not packet.tcp_flags & ACK and not state & INITIATED:
            turn_around(rows, tallies, keep, row)
            direction = 0
    elif is_too_old(table, rows, row, ts_ns):
        emit(table, rows, tallies, row, ACTIVE_END, records)
        clear_record(rows, tallies, keep, row, ts_ns)
    return direction


@inlined
def fetch_slot(packet: Row, slots: Slots) -> None:
    """Begin to fetch the slot where the search for a packet's flow begins."""
    prefetch(slots, home(slots, tag_of(packet.hash)), 0)


@inlined
def fetch_row(packet: Row, slots: Slots, rows: Rows) -> int:
    """Begin to fetch the row that is probably the packet's; return its number + 1, 0 if there is none yet."""
    tag = tag_of(packet.hash)
    _, entry = candidate(slots, home(slots, tag), tag)
    if entry:
        prefetch(rows, entry - 1, 0)
        if packet.tcp_flags & SYN:
            prefetch(rows, entry - 1, SECOND_LINE)
    return entry


@njit
def track_packets(
    packets: Rows,
    tracked: Rows,
    start: int,
    now_ns: int,
    table: Rows,
    rows: Rows,
    tallies: Rows,
    slots: Slots,
    heads: Links,
    tails: Links,
    newer: Links,
    older: Links,
    records: Rows,
) -> int:
    """Track ``packets[start:]``; return how far it came, which is not the end only if ``records`` is full (take them, call again).

    ``now_ns`` moves the clock after the packets, for time that passes in silence.
    """
    hints = np.empty(AHEAD, np.int64)  # row + 1 by packet, of those whose rows are on their way
    if not expire(table, rows, tallies, heads, tails, newer, older, records):
        return start
    total, keep = len(packets), table[0].keep_records != 0
    for position in range(start, min(start + 2 * AHEAD, total)):
        fetch_slot(packets[position], slots)
    for position in range(start, min(start + AHEAD, total)):
        hints[position & (AHEAD - 1)] = fetch_row(packets[position], slots, rows)
    for position in range(start, total):
        if table[0].records >= len(records) - ROOM:
            return position
        packet, mark = packets[position], tracked[position]
        row = hints[position & (AHEAD - 1)] - 1
        if position + 2 * AHEAD < total:
            fetch_slot(packets[position + 2 * AHEAD], slots)
        if position + AHEAD < total:
            hints[position & (AHEAD - 1)] = fetch_row(packets[position + AHEAD], slots, rows)

        mark.flow_events = 0
        mark.gap_bin = 0
        if not packet.layers & IP_LAYERS:
            continue
        if packet.ts_ns > table[0].now_ns and not move_clock(table, packet.ts_ns, rows, tallies, heads, tails, newer, older, records):
            return position
        table[0].earliest_ns = min(table[0].earliest_ns, packet.ts_ns)

        kind = kind_of(packet)
        direction = direction_in(rows, row, packet, kind) if row >= 0 else -1
        if direction < 0:
            tag = tag_of(packet.hash)
            row, direction, place = find_flow(rows, slots, tag, packet, kind)
        events, gap_ns = 0, 0
        if direction < 0:
            events = FIRST
            row = table[0].used
            if row < len(rows):
                table[0].used += 1
            else:
                row = make_room(table, rows, tallies, slots, heads, tails, newer, older, records)
                _, _, place = find_flow(rows, slots, tag, packet, kind)
            fill_slot(slots, place, tag, row)
            table[0].distinct += 1
            rows[row].tag = tag
            rows[row].kind = kind
            direction = name_sides(rows, tallies, keep, row, packet)
            clear_record(rows, tallies, keep, row, packet.ts_ns)
            enqueue(heads, tails, newer, age_class(kind), table[0].tick, row)
        else:
            gap_ns = packet.ts_ns - rows[row].last_ns
            direction = begin_again(table, rows, tallies, keep, heads, tails, newer, older, records, row, direction, packet)

        flow, tally = rows[row], tallies[row if keep else 0]
        state, more = count_packet(flow, tally, keep, wide(flow.state), direction, packet, table[0].tick)
        events |= more
        if not packet.layers & HELD:
            state, more = take_packet(flow, tally, keep, state, direction, packet, gap_ns)
            events |= more
            if more & (RESUMED | RESUME_ANSWERED | RESUME_UNANSWERED):
                mark.gap_bin = flow.gap_bin
        flow.state = state
        mark.flow_events = events

    if now_ns > table[0].now_ns:
        move_clock(table, now_ns, rows, tallies, heads, tails, newer, older, records)
    return total


@njit
def write_open_records(rows: Rows, tallies: Rows, start: int, used: int, records: Rows) -> tuple[int, int]:
    """Write the records of rows from ``start`` on that are still open; return the next row, and how many were written."""
    row, number = start, 0
    while row < used and number < len(records):
        state = wide(rows[row].state)
        if not state & CLOSED:
            write_record(rows, tallies, row, ending(state, OPEN_END), records, number)
            number += 1
        row += 1
    return row, number
