"""The readable log on stderr: incidents, plans, changes and troubles, a line each. Windows and findings are for sinks."""

import os
import sys
from datetime import datetime

from netwatch.model.change import EventType, MitigationEvent
from netwatch.model.event import ErrorTold, Event, IncidentTold
from netwatch.model.incident import Incident, Severity

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
"""syslog's levels, which journald takes from the beginning of a line."""

LEVELS = {Severity.CRITICAL: WARNING, Severity.WARNING: NOTICE, Severity.INFO: INFO}
QUIET = frozenset({EventType.CHANGE_RENEWED})


class Console:
    """Says events to people."""

    def __init__(self) -> None:
        self._for_journald = "JOURNAL_STREAM" in os.environ
        self._said: dict[str, tuple[str, str]] = {}  # by incident that lasts, what was said of it last

    def say(self, text: str, level: int = INFO) -> None:
        prefix = f"<{level}>" if self._for_journald else f"{datetime.now().astimezone():%H:%M:%S.%f}"[:-3] + " "
        print(f"{prefix}{text}", file=sys.stderr, flush=True)

    def offer(self, event: Event) -> None:
        match event:
            case IncidentTold(incident=incident):
                self._incident(event.type.removeprefix("incident."), incident)
            case MitigationEvent() if event.type not in QUIET:
                name = event.plan.id if event.plan is not None else event.incident_id
                self.say(f"{event.type} {name}: {event.text}", ERROR if event.failed else NOTICE)
            case ErrorTold():
                self.say(f"{event.part}: {event.text}", NOTICE if event.over else ERROR)
            case _:
                pass

    def _incident(self, happened: str, incident: Incident) -> None:
        """An update is said if its mode, its severity or its timeline is another."""
        newest = incident.timeline[-1].text if incident.timeline else ""
        what = f"{incident.severity} {incident.mode} of {incident.service or 'the firewall'}"
        if happened == "closed":
            self._said.pop(incident.id, None)
            lasted_s = (incident.ended_s or incident.onset_s) - incident.onset_s
            self.say(f"incident {incident.id} closed: {what} lasted {lasted_s:.0f} s", NOTICE)
        elif self._said.get(incident.id) != (what, newest):
            self._said[incident.id] = (what, newest)
            evidence = "; ".join(one.text for one in incident.evidence[:3])
            self.say(f"incident {incident.id} {happened}: {what}: {newest or evidence}", LEVELS[incident.severity])
