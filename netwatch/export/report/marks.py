"""What is drawn across all charts: when each incident began, was detected and ended, and when the table was full."""

from dataclasses import dataclass

from netwatch.export import figures, wording
from netwatch.export.report.axis import TimeAxis
from netwatch.export.verdict import main_incident
from netwatch.model.incident import Incident, Severity
from netwatch.model.replay import Replay

LANES_SHOWN = 8


@dataclass(frozen=True)
class Mark:
    """A moment: a vertical line through every chart."""

    kind: str  # "onset", "detected", "full" or "ended"
    at_s: float
    percent: str
    text: str
    main: bool  # of the main incident or of the table: named in the legend


@dataclass(frozen=True)
class Lane:
    """An incident as a bar from its onset to its end."""

    title: str
    severity: Severity
    start_s: float
    end_s: float
    detected_s: float
    left: str
    width: str
    detected: str
    flipped: bool  # the bar begins in the right half: its title ends where the bar ends
    edge: str  # from the side that the title starts at
    course: str


def marks(replay: Replay, axis: TimeAxis) -> list[Mark]:
    """All moments that lie on the axis, in order; where two incidents share one, the main one's counts."""
    main = main_incident(replay.incidents)
    found: dict[tuple[float, str], bool] = {}
    for incident in replay.incidents[:LANES_SHOWN]:
        for at_s, kind in ((incident.onset_s, "onset"), (incident.detected_s, "detected"), (incident.ended_s, "ended")):
            if at_s is not None and axis.holds(at_s):
                found[at_s, kind] = found.get((at_s, kind), False) or incident is main
    full_at_s = replay.firewall.full_at_s
    if full_at_s is not None and axis.holds(full_at_s):
        found[full_at_s, "full"] = True
    return [
        Mark(kind, at_s, axis.percent(at_s), f"{_WORDS[kind]} {figures.clock(at_s)}", of_main)
        for (at_s, kind), of_main in sorted(found.items())
    ]


_WORDS = {"onset": "onset", "detected": "detected", "full": "table full", "ended": "ended"}


def lanes(replay: Replay, axis: TimeAxis) -> list[Lane]:
    """One bar an incident."""
    return [_lane(incident, axis) for incident in replay.incidents[:LANES_SHOWN]]


def _lane(incident: Incident, axis: TimeAxis) -> Lane:
    end_s = axis.last_s if incident.ended_s is None else incident.ended_s
    start_share, end_share = (float(axis.percent(at_s).rstrip("%")) for at_s in (incident.onset_s, end_s))
    return Lane(
        title=f"{incident.mode} · {wording.subject(incident)}",
        severity=incident.severity,
        start_s=incident.onset_s,
        end_s=end_s,
        detected_s=incident.detected_s,
        left=f"{start_share:.3f}%",
        width=f"{max(0.0, end_share - start_share):.3f}%",
        detected=axis.percent(incident.detected_s),
        flipped=start_share > 50,
        edge=f"{100 - end_share if start_share > 50 else start_share:.3f}%",
        course=wording.course(incident),
    )
