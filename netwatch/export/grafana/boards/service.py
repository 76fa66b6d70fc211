"""Service: what was asked of it, what it completed, who asked."""

from typing import Final

from netwatch.export.grafana.panel import Board, Kind, Limits, Meaning, Panel, TextPanel
from netwatch.export.grafana.query import SERVICE, Listing, Over, Query
from netwatch.export.metrics.measurements import CanaryPoint, ServicePoint


def _each(**columns: str) -> tuple[Query, ...]:
    return tuple(Query(ServicePoint, column, per=SERVICE, name=name) for column, name in columns.items())


SERVICE_BOARD: Final = Board(
    "netwatch-service",
    "netwatch / Service",
    "The chosen services: do users get through, what is asked, by whom, and what it costs in the state table.",
    about="service",
    rows=(
        (
            "Do users get through",
            (
                Panel(
                    "Asked for",
                    "By first packets, beside the learned normal. Far more than completed: an attack, or a service that does not answer.",
                    queries=_each(attempts_per_s="asked", normal_attempts_per_s="usually asked"),
                ),
                Panel(
                    "Handshakes completed",
                    "Completed per second, and the normal that was learned (0 while none is known). Users feel a drop of these.",
                    queries=_each(completed_per_s="completed", normal_completed_per_s="usually completed"),
                ),
                Panel(
                    "Completed of asked",
                    "1 when each first SYN led to a session, or nobody asked.",
                    queries=_each(completion_ratio="completed"),
                    limits=Limits(0.9, 0.5),
                ),
                Panel(
                    "SYN",
                    "Repeated ones had no answer: their senders waited at least a second.",
                    queries=_each(syn_per_s="SYN", syn_retransmitted_per_s="repeated", synack_per_s="SYN-ACK"),
                ),
                Panel(
                    "Canary: latency",
                    "The slowest answer of each step to netwatch's own attempts. Live only.",
                    queries=(Query(CanaryPoint, "latency_s", over=Over.MAX, per=SERVICE),),
                    limits=Limits(0.5, 1),
                    none_text="no canary",
                ),
                Panel(
                    "Canary: answered",
                    "Attempts that were answered. Live only.",
                    queries=(Query(CanaryPoint, "success", per=SERVICE),),
                    limits=Limits(1, 0.9),
                    none_text="no canary",
                ),
                Panel(
                    "Turned away",
                    "Dropped since the table was full; and refused by a mitigation, by the model.",
                    queries=_each(dropped_full_per_s="table full", shed_per_s="refused", invalid_per_s="invalid"),
                    limits=Limits(1, 100),
                ),
                Panel(
                    "Incidents",
                    "How many incidents of this service last.",
                    queries=(Query(ServicePoint, "incidents_open", over=Over.MAX, per=SERVICE),),
                    kind=Kind.TIMELINE,
                    meaning=Meaning.LASTING,
                ),
            ),
        ),
        (
            "Who asks",
            (
                Panel(
                    "Sources",
                    "Different addresses behind what was asked for, estimated.",
                    queries=_each(distinct_sources=""),
                ),
                Panel(
                    "How the sources look",
                    "Known: completed a session before. Busiest prefix: its part of new sessions. Spread: 0 one prefix, 1 all different.",
                    queries=_each(known_sources_ratio="known", top_prefix_ratio="busiest prefix", source_entropy="spread"),
                ),
                TextPanel(
                    "Top prefixes",
                    "The busiest source prefixes of each window, and what each asked for.",
                    listing=Listing(ServicePoint, ("service", "top_prefixes")),
                ),
            ),
        ),
        (
            "What it costs",
            (
                Panel(
                    "Entries in the table",
                    "Held by this service, by kind.",
                    queries=_each(
                        entries="all", half_open="half-open", established="established", time_wait="TIME_WAIT", unreplied="one way"
                    ),
                ),
                Panel(
                    "New entries",
                    "Created per second; picked up: in the middle of a session.",
                    queries=_each(new_per_s="new", picked_up_per_s="picked up"),
                ),
                Panel(
                    "Packets",
                    "Toward the service and from it.",
                    queries=_each(packets_in_per_s="in", packets_out_per_s="out"),
                ),
                Panel(
                    "Bytes",
                    "Toward the service and from it.",
                    queries=_each(bytes_in_per_s="in", bytes_out_per_s="out"),
                ),
                Panel(
                    "Odd packets",
                    "Resets, pure acknowledgements, repeated payload and fragments: what floods and broken paths are made of.",
                    queries=_each(
                        resets_in_per_s="RST in",
                        resets_out_per_s="RST out",
                        acks_in_per_s="ACK in",
                        retransmitted_per_s="repeated",
                        fragments_per_s="fragments",
                    ),
                ),
                Panel(
                    "Flows one way and both ways",
                    "Flows that went on without an answer: a path that is not symmetric, or a service that is silent.",
                    queries=_each(one_sided_flows="one way", two_sided_flows="both ways"),
                ),
            ),
        ),
    ),
)
