"""The flow table's kernel: packets in batches, so that the cache misses of one overlap with those of the others.

Every packet of a large table misses the cache twice: on its slot and on its row. Handled one by one, each miss is waited for; so a batch of
packets first only reads its slots, then its candidate rows, and only then is each packet worked on. What was read first is a hint: the
third pass looks again, since a flow may have come, gone or turned around within the batch.

``track_packets`` is long because its three passes share all state; its parts are inlined, since calls would cost more than the work.
"""

import numpy as np

from netwatch.jit import called, inlined, njit
from netwatch.model.flow import FlowEnd
from netwatch.model.packet import Layer, Rows, TcpFlag
from netwatch.model.tracked import GAP_BIN_EDGES_S, FlowEvent
from netwatch.track.flow_age import ROOM, Links, age_class, emit, enqueue, expire, move_clock, oldest_open, take_closed
from netwatch.track.flow_index import Slots, candidate, empty_slot, fill_slot, home, signed, tag_of
from netwatch.track.flow_row import (
    ACK_AWAITED,
    ACK_SEEN,
    ANSWER_AWAITED,
    BOTH_SEEN,
    CLOSED,
    FIN_SEEN,
    FRAGMENTS_KIND,
    INITIATED,
    ONE_SIDED_TOLD,
    OPEN_END,
    PAYLOAD_TOLD,
    RESET,
    RESUMED_BY_RESPONDER,
    SEEN,
    SEQUENCE,
    SYN_SEEN,
    Row,
    clear_record,
    ending,
    has_ended,
    turn_around,
    write_record,
)

BATCH = 32
TCP = 6
IP_LAYERS = int(Layer.IPV4 | Layer.IPV6)
FRAGMENT, TRANSPORT, HELD = int(Layer.FRAGMENT), int(Layer.TRANSPORT), int(Layer.HELD)
FIN, SYN, RST, ACK = int(TcpFlag.FIN), int(TcpFlag.SYN), int(TcpFlag.RST), int(TcpFlag.ACK)
ACTIVE_END, EVICTED_END = int(FlowEnd.ACTIVE), int(FlowEnd.EVICTED)

FIRST, TWO_SIDED, ONE_SIDED = int(FlowEvent.FIRST), int(FlowEvent.TWO_SIDED), int(FlowEvent.ONE_SIDED)
SYN_RETRANSMITTED, RETRANSMITTED = int(FlowEvent.SYN_RETRANSMITTED), int(FlowEvent.RETRANSMITTED)
RESUMED, RESUME_ANSWERED, RESUME_UNANSWERED = int(FlowEvent.RESUMED), int(FlowEvent.RESUME_ANSWERED), int(FlowEvent.RESUME_UNANSWERED)
RESET_WITH_DATA, FIRST_PAYLOAD = int(FlowEvent.RESET_WITH_DATA), int(FlowEvent.FIRST_PAYLOAD)

GAP_EDGES_NS = np.array([round(edge * 1e9) for edge in GAP_BIN_EDGES_S], np.int64)
MANY_DATA_PACKETS = 10  # a connection that carried more was working when it was reset
ONE_SIDED_PACKETS = 4  # enough for an answer to have come on any path
UNANSWERED_SENDS = 3  # original and two retransmissions: more than the loss of a packet


@inlined
def after(later: int, earlier: int) -> int:
    """Distance of two sequence numbers, modulo 2**32, negative if ``later`` is not later (RFC 1982)."""
    return ((later - earlier + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


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
def gap_bin(gap_ns: int) -> int:
    chosen = 0
    for number in range(1, len(GAP_EDGES_NS)):
        if gap_ns >= GAP_EDGES_NS[number]:
            chosen = number
    return chosen


@inlined
def take_syn(flow: Row, state: int, direction: int, packet: Row, length: int) -> tuple[int, int]:
    """Work on a SYN or SYN-ACK; return the state and the events."""
    events = 0
    is_syn = not packet.tcp_flags & ACK
    if state & (SYN_SEEN << direction) and flow.isn[direction] == packet.seq:
        flow.retransmitted[direction] += 1
        if is_syn:
            events = SYN_RETRANSMITTED
    else:
        flow.isn[direction] = packet.seq
        flow.next_seq[direction] = packet.seq + length
        flow.hole_start[direction] = flow.hole_end[direction]
        state |= (SYN_SEEN | SEQUENCE) << direction
    if is_syn:
        state |= INITIATED
        if flow.syn_ns == 0:
            flow.syn_ns = packet.ts_ns
    elif flow.synack_ns == 0:
        flow.synack_ns = packet.ts_ns
        state |= ACK_AWAITED
    return state, events


@inlined
def is_repeated(flow: Row, direction: int, sequence: int, payload: int, length: int) -> bool:
    """Whether all of a segment was seen before; what is new is taken into account.

    One gap in the sequence is remembered, the newest: a segment that fills it was overtaken, or lost before it came here, not repeated.
    A single byte of payload just below the newest is a keep-alive probe (RFC 9293 section 3.8.4).
    """
    end = sequence + length
    highest = signed(flow.next_seq[direction])
    if after(end, highest) > 0:
        if after(sequence, highest) > 0:
            flow.hole_start[direction] = highest
            flow.hole_end[direction] = sequence
        flow.next_seq[direction] = end
        return False
    start, stop = signed(flow.hole_start[direction]), signed(flow.hole_end[direction])
    if start != stop and after(sequence, start) >= 0 and after(stop, end) >= 0:
        if sequence == start:
            flow.hole_start[direction] = end
        else:
            flow.hole_end[direction] = sequence
        return False
    return payload != 1 or length != 1 or end & 0xFFFF_FFFF != highest


@inlined
def take_segment(flow: Row, state: int, direction: int, packet: Row, gap_ns: int) -> tuple[int, int]:
    """Work on any other TCP segment; return the state and the events."""
    events = 0
    flags, payload, sequence = signed(packet.tcp_flags), signed(packet.payload_len), signed(packet.seq)
    length = payload + (1 if flags & FIN else 0)
    is_new = True
    if not state & (SEQUENCE << direction):
        flow.next_seq[direction] = sequence + length
        flow.hole_start[direction] = flow.hole_end[direction]
        state |= SEQUENCE << direction
    elif length > 0 and sequence == flow.next_seq[direction]:
        flow.next_seq[direction] = sequence + length
    elif length > 0 and is_repeated(flow, direction, sequence, payload, length):
        is_new = False
        flow.retransmitted[direction] += 1
        if payload > 0:
            events = RETRANSMITTED

    if state & ANSWER_AWAITED:
        if direction != (1 if state & RESUMED_BY_RESPONDER else 0):
            return state & ~ANSWER_AWAITED, events | RESUME_ANSWERED
        if payload > 0 and sequence == flow.resume_seq:
            flow.resume_sent += 1
            if flow.resume_sent == UNANSWERED_SENDS:
                return state & ~ANSWER_AWAITED, events | RESUME_UNANSWERED
    if gap_ns >= GAP_EDGES_NS[0] and payload > 0 and is_new and not has_ended(state):
        flow.resume_seq = packet.seq
        flow.resume_sent = 1
        flow.gap_bin = gap_bin(gap_ns)
        state = (state | ANSWER_AWAITED) & ~RESUMED_BY_RESPONDER
        if direction:
            state |= RESUMED_BY_RESPONDER
        events |= RESUMED
    return state, events


@inlined
def take_packet(flow: Row, state: int, direction: int, packet: Row, gap_ns: int) -> tuple[int, int]:
    """Work on what lies above IP; return the state and the events."""
    events = 0
    payload = signed(packet.payload_len)
    if payload > 0:
        flow.payload[direction] += payload
        if flow.data_packets < 255:
            flow.data_packets += 1
        if direction == 0 and not state & PAYLOAD_TOLD:
            state |= PAYLOAD_TOLD
            events |= FIRST_PAYLOAD
    if packet.protocol != TCP or not packet.layers & TRANSPORT:
        return state, events
    flags = signed(packet.tcp_flags)
    if flags & ACK:
        state |= ACK_SEEN
        if state & ACK_AWAITED and direction == 0 and not flags & (SYN | RST):
            flow.ack_ns = packet.ts_ns
            state &= ~ACK_AWAITED
    if state & (BOTH_SEEN | ACK_SEEN | ONE_SIDED_TOLD) == (SEEN << direction | ACK_SEEN) and flow.packets[direction] >= ONE_SIDED_PACKETS:
        state |= ONE_SIDED_TOLD
        events |= ONE_SIDED
    if flags & SYN:
        state, more = take_syn(flow, state, direction, packet, payload + 1 + (1 if flags & FIN else 0))
    else:
        state, more = take_segment(flow, state, direction, packet, gap_ns)
    if flags & RST and not has_ended(state):
        state |= RESET
        if flow.data_packets > MANY_DATA_PACKETS:
            more |= RESET_WITH_DATA
    if flags & FIN:
        state |= FIN_SEEN << direction
    return state, events | more


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


@inlined
def count_packet(flow: Row, state: int, direction: int, packet: Row, tick: int) -> tuple[int, int]:
    """Add what every packet has; return the state and the events."""
    ts_ns, events = packet.ts_ns, 0
    flow.last_tick = tick
    flow.first_ns = min(flow.first_ns, ts_ns)
    flow.last_ns[direction] = max(flow.last_ns[direction], ts_ns)
    flow.bytes[direction] += packet.wire_len
    flow.packets[direction] += 1
    flow.flags[direction] |= packet.tcp_flags
    if not state & (SEEN << direction):
        state |= SEEN << direction
        if state & BOTH_SEEN == BOTH_SEEN:
            events = TWO_SIDED
    return state, events


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
