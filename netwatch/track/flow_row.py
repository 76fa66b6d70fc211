"""The flow table's row: a bidirectional 5-tuple, what its connection did so far, and the tally of its current record.

A row is 128 bytes, two cache lines: the first has all that a data packet of a known flow needs, the second what only opening, losses and
idle gaps touch. What nothing but a written record shows lies beside the rows, in a tally of 96 bytes, and only where records are wanted.

Pairs are indexed by the direction: 0 from the initiator, 1 from the responder. Which side is the initiator can turn out late (the capture
began in the middle of a connection, and its next SYN comes from the other side): ``turn_around`` swaps every pair.
"""

from typing import Any

import numpy as np

from netwatch.jit import called, inlined, wide
from netwatch.model.flow import FlowEnd
from netwatch.model.packet import Rows

ROW = np.dtype(
    [
        # line 1: who, and what is known
        ("initiator_hi", np.uint64),
        ("initiator_lo", np.uint64),
        ("responder_hi", np.uint64),
        ("responder_lo", np.uint64),
        ("last_ns", np.int64),  # newest packet of the record, from either side
        ("next_seq", np.uint32, (2,)),  # end of the highest sequence seen
        ("state", np.uint32),  # the bits below
        ("last_tick", np.uint32),  # of the table's clock, when a packet last came
        ("sport", np.uint16),
        ("dport", np.uint16),
        ("kind", np.uint16),  # protocol, and FRAGMENTS_KIND
        ("data_packets", np.uint8),  # of both sides, stops at 255
        ("alone", np.uint8),  # packets of the record while only one side was seen, stops at 255
        # line 2
        ("first_ns", np.int64),  # of the record
        ("isn", np.uint32, (2,)),  # sequence of the newest SYN
        ("hole_start", np.uint32, (2,)),  # sequence below next_seq that was not seen: what comes there is late, not repeated
        ("hole_end", np.uint32, (2,)),
        ("resume_seq", np.uint32),
        ("tag", np.uint32),  # upper half of the key's hash
        ("gap_bin", np.uint8),  # of the last resumption
        ("resume_sent", np.uint8),  # how often the resumed data was sent
        ("_pad", np.uint8, (22,)),
    ]
)
SECOND_LINE = 64
assert ROW.itemsize == 2 * SECOND_LINE

TALLY = np.dtype(
    [
        ("bytes", np.uint64, (2,)),
        ("payload", np.uint64, (2,)),
        ("last_ns", np.int64, (2,)),  # 0 none
        ("packets", np.uint32, (2,)),
        ("flags", np.uint16, (2,)),
        ("vlan", np.uint16),
        ("_pad", np.uint16),
        ("retransmitted", np.uint32, (2,)),
        ("syn_ns", np.int64),
        ("synack_ns", np.int64),
        ("ack_ns", np.int64),
    ]
)
"""What a record shows and the table itself does not ask for."""

Row = Any
"""One row inside a kernel, whose fields are attributes there."""

FRAGMENTS_KIND = 0x100
"""Set in ``kind`` for later fragments whose ports are not known: they are not the flow that has ports 0 and 0."""

# State bits. Of a pair the initiator's comes first, so that ``SEEN << direction`` is the bit of one side.
SEEN = 0x0000_0001  # and 2: a packet of this side was seen
SEQUENCE = 0x0000_0004  # and 8: next_seq is valid
SYN_SEEN = 0x0000_0010  # and 20: isn is valid
FIN_SEEN = 0x0000_0040  # and 80
BOTH_SEEN = 0x0000_0003
BOTH_FIN = 0x0000_00C0
FIRST_OF_PAIRS = 0x0000_0055
SECOND_OF_PAIRS = 0x0000_00AA
RESET = 0x0000_0100  # RST came before both sides had said FIN
ACK_SEEN = 0x0000_0200
INITIATED = 0x0000_0400  # a SYN decided who the initiator is
ONE_SIDED_TOLD = 0x0000_0800
PAYLOAD_TOLD = 0x0000_1000  # the initiator has sent payload
ACK_AWAITED = 0x0000_2000  # SYN-ACK seen, the initiator's ACK not yet
ANSWER_AWAITED = 0x0000_4000  # data after an idle gap, no answer yet
RESUMED_BY_RESPONDER = 0x0000_8000
CLOSED = 0x0001_0000  # the record was written; the tuple stays known

OPEN_END, FIN_END, RST_END = int(FlowEnd.OPEN), int(FlowEnd.FIN), int(FlowEnd.RST)


@inlined
def has_ended(state: int) -> bool:
    """Both sides said FIN, or one said RST."""
    return (state & RESET) != 0 or (state & BOTH_FIN) == BOTH_FIN


@inlined
def ending(state: int, otherwise: int) -> int:
    """``FlowEnd`` of a record that is being written for the reason ``otherwise``."""
    if state & RESET:
        return RST_END
    if (state & BOTH_FIN) == BOTH_FIN:
        return FIN_END
    return otherwise


@inlined
def clear_record(rows: Rows, tallies: Rows, keep: bool, row: int, ts_ns: int) -> None:
    """Begin a record; the flow's state and sequence numbers stay."""
    flow = rows[row]
    flow.first_ns = ts_ns
    flow.last_ns = 0
    flow.alone = 0
    if keep:
        tally = tallies[row]
        tally.syn_ns = 0
        tally.synack_ns = 0
        tally.ack_ns = 0
        for side in range(2):
            tally.flags[side] = 0
            tally.bytes[side] = 0
            tally.payload[side] = 0
            tally.last_ns[side] = 0
            tally.packets[side] = 0
            tally.retransmitted[side] = 0


@called
def turn_around(rows: Rows, tallies: Rows, keep: bool, row: int) -> None:
    """Make the responder the initiator."""
    flow = rows[row]
    flow.initiator_hi, flow.responder_hi = flow.responder_hi, flow.initiator_hi
    flow.initiator_lo, flow.responder_lo = flow.responder_lo, flow.initiator_lo
    flow.sport, flow.dport = flow.dport, flow.sport
    flow.next_seq[0], flow.next_seq[1] = flow.next_seq[1], flow.next_seq[0]
    flow.isn[0], flow.isn[1] = flow.isn[1], flow.isn[0]
    flow.hole_start[0], flow.hole_start[1] = flow.hole_start[1], flow.hole_start[0]
    flow.hole_end[0], flow.hole_end[1] = flow.hole_end[1], flow.hole_end[0]
    state = wide(flow.state)
    pairs = ((state & FIRST_OF_PAIRS) << 1) | ((state & SECOND_OF_PAIRS) >> 1)
    flow.state = (state & ~(FIRST_OF_PAIRS | SECOND_OF_PAIRS)) ^ RESUMED_BY_RESPONDER | pairs
    if keep:
        tally = tallies[row]
        tally.flags[0], tally.flags[1] = tally.flags[1], tally.flags[0]
        tally.bytes[0], tally.bytes[1] = tally.bytes[1], tally.bytes[0]
        tally.payload[0], tally.payload[1] = tally.payload[1], tally.payload[0]
        tally.last_ns[0], tally.last_ns[1] = tally.last_ns[1], tally.last_ns[0]
        tally.packets[0], tally.packets[1] = tally.packets[1], tally.packets[0]
        tally.retransmitted[0], tally.retransmitted[1] = tally.retransmitted[1], tally.retransmitted[0]


@inlined
def write_record(rows: Rows, tallies: Rows, row: int, end: int, records: Rows, number: int) -> None:
    """Copy the row's record to ``records[number]``, a row of ``FLOW``."""
    flow, tally = rows[row], tallies[row]
    record = records[number]
    record.initiator_hi = flow.initiator_hi
    record.initiator_lo = flow.initiator_lo
    record.responder_hi = flow.responder_hi
    record.responder_lo = flow.responder_lo
    record.bytes_out = tally.bytes[0]
    record.bytes_in = tally.bytes[1]
    record.payload_out = tally.payload[0]
    record.payload_in = tally.payload[1]
    record.first_ns = flow.first_ns
    record.last_out_ns = tally.last_ns[0]
    record.last_in_ns = tally.last_ns[1]
    record.syn_ns = tally.syn_ns
    record.synack_ns = tally.synack_ns
    record.ack_ns = tally.ack_ns
    record.packets_out = tally.packets[0]
    record.packets_in = tally.packets[1]
    record.retransmitted_out = tally.retransmitted[0]
    record.retransmitted_in = tally.retransmitted[1]
    record.sport = flow.sport
    record.dport = flow.dport
    record.flags_out = tally.flags[0]
    record.flags_in = tally.flags[1]
    record.vlan = tally.vlan
    record.protocol = flow.kind & 0xFF
    record.fragments = flow.kind >> 8
    record.end = end
