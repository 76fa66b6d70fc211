"""Incident: one story on one time axis: what went wrong, what was done, whether it helped. Choose the time of the incident."""

from typing import Final

from netwatch.export.grafana.panel import Board, Kind, Limits, Meaning, Panel, TextPanel
from netwatch.export.grafana.query import MODE, PLAYBOOK, SERVICE, TCP, Across, Listing, Over, Query
from netwatch.export.metrics.measurements import ChangePoint, FirewallPoint, IncidentPoint, ServicePoint

INCIDENT: Final = Board(
    "netwatch-incident",
    "netwatch / Incident",
    "What happened: marks for onset, detection, changes and recovery across what the table and the users felt.",
    rows=(
        (
            "What it was",
            (
                Panel(
                    "Incidents",
                    "Which failure mode lasted when; `all` is the whole firewall.",
                    queries=(Query(IncidentPoint, "open", over=Over.MAX, per=MODE, across=Across.MAX),),
                    kind=Kind.TIMELINE,
                    meaning=Meaning.LASTING,
                    none_text="none",
                ),
                Panel(
                    "Severity",
                    "Info, warning or critical: does it harm users already?",
                    queries=(Query(IncidentPoint, "severity", over=Over.MAX, per=MODE, across=Across.MAX),),
                    kind=Kind.TIMELINE,
                    meaning=Meaning.SEVERITY,
                    none_text="no incident",
                ),
                Panel(
                    "Onset to detection",
                    "How long it took netwatch to find it.",
                    queries=(Query(IncidentPoint, "detection_delay_s", over=Over.LAST, per=MODE, across=Across.MAX),),
                    kind=Kind.STAT,
                    limits=Limits(5, 15),
                    height=6,
                ),
                Panel(
                    "Duration",
                    "From onset to recovery, or until now.",
                    queries=(Query(IncidentPoint, "duration_s", over=Over.LAST, per=MODE, across=Across.MAX),),
                    kind=Kind.STAT,
                    limits=Limits(60, 300),
                    height=6,
                ),
                TextPanel(
                    "What netwatch said",
                    "Each incident as it was found and as it changed, with who caused it and what would end it.",
                    listing=Listing(
                        IncidentPoint,
                        ("firewall", "service", "mode", "event", "text", "attribution", "consequences", "playbook"),
                    ),
                ),
            ),
        ),
        (
            "What users and the table felt",
            (
                Panel(
                    "Table fill",
                    "The highest fill of each step.",
                    queries=(Query(FirewallPoint, "fill_ratio", over=Over.MAX),),
                    limits=Limits(0.7, 0.9),
                ),
                Panel(
                    "Dropped by the table",
                    "Packets of new sessions that the table dropped.",
                    queries=(Query(FirewallPoint, "dropped_per_s", over=Over.MAX, name="dropped"),),
                    limits=Limits(1, 100),
                ),
                Panel(
                    "Asked of services",
                    "Sessions asked for.",
                    queries=(Query(ServicePoint, "attempts_per_s", per=SERVICE),),
                ),
                Panel(
                    "Completed by services",
                    "Handshakes completed: what users got.",
                    queries=(Query(ServicePoint, "completed_per_s", per=SERVICE, where=TCP),),
                ),
            ),
        ),
        (
            "What was done",
            (
                Panel(
                    "Mitigations in force",
                    "By playbook. Live only.",
                    queries=(Query(ChangePoint, "in_force", over=Over.MAX, per=PLAYBOOK),),
                    kind=Kind.TIMELINE,
                    meaning=Meaning.IN_FORCE,
                    none_text="none",
                ),
                Panel(
                    "Remaining life",
                    "Until the first of them ends if it is not renewed; below 0 it is overdue. Live only.",
                    queries=(Query(ChangePoint, "remaining_s", over=Over.MIN, per=PLAYBOOK),),
                    limits=Limits(10, 0),
                    none_text="none in force",
                ),
                TextPanel(
                    "Changes",
                    "Each thing that happened to a mitigation. Live only.",
                    listing=Listing(ChangePoint, ("firewall", "playbook", "event", "state", "service", "text")),
                ),
            ),
        ),
    ),
)
