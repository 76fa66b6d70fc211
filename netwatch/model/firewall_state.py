"""What a live firewall says of itself: its state table, and the counters of what it dropped and why.

The kernel counts since it was started; here counts are of the interval since the poll before, gauges are as of the poll. Meanings are those
of Linux 6.12 (net/netfilter/nf_conntrack_core.c and the files named below).
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from netwatch.model.session import Census, GroupCounts

COLLISIONS_OF_EXHAUSTION = 10.0
"""Tuples in use that the search for a free port met, for each new session. A search meets one or two where ports are plentiful; where nine
in ten are taken it meets ten before it finds one, and where all are it gives up."""

TABLE_MARK = "loaded_"
"""How the name of that counter of netwatch's table begins which counts nothing: the rest says what text the table was loaded from."""


class DropCause(StrEnum):
    """Why the state table dropped packets."""

    TABLE_FULL = "the table is full"  # or memory was short
    CLASH = "another packet of the same tuple was first"
    PORTS_EXHAUSTED = "no free port for the translated address"
    BUCKET_SKEW = "too many entries in one bucket"


class TableEvents(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of ctnetlink's IPCTNL_MSG_CT_GET_STATS_CPU, over all processors. How many sessions are new none of them says:
    ``insert`` counts only what was inserted by ctnetlink, ``new`` nothing at all."""

    collisions: int = 0  # found: tuples in use that a search for a free port met
    invalid: int = 0  # packets
    insert_failed: int = 0
    dropped: int = 0
    early_dropped: int = 0  # entries evicted to make room
    icmp_errors: int = 0
    restarts: int = 0  # of look-ups, because the table was resized
    clashes_resolved: int = 0
    chain_too_long: int = 0

    @property
    def dropped_chain(self) -> int:
        """Packets dropped since their bucket was too full: each counts in insert_failed, and not in dropped."""
        return min(self.chain_too_long, self.insert_failed)

    @property
    def dropped_clash(self) -> int:
        """Packets dropped since their tuple was taken meanwhile: each counts in insert_failed and in dropped."""
        return min(self.dropped, self.insert_failed - self.dropped_chain)

    @property
    def dropped_full(self) -> int:
        """Packets dropped since no entry could be had: each counts in dropped alone."""
        return self.dropped - self.dropped_clash

    def drops(self, new_sessions: int | None = None) -> dict[DropCause, int]:
        """Packets by the cause that dropped them. A clash for want of ports is told by the collisions for each new session, if these are
        known from the traffic."""
        exhausted = bool(new_sessions) and self.collisions / (new_sessions or 1) >= COLLISIONS_OF_EXHAUSTION
        causes = {
            DropCause.TABLE_FULL: self.dropped_full,
            DropCause.PORTS_EXHAUSTED if exhausted else DropCause.CLASH: self.dropped_clash,
            DropCause.BUCKET_SKEW: self.dropped_chain,
        }
        return {cause: packets for cause, packets in causes.items() if packets}


class Counted(msgspec.Struct, frozen=True):
    """A named counter of nftables."""

    packets: int
    bytes: int


class InterfaceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """/proc/net/dev. Drops of the receiving side are of its ring (missed) or of the driver, before anything here sees the packet."""

    received: int
    received_bytes: int
    receive_dropped: int
    sent: int
    sent_bytes: int
    send_dropped: int


class SoftnetCounts(msgspec.Struct, frozen=True, kw_only=True):
    """/proc/net/softnet_stat: packets between the interface and the protocols, of the whole machine, by processor."""

    processed: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()  # the processor's backlog was full
    squeezed: tuple[int, ...] = ()  # times that it had to stop with work left
    flow_limited: tuple[int, ...] = ()


class SynproxyCounts(msgspec.Struct, frozen=True, kw_only=True):
    """/proc/net/stat/synproxy. The share of SYNs that become a valid cookie is that of real clients."""

    syn_received: int = 0
    cookie_invalid: int = 0
    cookie_valid: int = 0
    cookie_retransmitted: int = 0
    reopened: int = 0


class ReassemblyCounts(msgspec.Struct, frozen=True, kw_only=True):
    """/proc/net/snmp and snmp6, both families added up. The state table reassembles fragments before any rule sees them."""

    fragments: int = 0  # ReasmReqds
    completed: int = 0  # datagrams
    failed: int = 0
    timed_out: int = 0  # of the failed
    bytes_held: int = 0  # memory of what is not complete, now


class FirewallState(msgspec.Struct, frozen=True, kw_only=True):
    """One poll."""

    at_s: float
    interval_s: float  # since the poll before; 0.0 for the first, whose counts are zero
    entries: int
    limit: int  # one value for the whole machine; anybody may change it at any time
    table: TableEvents
    counters: Mapping[str, Counted]  # of netwatch's own nftables table, by name
    interfaces: Mapping[str, InterfaceCounts]
    softnet: SoftnetCounts
    synproxy: SynproxyCounts
    reassembly: ReassemblyCounts

    @property
    def fill_ratio(self) -> float:
        return self.entries / self.limit if self.limit else 0.0


class TableSurvey(msgspec.Struct, frozen=True, kw_only=True):
    """One walk over a live state table, in the terms of the modelled one."""

    at_s: float  # when it began
    duration_s: float
    whole: GroupCounts
    groups: Mapping[int, GroupCounts]  # by the service's row in the directory; 0 is no service
    census: Census
    errors: Mapping[str, int]  # entries that could not be read, by reason
