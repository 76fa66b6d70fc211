"""What the trackers say of each packet: one row beside each packet row.

The flow table, the service directory and the session table each fill their own fields; ``measure`` only adds them up.
"""

from enum import IntEnum, IntFlag

import numpy as np

TRACKED = np.dtype(
    [
        ("session_events", np.uint16),  # SessionEvent
        ("flow_events", np.uint16),  # FlowEvent
        ("service", np.uint16),  # row of the service directory; 0 none
        ("verdict", np.uint8),  # Verdict
        ("invalid", np.uint8),  # InvalidReason, if the verdict is INVALID
        ("toward_service", np.uint8),  # 1 if the packet goes to the service, 0 if it comes from it
        ("gap_bin", np.uint8),  # GAP_BIN_EDGES_S bin of the idle gap, if FlowEvent.RESUMED or one of its outcomes is set
        ("_pad", np.uint16),
    ]
)

GAP_BIN_EDGES_S = (30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0)
"""Lower edges of the bins of idle gaps, seconds; firewalls' idle time-outs lie between these."""


class Verdict(IntEnum):
    """What conntrack says of a packet; ``NONE`` was never shown to it (not IP, a held fragment; in a what-if also what would not exist)."""

    NONE = 0
    NEW = 1
    ESTABLISHED = 2
    RELATED = 3
    INVALID = 4
    UNTRACKED = 5
    DROPPED = 6  # new, but the table was full: dropped before any rule; with SessionEvent.SHED refused by a mitigation


class InvalidReason(IntEnum):
    NONE = 0
    MALFORMED = 1  # short header, bad flag combination, bad length
    NO_SESSION = 2  # no entry, and not a packet that may open one (strict, or SYN-ACK, FIN, RST first)
    OUT_OF_WINDOW = 3
    BAD_RST = 4  # sequence below what the other side acknowledged
    BAD_STATE = 5  # the state machine forbids it
    UNRELATED_ERROR = 6  # ICMP error about a flow that has no entry


class SessionEvent(IntFlag):
    """What the packet did to the session table."""

    CREATED = 0x0001
    REPLIED = 0x0002  # first packet of the reply direction
    ASSURED = 0x0004
    HANDSHAKE_COMPLETED = 0x0008  # the client's ACK moved SYN_RECV to ESTABLISHED
    PICKED_UP = 0x0010  # created mid-stream (loose)
    SYN_REPEATED = 0x0020  # the same SYN again on an entry in SYN_SENT or SYN_RECV
    RESET = 0x0040  # a valid RST closed or deleted the entry
    CLOSING = 0x0080  # the first FIN of the session
    EARLY_DROPPED = 0x0100  # others were evicted to make room for it
    REOPENED = 0x0200  # a SYN replaced an entry in TIME_WAIT or CLOSE
    SHED = 0x0400  # a mitigation refused it


class FlowEvent(IntFlag):
    """What the packet did to its flow."""

    FIRST = 0x0001  # a 5-tuple not seen before
    SYN_RETRANSMITTED = 0x0002
    RETRANSMITTED = 0x0004  # data already seen
    TWO_SIDED = 0x0008  # the first answer of a flow
    ONE_SIDED = 0x0010  # the fourth TCP packet of a flow without any answer, one of them with ACK
    RESUMED = 0x0020  # data after a gap of at least GAP_BIN_EDGES_S[0]
    RESUME_ANSWERED = 0x0040
    RESUME_UNANSWERED = 0x0080  # the resumed data was sent a third time without an answer
    RESET_WITH_DATA = 0x0100  # RST on a flow that had carried more than 10 data packets
    FIRST_PAYLOAD = 0x0200  # the initiator's first payload


"""Events are edges, not levels: each is set on exactly one packet, so that adding them up counts things."""
