"""How long an entry of a kernel's state table has been idle, at least, from the time it has left.

Each packet sets an entry's timer anew, and a dump shows what is left of it, in whole seconds: idle time is what the timer was set to, less
what is left. But what it was set to, the kernel does not show. It depends on the state, and on more: a TCP entry with data not yet
acknowledged gets 300 s instead of five days, so does one that retransmits, an invalid RST leaves it 10 s; entries that a ``ct timeout``
policy was given to have that policy's times; and entries that saw no packet since an operator changed a sysctl have the old one's.

So each state has several times that a timer may have been set to, and the smallest of these that is not below what is left gives the
shortest idle time that fits. A session that waits for an acknowledgement (left: 299 s) is then idle for 1 s, not for 431,701 s. Where no
time fits, nothing is known, and the answer is 0. Sources: net/netfilter/nf_conntrack_proto_tcp.c (end of ``nf_conntrack_tcp_packet``),
nf_conntrack_proto_udp.c.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netwatch.model.entry import NO_TIMEOUT
from netwatch.model.packet import Rows
from netwatch.model.session import STATE_COUNT, SessionState, Timeouts

LONGEST = np.iinfo(np.uint32).max

TCP_STATES: dict[SessionState, str] = {
    SessionState.SYN_SENT: "syn_sent_s",
    SessionState.SYN_RECV: "syn_recv_s",
    SessionState.ESTABLISHED: "established_s",
    SessionState.FIN_WAIT: "fin_wait_s",
    SessionState.CLOSE_WAIT: "close_wait_s",
    SessionState.LAST_ACK: "last_ack_s",
    SessionState.TIME_WAIT: "time_wait_s",
    SessionState.CLOSE: "close_s",
    SessionState.SYN_SENT2: "syn_sent_s",
}
SHORTENED = ("max_retrans_s", "unacknowledged_s", "close_s")
"""What may stand in for the time of any TCP state that is longer."""

OTHER_STATES: dict[SessionState, tuple[str, ...]] = {
    SessionState.UDP_UNREPLIED: ("udp_s",),
    SessionState.UDP_REPLIED: ("udp_s", "udp_stream_s"),
    SessionState.UDP_STREAM: ("udp_s", "udp_stream_s"),
    SessionState.ICMP: ("icmp_s",),
    SessionState.OTHER_UNREPLIED: ("generic_s", "gre_s", "sctp_s"),
    SessionState.OTHER: ("generic_s", "gre_s", "gre_stream_s", "sctp_s"),
}


def possible_timeouts(every: Sequence[Timeouts]) -> NDArray[np.uint32]:
    """For each ``SessionState`` a row of the seconds that a timer may have been set to; ``every`` is what may have been in force."""
    possible: list[set[int]] = [set() for _ in range(STATE_COUNT)]
    for timeouts in every:
        for state, name in TCP_STATES.items():
            possible[state] |= {int(getattr(timeouts, name)), *(int(getattr(timeouts, short)) for short in SHORTENED)}
        for state, names in OTHER_STATES.items():
            possible[state] |= {int(getattr(timeouts, name)) for name in names}
    width = max(map(len, possible), default=0)
    return np.array([sorted(times) + [LONGEST] * (width - len(times)) for times in possible], np.uint32)


def idle_at_least_s(entries: Rows, possible: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Seconds that each entry (``ENTRY``) has certainly been idle.

    What is left is rounded down by the kernel, so one second is taken off. Entries that a flowtable keeps alive count as busy.
    """
    left = entries["timeout_s"].astype(np.int64)
    times = possible[entries["state"]].astype(np.int64)
    idle = np.where((times >= left[:, None]) & (times != LONGEST), times - left[:, None], LONGEST).min(axis=1, initial=LONGEST)
    idle[(idle == LONGEST) | (left == NO_TIMEOUT)] = 0
    at_least: NDArray[np.int64] = np.maximum(idle - 1, 0)
    return at_least
