"""The flow table's kernel: packets in batches, so that the cache misses of one overlap with those of the others.

Every packet of a large table misses the cache twice: on its slot and on its row. Handled one by one, each miss is waited for; so a batch of
packets first only reads its slots, then its candidate rows, and only then is each packet worked on. What was read first is a hint: the
third pass looks again, since a flow may have come, gone or turned around within the batch.

``track_packets`` is long because its three passes share all state; its parts are inlined, since calls would cost more than the work.
"""

import numpy as np

from netwatch.jit import called, inlined, njit
from netwatch.model.flow import FlowEnd
from netwatch.model.packet import Layer, Rows
from netwatch.model.tracked import FlowEvent
from netwatch.track.flow_age import ROOM, Links, age_class, emit, enqueue, expire, move_clock, oldest_open, take_closed
from netwatch.track.flow_index import Slots, candidate, empty_slot, fill_slot, home, signed, tag_of
from netwatch.track.flow_packet import ACK, RESUME_ANSWERED, RESUME_UNANSWERED, RESUMED, SYN, TCP, TRANSPORT, count_packet, take_packet
from netwatch.track.flow_row import (
    CLOSED,
    FRAGMENTS_KIND,
    INITIATED,
    OPEN_END,
    SYN_SEEN,
    Row,
    clear_record,
    ending,
    has_ended,
    turn_around,
    write_record,
)

BATCH = 32
IP_LAYERS, FRAGMENT, HELD = int(Layer.IPV4 | Layer.IPV6), int(Layer.FRAGMENT), int(Layer.HELD)
FIRST = int(FlowEvent.FIRST)
ACTIVE_END, EVICTED_END = int(FlowEnd.ACTIVE), int(FlowEnd.EVICTED)


@inlined
def kind_of(packet: Row) -> int:
    """Protocol, and the mark of later fragments whose ports are not known."""
    kind = signed(packet.protocol)
    if packet.layers & FRAGMENT and packet.fragment_offset > 0 and not packet.layers & TRANSPORT:
        kind |= FRAGMENTS_KIND
    return kind


@inlined
def direction_in(rows: Rows, row: int, packet: Row, kind: int) -> int:
    """0 if the packet goes from the row's initiator to its responder, 1 the other way, -1 if it is of another flow."""
    flow = rows[row]
    if flow.kind != kind:
        return -1
    if (
        flow.initiator_lo == packet.src_lo
        and flow.responder_lo == packet.dst_lo
        and flow.sport == packet.sport
        and flow.dport == packet.dport
        and flow.initiator_hi == packet.src_hi
        and flow.responder_hi == packet.dst_hi
    ):
        return 0
    if (
        flow.initiator_lo == packet.dst_lo
        and flow.responder_lo == packet.src_lo
        and flow.sport == packet.dport
        and flow.dport == packet.sport
        and flow.initiator_hi == packet.dst_hi
        and flow.responder_hi == packet.src_hi
    ):
        return 1
    return -1


@inlined
def name_sides(rows: Rows, row: int, packet: Row) -> int:
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
    flow.vlan = packet.vlan
    return 1 if is_answer else 0


@inlined
def opens_again(state: int, flow: Row, direction: int, flags: int, sequence: int) -> bool:
    """A SYN with a sequence number of its own after the connection ended, or its answer where only that side is seen."""
    if not flags & SYN or not has_ended(state):
        return False
    if state & (SYN_SEEN << direction):
        return sequence != signed(flow.isn[direction])
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
def make_room(table: Rows, rows: Rows, slots: Slots, heads: Links, tails: Links, newer: Links, older: Links, records: Rows) -> int:
    """Free the row of the flow that was idle longest."""
    row: int = table[0].closed_oldest - 1
    if row >= 0:
        take_closed(table, newer, older, row)
        table[0].forgotten += 1
    else:
        row = oldest_open(table, rows, heads, tails, newer)
        emit(table, rows, row, EVICTED_END, records)
        table[0].evicted += 1
    empty_slot(slots, signed(rows[row].tag), row)
    return row


@inlined
def is_reopened(rows: Rows, row: int, direction: int, packet: Row) -> bool:
    """Whether the packet begins a new connection on the tuple of one that ended."""
    if packet.protocol != TCP or not packet.tcp_flags & SYN:
        return False
    return opens_again(signed(rows[row].state), rows[row], direction, signed(packet.tcp_flags), signed(packet.seq))


@inlined
def begin_again(
    table: Rows, rows: Rows, heads: Links, tails: Links, newer: Links, older: Links, records: Rows, row: int, direction: int, packet: Row
) -> int:
    """End the record of a known flow and begin another, if this packet says so; return the direction, which may have turned."""
    state, ts_ns = signed(rows[row].state), packet.ts_ns
    if state & CLOSED:
        if packet.protocol != TCP or packet.tcp_flags & SYN:
            direction = name_sides(rows, row, packet)
        rows[row].state &= ~CLOSED
        take_closed(table, newer, older, row)
        clear_record(rows, row, ts_ns)
        enqueue(heads, tails, newer, age_class(rows[row].kind), table[0].tick, row)
    elif is_reopened(rows, row, direction, packet):
        emit(table, rows, row, OPEN_END, records)
        direction = name_sides(rows, row, packet)
        clear_record(rows, row, ts_ns)
    elif ts_ns - rows[row].first_ns >= table[0].active_ns:
        emit(table, rows, row, ACTIVE_END, records)
        clear_record(rows, row, ts_ns)
    elif direction == 1 and packet.tcp_flags & (SYN | ACK) == SYN and packet.protocol == TCP and not state & INITIATED:
        turn_around(rows, row)
        direction = 0
    return direction


@njit
def track_packets(
    packets: Rows,
    tracked: Rows,
    start: int,
    now_ns: int,
    table: Rows,
    rows: Rows,
    slots: Slots,
    heads: Links,
    tails: Links,
    newer: Links,
    older: Links,
    records: Rows,
) -> tuple[int, int]:
    """Track ``packets[start:]``; return how far it came, which is not the end only if ``records`` is full (take them, call again).

    ``now_ns`` moves the clock after the packets, for time that passes in silence. The second value has no meaning: it keeps the compiler
    from leaving out the reads of the first two passes.
    """
    tags, found = np.empty(BATCH, np.int64), np.empty(BATCH, np.int64)
    touched = 0
    if not expire(table, rows, heads, tails, newer, older, records):
        return start, touched
    total = len(packets)
    for begin in range(start, total, BATCH):
        if table[0].records >= len(records) - ROOM:
            return begin, touched
        size = min(BATCH, total - begin)
        for number in range(size):
            tags[number] = tag_of(packets[begin + number].hash)
            found[number] = home(slots, tags[number])
            touched += signed(slots[found[number]])
        for number in range(size):
            _, entry = candidate(slots, found[number], tags[number])
            found[number] = entry
            if entry:
                touched += signed(rows[entry - 1].kind) + signed(rows[entry - 1].packets[0])

        for number in range(size):
            position = begin + number
            packet, mark = packets[position], tracked[position]
            mark.flow_events = 0
            mark.gap_bin = 0
            if not packet.layers & IP_LAYERS:
                continue
            if packet.ts_ns > table[0].now_ns and not move_clock(table, packet.ts_ns, rows, heads, tails, newer, older, records):
                return position, touched

            kind, row = kind_of(packet), found[number] - 1
            direction = direction_in(rows, row, packet, kind) if row >= 0 else -1
            if direction < 0:
                row, direction, place = find_flow(rows, slots, tags[number], packet, kind)
            events, gap_ns = 0, 0
            if direction < 0:
                events = FIRST
                row = table[0].used
                if row < len(rows):
                    table[0].used += 1
                else:
                    row = make_room(table, rows, slots, heads, tails, newer, older, records)
                    _, _, place = find_flow(rows, slots, tags[number], packet, kind)
                fill_slot(slots, place, tags[number], row)
                table[0].distinct += 1
                rows[row].tag = tags[number]
                rows[row].kind = kind
                direction = name_sides(rows, row, packet)
                clear_record(rows, row, packet.ts_ns)
                enqueue(heads, tails, newer, age_class(kind), table[0].tick, row)
            else:
                gap_ns = packet.ts_ns - max(rows[row].last_ns[0], rows[row].last_ns[1])
                direction = begin_again(table, rows, heads, tails, newer, older, records, row, direction, packet)

            flow = rows[row]
            state, more = count_packet(flow, signed(flow.state), direction, packet, table[0].tick)
            events |= more
            if not packet.layers & HELD:
                state, more = take_packet(flow, state, direction, packet, gap_ns)
                events |= more
                if more & (RESUMED | RESUME_ANSWERED | RESUME_UNANSWERED):
                    mark.gap_bin = flow.gap_bin
            flow.state = state
            mark.flow_events = events

    if now_ns > table[0].now_ns:
        move_clock(table, now_ns, rows, heads, tails, newer, older, records)
    return total, touched


@njit
def write_open_records(rows: Rows, start: int, used: int, records: Rows) -> tuple[int, int]:
    """Write the records of rows from ``start`` on that are still open; return the next row, and how many were written."""
    row, number = start, 0
    while row < used and number < len(records):
        state = signed(rows[row].state)
        if not state & CLOSED:
            write_record(rows, row, ending(state, OPEN_END), records, number)
            number += 1
        row += 1
    return row, number
