"""Events in sentences, for a pager's display, a subject line, a log."""

from typing import assert_never

from netwatch.export import figures
from netwatch.export.verdict import firewall_name, victims, who
from netwatch.model.change import MitigationEvent
from netwatch.model.event import ErrorTold, Event, FindingMade, IncidentTold, SelfReported, WindowClosed
from netwatch.model.incident import Incident


def summary(incident: Incident) -> str:
    """``syn-flood against 203.0.113.25:25/tcp since 15:00:21 UTC: 37,669 spoofed sources``."""
    fact = who(incident.attribution) or (figures.printable(incident.evidence[0].text) if incident.evidence else "")
    since = f"{incident.mode} {subject(incident)} since {figures.clock(incident.onset_s)} UTC"
    return f"{since}: {fact}" if fact else since


def subject(incident: Incident) -> str:
    """Whom it hits."""
    return f"against {victims(incident)}" if incident.service else f"on {firewall_name(incident)}"


def lasted(incident: Incident) -> str:
    """``ended at 15:01:14 UTC after 53.0 s``."""
    if incident.ended_s is None:
        return "ended"
    return f"ended at {figures.clock(incident.ended_s)} UTC after {figures.duration(max(0.0, incident.ended_s - incident.onset_s))}"


def sentence(event: Event) -> str:
    """Any event on one line, without control characters."""
    match event:
        case IncidentTold():
            text = summary(event.incident)
            return f"{text}; {lasted(event.incident)}" if event.type == "incident.closed" else text
        case MitigationEvent():
            return figures.printable(event.text)
        case FindingMade(finding=finding):
            fact = finding.evidence[0].text if finding.evidence else ""
            return figures.printable(f"{finding.mode} at {finding.service or 'the firewall'}: {fact}")
        case ErrorTold():
            return figures.printable(f"{event.part}: {event.text}" + (" (over)" if event.over else ""))
        case WindowClosed():
            firewall = event.window.firewall
            return f"{firewall.entries:,} entries of {firewall.limit:,}"
        case SelfReported():
            return f"detection {event.detection_delay_s:.1f} s behind, {len(event.mitigations)} mitigations in force"
        case _:
            assert_never(event)
