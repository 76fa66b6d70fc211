"""What one packet does to its flow: counters, and for TCP the sequence, the handshake, idle gaps and the end, with the events that follow.

Events are edges: each is set on one packet only, so that adding them up counts flows, retransmissions, resumptions.
"""

import numpy as np

from netwatch.jit import inlined, wide
from netwatch.model.packet import Layer, TcpFlag
from netwatch.model.service import Protocol
from netwatch.model.tracked import GAP_BIN_EDGES_S, FlowEvent
from netwatch.track.flow_row import (
    ACK_AWAITED,
    ACK_SEEN,
    ANSWER_AWAITED,
    BOTH_SEEN,
    FIN_SEEN,
    INITIATED,
    ONE_SIDED_TOLD,
    PAYLOAD_TOLD,
    RESET,
    RESUMED_BY_RESPONDER,
    SEEN,
    SEQUENCE,
    SYN_SEEN,
    Row,
    has_ended,
)

TCP = int(Protocol.TCP)
TRANSPORT = int(Layer.TRANSPORT)
FIN, SYN, RST, ACK = int(TcpFlag.FIN), int(TcpFlag.SYN), int(TcpFlag.RST), int(TcpFlag.ACK)

TWO_SIDED, ONE_SIDED = int(FlowEvent.TWO_SIDED), int(FlowEvent.ONE_SIDED)
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
def gap_bin(gap_ns: int) -> int:
    chosen = 0
    for number in range(1, len(GAP_EDGES_NS)):
        if gap_ns >= GAP_EDGES_NS[number]:
            chosen = number
    return chosen


@inlined
def take_syn(flow: Row, tally: Row, keep: bool, state: int, direction: int, packet: Row, length: int) -> tuple[int, int]:
    """Work on a SYN or SYN-ACK; return the state and the events."""
    events = 0
    is_syn = not packet.tcp_flags & ACK
    if state & (SYN_SEEN << direction) and flow.isn[direction] == packet.seq:
        if keep:
            tally.retransmitted[direction] += 1
        if is_syn:
            events = SYN_RETRANSMITTED
    else:
        flow.isn[direction] = packet.seq
        flow.next_seq[direction] = packet.seq + length
        flow.hole_start[direction] = flow.hole_end[direction]
        state |= (SYN_SEEN | SEQUENCE) << direction
    if is_syn:
        state |= INITIATED
        if keep and tally.syn_ns == 0:
            tally.syn_ns = packet.ts_ns
    elif keep and tally.synack_ns == 0:
        tally.synack_ns = packet.ts_ns
        state |= ACK_AWAITED
    return state, events


@inlined
def is_repeated(flow: Row, direction: int, sequence: int, payload: int, length: int) -> bool:
    """Whether all of a segment was seen before; what is new is taken into account.

    One gap in the sequence is remembered, the newest: a segment that fills it was overtaken, or lost before it came here, not repeated.
    A single byte of payload just below the newest is a keep-alive probe (RFC 9293 section 3.8.4).
    """
    end = sequence + length
    highest = wide(flow.next_seq[direction])
    if after(end, highest) > 0:
        if after(sequence, highest) > 0:
            flow.hole_start[direction] = highest
            flow.hole_end[direction] = sequence
        flow.next_seq[direction] = end
        return False
    start, stop = wide(flow.hole_start[direction]), wide(flow.hole_end[direction])
    if start != stop and after(sequence, start) >= 0 and after(stop, end) >= 0:
        if sequence == start:
            flow.hole_start[direction] = end
        else:
            flow.hole_end[direction] = sequence
        return False
    return payload != 1 or length != 1 or end & 0xFFFF_FFFF != highest


@inlined
def take_segment(flow: Row, tally: Row, keep: bool, state: int, direction: int, packet: Row, gap_ns: int) -> tuple[int, int]:
    """Work on any other TCP segment; return the state and the events."""
    events = 0
    flags, payload, sequence = wide(packet.tcp_flags), wide(packet.payload_len), wide(packet.seq)
    length = payload + (1 if flags & FIN else 0)
    is_new = True
    if not state & (SEQUENCE << direction):
        flow.next_seq[direction] = sequence + length
        flow.hole_start[direction] = flow.hole_end[direction]
        state |= SEQUENCE << direction
    elif sequence == flow.next_seq[direction]:
        flow.next_seq[direction] = sequence + length
    elif length > 0 and is_repeated(flow, direction, sequence, payload, length):
        is_new = False
        if keep:
            tally.retransmitted[direction] += 1
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
def take_packet(flow: Row, tally: Row, keep: bool, state: int, direction: int, packet: Row, gap_ns: int) -> tuple[int, int]:
    """Work on what lies above IP; return the state and the events."""
    events = 0
    payload = wide(packet.payload_len)
    if keep:
        tally.payload[direction] += payload
    # Without a branch: neither payload nor direction can be predicted.
    has_payload = payload > 0
    flow.data_packets += has_payload & (flow.data_packets < 255)
    is_first = has_payload & (direction == 0) & (state & PAYLOAD_TOLD == 0)
    state |= is_first * PAYLOAD_TOLD
    events |= is_first * FIRST_PAYLOAD
    if packet.protocol != TCP or not packet.layers & TRANSPORT:
        return state, events
    flags = wide(packet.tcp_flags)
    if flags & ACK:
        state |= ACK_SEEN
        if state & ACK_AWAITED and direction == 0 and not flags & (SYN | RST):
            tally.ack_ns = packet.ts_ns
            state &= ~ACK_AWAITED
    if state & (BOTH_SEEN | ACK_SEEN | ONE_SIDED_TOLD) == (SEEN << direction | ACK_SEEN) and flow.alone >= ONE_SIDED_PACKETS:
        state |= ONE_SIDED_TOLD
        events |= ONE_SIDED
    if flags & SYN:
        state, more = take_syn(flow, tally, keep, state, direction, packet, payload + 1 + (1 if flags & FIN else 0))
    else:
        state, more = take_segment(flow, tally, keep, state, direction, packet, gap_ns)
    if flags & RST and not has_ended(state):
        state |= RESET
        if flow.data_packets > MANY_DATA_PACKETS:
            more |= RESET_WITH_DATA
    if flags & FIN:
        state |= FIN_SEEN << direction
    return state, events | more


@inlined
def count_packet(flow: Row, tally: Row, keep: bool, state: int, direction: int, packet: Row, tick: int) -> tuple[int, int]:
    """Add what every packet has; return the state and the events."""
    ts_ns, events = packet.ts_ns, 0
    flow.last_tick = tick
    if ts_ns >= flow.last_ns:
        flow.last_ns = ts_ns
    else:  # only a late packet can be the first
        flow.first_ns = min(flow.first_ns, ts_ns)
    if keep:
        tally.last_ns[direction] = max(tally.last_ns[direction], ts_ns)
        tally.bytes[direction] += packet.wire_len
        tally.packets[direction] += 1
        tally.flags[direction] |= packet.tcp_flags
    if not state & (SEEN << direction):
        state |= SEEN << direction
        if state & BOTH_SEEN == BOTH_SEEN:
            events = TWO_SIDED
    if state & BOTH_SEEN != BOTH_SEEN and flow.alone < 255:
        flow.alone += 1
    return state, events
