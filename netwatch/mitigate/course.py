"""The course of one plan: from its proposal to its end, as a state machine without clock, firewall or disk.

::

    REHEARSING ─► WAITING ─► RECORDING ─► APPLYING ─► TRIAL ─► HOLDING ─► ENDED (expired)
                     │           │            │         └─────┬────┘
                  ENDED        ENDED        ENDED          UNDOING ─► ENDED (undone)
                (refused)    (failed)      (failed)

Nothing is applied before its intent is on disk. Once applied it lives for a minute at a time: it is renewed at two thirds of that, as
long as it is wanted, and never beyond the maximum life. Whoever does not answer (journal, driver) is given up after some seconds, in the
safe direction: what may have been applied is undone, and what cannot be undone is waited for until the kernel has disarmed it by itself.
"""

from enum import StrEnum

import msgspec

from netwatch.mitigate.health import Complaint
from netwatch.mitigate.ladder import Draft, with_life
from netwatch.mitigate.orders import Apply, Evict, Intend, Order, Rehearse, Renew, Tell, Undo
from netwatch.mitigate.settings import MitigationSettings
from netwatch.mitigate.verdict import Baseline, Verdict
from netwatch.model.change import MITIGATION_INDUCED, EventType, MitigationEvent, Plan, PlanState, Receipt, Rehearsal

RENEW_AT = 2 / 3
"""Of a change's life: a third of it is left for a renewal that must be tried again."""

REHEARSAL_PATIENCE_S = 3.0
PATIENCE_S = 10.0
"""For the journal and the driver: both work in milliseconds, or not at all."""

AGAIN_S = 2.0
"""Between two tries of what failed."""

STALE_S = 30.0
"""A rehearsal older than this was of other traffic."""

EVICTION_WAIT_S = 10.0
"""An eviction of idle entries cannot help before they are idle for long enough; the trial waits for that, but no longer than this."""


class Stage(StrEnum):
    REHEARSING = "rehearsing"
    WAITING = "waiting"  # for a person, or until a guard's reason is gone
    RECORDING = "recording"  # the intent is on its way to the disk
    APPLYING = "applying"
    TRIAL = "trial"  # in force, not yet known to help
    HOLDING = "holding"  # in force, known to help
    UNDOING = "undoing"
    ENDED = "ended"


IN_FLIGHT = frozenset({Stage.RECORDING, Stage.APPLYING, Stage.TRIAL, Stage.UNDOING})
IN_FORCE = frozenset({Stage.TRIAL, Stage.HOLDING})
TAKEN_BACK = IN_FORCE | {Stage.RECORDING, Stage.APPLYING}
"""Stages in which something is, or is about to be, changed."""


class Why(StrEnum):
    """What ended a course, or is about to: what the ladder does next depends on it."""

    GUARDED = "a guard said no"
    DECLINED = "a person said no"
    OVERTAKEN = "overtaken by events"
    NOT_RECORDED = "the journal could not keep its intent"
    NOT_APPLIED = "the firewall did not take it"
    NOT_HELPED = "it did not help"
    INDUCED = "it made things worse"
    PERSON = "a person took it back"
    FLUSHED = "somebody else removed it"
    STATE_LOST = "the firewall lost its state"
    STOPPED = "netwatch stops"
    CAUSE_GONE = "its cause is gone"
    LIVED_OUT = "its maximum life is over"
    NOT_RENEWED = "it could not be renewed"


FAILURES = frozenset({Why.NOT_RECORDED, Why.NOT_APPLIED, Why.NOT_HELPED, Why.INDUCED, Why.NOT_RENEWED})
"""Ends that nobody meant: told as a failure."""


class Course:
    """One plan, what it stands at, and what it asks for: ``orders`` gathers until somebody takes them."""

    def __init__(self, plan: Plan, draft: Draft | None, settings: MitigationSettings, *, now_s: float) -> None:
        self.plan = plan
        self.draft = draft  # None: adopted from an earlier netwatch
        self.stage = Stage.WAITING
        self.why: Why | None = None
        self.approved = False
        self.waits_for = ""  # the guard that was told last
        self.before = Baseline(at_s=now_s)
        self.bears: frozenset[Complaint] = frozenset()  # complaints that it has made less, and not ended
        self.troubled_since_s: float | None = None  # somebody complains again
        self.orders: list[Order] = []
        self._settings = settings
        self._since_s = now_s  # when the stage was entered
        self._rehearsed_s = float("-inf")
        self.applied_s = float("inf")
        self.expires_s = float("inf")
        self._renew_s = float("inf")
        self._evict_s = float("inf")
        self._undo_again_s = float("inf")
        self._last_error = ""

    @property
    def deadline_s(self) -> float:
        """It is out of force by then, whatever goes on."""
        return self.applied_s + self._settings.max_life_s

    @property
    def settle_s(self) -> float:
        """Until then an eviction cannot keep up with what comes new: entries must become idle first."""
        evict = self.plan.change.evict
        return min(evict.min_idle_s + 1.0, EVICTION_WAIT_S) if evict is not None and evict.min_idle_s else 0.0

    @property
    def trial_s(self) -> float:
        """How long it may take to help."""
        return self._settings.verify_s + self.settle_s

    # --- before it is made ---

    def rehearse(self, now_s: float, onset_s: float) -> None:
        """Ask what it would do to the traffic of just now, if the model can tell."""
        if self.draft is None or self.draft.admission is None:
            self.rehearsed(now_s, Rehearsal(modelled=False))
            return
        self._enter(Stage.REHEARSING, now_s)
        self.orders.append(Rehearse(self.plan.id, self.draft.admission, onset_s))

    def rehearsed(self, now_s: float, rehearsal: Rehearsal | None) -> None:
        first = self._rehearsed_s == float("-inf")
        self._rehearsed_s = now_s
        self._set(rehearsal=rehearsal)
        self._enter(Stage.WAITING, now_s)
        if first:
            notes = self.draft.notes if self.draft is not None else ()
            self.tell(EventType.PLAN_PROPOSED, now_s, "; ".join((f"{self.plan.change.playbook}: {_told(rehearsal)}", *notes)))

    def is_stale(self, now_s: float) -> bool:
        return now_s - self._rehearsed_s >= STALE_S

    def wait(self, now_s: float, guard: str, text: str) -> None:
        """It could be carried out but for one reason, which is told once."""
        if guard != self.waits_for:
            self.waits_for = guard
            self._set(reason=text)
            self.tell(EventType.PLAN_PROPOSED, now_s, f"waits: {text}")

    def approve(self, now_s: float, by: str) -> None:
        self.approved = True
        self._set(state=PlanState.APPROVED, reason="")
        self.tell(EventType.PLAN_APPROVED, now_s, f"approved by {by}", by=by)

    def refuse(self, now_s: float, why: Why, text: str, *, by: str = "") -> None:
        """It is not carried out."""
        self._end(now_s, PlanState.REFUSED, why, text, EventType.PLAN_REJECTED, by=by)

    def intend(self, now_s: float) -> None:
        """All guards let it through: put it on disk."""
        self._set(state=PlanState.JOURNALLED, reason="")
        self._enter(Stage.RECORDING, now_s)
        self.orders.append(Intend(self.plan))

    def not_recorded(self, now_s: float, reason: str) -> None:
        if self.stage is Stage.RECORDING:
            self._end(
                now_s, PlanState.FAILED, Why.NOT_RECORDED, f"not applied, since its intent is not on disk: {reason}", EventType.PLAN_FAILED
            )

    # --- in force ---

    def apply(self, now_s: float, before: Baseline) -> None:
        """Its intent is on disk: make the change."""
        self.before = before
        self._enter(Stage.APPLYING, now_s)
        self.orders.append(Apply(self.plan.change))

    def applied(self, now_s: float, receipt: Receipt) -> None:
        """The change was made, or renewed."""
        if self.stage is Stage.APPLYING:
            self.applied_s = receipt.applied_at_s
            self._live(receipt)
            self._set(state=PlanState.APPLIED)
            self._enter(Stage.TRIAL, now_s)
            evicted = f", {receipt.evicted:,} entries deleted" if receipt.evicted else ""
            self.tell(EventType.CHANGE_APPLIED, now_s, f"{self.plan.change.playbook} is in force{evicted}", receipt=receipt)
        elif self.stage in IN_FORCE:
            self._live(receipt)
            self.tell(EventType.CHANGE_RENEWED, now_s, f"{self.plan.change.playbook} stays in force", receipt=receipt)

    def adopt(self, now_s: float, receipt: Receipt) -> None:
        """It is in force already, made by an earlier netwatch."""
        self.applied_s = receipt.applied_at_s
        self._live(receipt)
        self._set(state=PlanState.VERIFIED)
        self._enter(Stage.HOLDING, now_s)
        self.tell(
            EventType.CHANGE_VERIFIED,
            now_s,
            f"{self.plan.change.playbook} was in force when netwatch started, and is held",
            receipt=receipt,
        )

    def failed(self, now_s: float, reason: str) -> None:
        """The driver could not do the last that was asked of it."""
        if self.stage is Stage.APPLYING:
            self._end(now_s, PlanState.FAILED, Why.NOT_APPLIED, f"the firewall did not take it: {reason}", EventType.PLAN_FAILED)
        elif self.stage in IN_FORCE:
            self._error(now_s, f"could not be renewed or repeated: {reason}")

    def verify(self, now_s: float, verdict: Verdict) -> None:
        """It helped."""
        self.bears = verdict.bears
        self._set(state=PlanState.VERIFIED)
        self._enter(Stage.HOLDING, now_s)
        self.tell(EventType.CHANGE_VERIFIED, now_s, verdict.text)

    def tick(self, now_s: float, *, wanted: bool) -> None:
        """Time has passed. ``wanted``: its cause lasts, or was there until a moment ago."""
        waited_s = now_s - self._since_s
        match self.stage:
            case Stage.REHEARSING if waited_s >= REHEARSAL_PATIENCE_S:
                self.rehearsed(now_s, None)
            case Stage.RECORDING if waited_s >= PATIENCE_S:
                self.not_recorded(now_s, f"the journal did not answer for {PATIENCE_S:.0f} s")
            case Stage.APPLYING if waited_s >= PATIENCE_S:
                self.undo(now_s, Why.NOT_APPLIED, f"the driver did not answer for {PATIENCE_S:.0f} s")
            case Stage.TRIAL | Stage.HOLDING:
                self._live_on(now_s, wanted=wanted)
            case Stage.UNDOING if now_s >= self.expires_s:
                self._end(now_s, PlanState.EXPIRED, self.why or Why.NOT_RENEWED, f"expired: {self.plan.reason}", EventType.CHANGE_EXPIRED)
            case Stage.UNDOING if now_s >= self._undo_again_s:
                self._order_undo(now_s)

    # --- out of force ---

    def take_back(self, now_s: float, why: Why, text: str, *, by: str = "") -> None:
        """Somebody or something wants it gone, whatever it stands at."""
        if self.stage in (Stage.REHEARSING, Stage.WAITING, Stage.RECORDING):
            self.refuse(now_s, why, text, by=by)
        else:
            self.undo(now_s, why, text)

    def undo(self, now_s: float, why: Why, text: str) -> None:
        """Take it out of force."""
        if self.stage in (Stage.UNDOING, Stage.ENDED):
            return
        self.why = why
        self._set(reason=text)
        if self.stage is Stage.APPLYING:  # the driver may still come to it
            self.expires_s = now_s + self.plan.change.life_s + PATIENCE_S
        self._enter(Stage.UNDOING, now_s)
        self._order_undo(now_s)
        if why is Why.INDUCED:
            self._tell_induced(EventType.INCIDENT_OPENED, now_s, text)

    def undone(self, now_s: float) -> None:
        if self.stage is Stage.UNDOING:
            self._end(now_s, PlanState.UNDONE, self.why or Why.PERSON, f"undone: {self.plan.reason}", EventType.CHANGE_UNDONE)

    def undo_failed(self, now_s: float, reason: str) -> None:
        if self.stage is Stage.UNDOING:
            self._error(now_s, f"could not be undone, the kernel disarms it by itself: {reason}")
            self._undo_again_s = now_s + AGAIN_S

    def flushed(self, now_s: float, reason: str) -> None:
        """Somebody else took it out of force."""
        if self.stage in IN_FORCE or self.stage is Stage.UNDOING:
            why = self.why if self.stage is Stage.UNDOING and self.why is not None else Why.FLUSHED
            self._end(now_s, PlanState.UNDONE, why, f"removed by somebody else: {reason}", EventType.CHANGE_UNDONE)

    def tell(self, event: EventType, now_s: float, text: str, *, receipt: Receipt | None = None, by: str = "") -> None:
        plan = self.plan
        told = MitigationEvent(
            time_s=now_s,
            type=event,
            incident_id=plan.incident_id,
            text=text,
            mode=plan.mode,
            plan=plan,
            receipt=receipt,
            by=by,
            failed=self.stage is Stage.ENDED and self.why in FAILURES,
        )
        self.orders.append(Tell(told))

    def _live_on(self, now_s: float, *, wanted: bool) -> None:
        """In force: renew it, repeat its eviction, or see it end."""
        if now_s >= self.expires_s or now_s >= self.deadline_s:
            lived_out = now_s >= self.deadline_s - 1.0
            why = Why.LIVED_OUT if lived_out else Why.NOT_RENEWED if wanted else Why.CAUSE_GONE
            if now_s < self.expires_s:
                self.undo(now_s, why, why.value)
            else:
                self._end(now_s, PlanState.EXPIRED, why, f"expired: {why}", EventType.CHANGE_EXPIRED)
            return
        change = self.plan.change
        if wanted and change.evict is not None and now_s >= self._evict_s:
            # On a schedule of its own: a tick that comes a millisecond sooner than the last one did must not be passed over.
            self._evict_s = max(self._evict_s + change.evict.repeat_s, now_s)
            self.orders.append(Evict(change))
        if wanted and now_s >= self._renew_s:
            self._renew_s = now_s + AGAIN_S  # until the driver has answered
            life_s = min(change.life_s, float(int(self.deadline_s - now_s)))
            if now_s + life_s > self.expires_s:
                self.orders.append(Renew(with_life(change, life_s)))

    def _live(self, receipt: Receipt) -> None:
        self.expires_s = receipt.expires_at_s
        self._renew_s = receipt.expires_at_s - (1 - RENEW_AT) * self.plan.change.life_s
        if self.plan.change.evict is not None and self._evict_s == float("inf"):
            self._evict_s = receipt.applied_at_s + self.plan.change.evict.repeat_s

    def _order_undo(self, now_s: float) -> None:
        self._undo_again_s = now_s + PATIENCE_S
        self.orders.append(Undo(self.plan.change))

    def _error(self, now_s: float, text: str) -> None:
        if text != self._last_error:
            self._last_error = text
            self.tell(EventType.ERROR, now_s, f"{self.plan.id}: {text}")

    def _enter(self, stage: Stage, now_s: float) -> None:
        self.stage = stage
        self._since_s = now_s

    def _end(self, now_s: float, state: PlanState, why: Why, text: str, event: EventType, *, by: str = "") -> None:
        self.why = why
        self._enter(Stage.ENDED, now_s)
        self._set(state=state, reason=text)
        self.tell(event, now_s, text, by=by)
        if why is Why.INDUCED:
            self._tell_induced(EventType.INCIDENT_CLOSED, now_s, text)

    def _tell_induced(self, event: EventType, now_s: float, text: str) -> None:
        told = MitigationEvent(
            time_s=now_s,
            type=event,
            incident_id=f"{self.plan.id}-induced",
            text=text,
            mode=MITIGATION_INDUCED,
            plan=self.plan,
            failed=True,
        )
        self.orders.append(Tell(told))

    def _set(self, **changes: object) -> None:
        self.plan = msgspec.structs.replace(self.plan, **changes)


def _told(rehearsal: Rehearsal | None) -> str:
    if rehearsal is None:
        return "could not be rehearsed in time"
    if not rehearsal.modelled:
        return "cannot be rehearsed: what it works on is not in the session-table model"
    return (
        f"would have hit {rehearsal.healthy_hit:,} of {rehearsal.healthy_sessions:,} healthy sessions of the last {rehearsal.seconds:.0f} s"
    )
