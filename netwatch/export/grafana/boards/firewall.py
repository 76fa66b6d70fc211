"""Firewall: what is in the state table, what enters it, what is dropped and why. Kinds and causes are summed over the chosen firewalls."""

from typing import Final

from netwatch.export.grafana.panel import Board, Kind, Limits, Panel, TextPanel
from netwatch.export.grafana.query import Listing, Over, Query
from netwatch.export.metrics.measurements import FirewallPoint, RulePoint, SelfPoint

BY_STATE = {
    "entries_syn_sent": "SYN_SENT",
    "entries_syn_recv": "SYN_RECV",
    "entries_syn_sent2": "SYN_SENT2",
    "entries_established": "ESTABLISHED",
    "entries_fin_wait": "FIN_WAIT",
    "entries_close_wait": "CLOSE_WAIT",
    "entries_last_ack": "LAST_ACK",
    "entries_time_wait": "TIME_WAIT",
    "entries_close": "CLOSE",
    "entries_udp_unreplied": "UDP, no answer",
    "entries_udp_replied": "UDP, answered",
    "entries_udp_stream": "UDP stream",
    "entries_icmp": "ICMP",
    "entries_other": "other",
}
DROPS = {
    "dropped_full_per_s": "table full",
    "dropped_clash_per_s": "clash",
    "dropped_ports_per_s": "no port free",
    "dropped_bucket_per_s": "hash bucket too long",
}
INVALID = {
    "invalid_malformed_per_s": "malformed",
    "invalid_no_session_per_s": "no session",
    "invalid_out_of_window_per_s": "out of window",
    "invalid_bad_rst_per_s": "unexpected RST",
    "invalid_bad_state_per_s": "wrong state",
    "invalid_unrelated_error_per_s": "unrelated ICMP error",
}


def _sums(columns: dict[str, str]) -> tuple[Query, ...]:
    return tuple(Query(FirewallPoint, column, per=(), name=name) for column, name in columns.items())


FIREWALL_BOARD: Final = Board(
    "netwatch-firewall",
    "netwatch / Firewall",
    "The state table of the chosen firewalls: what it holds, what fills it, what it drops.",
    rows=(
        (
            "The table",
            (
                Panel(
                    "Entries and limit",
                    "What the table holds, and what it can hold.",
                    queries=(
                        Query(FirewallPoint, "entries", over=Over.MAX, name="entries"),
                        Query(FirewallPoint, "limit", over=Over.MAX, name="limit"),
                    ),
                ),
                Panel(
                    "Fill",
                    "Entries of the limit. From 95 % on Linux evicts what is not assured; at 100 % it drops what is new if nothing can go.",
                    queries=(Query(FirewallPoint, "fill_ratio", over=Over.MAX),),
                    limits=Limits(0.7, 0.9),
                ),
                Panel(
                    "Time to full",
                    "The forecast: when the table is full at the slope of the last windows. No line: it does not fill.",
                    queries=(Query(FirewallPoint, "time_to_full_s", over=Over.MIN),),
                    limits=Limits(600, 60),
                    none_text="not filling",
                ),
                Panel(
                    "Slope",
                    "Entries gained per second over the last windows; negative when the table empties.",
                    queries=(Query(FirewallPoint, "fill_slope_per_s"),),
                ),
                Panel(
                    "Entries by state",
                    "Many SYN_RECV: half-open sessions. Many ESTABLISHED that grow slowly: sessions that are held. Many TIME_WAIT: churn.",
                    queries=_sums(BY_STATE),
                    kind=Kind.STACKED,
                    width=24,
                    height=10,
                ),
                Panel(
                    "Idle and silent sessions",
                    "Established ones that were idle for 60 s, or whose client never sent payload, by the newest census of the table.",
                    queries=_sums({"idle_established": "idle for 60 s", "silent_established": "client silent"}),
                ),
                Panel(
                    "Chance that a new session is dropped",
                    "By the model of the table: for a session that would be created now.",
                    queries=(Query(FirewallPoint, "drop_probability", over=Over.MAX),),
                    limits=Limits(0.01, 0.1),
                ),
                TextPanel(
                    "Who holds the table",
                    "The source prefixes with the most entries, at each census.",
                    listing=Listing(FirewallPoint, ("firewall", "top_holders")),
                ),
            ),
        ),
        (
            "What enters and leaves",
            (
                Panel(
                    "New entries",
                    "Created per second, and the normal that was learned (0 while none is known).",
                    queries=_sums({"new_per_s": "all", "new_tcp_per_s": "TCP", "new_udp_per_s": "UDP", "normal_new_per_s": "normal"}),
                ),
                Panel(
                    "Expired, evicted, picked up",
                    "Picked up: created in the middle of a session, as after a failover. Evicted: to make room.",
                    queries=_sums({"expired_per_s": "expired", "early_dropped_per_s": "evicted", "picked_up_per_s": "picked up"}),
                ),
                Panel(
                    "Packets",
                    "Seen by netwatch, and those that belong to a datagram in fragments.",
                    queries=_sums({"packets_per_s": "all", "fragments_per_s": "fragments"}),
                ),
                Panel(
                    "Bytes",
                    "Seen by netwatch, as on the wire.",
                    queries=_sums({"bytes_per_s": "all"}),
                ),
            ),
        ),
        (
            "What is dropped",
            (
                Panel(
                    "Dropped, by cause",
                    "By the state table. In a replay only what the model says of a full table.",
                    queries=_sums(DROPS),
                    kind=Kind.STACKED,
                    limits=Limits(1, 100),
                ),
                Panel(
                    "Invalid, by reason",
                    "Packets that fit no session. Whether they are dropped is up to the rules of the firewall.",
                    queries=_sums(INVALID),
                    kind=Kind.STACKED,
                ),
                Panel(
                    "Refused by mitigations",
                    "Packets to services that a mitigation refused, by the model.",
                    queries=_sums({"shed_per_s": "refused"}),
                ),
                Panel(
                    "Counters of netwatch's rules",
                    "What the rules of mitigations count in the firewall itself. Live only.",
                    queries=(Query(RulePoint, "packets_per_s", per=("site", "firewall", "counter")),),
                ),
                Panel(
                    "Synproxy",
                    "SYN answered in place of services, and the ACK that came back: right cookies are real clients. Live only.",
                    queries=_sums(
                        {
                            "synproxy_syn_per_s": "SYN",
                            "synproxy_cookie_valid_per_s": "right cookie",
                            "synproxy_cookie_invalid_per_s": "wrong cookie",
                        }
                    ),
                ),
                Panel(
                    "Reassembly",
                    "Datagrams in fragments: put together, or given up.",
                    queries=_sums({"reassembled_per_s": "put together", "reassembly_failed_per_s": "given up"}),
                ),
            ),
        ),
        (
            "Before the table",
            (
                Panel(
                    "Dropped by interfaces and processors",
                    "Receive rings, drivers and full backlogs: lost before the firewall saw them. Live only.",
                    queries=_sums({"interface_dropped_per_s": "interfaces", "softnet_dropped_per_s": "processors"}),
                    limits=Limits(1, 100),
                ),
                Panel(
                    "Processors that ran out of time",
                    "Times per second that a processor had to stop with packets left in its queue. Live only.",
                    queries=_sums({"softnet_squeezed_per_s": "squeezed"}),
                    limits=Limits(10, 100),
                ),
                Panel(
                    "Ring losses",
                    "Of all packets, those that netwatch itself did not see. Its counts are too low by them.",
                    queries=(Query(FirewallPoint, "lost_packets_per_s", beside="packets_per_s"),),
                    limits=Limits(0.001, 0.01),
                ),
                Panel(
                    "Processor time of netwatch",
                    "Seconds of processor time per second: 100 % is one processor. Live only.",
                    queries=(Query(SelfPoint, "cpu_seconds_total", over=Over.RATE, where={"stage": "netwatch"}),),
                    limits=Limits(0.8, 0.95),
                ),
            ),
        ),
    ),
)
