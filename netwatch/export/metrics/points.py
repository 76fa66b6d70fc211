"""Events as points. Remembers what a point needs and an event does not say: counts since the start, and which incidents last.

For the events of one netwatch, in their order, in one thread.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

from netwatch.export.metrics.change_points import Changes
from netwatch.export.metrics.incident_points import Incidents
from netwatch.export.metrics.measurements import CanaryPoint
from netwatch.export.metrics.schema import Point
from netwatch.export.metrics.self_points import self_points
from netwatch.export.metrics.totals import CanaryTotals, FirewallTotals, ServiceTotals
from netwatch.export.metrics.window_points import firewall_point, rule_points, service_point
from netwatch.model.canary import CanaryResult
from netwatch.model.change import MitigationEvent
from netwatch.model.event import Event, IncidentTold, SelfReported, WindowClosed
from netwatch.model.firewall_state import FirewallState
from netwatch.model.window import ServiceWindow, Window

LEARNED_SERVICES = 200
"""Learned services that are written, the first to be learned: a flood over a thousand addresses must not become a thousand series."""


class Points:
    """What one netwatch tells, as points."""

    def __init__(self, *, site: str, firewall: str) -> None:
        self._site, self._firewall = site, firewall
        self._totals = FirewallTotals()
        self._services: defaultdict[str, ServiceTotals] = defaultdict(ServiceTotals)
        self._learned: set[str] = set()
        self._canaries: defaultdict[str, CanaryTotals] = defaultdict(CanaryTotals)
        self._rules: Counter[str] = Counter()
        self._polled_at_s = 0.0
        self._incidents = Incidents(site=site, firewall=firewall)
        self._changes = Changes(site=site, firewall=firewall)
        self._window_ended_s: float | None = None

    def of(self, event: Event) -> list[Point]:
        """The points of the next event; none of one that has no figures, such as a finding."""
        match event:
            case WindowClosed():
                return [*self._window(event.window, event.state), *map(self._canary, event.canaries)]
            case IncidentTold():
                return list(self._incidents.told(event))
            case MitigationEvent():
                return [*self._incidents.induced(event), *self._changes.told(event)]
            case SelfReported():
                return [
                    *self_points(event, site=self._site, firewall=self._firewall, window_ended_s=self._window_ended_s),
                    *self._changes.in_force(event),
                ]
            case _:
                return []

    def _window(self, window: Window, state: FirewallState | None) -> Iterator[Point]:
        poll = state if state is not None and state.at_s > self._polled_at_s else None
        self._totals.add(window, poll)
        written = [service for service in window.services if self._is_written(service)]
        yield firewall_point(
            self._site,
            self._firewall,
            window,
            state=state,
            totals=self._totals,
            services_left_out=len(window.services) - len(written),
            incidents_open=self._incidents.lasting(),
            mitigations_in_force=self._changes.mitigations,
        )
        for service in written:
            label = service.service.label
            totals = self._services[label]
            totals.add(service)
            yield service_point(
                self._site, self._firewall, window, service, totals=totals, incidents_open=self._incidents.lasting(service=label)
            )
        if poll is not None:
            self._polled_at_s = poll.at_s
            self._rules.update({name: counted.packets for name, counted in poll.counters.items()})
            yield from rule_points(self._site, self._firewall, window.end_s, poll, self._rules)
        yield from self._incidents.still(window.end_s)
        self._window_ended_s = window.end_s

    def _is_written(self, service: ServiceWindow) -> bool:
        if not service.service.learned:
            return True
        label = service.service.label
        if len(self._learned) < LEARNED_SERVICES:
            self._learned.add(label)
        return label in self._learned

    def _canary(self, result: CanaryResult) -> CanaryPoint:
        totals = self._canaries[result.service]
        if result.is_evidence:
            totals.attempts += 1
            totals.failed += not result.ok
        return CanaryPoint(
            time_s=result.at_s,
            site=self._site,
            firewall=self._firewall,
            service=result.service,
            success=int(result.ok) if result.is_evidence else None,
            latency_s=result.latency_s if result.ok else None,
            outcome=result.outcome.value,
            attempts_total=totals.attempts,
            failed_total=totals.failed,
        )
