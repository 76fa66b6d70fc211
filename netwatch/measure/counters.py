"""The walk over packets and what the trackers said of them: adds up every count that a window holds, in one pass.

A service has one row of counters. What the firewall shows is the sum over all rows, row 0 (no service) included, so the walk adds once for
both. Which counter a TCP segment belongs to is looked up by its flags and direction instead of being decided: the flags of neighbouring
packets are unrelated, and a processor that guesses a branch wrong loses as much time as the whole of the adding takes. Only packets that
did something to a session or a flow, one in three in healthy traffic, go through the rest.

A new attempt (``attempt``) also goes into the sketches of sources, at the price of some cache misses; during a spoofed flood that is each
packet.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, njit, wide
from netwatch.measure.attempt import DROPPED, HANDSHAKE_FLAGS, TCP, UDP, is_attempt
from netwatch.measure.sources import BATCH, SketchArrays, note_attempts, note_completed
from netwatch.model.packet import Layer, Rows, TcpFlag
from netwatch.model.tracked import GAP_BIN_EDGES_S, FlowEvent, InvalidReason, SessionEvent, Verdict


class Column(IntEnum):
    """The counters of a row. Their names in lower case are those of ``ServiceWindow``, then those that only the firewall shows."""

    PACKETS_OUT = 0
    PACKETS_IN = 1
    BYTES_OUT = 2
    BYTES_IN = 3
    SYN = 4
    SYNACK = 5
    RESETS_OUT = 6
    RESETS_IN = 7
    FINS = 8
    ACKS_IN = 9
    FRAGMENTS = 10
    NEW_ATTEMPTS = 11
    HANDSHAKES_COMPLETED = 12
    PICKED_UP = 13
    DROPPED_FULL = 14
    SHED = 15
    SYN_RETRANSMITTED = 16
    RETRANSMITTED = 17
    ONE_SIDED_FLOWS = 18
    TWO_SIDED_FLOWS = 19
    RESETS_WITH_DATA = 20
    FIRST_PAYLOADS = 21
    INVALID_MALFORMED = 22  # six in the order of InvalidReason
    INVALID_NO_SESSION = 23
    INVALID_OUT_OF_WINDOW = 24
    INVALID_BAD_RST = 25
    INVALID_BAD_STATE = 26
    INVALID_UNRELATED_ERROR = 27  # from here on not of a service
    FRAGMENT_BYTES = 28
    NEW_TCP = 29
    NEW_UDP = 30
    NEW_OTHER = 31
    UNCOUNTED = 32  # so that the lookup by flags always has somewhere to add


RESUMED = len(Column)
"""From here on the flows that spoke again, by gap bin; then those answered, then those not."""

GAP_BINS = len(GAP_BIN_EDGES_S)
RESUME_ANSWERED = RESUMED + GAP_BINS
RESUME_UNANSWERED = RESUME_ANSWERED + GAP_BINS
COLUMNS = RESUME_UNANSWERED + GAP_BINS

Counts = NDArray[np.int64]

OUTCOMES = int(FlowEvent.RESUMED | FlowEvent.RESUME_ANSWERED | FlowEvent.RESUME_UNANSWERED)
WAS_RESUMED, WAS_ANSWERED, WAS_UNANSWERED = (
    int(event) for event in (FlowEvent.RESUMED, FlowEvent.RESUME_ANSWERED, FlowEvent.RESUME_UNANSWERED)
)
SYN_RETRANSMITTED, RETRANSMITTED = int(FlowEvent.SYN_RETRANSMITTED), int(FlowEvent.RETRANSMITTED)
ONE_SIDED, TWO_SIDED = int(FlowEvent.ONE_SIDED), int(FlowEvent.TWO_SIDED)
RESET_WITH_DATA, FIRST_PAYLOAD = int(FlowEvent.RESET_WITH_DATA), int(FlowEvent.FIRST_PAYLOAD)
CREATED, REPLIED, COMPLETED = int(SessionEvent.CREATED), int(SessionEvent.REPLIED), int(SessionEvent.HANDSHAKE_COMPLETED)
PICKED_UP, SHED = int(SessionEvent.PICKED_UP), int(SessionEvent.SHED)
INVALID = int(Verdict.INVALID)
FIRST_REASON, LAST_REASON = int(InvalidReason.MALFORMED), int(InvalidReason.UNRELATED_ERROR)
FRAGMENT, HELD, TRANSPORT = int(Layer.FRAGMENT), int(Layer.HELD), int(Layer.TRANSPORT)


def _columns_by_flags() -> NDArray[np.int64]:
    """Which counter a segment belongs to, by direction (0 from the service, 1 toward it) and by the flags that matter."""
    columns = np.full((2, HANDSHAKE_FLAGS + 1), Column.UNCOUNTED, np.int64)
    for flags in range(HANDSHAKE_FLAGS + 1):
        if flags & TcpFlag.RST:
            columns[:, flags] = Column.RESETS_OUT, Column.RESETS_IN
        elif flags & TcpFlag.SYN:
            columns[:, flags] = (Column.SYNACK, Column.UNCOUNTED) if flags & TcpFlag.ACK else (Column.UNCOUNTED, Column.SYN)
        elif flags & TcpFlag.FIN:
            columns[:, flags] = Column.FINS
        elif flags & TcpFlag.ACK:
            columns[1, flags] = Column.ACKS_IN
    return columns


COLUMN_BY_FLAGS = _columns_by_flags()


@inlined
def _count_events(counts: Counts, row: int, protocol: int, events: int, flow_events: int, gap_bin: int) -> None:
    if events:
        if events & CREATED:
            counts[row, Column.NEW_TCP if protocol == TCP else Column.NEW_UDP if protocol == UDP else Column.NEW_OTHER] += 1
        counts[row, Column.HANDSHAKES_COMPLETED] += 1 if events & COMPLETED else 0
        counts[row, Column.PICKED_UP] += 1 if events & PICKED_UP else 0
        counts[row, Column.SHED] += 1 if events & SHED else 0
    if flow_events:
        counts[row, Column.SYN_RETRANSMITTED] += 1 if flow_events & SYN_RETRANSMITTED else 0
        counts[row, Column.RETRANSMITTED] += 1 if flow_events & RETRANSMITTED else 0
        counts[row, Column.ONE_SIDED_FLOWS] += 1 if flow_events & ONE_SIDED else 0
        counts[row, Column.TWO_SIDED_FLOWS] += 1 if flow_events & TWO_SIDED else 0
        counts[row, Column.RESETS_WITH_DATA] += 1 if flow_events & RESET_WITH_DATA else 0
        counts[row, Column.FIRST_PAYLOADS] += 1 if flow_events & FIRST_PAYLOAD else 0
        if flow_events & OUTCOMES and gap_bin < GAP_BINS:
            counts[row, RESUMED + gap_bin] += 1 if flow_events & WAS_RESUMED else 0
            counts[row, RESUME_ANSWERED + gap_bin] += 1 if flow_events & WAS_ANSWERED else 0
            counts[row, RESUME_UNANSWERED + gap_bin] += 1 if flow_events & WAS_UNANSWERED else 0


@inlined
def _walk_batch(
    packets: Rows, tracked: Rows, begin: int, stop: int, counts: Counts, sketches: SketchArrays, asking: NDArray[np.int64], seed: np.uint64
) -> int:
    """Add some packets to the counters; note which are new attempts in ``asking`` and return how many. One pass, hence its length."""
    attempts = 0
    for i in range(begin, stop):
        packet, seen = packets[i], tracked[i]
        row, toward = wide(seen.service), wide(seen.toward_service)
        layers, protocol = wide(packet.layers), wide(packet.protocol)
        counts[row, Column.PACKETS_OUT + toward] += 1
        counts[row, Column.BYTES_OUT + toward] += packet.wire_len
        if layers & FRAGMENT:
            counts[row, Column.FRAGMENTS] += 1
            counts[row, Column.FRAGMENT_BYTES] += packet.wire_len
        if layers & HELD:
            continue  # the packet that completes the datagram speaks for it
        to_service = toward if row else 1
        flags = 0
        column = wide(Column.UNCOUNTED)
        if protocol == TCP and layers & TRANSPORT:
            flags = wide(packet.tcp_flags) & HANDSHAKE_FLAGS
            column = COLUMN_BY_FLAGS[to_service, flags]
            column = wide(Column.UNCOUNTED) if column == Column.ACKS_IN and packet.payload_len else column
            counts[row, column] += 1
        events, flow_events, verdict = wide(seen.session_events), wide(seen.flow_events), wide(seen.verdict)
        if events | flow_events == 0 and column != Column.SYN and verdict != INVALID and verdict != DROPPED:
            continue
        _count_events(counts, row, protocol, events, flow_events, wide(seen.gap_bin))
        if verdict == INVALID and FIRST_REASON <= seen.invalid <= LAST_REASON:
            counts[row, Column.INVALID_MALFORMED - FIRST_REASON + wide(seen.invalid)] += 1
        elif verdict == DROPPED and events & SHED == 0:
            counts[row, Column.DROPPED_FULL] += 1
        if to_service and is_attempt(protocol, flags, events, flow_events, verdict):
            counts[row, Column.NEW_ATTEMPTS] += 1
            asking[attempts] = i
            attempts += 1
        if row and events & COMPLETED and toward:
            note_completed(sketches, row, packet.src_hi, packet.src_lo, seed)
        elif row and protocol == UDP and events & REPLIED and not toward:
            note_completed(sketches, row, packet.dst_hi, packet.dst_lo, seed)
    return attempts


@njit
def walk(packets: Rows, tracked: Rows, counts: Counts, sketches: SketchArrays, stamp: int, seed: np.uint64) -> None:
    """Add packets to the counters of their services, and the sources of new attempts to the sketches."""
    asking = np.empty(BATCH, np.int64)
    for begin in range(0, len(packets), BATCH):
        attempts = _walk_batch(packets, tracked, begin, min(begin + BATCH, len(packets)), counts, sketches, asking, seed)
        if attempts:
            note_attempts(sketches, packets, tracked, asking[:attempts], stamp, seed)
