"""Flow records: a bidirectional 5-tuple with what both sides did (RFC 5103's biflow).

The initiator is the side that sent the first SYN; without one, the side of the first packet, unless that was a SYN-ACK.
"""

from enum import IntEnum

import numpy as np

FLOW = np.dtype(
    [
        ("initiator_hi", np.uint64),
        ("initiator_lo", np.uint64),
        ("responder_hi", np.uint64),
        ("responder_lo", np.uint64),
        ("bytes_out", np.uint64),  # wire bytes, initiator to responder
        ("bytes_in", np.uint64),  # responder to initiator
        ("payload_out", np.uint64),
        ("payload_in", np.uint64),
        ("first_ns", np.int64),
        ("last_out_ns", np.int64),  # 0 none
        ("last_in_ns", np.int64),
        ("syn_ns", np.int64),  # first SYN; 0 none
        ("synack_ns", np.int64),  # first SYN-ACK
        ("ack_ns", np.int64),  # the initiator's first ACK after it
        ("packets_out", np.uint32),
        ("packets_in", np.uint32),
        ("retransmitted_out", np.uint32),
        ("retransmitted_in", np.uint32),
        ("sport", np.uint16),  # initiator's
        ("dport", np.uint16),  # responder's
        ("flags_out", np.uint16),  # all TCP flags seen, ORed
        ("flags_in", np.uint16),
        ("vlan", np.uint16),
        ("protocol", np.uint8),
        ("end", np.uint8),  # FlowEnd
        ("fragments", np.uint8),  # 1: later fragments whose ports are not known, kept apart from the flows of their protocol
        ("_pad1", np.uint8),
        ("_pad", np.uint16),
    ]
)


class FlowEnd(IntEnum):
    """How a flow record ended (IPFIX flowEndReason, RFC 5102 section 5.11.3, with the TCP endings told apart)."""

    OPEN = 0  # the capture ended first
    FIN = 1  # both sides said FIN
    RST = 2
    IDLE = 3
    ACTIVE = 4  # cut into records by the active time-out
    EVICTED = 5  # the table was full: the oldest idle left
