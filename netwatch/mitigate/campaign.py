"""A campaign: one incident, the ladder of its mode, and how far it was climbed.

A rung that did not help is undone and the next one tried. One that made things worse is not tried again in this incident, nor one that a
person declined; after a person took a change back, netwatch leaves the incident to people. A mitigation outlives its incident by the
hold-down, since attacks pause: one that comes back within it finds its campaign still there.
"""

from collections.abc import Mapping, Sequence

from netwatch.mitigate.course import IN_FORCE, Course, Stage, Why
from netwatch.mitigate.ladder import Draft, Rung, next_draft
from netwatch.mitigate.settings import MitigationSettings, OperatingMode
from netwatch.model.change import Plan
from netwatch.model.incident import Incident, Mode, Severity
from netwatch.model.service import Service

JOURNAL_PAUSE_S = 10.0
"""A full disk does not get empty within a second."""

MOST_FLUSHES = 2
"""Whoever removes what netwatch puts in once may not have known; who does it again means it."""

NEVER_AGAIN = frozenset({Why.DECLINED, Why.INDUCED})
ONCE = frozenset({Why.GUARDED, Why.NOT_APPLIED, Why.NOT_HELPED, Why.STATE_LOST})

NEWS_S = 30.0
"""A plan that is only told is not told anew for every prefix that joins the attack."""


class Campaign:
    def __init__(self, plan_or_incident: Plan | Incident, settings: MitigationSettings) -> None:
        """Of an incident, or of a plan that an earlier netwatch left in force, whose incident is not known any more."""
        told = plan_or_incident
        self.incident = told if isinstance(told, Incident) else None
        self.incident_id = told.id  # or the plan's, where the incident is not known
        self.mode: Mode = told.mode
        self.service = told.service
        self.services: tuple[Service, ...] = ()
        self.course: Course | None = None
        self.closed_s: float | None = None  # since when its incident is over
        self.halted = ""  # why netwatch does no more about it
        self.lapsed = False  # its mitigation was at the end of its life: only new harm calls for another
        self._settings = settings
        self._tried: dict[str, Why] = {}
        self._plans = 0
        self._flushes = 0
        self._pause_until_s = float("-inf")
        self._exhausted_s: float | None = None

    @property
    def open(self) -> bool:
        return self.incident is not None and self.closed_s is None

    @property
    def in_force(self) -> bool:
        return self.course is not None and self.course.stage in IN_FORCE

    @property
    def rank(self) -> tuple[bool, float]:
        """Who comes first: the gravest, then the oldest."""
        if self.incident is None:
            return True, float("inf")
        return self.incident.severity is not Severity.CRITICAL, self.incident.onset_s

    def told(self, now_s: float, incident: Incident, services: tuple[Service, ...], ladder: Sequence[Rung]) -> None:
        """Its incident has news."""
        self.incident, self.incident_id, self.services = incident, incident.id, services
        self.mode, self.service = incident.mode, incident.service
        if incident.ended_s is None:
            self.closed_s = None
        elif self.closed_s is None:
            self.closed_s = now_s
        course = self.course
        if course is None:
            return
        if course.stage in (Stage.REHEARSING, Stage.WAITING):
            if not self.open:
                course.refuse(now_s, Why.OVERTAKEN, "the incident is over")
            elif self._is_outdated(now_s, course, ladder):
                course.refuse(now_s, Why.OVERTAKEN, f"the incident has changed: {incident.mode} of {incident.service or 'the firewall'}")
        elif course.stage is Stage.TRIAL and course.plan.change.playbook not in {rung.name for rung in ladder}:
            course.undo(now_s, Why.OVERTAKEN, f"the cause is found: {incident.mode}")

    def takes_over(self, incident: Incident) -> bool:
        """Is this incident the same attack again, held by what is still in force?"""
        return not self.open and self.in_force and (self.mode, self.service) == (incident.mode, incident.service)

    def wanted(self, now_s: float) -> bool:
        """Is what is in force still needed?"""
        return self.closed_s is None or now_s - self.closed_s < self._settings.hold_down_s

    def may_propose(self, now_s: float, *, hurts: bool) -> bool:
        """Is it time for another plan?"""
        if self.course is not None or not self.open or self.halted or now_s < self._pause_until_s:
            return False
        return self.incident is not None and self.incident.severity is not Severity.INFO and (hurts or not self.lapsed)

    def propose(self, now_s: float, ladder: Sequence[Rung]) -> Course | None:
        """The next rung that fits, as a plan; None if none is left."""
        incident = self.incident
        if incident is None or (draft := self._next(incident, ladder)) is None:
            return None
        self._plans += 1
        self._exhausted_s = None
        self.lapsed = False
        life_s = min(draft.life_s, self._settings.max_life_s)
        plan_id = f"{incident.id}.{self._plans}"
        plan = Plan(
            id=plan_id,
            incident_id=incident.id,
            mode=incident.mode,
            firewall=incident.firewall,
            service=incident.service,
            rung=draft.number,
            change=draft.change(plan_id, life_s),
            proposed_at_s=now_s,
        )
        self.course = Course(plan, draft, self._settings, now_s=now_s)
        self.course.rehearse(now_s, incident.onset_s)
        return self.course

    def exhausted(self, now_s: float) -> bool:
        """No rung is left: is that news? After a while the ladder is climbed again."""
        if self._exhausted_s is None:
            self._exhausted_s = now_s
            return True
        if now_s - self._exhausted_s >= self._settings.retry_s:
            self._tried = {name: why for name, why in self._tried.items() if why in NEVER_AGAIN}
            self._exhausted_s = now_s
        return False

    def ended(self, now_s: float) -> None:
        """The course has come to its end: what follows from it."""
        course, self.course = self.course, None
        if course is None or course.why is None:
            return
        if course.why in NEVER_AGAIN | ONCE:
            self._tried[course.plan.change.playbook] = course.why
        match course.why:
            case Why.PERSON:
                self.halted = course.plan.reason
            case Why.NOT_RECORDED:
                self._pause_until_s = now_s + JOURNAL_PAUSE_S
            case Why.LIVED_OUT:
                self.lapsed = True
            case Why.FLUSHED:
                self._flushes += 1
                if self._flushes >= MOST_FLUSHES:
                    self.halted = "somebody else keeps removing what netwatch puts in force"
            case _:
                pass

    def _next(self, incident: Incident, ladder: Sequence[Rung]) -> Draft | None:
        return next_draft(incident, ladder, tried=frozenset(self._tried), services=self.services, never_block=self._settings.never_block)

    def _is_outdated(self, now_s: float, course: Course, ladder: Sequence[Rung]) -> bool:
        """Would another change be proposed now? What a person may be looking at stays as it is, unless its mode is another."""
        incident = self.incident
        if incident is None or course.draft is None or course.stage is Stage.REHEARSING or course.approved:
            return False
        young = now_s - course.plan.proposed_at_s < NEWS_S and self._settings.mode is OperatingMode.OBSERVE
        if young or self._settings.mode is OperatingMode.SUGGEST:
            return course.plan.mode is not incident.mode
        draft = self._next(incident, ladder)
        return draft is None or _aim(draft) != _aim(course.draft)


def _aim(draft: Draft) -> tuple[object, ...]:
    return draft.rung.name, draft.nft, draft.evict, frozenset(draft.prefixes)


Ladders = Mapping[Mode, Sequence[Rung]]
