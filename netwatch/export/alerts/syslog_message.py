"""An event as a syslog message of RFC 5424: what a SIEM parses, without guessing at prose.

The structured data element is named ``netwatch@ENTERPRISE``; inside values a quotation mark, a backslash and a closing bracket are escaped
(section 6.3.3), and nothing that acts on a terminal is let through.
"""

from datetime import UTC, datetime

from netwatch.export.alerts.sentence import sentence
from netwatch.export.figures import printable
from netwatch.export.sink import SinkContext
from netwatch.model.change import MitigationEvent
from netwatch.model.event import ErrorTold, Event, FindingMade, IncidentTold
from netwatch.model.incident import Severity

CRITICAL, ERROR, WARNING, NOTICE, INFORMATIONAL = 2, 3, 4, 5, 6
LEVELS = {Severity.CRITICAL: CRITICAL, Severity.WARNING: WARNING, Severity.INFO: INFORMATIONAL}

BOM = "\ufeff"
"""Marks the text as UTF-8 (section 6.4)."""

MOST_VALUE = 512
MOST_TEXT = 1500


def level_of(event: Event) -> int:
    """Severity as syslog counts it, 0 (the gravest) to 7."""
    match event:
        case IncidentTold():
            return NOTICE if event.type == "incident.closed" else LEVELS[event.incident.severity]
        case FindingMade():
            return LEVELS[event.finding.severity]
        case MitigationEvent():
            return ERROR if event.failed else NOTICE
        case ErrorTold():
            return NOTICE if event.over else ERROR
        case _:
            return INFORMATIONAL


def fields_of(event: Event, context: SinkContext) -> dict[str, str]:
    """What the structured data says; empty values are left out."""
    fields = {"site": context.site, "firewall": context.firewall}
    match event:
        case IncidentTold(incident=incident):
            fields |= {"incident": incident.id, "mode": incident.mode, "severity": incident.severity, "service": incident.service or ""}
            fields |= {f"source{number}": who.value for number, who in enumerate(incident.attribution[:5], start=1)}
        case FindingMade(finding=finding):
            fields |= {"mode": finding.mode, "severity": finding.severity, "service": finding.service or ""}
        case MitigationEvent(plan=plan):
            fields |= {"incident": event.incident_id, "mode": event.mode, "by": event.by}
            if plan is not None:
                fields |= {"plan": plan.id, "playbook": plan.change.playbook, "service": plan.service or "", "state": plan.state}
        case ErrorTold():
            fields |= {"part": event.part}
        case _:
            pass
    return {name: value for name, value in fields.items() if value}


def syslog_message(event: Event, context: SinkContext, *, facility: int, enterprise: int, hostname: str, process: int) -> bytes:
    fields = fields_of(event, context)
    return render(
        level=level_of(event),
        time_s=event.time_s,
        kind=event.type,
        fields=fields,
        text=sentence(event),
        facility=facility,
        enterprise=enterprise,
        hostname=hostname,
        process=process,
    )


def render(
    *,
    level: int,
    time_s: float,
    kind: str,
    fields: dict[str, str],
    text: str,
    facility: int,
    enterprise: int,
    hostname: str,
    process: int,
) -> bytes:
    """``<PRI>1 TIMESTAMP HOSTNAME netwatch PROCID MSGID [netwatch@… name="value" …] text`` (section 6)."""
    stamp = datetime.fromtimestamp(time_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    data = "".join(f' {name}="{_escaped(value)}"' for name, value in fields.items())
    header = f"<{facility * 8 + level}>1 {stamp} {_token(hostname, 255)} netwatch {process} {_token(kind, 32)}"
    return f"{header} [netwatch@{enterprise}{data}] {BOM}{printable(text)[:MOST_TEXT]}".encode()


def _escaped(value: str) -> str:
    shown = printable(value)[:MOST_VALUE]
    return shown.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _token(value: str, most: int) -> str:
    """Printable US-ASCII without a space; the nil value where nothing is left (section 6)."""
    return "".join(character for character in value if "!" <= character <= "~")[:most] or "-"
