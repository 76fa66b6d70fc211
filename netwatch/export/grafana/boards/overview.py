"""Overview: all sites and firewalls at a glance; what needs a person shows in colour."""

from typing import Final

from netwatch.export.grafana.panel import Board, Kind, Limits, Meaning, Panel
from netwatch.export.grafana.query import MODE, PLAYBOOK, SERVICE, TCP, Across, Over, Query
from netwatch.export.metrics.measurements import CanaryPoint, ChangePoint, FirewallPoint, IncidentPoint, ServicePoint

OVERVIEW: Final = Board(
    "netwatch-overview",
    "netwatch / Overview",
    "All firewalls: how full their state tables are, which services suffer, what netwatch does about it.",
    rows=(
        (
            "Now",
            (
                Panel(
                    "Table fill",
                    "Entries of the limit. A full table drops the packets of every new session, whoever sends them.",
                    queries=(Query(FirewallPoint, "fill_ratio", over=Over.LAST),),
                    kind=Kind.STAT,
                    only_now=True,
                    limits=Limits(0.7, 0.9),
                    width=6,
                    height=4,
                ),
                Panel(
                    "Time to full",
                    "Seconds until the table is full if it goes on to fill as in the last windows.",
                    queries=(Query(FirewallPoint, "time_to_full_s", over=Over.LAST),),
                    kind=Kind.STAT,
                    only_now=True,
                    limits=Limits(600, 60),
                    none_text="not filling",
                    width=6,
                    height=4,
                ),
                Panel(
                    "Incidents open",
                    "Incidents that last. The Incident board has what each of them is.",
                    queries=(Query(FirewallPoint, "incidents_open", over=Over.LAST),),
                    kind=Kind.STAT,
                    only_now=True,
                    limits=Limits(1, 2),
                    width=6,
                    height=4,
                ),
                Panel(
                    "Mitigations in force",
                    "Changes of netwatch that are in force on the firewall. Each ends by itself.",
                    queries=(Query(FirewallPoint, "mitigations_in_force", over=Over.LAST),),
                    kind=Kind.STAT,
                    only_now=True,
                    limits=Limits(1, 5),
                    width=6,
                    height=4,
                ),
            ),
        ),
        (
            "State",
            (
                Panel(
                    "Fill over time",
                    "The highest fill of each step, by firewall.",
                    queries=(Query(FirewallPoint, "fill_ratio", over=Over.MAX),),
                    limits=Limits(0.7, 0.9),
                ),
                Panel(
                    "New entries",
                    "Sessions that were created in the table, beside the normal that was learned (0 while none is known).",
                    queries=(
                        Query(FirewallPoint, "new_per_s", name="new"),
                        Query(FirewallPoint, "normal_new_per_s", name="normal"),
                    ),
                ),
                Panel(
                    "Dropped by the state table",
                    "Packets that the table dropped, for any cause. Above 0, users are turned away.",
                    queries=(Query(FirewallPoint, "dropped_per_s", over=Over.MAX),),
                    limits=Limits(1, 100),
                ),
                Panel(
                    "Incidents",
                    "Which failure mode lasted when, by service; `all` is the whole firewall.",
                    queries=(Query(IncidentPoint, "open", over=Over.MAX, per=MODE, across=Across.MAX),),
                    kind=Kind.TIMELINE,
                    meaning=Meaning.LASTING,
                    none_text="none",
                ),
            ),
        ),
        (
            "Services",
            (
                Panel(
                    "Handshakes completed of asked",
                    "1 when each first SYN led to a session, or nobody asked. Low: the service, or the way to it, does not answer.",
                    queries=(Query(ServicePoint, "completion_ratio", per=SERVICE, where=TCP),),
                    limits=Limits(0.9, 0.5),
                ),
                Panel(
                    "Canaries that were answered",
                    "Attempts of netwatch itself to use a service through the firewall. Live only.",
                    queries=(Query(CanaryPoint, "success", per=SERVICE),),
                    limits=Limits(1, 0.9),
                    none_text="no canary",
                ),
                Panel(
                    "Mitigations",
                    "Changes in force, by playbook. Live only.",
                    queries=(Query(ChangePoint, "in_force", over=Over.MAX, per=PLAYBOOK),),
                    kind=Kind.TIMELINE,
                    meaning=Meaning.IN_FORCE,
                    none_text="none",
                    width=24,
                ),
            ),
        ),
    ),
)
