"""A tiny language for tests of a mitigation's life: events go in (``>>``), orders are expected out (``<<``), in order.

::

    Play() >> opened() << rehearses() >> rehearsed() << proposes("synproxy+evict-half-open") << intends()

An event of a later second that is put in while an order is still unexpected fails the test. Words that
speak of "the plan" mean the one proposed last. Time is whole seconds; a play begins at second 0 with a healthy service.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import msgspec

from netwatch.mitigate import events, orders
from netwatch.mitigate.events import Event
from netwatch.mitigate.health import Probe, Sample, ServiceHealth
from netwatch.mitigate.ladder import Rung, rungs
from netwatch.mitigate.life import Life
from netwatch.mitigate.orders import Order
from netwatch.mitigate.settings import MitigationSettings, OperatingMode
from netwatch.model.change import Change, Plan, PlanState, Receipt, Rehearsal
from netwatch.model.incident import Attribution, Evidence, EvidenceKind, Incident, Mode, Severity
from netwatch.model.service import Service
from netwatch.rulebook import all_ladders, all_playbooks

SMTP = Service("smtp", "203.0.113.25", 25, "tcp")
IMAP = Service("imap", "203.0.113.26", 143, "tcp")
SERVICES = (SMTP, IMAP)
LEVEL_PER_S = 100.0
ATTACKER = "192.0.2.0/24"
CURE, SECOND, THIRD = "synproxy+evict-half-open", "evict-half-open+prefix-meter", "short-timeouts+evict-half-open"


TRIED_HERE = {
    Mode.SYN_FLOOD: ("synproxy+evict-half-open", "evict-half-open+prefix-meter", "short-timeouts+evict-half-open", "prefix-drop"),
    Mode.TABLE_FULL: ("evict-idle+connection-limit", "evict-half-open", "evict-closing+short-timeouts", "prefix-meter"),
}
"""Ladders of these tests' own: they are about the life of any mitigation, and not about which one is the best."""


@cache
def shipped_ladders() -> dict[Mode, tuple[Rung, ...]]:
    return all_ladders() | {mode: rungs(names, all_playbooks()) for mode, names in TRIED_HERE.items()}


def settings(mode: OperatingMode = OperatingMode.ENFORCE, **changes: object) -> MitigationSettings:
    return msgspec.structs.replace(MitigationSettings(mode=mode), **changes)


def incident(
    number: int = 1,
    mode: Mode = Mode.SYN_FLOOD,
    *,
    service: Service | None = SMTP,
    severity: Severity = Severity.CRITICAL,
    kinds: tuple[EvidenceKind, ...] = (EvidenceKind.TRAFFIC, EvidenceKind.HEALTH),
    names: tuple[str, ...] = (),
    prefixes: tuple[str, ...] = (),
    ended_s: float | None = None,
    onset_s: float = 8.0,
    consequences: tuple[Mode, ...] = (),
) -> Incident:
    return Incident(
        id=f"edge-1-{number}",
        mode=mode,
        severity=severity,
        firewall="edge-1",
        service=None if service is None else service.label,
        onset_s=onset_s,
        detected_s=onset_s + 1,
        ended_s=ended_s,
        evidence=(
            Evidence("normal_attempts_per_s", 80.0, kinds[0], "80 attempts/s"),
            *(Evidence(name, 1.0, kind, name) for name, kind in zip(names or ("a", "b", "c"), kinds, strict=False)),
        ),
        attribution=tuple(Attribution("prefix", prefix, 0.9) for prefix in prefixes) or (Attribution("spoofed", "9 sources", 1.0),),
        timeline=(),
        consequences=consequences,
    )


def sample(end_s: float, completed: float = LEVEL_PER_S, *, dropped: int = 0, entries: int = 1000, limit: int = 20_000) -> Sample:
    """One second of the service; ``completed`` of its normal 100 handshakes."""
    health = ServiceHealth(int(completed), LEVEL_PER_S, 5.0)
    return Sample(
        start_s=end_s - 1,
        end_s=end_s,
        services={SMTP.label: health},
        entries=entries,
        limit=limit,
        dropped_full=dropped,
        new_sessions=100,
        packets=10_000,
    )


class Expected(NamedTuple):
    what: str
    fits: Callable[[Order], bool]


Word = Callable[["Play"], list[Event]]


class Play:
    """A life, what it asked for last, and the time."""

    def __init__(self, mode: OperatingMode = OperatingMode.ENFORCE, *, healthy_s: int = 9, **changes: object) -> None:
        self.life = Life(settings(mode, **changes), shipped_ladders())
        self.now_s = 0.0
        self.plan: Plan | None = None  # proposed last
        self.pending: list[Order] = []
        self.told: list[str] = []  # every event type so far
        self.failures: list[str] = []  # of these, told as failures
        self.evictions_s: list[float] = []  # when entries were to be deleted again
        if healthy_s:
            self >> windows(healthy_s)

    def __rshift__(self, word: Word) -> "Play":
        assert not self.pending, f"not expected: {self.pending}"
        for event in word(self):
            assert not self.pending or event.at_s == self.now_s, f"not expected: {self.pending}"
            self.now_s = max(self.now_s, event.at_s)
            for order in self.life.handle(event):
                self._note(order)
        return self

    def __lshift__(self, expected: Expected) -> "Play":
        assert self.pending, f"expected that it {expected.what}, but nothing came"
        order = self.pending.pop(0)
        assert expected.fits(order), f"expected that it {expected.what}, got {order}"
        return self

    def waited_s(self, word: Word, *, most_s: int = 100) -> float:
        """Let seconds of ``word`` pass until something is asked for; how many it took."""
        start_s = self.now_s
        for _ in range(most_s):
            self >> word
            if self.pending:
                break
        return self.now_s - start_s

    def quietly(self, seconds: int) -> "Play":
        """Healthy time passes in which a change is renewed whenever that is asked for, and nothing else is."""
        for _ in range(seconds):
            self >> windows(1)
            for order in list(self.pending):
                assert isinstance(order, orders.Renew), order
                self.pending.remove(order)
                self >> renewed(order.change) << tells("change.renewed")
        return self

    def _note(self, order: Order) -> None:
        """Evictions go on in the background: they are counted, not waited for."""
        if isinstance(order, orders.Evict):
            self.evictions_s.append(self.now_s)
            return
        self.pending.append(order)
        match order:
            case orders.Tell(event):
                self.told.append(event.type)
                if event.failed:
                    self.failures.append(event.type)
                self.plan = event.plan or self.plan
            case orders.Intend(plan):
                self.plan = plan
            case _:
                pass

    @property
    def plan_id(self) -> str:
        assert self.plan is not None
        return self.plan.id

    @property
    def change(self) -> Change:
        assert self.plan is not None
        return self.plan.change


# --- events ---


def opened(**changes: object) -> Word:
    """An incident is found; the service has lost half of its handshakes."""
    return lambda play: [events.IncidentTold(play.now_s, incident(**changes), SERVICES)]  # type: ignore[arg-type]


def closed(**changes: object) -> Word:
    return lambda play: [events.IncidentTold(play.now_s, incident(ended_s=play.now_s, **changes), SERVICES)]  # type: ignore[arg-type]


def windows(count: int, completed: float = LEVEL_PER_S, **gauges: int) -> Word:
    """So many seconds pass, each with a window and a tick."""

    def seconds(play: Play) -> list[Event]:
        found: list[Event] = []
        for number in range(1, count + 1):
            end_s = float(int(play.now_s)) + number
            found += [events.Measured(sample(end_s, completed, **gauges)), events.Tick(end_s)]
        return found

    return seconds


def ticks(count: int) -> Word:
    """So many seconds pass without any figures."""
    return lambda play: [events.Tick(play.now_s + number) for number in range(1, count + 1)]


def probed(*answers: bool) -> Word:
    """Canaries, a tenth of a second apart."""
    return lambda play: [
        events.Probed(play.now_s + number / 10, Probe(play.now_s + number / 10, SMTP.label, ok)) for number, ok in enumerate(answers, 1)
    ]


def rehearsed(*, hit: int = 0, healthy: int = 1000, refused_before: int = 0) -> Word:
    found = Rehearsal(seconds=60, healthy_sessions=healthy, healthy_hit=hit, packets_before=10_000, refused_before=refused_before)
    return lambda play: [events.Rehearsed(play.now_s, _rehearsing(play), found)]


def not_rehearsed() -> Word:
    return lambda play: [events.Rehearsed(play.now_s, _rehearsing(play), None)]


def _rehearsing(play: Play) -> str:
    return play.life.plans[-1].id


def kept() -> Word:
    return lambda play: [events.IntentKept(play.now_s, play.plan_id)]


def not_kept(reason: str = "disk full") -> Word:
    return lambda play: [events.IntentLost(play.now_s, play.plan_id, reason)]


def applied(*, evicted: int = 0) -> Word:
    def receipt(play: Play) -> list[Event]:
        made = Receipt(change_id=play.plan_id, applied_at_s=play.now_s, expires_at_s=play.now_s + play.change.life_s, evicted=evicted)
        return [events.ChangeApplied(play.now_s, made)]

    return receipt


def renewed(change: Change | None = None) -> Word:
    """For as long as was asked: the change itself says so where it is not the plan's."""

    def receipt(play: Play) -> list[Event]:
        one = change or play.change
        made = Receipt(change_id=one.id, applied_at_s=play.now_s, expires_at_s=play.now_s + one.life_s)
        return [events.ChangeApplied(play.now_s, made)]

    return receipt


def failed(reason: str = "no such set") -> Word:
    return lambda play: [events.ChangeFailed(play.now_s, play.plan_id, reason)]


def undone(change_id: str | None = None) -> Word:
    return lambda play: [events.ChangeUndone(play.now_s, change_id or play.plan_id)]


def undo_failed(reason: str = "busy") -> Word:
    return lambda play: [events.UndoFailed(play.now_s, play.plan_id, reason)]


def flushed() -> Word:
    return lambda play: [events.Flushed(play.now_s, "nft flush ruleset")]


def state_lost() -> Word:
    return lambda play: [events.StateLost(play.now_s)]


def approved(by: str = "ana") -> Word:
    return lambda play: [events.Approved(play.now_s, play.plan_id, by)]


def declined(by: str = "ana") -> Word:
    return lambda play: [events.Declined(play.now_s, play.plan_id, by)]


def undo_asked(plan_id: str | None = None, *, everything: bool = False) -> Word:
    return lambda play: [events.UndoAsked(play.now_s, None if everything else plan_id or play.plan_id, "ana")]


def adopted(*, ago_s: float = 20.0) -> Word:
    """A change of an earlier netwatch is still in force."""

    def word(play: Play) -> list[Event]:
        one = incident(7)
        change = Change(
            id="edge-1-7.1",
            playbook=CURE,
            nft=("add element inet netwatch synproxy4 { 203.0.113.25 . 25 timeout 60s }",),
            undo=("delete element inet netwatch synproxy4 { 203.0.113.25 . 25 }",),
            life_s=60.0,
        )
        plan = Plan(
            id=change.id, incident_id=one.id, mode=one.mode, firewall="edge-1", service=one.service, rung=0, change=change,
            state=PlanState.APPLIED,
        )  # fmt: skip
        made_s = play.now_s - ago_s
        return [events.Adopted(play.now_s, plan, Receipt(change_id=plan.id, applied_at_s=made_s, expires_at_s=made_s + 60))]

    return word


def stopping(*, release: bool = True) -> Word:
    return lambda play: [events.Stopping(play.now_s, release)]


# --- orders ---


def rehearses() -> Expected:
    return Expected("rehearses a plan", lambda order: isinstance(order, orders.Rehearse))


def intends(playbook: str | None = None) -> Expected:
    return Expected(
        f"puts {playbook or 'a plan'} on disk",
        lambda order: isinstance(order, orders.Intend) and playbook in (None, order.plan.change.playbook),
    )


def applies(playbook: str | None = None) -> Expected:
    return Expected(
        f"applies {playbook or 'a change'}",
        lambda order: isinstance(order, orders.Apply) and playbook in (None, order.change.playbook),
    )


def renews(*, life_s: float = 60.0) -> Expected:
    return Expected(f"renews for {life_s} s", lambda order: isinstance(order, orders.Renew) and order.change.life_s == life_s)


def undoes() -> Expected:
    return Expected("undoes a change", lambda order: isinstance(order, orders.Undo))


def answers(text: str, *, ok: bool = True) -> Expected:
    return Expected(f"answers '{text}'", lambda order: isinstance(order, orders.Answer) and text in order.text and order.ok is ok)


def tells(event: str, text: str = "", *, mode: str | None = None) -> Expected:
    return Expected(
        f"tells {event} '{text}'",
        lambda order: (
            isinstance(order, orders.Tell) and order.event.type == event and text in order.event.text and mode in (None, order.event.mode)
        ),
    )


def proposes(playbook: str) -> Expected:
    return Expected(
        f"proposes {playbook}",
        lambda order: (
            isinstance(order, orders.Tell)
            and order.event.type == "plan.proposed"
            and order.event.plan is not None
            and order.event.plan.change.playbook == playbook
        ),
    )
