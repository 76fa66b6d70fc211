"""How the session table lies in memory: one entry in two cache lines, and the arrays around it.

An established packet must touch as little as possible: its slot of the hash table (8 bytes), the first line of its entry (the tuple, state
and times) and the second (TCP's two sides). An entry takes 128 bytes there, 16 to 32 of slots and some 8 in the timing wheel: about 160.

The second line is two records of 32 bytes, so that a packet's two sides are ``table.sides[4 * row + 2 + direction]`` and the other one:
the same bytes seen through a second array. What belongs to the connection as a whole fills the gaps that this leaves.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netwatch.model.packet import Rows
from netwatch.model.session import STATE_COUNT

Row = Any
"""One element of ``Rows``, as compiled code sees it."""

ENTRY = np.dtype(
    [
        # First line. The tuple is that of the packet that made the entry: netfilter's original direction.
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("sport", np.uint16),  # of ICMP the identifier, as is dport
        ("dport", np.uint16),
        ("protocol", np.uint8),  # 0: the row is free
        ("state", np.uint8),  # SessionState
        ("status", np.uint8),  # SEEN_REPLY …
        ("history", np.uint8),  # HANDSHAKE …
        ("expires_ns", np.int64),
        ("last_seen_ns", np.int64),
        ("tag", np.uint32),  # upper half of the hash; of a free row the next free one, 0 none
        ("wheel_slot", np.uint16),  # slot of the timing wheel + 1; 0: in none
        ("icmp_type", np.uint8),
        ("icmp_code", np.uint8),
        # Second line: nf_conntrack's struct ip_ct_tcp. The original side …
        ("original_side", np.uint8, (18,)),  # SIDE
        ("group", np.uint16),  # service
        ("last_seq", np.uint32),
        ("last_ack", np.uint32),
        ("last_end", np.uint32),
        # … and the one that replies.
        ("reply_side", np.uint8, (18,)),
        ("last_window", np.uint16),
        ("last_direction", np.uint8),
        ("last_kind", np.uint8),
        ("retransmissions", np.uint8),
        ("last_flags", np.uint8),  # and, in LAST_SCALE_MASK, the window scale of an ignored SYN
        ("created_ns", np.int64),
    ]
)

SIDE = np.dtype(
    [
        ("end", np.uint32),  # td_end: highest sequence number sent, plus one
        ("max_end", np.uint32),  # td_maxend: how far the other side allows it to send
        ("max_window", np.uint32),  # td_maxwin: the largest window it ever offered
        ("max_ack", np.uint32),  # td_maxack
        ("flags", np.uint8),  # WINDOW_SCALE …
        ("scale", np.uint8),
        ("of_the_entry", np.uint8, (14,)),
    ]
)
SIDES_PER_ENTRY, FIRST_SIDE = np.uint64(ENTRY.itemsize // SIDE.itemsize), np.uint64(2)
assert (ENTRY.itemsize, SIDE.itemsize) == (128, 32)

# ENTRY.status
SEEN_REPLY = 0x01
ASSURED = 0x02
EXPIRED = 0x04  # past its time-out, but no collector has met it yet: it still counts
OTHER_TIMEOUTS = 0x08  # made while a mitigation set other time-outs
COUNTED = 0x10  # is in the connection limits of a mitigation

# ENTRY.history
HANDSHAKE = 0x01
CLIENT_PAYLOAD = 0x02
SERVER_PAYLOAD = 0x04
HEALTHY = HANDSHAKE | CLIENT_PAYLOAD | SERVER_PAYLOAD
CLIENT_ANSWERS = 0x08  # the client is the reply direction: picked up by a packet of the server
EVICTED_BEFORE = 0x10  # a mitigation deleted it once; it came back

# SIDE.flags, the values of include/uapi/linux/netfilter/nf_conntrack_tcp.h
WINDOW_SCALE = 0x01
SACK_PERMITTED = 0x02
CLOSE_INIT = 0x04
BE_LIBERAL = 0x08
DATA_UNACKNOWLEDGED = 0x10
MAX_ACK_SET = 0x20
EXPECT_CHALLENGE_ACK = 0x40  # these two only in last_flags
SIMULTANEOUS_OPEN = 0x80
LAST_SCALE_MASK = 0x3C  # bits of last_flags that netfilter never sets there; a window scale needs four
LAST_SCALE_SHIFT = 2

# Columns of Arrays.counts: one a state, then these.
UNREPLIED_COLUMN = STATE_COUNT
ASSURED_COLUMN = STATE_COUNT + 1
COUNT_COLUMNS = STATE_COUNT + 2

# Columns of Arrays.timeouts_ns, a row of usual ones and a row of those of a mitigation. TCP's states come first, by their numbers.
(
    RETRANSMITTED_TIMEOUT,
    UNACKNOWLEDGED_TIMEOUT,
    UDP_TIMEOUT,
    UDP_STREAM_TIMEOUT,
    ICMP_TIMEOUT,
    GENERIC_TIMEOUT,
    GRE_TIMEOUT,
    GRE_STREAM_TIMEOUT,
    SCTP_HALF_OPEN_TIMEOUT,
    SCTP_TIMEOUT,
) = range(10, 20)
TIMEOUT_COLUMNS = 20

# Elements of Arrays.numbers.
(
    NOW,  # event time, ns
    NEXT_TIMER,  # when the wheel or the collector is due
    WHEEL_TICK,  # last tick that the wheel has handled
    COLLECT_AT,  # next run of the collector, ns
    COLLECT_SLOT,  # where that run goes on; 0: a new pass
    COLLECT_STARTED,  # when the pass began, ns
    COLLECT_AFTER,  # the running average that decides when the next pass begins, jiffies
    EARLY_DROP_FAILED,  # since the collector's last run
    LIVE,  # entries that count, expired ones included
    LINGERING,  # of those, the expired
    ROWS_USED,  # rows from 1 up to below this were used at least once
    FREE_ROW,  # head of the list of free rows, 0 none
    FREE_PAGE,  # head of the list of free pages of the wheel, NO_PAGE none
    HUNG,  # rows in the wheel's pages, those that no longer belong there included
    CREATED,
    EXPIRED_TOTAL,
    DROPPED_FULL,
    EARLY_DROPPED_TOTAL,
    EVICTED_TOTAL,  # by a mitigation
    PEAK,
    PEAK_AT,
    FULL_AT,  # first moment at the limit; NEVER_FULL
    LIMIT,
    WINDOWS,  # half the buckets of netfilter's table
    WINDOW_WIDTH,  # 2**-20 slots
    MAX_RETRANSMISSIONS,
    STREAM_AFTER,  # age from which a UDP entry with traffic both ways is a stream, ns
    OPTIONS,  # STRICT …
    HEALTHY_HIT,
    SHED_TOTAL,
) = range(30)
NUMBER_COUNT = 30
NEVER_FULL = -1
NO_PAGE = -1
NO_ROW = np.uint64(0)
"""Row 0 is never used. Rows and slots are unsigned numbers, since compiled code tests each signed index for being negative."""


# Bits of the number OPTIONS.
STRICT = 0x01
WINDOW_TRACKING = 0x02
EARLY_DROP = 0x04
LAGGING = 0x08
EXPIRY = 0x10


class Arrays(NamedTuple):
    """The whole table as kernels see it."""

    entries: Rows  # ENTRY, shape (capacity,); row 0 is never used
    sides: Rows  # SIDE, the same bytes, shape (4 * capacity,)
    wheel: NDArray[np.int32]  # first page of each slot of the timing wheel, NO_PAGE none
    pages: NDArray[np.int32]  # of the wheel: next page, number of rows, rows; shape (pages, PAGE_LENGTH)
    slots: NDArray[np.uint64]  # tag << 32 | EXPIRED_BIT | ASSURED_BIT | row, or 0; a power of two
    counts: NDArray[np.int64]  # shape (groups, COUNT_COLUMNS)
    verdicts: NDArray[np.int64]  # packets by Verdict
    timeouts_ns: NDArray[np.int64]  # shape (2, TIMEOUT_COLUMNS)
    holders: NDArray[np.uint32]  # entries by source prefix and service, for a connection limit; one element where there is none
    numbers: NDArray[np.int64]  # NOW …
