"""Incidents as points: a row a window while one lasts, since a database shows only what is written, and rows that mark a chart."""

from collections import Counter
from collections.abc import Iterator

from netwatch.export.metrics.marks import Marks
from netwatch.export.metrics.measurements import IncidentPoint
from netwatch.model.change import EventType, MitigationEvent
from netwatch.model.event import IncidentTold
from netwatch.model.incident import Incident, Severity

WHOLE_FIREWALL = "all"
"""The tag ``service`` of what concerns no service alone; a tag cannot be empty."""

SEVERITIES = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
LASTING = 200
"""Open incidents that are remembered; the oldest is forgotten first. There are never as many, but an end may be missed when the queue of a
sink overflows."""

ATTRIBUTIONS_SHOWN = 5


class Incidents:
    """The incidents of one firewall."""

    def __init__(self, *, site: str, firewall: str) -> None:
        self._site, self._firewall = site, firewall
        self._open: dict[str, Incident] = {}
        self._opened: Counter[tuple[str, str]] = Counter()
        self._marks = Marks()

    def lasting(self, *, service: str | None = None) -> int:
        """How many are open: of a service, or all."""
        return len(self._open) if service is None else sum(incident.service == service for incident in self._open.values())

    def told(self, event: IncidentTold) -> Iterator[IncidentPoint]:
        incident = event.incident
        series = (service_tag(incident.service), incident.mode.value)
        name = event.type.removeprefix("incident.")
        if event.type == "incident.opened":
            self._opened[series] += 1
            yield IncidentPoint(
                time_s=self._marks.next_s(series, incident.onset_s),
                site=self._site,
                firewall=self._firewall,
                service=series[0],
                mode=series[1],
                incident=incident.id,
                event="onset",
                text=f"onset of {incident.mode.value}",
            )
        before = self._open.get(incident.id)
        if before is not None and (service_tag(before.service), before.mode.value) != series:
            yield self._renamed(before, event.time_s)
        if event.type == "incident.closed":
            self._open.pop(incident.id, None)
        else:
            self._open[incident.id] = incident
            if len(self._open) > LASTING:
                del self._open[next(iter(self._open))]
        yield self._row(incident, event.time_s, event=name)

    def still(self, now_s: float) -> Iterator[IncidentPoint]:
        """A row for each that lasts."""
        for incident in self._open.values():
            yield self._row(incident, now_s, event=None)

    def induced(self, event: MitigationEvent) -> Iterator[IncidentPoint]:
        """The engine's verdict on itself: an outage that a mitigation made."""
        if event.type not in (EventType.INCIDENT_OPENED, EventType.INCIDENT_CLOSED):
            return
        opened = event.type is EventType.INCIDENT_OPENED
        series = (service_tag(event.plan.service if event.plan else None), event.mode)
        self._opened[series] += opened
        yield IncidentPoint(
            time_s=self._marks.next_s(series, event.time_s),
            site=self._site,
            firewall=self._firewall,
            service=series[0],
            mode=series[1],
            open=int(opened),
            severity=SEVERITIES[Severity.CRITICAL],
            incident=event.incident_id,
            event=event.type.value.removeprefix("incident."),
            text=event.text,
            opened_total=self._opened[series],
        )

    def _renamed(self, before: Incident, time_s: float) -> IncidentPoint:
        """A cause was found behind what was seen first, and the incident goes on under its name: it ends under the old one."""
        series = (service_tag(before.service), before.mode.value)
        return IncidentPoint(
            time_s=self._marks.next_s(series, time_s),
            site=self._site,
            firewall=self._firewall,
            service=series[0],
            mode=series[1],
            open=0,
            incident=before.id,
            opened_total=self._opened[series],
        )

    def _row(self, incident: Incident, now_s: float, *, event: str | None) -> IncidentPoint:
        series = (service_tag(incident.service), incident.mode.value)
        return IncidentPoint(
            time_s=self._marks.next_s(series, now_s),
            site=self._site,
            firewall=self._firewall,
            service=series[0],
            mode=series[1],
            open=int(incident.id in self._open),
            severity=SEVERITIES[incident.severity],
            onset_s=incident.onset_s,
            detected_s=incident.detected_s,
            ended_s=incident.ended_s,
            detection_delay_s=max(0.0, incident.detected_s - incident.onset_s),
            duration_s=max(0.0, (now_s if incident.ended_s is None else incident.ended_s) - incident.onset_s),
            incident=incident.id,
            event=event,
            text=sentence(incident) if event else None,
            attribution=attribution(incident) if event else None,
            consequences=(", ".join(incident.consequences) or None) if event else None,
            playbook=incident.recommendation.playbook if event and incident.recommendation else None,
            opened_total=self._opened[series],
        )


def service_tag(service: str | None) -> str:
    return service or WHOLE_FIREWALL


def sentence(incident: Incident) -> str:
    """What it is, by the first of its evidence."""
    shown = f": {incident.evidence[0].text}" if incident.evidence else ""
    return f"{incident.severity.value} {incident.mode.value} at {incident.service or 'the whole firewall'}{shown}"


def attribution(incident: Incident) -> str | None:
    shown = (f"{item.value} {item.share:.0%}" for item in incident.attribution[:ATTRIBUTIONS_SHOWN])
    return ", ".join(shown) or None
