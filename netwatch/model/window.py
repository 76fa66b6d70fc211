"""Windows: one second of one service and of the firewall, the only thing detectors see.

Counts are of the window; gauges (entries, half_open …) are as of its end. A window of a silent stretch may be longer than a second:
``duration_s`` says so, rates divide by it.
"""

import msgspec

from netwatch.model.service import Service
from netwatch.model.session import Census
from netwatch.model.tracked import GAP_BIN_EDGES_S

NO_GAPS = (0,) * len(GAP_BIN_EDGES_S)


class Normal(msgspec.Struct, frozen=True, gc=False):
    """What one feature usually is: a robust level and spread, both per second."""

    level: float
    spread: float

    def excess(self, value: float) -> float:
        """How many spreads a value lies above the level; the spread is never taken below 10 % of the level or 1."""
        return (value - self.level) / max(self.spread, 0.1 * self.level, 1.0)


UNKNOWN = Normal(0.0, 0.0)


class PrefixShare(msgspec.Struct, frozen=True, gc=False):
    """A source prefix and its part in the window's new sessions."""

    prefix: str
    count: int
    share: float  # of all new sessions of the service in the window
    normal_per_s: float  # what the same prefix usually opens


class PrefixCount(msgspec.Struct, frozen=True, gc=False):
    """A prefix and how many flows of it."""

    prefix: str
    flows: int


class ServiceWindow(msgspec.Struct, frozen=True, gc=False):
    """One service in one window."""

    service: Service
    warming: bool  # too few windows yet for the normals to mean anything
    packets_in: int = 0  # toward the service
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    syn: int = 0
    syn_retransmitted: int = 0
    synack: int = 0
    handshakes_completed: int = 0
    new_sessions: int = 0  # entries created
    new_attempts: int = 0  # first SYNs (or first UDP packets), whether or not an entry was made
    picked_up: int = 0  # entries created mid-stream
    dropped_full: int = 0
    shed: int = 0  # refused by a mitigation
    resets_in: int = 0
    resets_out: int = 0
    resets_with_data: int = 0
    fins: int = 0
    acks_in: int = 0  # pure ACKs (no payload, no SYN, FIN or RST) toward the service
    retransmitted: int = 0
    fragments: int = 0
    invalid_malformed: int = 0
    invalid_no_session: int = 0
    invalid_out_of_window: int = 0
    invalid_bad_rst: int = 0
    invalid_bad_state: int = 0
    one_sided_flows: int = 0
    two_sided_flows: int = 0
    one_sided_prefixes: tuple[PrefixCount, ...] = ()  # of the peers of one-sided flows, at most 16, most first
    first_payloads: int = 0  # flows whose client sent its first payload: a client that never does holds an entry for nothing
    resumed: tuple[int, ...] = NO_GAPS  # flows that spoke again after an idle gap, by gap bin
    resume_answered: tuple[int, ...] = NO_GAPS
    resume_unanswered: tuple[int, ...] = NO_GAPS
    distinct_sources: int = 0  # addresses behind the new attempts, estimated
    known_sources_share: float = 0.0  # of the new attempts' sources, those that completed a session (UDP: were answered) in earlier windows
    source_entropy: float = 0.0  # of the new attempts' prefixes, 0 one prefix … 1 all different
    top_prefixes: tuple[PrefixShare, ...] = ()
    entries: int = 0
    half_open: int = 0
    unreplied: int = 0
    established: int = 0
    time_wait: int = 0
    normal_syn: Normal = UNKNOWN
    normal_attempts: Normal = UNKNOWN
    normal_completed: Normal = UNKNOWN
    normal_resets: Normal = UNKNOWN
    normal_acks: Normal = UNKNOWN
    normal_packets: Normal = UNKNOWN  # both directions together

    @property
    def invalid(self) -> int:
        return self.invalid_malformed + self.invalid_no_session + self.invalid_out_of_window + self.invalid_bad_rst + self.invalid_bad_state

    @property
    def completion_ratio(self) -> float:
        """Handshakes completed per first SYN; 1.0 when nothing was asked, since nothing failed."""
        asked = self.syn - self.syn_retransmitted
        return min(1.0, self.handshakes_completed / asked) if asked > 0 else 1.0


class FirewallWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The firewall in one window."""

    packets: int = 0
    bytes: int = 0
    entries: int
    limit: int
    fill_slope_per_s: float = 0.0  # entries per second, over the last windows
    time_to_full_s: float | None = None  # at that slope; None while it does not fill
    drop_probability: float = 0.0  # that a new flow is dropped now (exp(-16 U / B) when full)
    new_sessions: int = 0
    new_tcp: int = 0
    new_udp: int = 0
    expired: int = 0
    dropped_full: int = 0
    early_dropped: int = 0
    entries_lost: int = 0  # at once: a failover, a flush, a restart
    assured: int = 0
    unreplied: int = 0
    by_state: tuple[int, ...] = ()  # SessionState
    invalid_malformed: int = 0
    invalid_no_session: int = 0
    invalid_out_of_window: int = 0
    invalid_bad_rst: int = 0
    invalid_bad_state: int = 0
    invalid_unrelated_error: int = 0  # ICMP errors about flows that have no entry
    picked_up: int = 0  # entries created mid-stream
    one_sided_flows: int = 0
    two_sided_flows: int = 0
    elsewhere_attempts: int = 0  # new attempts that belong to no service
    elsewhere_sources: int = 0  # addresses behind them, estimated
    elsewhere_entropy: float = 0.0  # of their prefixes, as for a service
    elsewhere_prefixes: tuple[PrefixShare, ...] = ()
    fragments: int = 0
    fragment_bytes: int = 0
    reassembled: int = 0  # datagrams completed
    reassembly_failed: int = 0  # datagrams given up: timed out, over the memory limit, overlapping
    reassembly_bytes: int = 0  # memory held by incomplete datagrams at the window's end
    normal_new_sessions: Normal = UNKNOWN
    normal_fragments: Normal = UNKNOWN

    @property
    def fill_ratio(self) -> float:
        return self.entries / self.limit if self.limit else 0.0


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """One second of everything."""

    start_s: float
    duration_s: float
    warming: bool
    lost_packets: int = 0  # by the ring or the exporter: counts below are too low when > 0
    sampled_one_in: int = 1
    firewall: FirewallWindow
    services: tuple[ServiceWindow, ...]
    census: Census | None = None  # the newest, if one was taken

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s
