"""Mitigations as points, by playbook: how many are in force and how long they have, and rows that mark what happened."""

from collections import defaultdict
from collections.abc import Iterator

from netwatch.export.metrics.incident_points import service_tag
from netwatch.export.metrics.marks import Marks
from netwatch.export.metrics.measurements import ChangePoint
from netwatch.export.metrics.totals import ChangeTotals
from netwatch.model.change import EventType, MitigationEvent, Plan
from netwatch.model.event import SelfReported

PLAYBOOKS = 200
"""Names that are remembered; a rung of several playbooks has a name of its own."""

OTHER = "other"


class Changes:
    """The mitigations of one firewall."""

    def __init__(self, *, site: str, firewall: str) -> None:
        self._site, self._firewall = site, firewall
        self._totals: defaultdict[str, ChangeTotals] = defaultdict(ChangeTotals)
        self._marks = Marks()
        self.mitigations = 0  # in force, by the newest report

    def told(self, event: MitigationEvent) -> Iterator[ChangePoint]:
        """A row for an event about a plan; how an incident of the engine's own opens or closes is told elsewhere."""
        plan = event.plan
        if plan is None or event.type in (EventType.INCIDENT_OPENED, EventType.INCIDENT_CLOSED):
            return
        playbook = self._playbook(plan)
        totals = self._totals[playbook]
        match event.type:
            case EventType.CHANGE_APPLIED:
                totals.applied += 1
            case EventType.CHANGE_VERIFIED:
                totals.verified += 1
            case EventType.CHANGE_UNDONE:
                totals.undone += 1
            case EventType.PLAN_FAILED:
                totals.failed += 1
        yield ChangePoint(
            time_s=self._marks.next_s((playbook,), event.time_s),
            site=self._site,
            firewall=self._firewall,
            playbook=playbook,
            event=event.type.value.rpartition(".")[2],
            state=plan.state.value,
            plan=plan.id,
            incident=event.incident_id,
            mode=plan.mode.value,
            service=service_tag(plan.service),
            rung=plan.rung,
            evicted=event.receipt.evicted if event.receipt else None,
            text=event.text,
            applied_total=totals.applied,
            verified_total=totals.verified,
            undone_total=totals.undone,
            failed_total=totals.failed,
        )

    def in_force(self, event: SelfReported) -> Iterator[ChangePoint]:
        """A row for every playbook that was ever of use, so that what has ended shows as 0."""
        self.mitigations = len(event.mitigations)
        by_playbook: defaultdict[str, list[Plan]] = defaultdict(list)
        for plan in event.mitigations:
            by_playbook[self._playbook(plan)].append(plan)
        for playbook in dict.fromkeys([*self._totals, *by_playbook]):
            plans = by_playbook.get(playbook, [])
            totals = self._totals[playbook]
            ends_s = [event.mitigation_ends_s[plan.id] for plan in plans if plan.id in event.mitigation_ends_s]
            yield ChangePoint(
                time_s=self._marks.next_s((playbook,), event.time_s),
                site=self._site,
                firewall=self._firewall,
                playbook=playbook,
                in_force=len(plans),
                remaining_s=min(ends_s) - event.time_s if ends_s else None,
                age_s=event.time_s - min(plan.proposed_at_s for plan in plans) if plans else None,
                applied_total=totals.applied,
                verified_total=totals.verified,
                undone_total=totals.undone,
                failed_total=totals.failed,
            )

    def _playbook(self, plan: Plan) -> str:
        name = plan.change.playbook
        return name if name in self._totals or len(self._totals) < PLAYBOOKS else OTHER
