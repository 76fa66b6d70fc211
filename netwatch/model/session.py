"""Sessions: entries of a firewall's state table, the profile that rules them, and the counts a table shows."""

from enum import IntEnum
from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Entries = Annotated[int, msgspec.Meta(ge=1)]


class TcpState(IntEnum):
    """netfilter's states (include/uapi/linux/netfilter/nf_conntrack_tcp.h), in its order."""

    NONE = 0
    SYN_SENT = 1
    SYN_RECV = 2
    ESTABLISHED = 3
    FIN_WAIT = 4
    CLOSE_WAIT = 5
    LAST_ACK = 6
    TIME_WAIT = 7
    CLOSE = 8
    SYN_SENT2 = 9  # simultaneous open


class SessionState(IntEnum):
    """Every kind of entry, for histograms: the TCP states first (same numbers), then the other protocols."""

    NONE = 0
    SYN_SENT = 1
    SYN_RECV = 2
    ESTABLISHED = 3
    FIN_WAIT = 4
    CLOSE_WAIT = 5
    LAST_ACK = 6
    TIME_WAIT = 7
    CLOSE = 8
    SYN_SENT2 = 9
    UDP_UNREPLIED = 10
    UDP_REPLIED = 11  # both ways, younger than two seconds
    UDP_STREAM = 12  # both ways and assured
    ICMP = 13
    OTHER_UNREPLIED = 14
    OTHER = 15


STATE_COUNT = len(SessionState)

HALF_OPEN_STATES = (int(SessionState.SYN_SENT), int(SessionState.SYN_RECV), int(SessionState.SYN_SENT2))
"""Of entries whose handshake is not finished. Plain numbers: a member of an enumeration takes as long to name as all three to add up."""


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Seconds an entry may stay idle in each state; the names are netfilter's sysctls without their prefix."""

    syn_sent_s: Seconds = 120.0
    syn_recv_s: Seconds = 60.0
    established_s: Seconds = 432_000.0
    fin_wait_s: Seconds = 120.0
    close_wait_s: Seconds = 60.0
    last_ack_s: Seconds = 30.0
    time_wait_s: Seconds = 120.0
    close_s: Seconds = 10.0
    max_retrans_s: Seconds = 300.0
    unacknowledged_s: Seconds = 300.0
    udp_s: Seconds = 30.0
    udp_stream_s: Seconds = 120.0
    icmp_s: Seconds = 30.0
    generic_s: Seconds = 600.0
    gre_s: Seconds = 30.0
    gre_stream_s: Seconds = 180.0
    sctp_s: Seconds = 210.0


class FirewallProfile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one kind of firewall keeps state. ``rules/firewalls/*.toml`` hold the known ones, each with its sources."""

    name: str
    description: str
    sources: tuple[str, ...] = ()
    limit: Entries = 262_144
    buckets: Entries = 262_144  # of the hash table; decides how many victims early drop can see
    timeouts: Timeouts = Timeouts()
    strict: bool = False  # a TCP session must begin with SYN
    window_tracking: bool = True
    early_drop: bool = True  # evict unassured entries when full
    lagging_collection: bool = True  # expired entries count until a collector walks over them
    max_retrans: int = 3


class GroupCounts(msgspec.Struct, frozen=True):
    """Entries of one service (or of the whole table) by state, now."""

    entries: int
    by_state: tuple[int, ...]  # indexed by SessionState
    unreplied: int
    assured: int


class TableCounts(msgspec.Struct, frozen=True):
    """The whole table at one moment, and its counters since the start."""

    all: GroupCounts
    created: int
    expired: int
    dropped_full: int
    early_dropped: int
    peak_entries: int
    peak_at_s: float | None
    full_at_s: float | None
    lost: int = 0  # entries that went at once, neither in time nor by our hand; only a live firewall can lose them


class PrefixEntries(msgspec.Struct, frozen=True):
    """What one source prefix holds in the table."""

    prefix: str  # "198.51.100.0/24" or "2001:db8:1::/48"
    entries: int
    idle: int  # established, nothing seen for at least CENSUS_IDLE_S
    silent: int  # established, the client never sent payload


CENSUS_IDLE_S = 10.0
"""From this idle time on an established entry counts as idle in a census, seconds."""

CENSUS_IDLE_EDGES_S = (10.0, 60.0, 300.0, 1800.0, 7200.0)
"""Lower edges of the idle-age histogram of established entries, seconds."""


class Census(msgspec.Struct, frozen=True):
    """A walk over the whole table: what the counters cannot say. Taken every few seconds, not every window."""

    at_s: float
    established: int
    idle_at_least: tuple[int, ...]  # established entries idle for at least CENSUS_IDLE_EDGES_S[i]
    silent: int  # established entries older than two seconds whose client never sent payload
    top_prefixes: tuple[PrefixEntries, ...]  # by entries, at most 16
