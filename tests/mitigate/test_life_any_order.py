"""Whatever happens, and in whatever order: what a mitigation's life may never do.

A world of incidents, figures, people, a journal and a firewall that answer, fail or stay silent is driven at random by hypothesis; the
firewall keeps what was applied until it is undone or its time is up, as the kernel does. After every step the promises are checked.
"""

import re

import hypothesis.strategies as st
import msgspec
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from netwatch.mitigate import events, orders
from netwatch.mitigate.events import Event
from netwatch.mitigate.health import Probe
from netwatch.mitigate.ladder import with_life
from netwatch.mitigate.life import Life
from netwatch.mitigate.settings import MitigationSettings, OperatingMode
from netwatch.model.change import FINAL_STATES, Change, EventType, Receipt, Rehearsal
from netwatch.model.incident import EvidenceKind, Incident, Mode, Severity
from netwatch.model.service import Service
from tests.mitigate.play import ATTACKER, IMAP, SERVICES, SMTP, Play, adopted, incident, sample, shipped_ladders

MODES = (Mode.SYN_FLOOD, Mode.ESTABLISHED_CREEP, Mode.TABLE_FULL, Mode.ASYMMETRIC_ROUTING, Mode.SERVICE_SILENT)
MOST_ORDERS = 60
"""For one event: a few for each of four incidents; a loop would ask for more."""

ENDED = {EventType.PLAN_REJECTED, EventType.PLAN_FAILED, EventType.CHANGE_UNDONE, EventType.CHANGE_EXPIRED}


class World(RuleBasedStateMachine):
    @initialize(
        mode=st.sampled_from(OperatingMode),
        dry_run=st.sampled_from((False, False, False, True)),
        max_life_s=st.sampled_from((4.0, 30.0, 61.5, 300.0)),
        hold_down_s=st.sampled_from((5.0, 120.0)),
        max_changes=st.sampled_from((1, 10)),
        adopts=st.booleans(),
    )
    def begin(self, mode: OperatingMode, dry_run: bool, max_life_s: float, hold_down_s: float, max_changes: int, adopts: bool) -> None:
        self.settings = MitigationSettings(
            mode=mode, dry_run=dry_run, max_life_s=max_life_s, hold_down_s=hold_down_s, max_changes=max_changes, retry_s=30.0
        )
        self.life = Life(self.settings, shipped_ladders())
        self.now_s = 1000.0
        self.open: dict[int, Incident] = {}
        self.incidents = 10
        self.rehearsing: list[str] = []
        self.recording: list[str] = []
        self.driver: list[orders.Order] = []  # asked for, not yet done: it works in order
        self.in_force: dict[str, float] = {}  # on the firewall: change and end
        self.first_applied_s: dict[str, float] = {}
        self.kept: set[str] = set()
        self.approved: set[str] = set()
        self.undecided: set[str] = set()  # intended, without a verdict
        self.applies_s: list[float] = []
        self.ended: set[str] = set()
        if adopts and mode is OperatingMode.ENFORCE and not dry_run:
            self.adopt()

    def adopt(self) -> None:
        """A change of an earlier netwatch is in force."""
        play = Play(healthy_s=0)
        play.now_s = self.now_s
        (event,) = adopted(ago_s=1.0)(play)
        assert isinstance(event, events.Adopted)
        self.first_applied_s[event.plan.id], self.in_force[event.plan.id] = event.receipt.applied_at_s, event.receipt.expires_at_s
        self.put(event)

    # --- what happens ---

    def put(self, event: Event) -> None:
        answers = self.life.handle(event)
        assert len(answers) <= MOST_ORDERS
        for order in answers:
            self.take(order)

    def take(self, order: orders.Order) -> None:
        match order:
            case orders.Rehearse(plan_id):
                self.rehearsing.append(plan_id)
            case orders.Intend(plan):
                assert not self.undecided, "two changes in flight"
                assert self.settings.mode is not OperatingMode.OBSERVE
                assert not self.settings.dry_run
                assert plan.id in self.approved or self.settings.mode is OperatingMode.ENFORCE
                self.undecided.add(plan.id)
                self.recording.append(plan.id)
            case orders.Apply(change):
                assert change.id in self.kept, "applied without an intent on disk"
                assert change.id not in self.ended
                assert change.life_s <= self.settings.max_life_s
                assert all(float(life_s) <= change.life_s for line in change.nft for life_s in re.findall(r"timeout (\d+)s", line))
                assert all("timeout" in line for line in change.nft)
                recent = [at_s for at_s in self.applies_s if self.now_s - at_s < self.settings.changes_per_s]
                assert len(recent) < self.settings.max_changes
                self.applies_s.append(self.now_s)
                self.driver.append(order)
            case orders.Renew(change) | orders.Undo(change) | orders.Evict(change):
                assert change.id not in self.ended
                if isinstance(order, orders.Renew):
                    assert self.now_s + change.life_s <= self.first_applied_s[change.id] + self.settings.max_life_s
                self.driver.append(order)
            case orders.Tell(event) if event.plan is not None:
                if event.type is EventType.CHANGE_VERIFIED or event.type in ENDED:
                    self.undecided.discard(event.plan.id)
                if event.type in ENDED:
                    assert event.plan.id not in self.ended, "ended twice"
                    assert event.plan.state in FINAL_STATES
                    assert event.plan.reason
                    self.ended.add(event.plan.id)
            case _:
                pass

    @rule(dt=st.sampled_from((0.0, 0.3, 1.0, 1.0, 1.0, 7.0, 40.0)))
    def time_passes(self, dt: float) -> None:
        self.now_s += dt
        self.put(events.Tick(self.now_s))

    @rule(
        seconds=st.integers(1, 8),
        completed=st.sampled_from((100, 100, 60, 10, 0)),
        dropped=st.sampled_from((0, 0, 500)),
        entries=st.sampled_from((1000, 9000, 19_000)),
    )
    def windows_close(self, seconds: int, completed: int, dropped: int, entries: int) -> None:
        for _ in range(seconds):
            self.now_s += 1
            self.put(events.Measured(sample(self.now_s, completed, dropped=dropped, entries=entries)))
            self.put(events.Tick(self.now_s))

    @rule(ok=st.booleans())
    def canary(self, ok: bool) -> None:
        self.put(events.Probed(self.now_s, Probe(self.now_s, SMTP.label, ok)))

    @rule(
        number=st.integers(1, 4),
        mode=st.sampled_from(MODES),
        service=st.sampled_from((SMTP, IMAP, None)),
        severity=st.sampled_from((Severity.CRITICAL, Severity.CRITICAL, Severity.WARNING, Severity.INFO)),
        blamed=st.booleans(),
        strong=st.sampled_from((True, True, False)),
    )
    def incident_is_told(self, number: int, mode: Mode, service: Service | None, severity: Severity, blamed: bool, strong: bool) -> None:
        kinds = (EvidenceKind.STATE, EvidenceKind.TRAFFIC) if strong else (EvidenceKind.STATE,)
        if number not in self.open:
            self.incidents += 1
        identifier = self.open[number].id if number in self.open else f"edge-1-{self.incidents}"
        one = incident(0, mode, service=service, severity=severity, kinds=kinds, prefixes=(ATTACKER,) if blamed else ())
        one = msgspec.structs.replace(one, id=identifier)
        self.open[number] = one
        self.put(events.IncidentTold(self.now_s, one, SERVICES))

    @rule(number=st.integers(1, 4))
    def incident_is_over(self, number: int) -> None:
        if (one := self.open.pop(number, None)) is not None:
            self.put(events.IncidentTold(self.now_s, msgspec.structs.replace(one, ended_s=self.now_s), SERVICES))

    @rule(hit=st.sampled_from((0, 0, 0, 500, None)))
    def rehearsal_answers(self, hit: int | None) -> None:
        if self.rehearsing:
            found = None if hit is None else Rehearsal(seconds=60, healthy_sessions=1000, healthy_hit=hit)
            self.put(events.Rehearsed(self.now_s, self.rehearsing.pop(0), found))

    @rule(outcome=st.sampled_from(("kept", "kept", "kept", "lost", "silent")))
    def journal_answers(self, outcome: str) -> None:
        if not self.recording:
            return
        plan_id = self.recording.pop(0)
        if outcome == "kept":
            self.kept.add(plan_id)
            self.put(events.IntentKept(self.now_s, plan_id))
        elif outcome == "lost":
            self.put(events.IntentLost(self.now_s, plan_id, "disk full"))

    @rule(outcome=st.sampled_from(("done", "done", "done", "done", "failed", "silent", "nothing")))
    def driver_answers(self, outcome: str) -> None:
        """Does the oldest thing that it was asked for; ``silent``: does it and does not say so."""
        if not self.driver:
            return
        order = self.driver.pop(0)
        change = self.change_of(order)
        if outcome in ("failed", "nothing"):
            if outcome == "failed" and isinstance(order, orders.Undo):
                self.put(events.UndoFailed(self.now_s, change.id, "busy"))
            elif outcome == "failed":
                self.put(events.ChangeFailed(self.now_s, change.id, "no such set"))
            return
        answer = self.do(order, change)
        if outcome == "done" and answer is not None:
            self.put(answer)

    @rule()
    def everybody_answers(self) -> None:
        """Until nothing is asked for any more."""
        while self.rehearsing or self.recording or self.driver:
            self.rehearsal_answers(0)
            self.journal_answers("kept")
            self.driver_answers("done")

    @staticmethod
    def change_of(order: orders.Order) -> Change:
        assert isinstance(order, orders.Apply | orders.Renew | orders.Undo | orders.Evict)
        return order.change

    def do(self, order: orders.Order, change: Change) -> Event | None:
        match order:
            case orders.Apply() | orders.Renew():
                if isinstance(order, orders.Renew) and self.in_force.get(change.id, 0.0) <= self.now_s:
                    return events.ChangeFailed(self.now_s, change.id, "gone")
                self.first_applied_s.setdefault(change.id, self.now_s)
                self.in_force[change.id] = self.now_s + change.life_s
                receipt = Receipt(change_id=change.id, applied_at_s=self.now_s, expires_at_s=self.now_s + change.life_s)
                return events.ChangeApplied(self.now_s, receipt)
            case orders.Undo():
                self.in_force.pop(change.id, None)
                return events.ChangeUndone(self.now_s, change.id)
            case _:
                return None

    @rule(which=st.integers(0, 3))
    def person_approves(self, which: int) -> None:
        if plans := self.life.plans:
            plan_id = plans[which % len(plans)].id
            self.approved.add(plan_id)
            self.put(events.Approved(self.now_s, plan_id, "ana"))

    @rule(which=st.integers(0, 3))
    def person_declines(self, which: int) -> None:
        if plans := self.life.plans:
            self.put(events.Declined(self.now_s, plans[which % len(plans)].id, "ana"))

    @rule(which=st.integers(0, 3), everything=st.sampled_from((False, False, False, True)))
    def person_undoes(self, which: int, everything: bool) -> None:
        plans = self.life.plans
        plan_id = None if everything or not plans else plans[which % len(plans)].id
        self.put(events.UndoAsked(self.now_s, plan_id, "ana"))

    @rule()
    def somebody_flushes(self) -> None:
        self.in_force.clear()
        self.put(events.Flushed(self.now_s, "nft flush ruleset"))

    @rule()
    def firewall_fails_over(self) -> None:
        self.put(events.StateLost(self.now_s))

    # --- the promises ---

    @invariant()
    def at_most_one_is_undecided(self) -> None:
        assert len(self.undecided) <= 1

    @invariant()
    def observing_leaves_no_trace(self) -> None:
        if self.settings.mode is OperatingMode.OBSERVE or self.settings.dry_run:
            assert not self.driver
            assert not self.in_force

    def teardown(self) -> None:
        """From now on everybody answers and nothing happens any more: whatever was begun ends."""
        if not hasattr(self, "life"):
            return
        for number in list(self.open):
            self.incident_is_over(number)
        for _ in range(1000):
            self.now_s += 1
            while self.driver:
                order = self.driver.pop(0)
                if (answer := self.do(order, self.change_of(order))) is not None:
                    self.put(answer)
            self.recording.clear()
            self.put(events.Tick(self.now_s))
        assert self.life.plans == ()
        assert all(end_s <= self.now_s for end_s in self.in_force.values())


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_a_shorter_life_is_written_into_every_line() -> None:
    change = Change(id="1", playbook="p", nft=("add element inet netwatch blk4 { 192.0.2.0/24 timeout 60s }",), life_s=60)
    assert with_life(change, 12.9).nft == ("add element inet netwatch blk4 { 192.0.2.0/24 timeout 12s }",)
    assert with_life(change, 12.9).life_s == 12.0
