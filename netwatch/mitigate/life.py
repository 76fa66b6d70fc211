"""The life of all mitigations of one firewall: events in, orders out, no clock and no side effect.

::

    proposed ─► (approved) ─► journalled ─► applied ─► verified ─► renewed while the cause lasts ─► expired
                                               └─► not better, or worse: undone, next rung

``handle`` takes one event and returns what is to be done about it, in order. It is the whole engine: the daemon around it only carries
orders to the driver, the journal and the event stream, and their answers back. One change is in flight at a time, from its intent to its
verdict. When netwatch stops it undoes what is in force: what nobody watches any more must not stay. Were it killed, the kernel would do the
same within a minute.
"""

from collections import deque
from collections.abc import Sequence
from typing import assert_never

from netwatch.mitigate import events
from netwatch.mitigate.campaign import Campaign, Ladders
from netwatch.mitigate.course import IN_FLIGHT, IN_FORCE, TAKEN_BACK, Course, Stage, Why
from netwatch.mitigate.events import Event
from netwatch.mitigate.guards import Request, first_refusal, keeps_up
from netwatch.mitigate.health import Probe, Sample, asked_per_s, complaints, misjudges_windows
from netwatch.mitigate.ladder import Rung
from netwatch.mitigate.orders import Answer, Order, Tell
from netwatch.mitigate.playbook import Caution
from netwatch.mitigate.settings import MitigationSettings, OperatingMode
from netwatch.mitigate.verdict import Outcome, baseline, judge, remaining, with_canaries, with_growth
from netwatch.model.change import EventType, MitigationEvent, Plan
from netwatch.model.incident import Incident, Mode, Severity

SAMPLES = 32
PROBES = 256
PROBES_S = 30.0
"""Canaries of so long before a change say how likely they were to come about."""

NEWEST = 5
"""Windows that say whether somebody complains now."""


ANOTHER_WINDOW_S = 3.0
"""A change after which complaints ended just before its trial did is not undone for that: it gets the windows that it lacks."""


class Life:
    def __init__(self, settings: MitigationSettings, ladders: Ladders) -> None:
        self._settings = settings
        self._ladders = ladders
        self._campaigns: dict[str, Campaign] = {}  # by incident
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)
        self._probes: deque[Probe] = deque(maxlen=PROBES)
        self._changes_s: deque[float] = deque(maxlen=settings.max_changes)
        self._lost_state_s: float | None = None
        self._stopping = False
        self._now_s = float("-inf")
        self._orders: list[Order] = []

    @property
    def plans(self) -> tuple[Plan, ...]:
        """Those that have not ended."""
        return tuple(course.plan for course in self._courses())

    @property
    def in_force(self) -> tuple[Plan, ...]:
        return tuple(course.plan for course in self._courses() if course.stage in IN_FORCE or course.stage is Stage.UNDOING)

    def handle(self, event: Event) -> list[Order]:
        """Take one event; return what is to be done, in this order."""
        self._now_s = max(self._now_s, event.at_s)
        self._take(event)
        self._settle()
        orders, self._orders = self._orders, []
        return orders

    def _take(self, event: Event) -> None:
        now_s = self._now_s
        match event:
            case events.IncidentTold():
                self._incident(event)
            case events.Measured(sample):
                self._samples.append(sample)
                self._judge()
            case events.Probed(_, probe):
                self._probes.append(probe)
                self._judge()
            case events.Tick():
                self._tick()
            case events.Rehearsed(_, plan_id, rehearsal):
                if (course := self._course(plan_id)) is not None and course.stage is Stage.REHEARSING:
                    course.rehearsed(now_s, rehearsal)
            case events.Approved():
                self._approve(event)
            case events.Declined():
                self._decline(event)
            case events.UndoAsked():
                self._undo_asked(event)
            case events.IntentKept(_, plan_id):
                if (course := self._course(plan_id)) is not None and course.stage is Stage.RECORDING:
                    self._apply(course)
            case events.IntentLost(_, plan_id, reason):
                if (course := self._course(plan_id)) is not None:
                    course.not_recorded(now_s, reason)
            case events.ChangeApplied(_, receipt):
                if (course := self._course(receipt.change_id)) is not None:
                    course.applied(now_s, receipt)
            case events.ChangeFailed(_, change_id, reason):
                if (course := self._course(change_id)) is not None:
                    course.failed(now_s, reason)
            case events.ChangeUndone(_, change_id):
                if (course := self._course(change_id)) is not None:
                    course.undone(now_s)
            case events.UndoFailed(_, change_id, reason):
                if (course := self._course(change_id)) is not None:
                    course.undo_failed(now_s, reason)
            case events.Flushed(_, reason):
                for course in self._courses():
                    course.flushed(now_s, reason)
            case events.StateLost():
                self._state_lost()
            case events.Adopted(_, plan, receipt):
                campaign = self._campaigns[plan.id] = Campaign(plan, self._settings)
                campaign.closed_s = now_s  # if its cause is still there, it will be found again
                campaign.course = Course(plan, None, self._settings, now_s=now_s)
                campaign.course.adopt(now_s, receipt)
            case events.Stopping(_, release):
                self._stop(release=release)
            case _ as unreachable:
                assert_never(unreachable)

    # --- what happens by itself ---

    def _settle(self) -> None:
        """Whatever the event made possible: courses that ended, plans that may be proposed, made or refused now."""
        for campaign in self._campaigns.values():  # what has ended is told before anything new begins
            self._collect(campaign)
        for campaign in sorted(self._campaigns.values(), key=lambda one: one.rank):
            for _ in range(len(self._ladder(campaign)) + 1):  # each turn but the last refuses a rung for good
                self._collect(campaign)
                if not self._advance(campaign):
                    break
            self._collect(campaign)
            if campaign.course is None and not campaign.open:
                del self._campaigns[campaign.incident_id]

    def _collect(self, campaign: Campaign) -> None:
        """Take what a course asks for; let go of one that has ended."""
        if (course := campaign.course) is not None:
            self._orders += course.orders
            course.orders.clear()
            if course.stage is Stage.ENDED:
                campaign.ended(self._now_s)

    def _advance(self, campaign: Campaign) -> bool:
        """Take a campaign one step further; False if it has to wait."""
        if self._stopping:
            return False
        course = campaign.course
        if course is None:
            hurts = bool(complaints(self._newest(), self._fresh_probes(), campaign.service))
            ladder = self._ladder(campaign)
            if not ladder or not campaign.may_propose(self._now_s, hurts=hurts):
                return False
            if campaign.propose(self._now_s, ladder) is None:
                if campaign.exhausted(self._now_s):
                    self._tell_exhausted(campaign)
                return False
            return True
        if course.stage is not Stage.WAITING or course.draft is None or campaign.incident is None:
            return False
        refusal = first_refusal(self._request(campaign, course))
        if refusal is None:
            if course.is_stale(self._now_s):
                course.rehearse(self._now_s, campaign.incident.onset_s)
                return course.stage is Stage.WAITING  # where there is nothing to rehearse
            course.intend(self._now_s)
            return False
        if not refusal.for_good:
            course.wait(self._now_s, refusal.guard, refusal.text)
            return False
        course.refuse(self._now_s, Why.GUARDED, f"guard {refusal.guard}: {refusal.text}")
        return True

    def _request(self, campaign: Campaign, course: Course) -> Request:
        assert course.draft is not None
        assert campaign.incident is not None
        others = (one for one in self._courses() if one is not course and one.stage in IN_FLIGHT)
        return Request(
            now_s=self._now_s,
            draft=course.draft,
            incident=campaign.incident,
            services=campaign.services,
            settings=self._settings,
            rehearsal=course.plan.rehearsal,
            approved=course.approved,
            in_flight=next((one.plan.id for one in others), None),
            changes_at_s=tuple(self._changes_s),
            lost_state_at_s=self._lost_state_s,
            out_of_window=misjudges_windows(self._newest()),
            new_per_s=asked_per_s(self._newest()),
            limit=self._samples[-1].limit if self._samples else 0,
            one_way_paths=any(one.open and one.mode is Mode.ASYMMETRIC_ROUTING for one in self._campaigns.values()),
        )

    def _apply(self, course: Course) -> None:
        """Its intent is on disk: look once more at how things are, then make the change."""
        probes = [probe for probe in self._probes if probe.at_s >= self._now_s - PROBES_S]
        self._changes_s.append(self._now_s)
        course.apply(self._now_s, baseline(self._now_s, self._newest(), probes, course.plan.service, settle_s=course.settle_s))

    def _judge(self) -> None:
        """New figures: did what is on trial help, and does what is in force still?"""
        for campaign in self._campaigns.values():
            course = campaign.course
            if course is not None and course.stage is Stage.TRIAL:
                self._give_verdict(campaign, course)
            elif course is not None and course.stage is Stage.HOLDING and campaign.open:
                self._watch(course)

    def _give_verdict(self, campaign: Campaign, course: Course) -> None:
        if course.draft is not None and campaign.incident is not None and (late := keeps_up(self._request(campaign, course))) is not None:
            course.undo(self._now_s, Why.NOT_HELPED, f"it cannot keep up: {late.text}")  # the flood had just begun when it was judged first
            return
        over = self._now_s - course.applied_s >= course.trial_s
        samples, probes = self._since(course)
        onset_s = campaign.incident.onset_s if campaign.incident is not None else course.before.at_s
        course.before = with_growth(course.before, samples)  # kept: what is in force is held against it too
        before = with_canaries(course.before, self._fresh_probes(), onset_s)
        verdict = judge(before, samples, probes, course.plan.service, trial_is_over=over)
        match verdict.outcome:
            case Outcome.WORSE:
                course.undo(self._now_s, Why.INDUCED, f"it made things worse: {verdict.text}")
            case Outcome.BETTER:
                course.verify(self._now_s, verdict)
            case Outcome.OPEN if over and not (verdict.promising and self._now_s - course.applied_s < course.trial_s + ANOTHER_WINDOW_S):
                course.undo(self._now_s, Why.NOT_HELPED, f"not better after {course.trial_s:.0f} s: {verdict.text}")
            case Outcome.OPEN:
                pass
            case _ as unreachable:
                assert_never(unreachable)

    def _watch(self, course: Course) -> None:
        """A mitigation that has helped must go on helping while its incident lasts."""
        samples, probes = self._since(course)
        rest = remaining(course.before, samples[-NEWEST:], probes, course.plan.service) - course.bears
        if not rest:
            course.troubled_since_s = None
        elif course.troubled_since_s is None:
            course.troubled_since_s = self._now_s
        elif self._now_s - course.troubled_since_s >= self._settings.verify_s:
            course.undo(self._now_s, Why.NOT_HELPED, f"it does not help any more: {', '.join(sorted(rest))}")

    def _tick(self) -> None:
        for campaign in self._campaigns.values():
            if (course := campaign.course) is not None:
                course.tick(self._now_s, wanted=not self._stopping and campaign.wanted(self._now_s))
                if course.stage is Stage.TRIAL and self._now_s - course.applied_s >= course.trial_s:
                    self._give_verdict(campaign, course)

    def _incident(self, event: events.IncidentTold) -> None:
        incident = event.incident
        campaign = self._campaigns.get(incident.id) or self._taken_over(incident)
        if campaign is None:
            if incident.ended_s is not None:
                return
            campaign = self._campaigns[incident.id] = Campaign(incident, self._settings)
        campaign.told(self._now_s, incident, event.services, self._ladders.get(incident.mode, ()))
        self._overtake()

    def _overtake(self) -> None:
        """An incident that turned out to follow from another must not keep the other's cure waiting by a trial of its own."""
        causes = [one.incident for one in self._campaigns.values() if one.open and one.incident is not None]
        for campaign in self._campaigns.values():
            course = campaign.course
            if campaign.open or course is None or course.stage is not Stage.TRIAL:
                continue
            for cause in causes:
                if campaign.mode in cause.consequences:
                    course.undo(self._now_s, Why.OVERTAKEN, f"same cause as {cause.id}: {cause.mode}")

    def _taken_over(self, incident: Incident) -> Campaign | None:
        """The campaign whose mitigation still holds the same attack; from now on it is this incident's."""
        for incident_id, campaign in self._campaigns.items():
            if campaign.takes_over(incident):
                del self._campaigns[incident_id]
                self._campaigns[incident.id] = campaign
                return campaign
        return None

    def _state_lost(self) -> None:
        self._lost_state_s = self._now_s
        careful = {rung.name for ladder in self._ladders.values() for rung in ladder if _cuts_pickups(rung)}
        for course in self._courses():
            if course.plan.change.playbook in careful and course.stage in TAKEN_BACK:
                course.take_back(self._now_s, Why.STATE_LOST, "the firewall lost its state, and live sessions must be picked up")

    def _stop(self, *, release: bool) -> None:
        self._stopping = True
        for course in self._courses():
            if release or course.stage not in IN_FORCE:
                course.take_back(self._now_s, Why.STOPPED, Why.STOPPED.value)

    # --- what people ask for ---

    def _approve(self, event: events.Approved) -> None:
        course = self._course(event.plan_id)
        if course is None or course.stage not in (Stage.REHEARSING, Stage.WAITING):
            self._answer_unknown(event.plan_id, course)
        elif self._settings.mode is OperatingMode.OBSERVE or self._settings.dry_run:
            why = "the driver is dry-run" if self._settings.dry_run else "mitigate.mode is observe"
            self._orders.append(Answer(False, f"{event.plan_id} cannot be applied: {why}; change the configuration and restart netwatch"))
        else:
            course.approve(self._now_s, event.by)
            self._orders.append(Answer(True, f"{event.plan_id} is approved: {course.plan.change.playbook}"))

    def _decline(self, event: events.Declined) -> None:
        course = self._course(event.plan_id)
        if course is None or course.stage not in (Stage.REHEARSING, Stage.WAITING):
            self._answer_unknown(event.plan_id, course)
        else:
            course.refuse(self._now_s, Why.DECLINED, f"declined by {event.by}", by=event.by)
            self._orders.append(
                Answer(True, f"{event.plan_id} is declined: {course.plan.change.playbook} is not proposed again for this incident")
            )

    def _undo_asked(self, event: events.UndoAsked) -> None:
        everything = event.plan_id is None
        named = [course for course in self._courses() if everything or course.plan.id == event.plan_id]
        asked = [course for course in named if course.stage in TAKEN_BACK]
        for course in named if everything else asked:
            course.take_back(self._now_s, Why.PERSON, f"taken back by {event.by}", by=event.by)
        if event.plan_id is None:
            for campaign in self._campaigns.values():
                campaign.halted = campaign.halted or f"taken back by {event.by}"
            self._orders.append(Answer(True, f"{len(asked)} in force, all being undone; open incidents are left to people"))
        elif asked:
            self._orders.append(Answer(True, f"{event.plan_id} is being undone; its incident is left to people"))
        else:
            self._answer_unknown(event.plan_id, self._course(event.plan_id))

    def _answer_unknown(self, plan_id: str, course: Course | None) -> None:
        text = f"there is no plan {plan_id}" if course is None else f"{plan_id} is {course.stage} already"
        known = ", ".join(plan.id for plan in self.plans) or "none"
        self._orders.append(Answer(False, f"{text}; plans that have not ended: {known}"))

    # --- look-ups ---

    def _tell_exhausted(self, campaign: Campaign) -> None:
        incident = campaign.incident
        if incident is not None and incident.severity is not Severity.INFO:
            text = f"no rung of the ladder of {incident.mode} is left that fits and was not tried: this needs a person"
            told = MitigationEvent(
                time_s=self._now_s, type=EventType.PLAN_REJECTED, incident_id=incident.id, text=text, mode=incident.mode, failed=True
            )
            self._orders.append(Tell(told))

    def _ladder(self, campaign: Campaign) -> Sequence[Rung]:
        return self._ladders.get(campaign.mode, ())

    def _courses(self) -> list[Course]:
        return [campaign.course for campaign in self._campaigns.values() if campaign.course is not None]

    def _course(self, plan_id: str) -> Course | None:
        return next((course for course in self._courses() if course.plan.id == plan_id), None)

    def _newest(self) -> list[Sample]:
        return list(self._samples)[-NEWEST:]

    def _fresh_probes(self) -> list[Probe]:
        return [probe for probe in self._probes if probe.at_s >= self._now_s - PROBES_S]

    def _since(self, course: Course) -> tuple[list[Sample], list[Probe]]:
        """Whole windows and canaries that began after a change was made."""
        samples = [sample for sample in self._samples if sample.start_s >= course.applied_s]
        return samples, [probe for probe in self._probes if probe.at_s > course.applied_s]


def _cuts_pickups(rung: Rung) -> bool:
    return any(Caution.FAILOVER in playbook.never_while for playbook in rung.playbooks)
