"""Carries the orders of a mitigation's life to those who can do things, and their answers back.

The life itself (``mitigate.life``) is pure; here are the three that it gives orders to, each with a thread of its own: the journal, the
driver of the firewall, and the rehearsal. Whatever one of them raises becomes an answer; nothing that a firewall or a disk does ends this.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, TypeVar

import msgspec

from netwatch.daemon.engine import Engine, Judged
from netwatch.daemon.recorder import Recorder
from netwatch.enforce.driver import Driver
from netwatch.enforce.ruleset import TableState
from netwatch.enforce.selection import HALF_OPEN, Hashes, states_of
from netwatch.errors import EnforceError, NetwatchError
from netwatch.mitigate import events, orders
from netwatch.mitigate.health import Probe, sample_of
from netwatch.mitigate.ladder import Rung, combined
from netwatch.mitigate.life import Life
from netwatch.mitigate.reconcile import reconcile, undone
from netwatch.mitigate.settings import MitigationSettings, OperatingMode
from netwatch.model.canary import CanaryResult
from netwatch.model.change import Change, Element, EventType, MitigationEvent, Plan, Rehearsal
from netwatch.model.event import ErrorTold, Event
from netwatch.model.incident import Incident, Mode
from netwatch.model.plan import Admission
from netwatch.model.service import Service
from netwatch.pipeline import Pipeline
from netwatch.track.lively import lively_hashes, silent_hashes

STOPS_WITHIN_S = 2.0
ENGINE_ANSWERS_WITHIN_S = 1.0
IN_FORCE = frozenset({EventType.CHANGE_APPLIED, EventType.CHANGE_RENEWED, EventType.CHANGE_VERIFIED})
OUT_OF_FORCE = frozenset({EventType.CHANGE_UNDONE, EventType.CHANGE_EXPIRED, EventType.PLAN_FAILED})

Result = TypeVar("Result")


class Mitigator:
    """The mitigations of one firewall. All methods belong to the event loop's thread."""

    def __init__(
        self,
        settings: MitigationSettings,
        ladders: Mapping[Mode, Sequence[Rung]],
        *,
        open_driver: Callable[[], Driver],
        recorder: Recorder,
        engine: Engine,
        publish: Callable[[Event], None],
        on_flush: Literal["re-arm", "stand-down"] = "re-arm",
    ) -> None:
        """``open_driver`` is called in the thread that the driver then belongs to."""
        self.life = Life(settings, ladders)
        self.ends_s: dict[str, float] = {}
        """By plan in force, when the kernel disarms it if it is not renewed."""
        self._settings = settings
        self._ladders = ladders
        self._open_driver = open_driver
        self._driver: Driver | None = None
        self._recorder = recorder
        self._engine = engine
        self._publish = publish
        self._on_flush = on_flush
        self._admissions: dict[str, Admission] = {}  # by plan, as they were rehearsed
        self._evicting: set[str] = set()  # changes whose eviction is being repeated
        self._tasks: set[asyncio.Task[None]] = set()
        self._shown: set[str] = set()  # plans that a dry run has printed
        self._looking = False  # at the table
        self._at_driver = ThreadPoolExecutor(1, "driver")
        self._at_rehearsal = ThreadPoolExecutor(1, "rehearsal")

    # --- begin and end ---

    async def start(self) -> None:
        """Load netwatch's table, and bring the journal and what an earlier life left in force together.

        Raises:
            EnforceError: the firewall cannot be changed as the mode wants.
            StoreError: the journal cannot be read.
        """
        unfinished = await self._recorder.unfinished()
        in_force = await self._begin_driving()
        now_s = time.time()
        found = reconcile(in_force, unfinished, self._settings, now_s=now_s)
        for told in found.told:
            self._tell(told)
        for plan in found.undo:
            await self._undo_stale(plan)
        for adopted in found.adopt:
            self._handle(adopted)
        if found.strangers:
            names = ", ".join(f"{one.set} {{ {one.key} }}" for one in found.strangers)
            text = f"in force in netwatch's table and not netwatch's own, left alone until it expires: {names}"
            self._publish(ErrorTold(time_s=now_s, part="driver", text=text))

    async def _begin_driving(self) -> tuple[Element, ...]:
        """Open the driver, load netwatch's table if anything may ever be armed in it, and see what is in force."""
        try:
            driver = self._driver = await self._driven(self._open_driver)
            if self._acts:
                await self._driven(driver.load)
            return await self._driven(driver.in_force)
        except NetwatchError:
            if self._acts:
                raise
            return ()  # whoever only observes needs no firewall that can be changed

    @property
    def _acts(self) -> bool:
        """The firewall may be changed, by netwatch alone or when somebody approves."""
        return self.mode is not OperatingMode.OBSERVE

    @property
    def mode(self) -> OperatingMode:
        return self._settings.mode

    async def _undo_stale(self, plan: Plan) -> None:
        assert self._driver is not None
        await self._driven(self._driver.undo, plan.change)
        self._tell(undone(plan, now_s=time.time()))

    async def stop(self, *, release: bool) -> None:
        """End: with ``release`` undo what is in force and remove the table, else leave it to its own end or a successor."""
        self._handle(events.Stopping(time.time(), release))
        deadline_s = time.monotonic() + STOPS_WITHIN_S
        while self._tasks and time.monotonic() < deadline_s:
            await asyncio.wait(self._tasks, timeout=deadline_s - time.monotonic())
        driver, self._driver = self._driver, None  # a start that failed has stopped it already
        if driver is not None:
            try:
                async with asyncio.timeout(max(0.1, deadline_s - time.monotonic())):
                    await self._driven(driver.release if release and self._acts else driver.close)
            except (NetwatchError, TimeoutError) as error:
                self._error("driver", f"what is in force could not be released, the kernel disarms it by itself: {error}")
        for pool in (self._at_driver, self._at_rehearsal):
            pool.shutdown(wait=False, cancel_futures=False)

    # --- what is told ---

    def judged(self, judged: Judged) -> None:
        """A window was closed."""
        self._handle(events.Measured(sample_of(judged.window)))
        if judged.window.firewall.entries_lost:
            self._handle(events.StateLost(time.time()))
        for incident in judged.changed:
            self.incident(judged.window.end_s, incident, judged.services)

    def incident(self, now_s: float, incident: Incident, services: tuple[Service, ...]) -> None:
        """An incident was opened, has news, or is over."""
        self._spawn(self._recorder.incident(incident))
        self._handle(events.IncidentTold(now_s, incident, services))

    def probed(self, result: CanaryResult) -> None:
        """A canary has ended."""
        if result.is_evidence:
            self._handle(events.Probed(time.time(), Probe(result.at_s, result.service, result.ok)))

    def tick(self) -> None:
        """A second has passed."""
        self._handle(events.Tick(time.time()))
        if self._driver is not None and self._acts and not self._looking:
            self._looking = True
            self._spawn(self._look_at_table())

    def approve(self, plan_id: str, by: str) -> orders.Answer:
        return self._ask(events.Approved(time.time(), plan_id, by))

    def decline(self, plan_id: str, by: str) -> orders.Answer:
        return self._ask(events.Declined(time.time(), plan_id, by))

    def undo(self, plan_id: str | None, by: str) -> orders.Answer:
        """Undo one plan, or all."""
        return self._ask(events.UndoAsked(time.time(), plan_id, by))

    # --- orders ---

    def _ask(self, event: events.Event) -> orders.Answer:
        answers = self._handle(event)
        return answers[0] if answers else orders.Answer(False, "netwatch is about to stop")

    def _handle(self, event: events.Event) -> list[orders.Answer]:
        answers = []
        for order in self.life.handle(event):
            match order:
                case orders.Tell(told):
                    self._tell(told)
                case orders.Answer():
                    answers.append(order)
                case orders.Evict(change):
                    if change.id not in self._evicting:  # the one before is not through yet
                        self._evicting.add(change.id)
                        self._spawn(self._evict(change))
                case _:
                    self._spawn(self._carry_out(order))
        return answers

    async def _carry_out(self, order: orders.Rehearse | orders.Intend | orders.Apply | orders.Renew | orders.Undo) -> None:
        match order:
            case orders.Rehearse(plan_id, admission, onset_s):
                self._admissions[plan_id] = admission
                self._handle(events.Rehearsed(time.time(), plan_id, await self._rehearsal(admission, onset_s)))
            case orders.Intend(plan):
                try:
                    await self._recorder.intend(plan)
                except NetwatchError as error:
                    self._handle(events.IntentLost(time.time(), plan.id, str(error)))
                else:
                    self._handle(events.IntentKept(time.time(), plan.id))
            case orders.Apply(change):
                await self._change(change)
            case orders.Renew(change):
                await self._renew(change)
            case orders.Undo(change):
                try:
                    if self._driver is not None:
                        await self._driven(self._driver.undo, change)
                except NetwatchError as error:
                    self._handle(events.UndoFailed(time.time(), change.id, str(error)))
                else:
                    self._handle(events.ChangeUndone(time.time(), change.id))

    async def _rehearsal(self, admission: Admission, onset_s: float) -> Rehearsal | None:
        try:
            pipeline = await asyncio.wait_for(asyncio.wrap_future(self._engine.call(lambda it: it)), ENGINE_ANSWERS_WITHIN_S)
            return await self._in(self._at_rehearsal, _rehearse, pipeline, admission, onset_s)
        except Exception as error:  # noqa: BLE001  (a plan that could not be rehearsed is judged as such)
            self._error("rehearsal", f"failed: {type(error).__name__}: {error}")
            return None

    async def _change(self, change: Change) -> None:
        driver = self._driver
        if driver is None:
            self._handle(events.ChangeFailed(time.time(), change.id, "mitigate.mode is observe"))
            return
        try:
            protected, silent = await self._sessions(change)
            with self._eviction(change) as deleted:
                receipt = await self._driven(lambda: driver.apply(change, now_s=time.time(), protected=protected, silent=silent))
                deleted.append(receipt.evicted)
        except NetwatchError as error:
            self._handle(events.ChangeFailed(time.time(), change.id, str(error)))
        else:
            self._handle(events.ChangeApplied(receipt.applied_at_s, receipt))

    async def _renew(self, change: Change) -> None:
        assert self._driver is not None
        driver = self._driver
        try:
            receipt = await self._driven(lambda: driver.renew(change, now_s=time.time(), life_s=change.life_s))
        except NetwatchError as error:
            self._handle(events.ChangeFailed(time.time(), change.id, str(error)))
        else:
            self._handle(events.ChangeApplied(receipt.applied_at_s, receipt))

    async def _evict(self, change: Change) -> None:
        assert self._driver is not None
        driver = self._driver
        try:
            protected, silent = await self._sessions(change)
            with self._eviction(change) as deleted:
                deleted.append(await self._driven(lambda: driver.repeat(change, protected=protected, silent=silent)))
        except NetwatchError as error:
            self._handle(events.ChangeFailed(time.time(), change.id, str(error)))
        finally:
            self._evicting.discard(change.id)

    @contextmanager
    def _eviction(self, change: Change) -> Iterator[list[int]]:
        """While entries are evicted none that goes was lost; then the model does what was done to the table.

        Yields a list for the number of entries deleted: without it nothing was.
        """
        table, eviction = self._engine.table, change.evict
        deleted: list[int] = []

        def told(pipeline: Pipeline) -> None:
            if eviction is not None and any(deleted):
                pipeline.line.sessions.delete(eviction)
            table.eviction_ends()

        table.eviction_begins()
        try:
            yield deleted
        finally:
            self._engine.call(told)

    async def _sessions(self, change: Change) -> tuple[Hashes | None, Hashes | None]:
        """What the packets say of sessions, for an eviction: those that live, and those that are silent.

        Of half-open ones no client has sent payload, and without a list the kernel deletes them in one message.

        Raises:
            EnforceError: the engine does not answer.
        """
        if change.evict is None or states_of(change.evict) <= HALF_OPEN:
            return None, None
        now_ns, seed = time.time_ns(), self._engine.seed
        asked = self._engine.call(
            lambda pipeline: (lively_hashes(pipeline.line.sessions, now_ns, seed), silent_hashes(pipeline.line.sessions, seed))
        )
        try:
            return await asyncio.wait_for(asyncio.wrap_future(asked), ENGINE_ANSWERS_WITHIN_S)
        except TimeoutError:
            raise EnforceError("the engine did not say in time which sessions live, so none is evicted") from None

    async def _look_at_table(self) -> None:
        """Has somebody else removed what netwatch put into force?"""
        assert self._driver is not None
        try:
            state = await self._driven(self._driver.table_state)
            if state is TableState.INTACT:
                return
            reason = f"netwatch's table is {state}: somebody flushed the ruleset or loaded another"
            self._handle(events.Flushed(time.time(), reason))
            if self._on_flush == "stand-down":
                self._stand_down(reason)
            else:
                self._error("driver", f"{reason}; it is loaded again")
                await self._driven(self._driver.load)
        except NetwatchError as error:
            self._error("driver", str(error))
        finally:
            self._looking = False

    def _stand_down(self, reason: str) -> None:
        """Whoever removed the table wants it gone: from now on plans are only told."""
        self._error("driver", f"{reason}; netwatch only observes from now on, as mitigate.on_flush says")
        self._settings = msgspec.structs.replace(self._settings, mode=OperatingMode.OBSERVE)
        self.life = Life(self._settings, self._ladders)

    # --- telling ---

    def _tell(self, told: MitigationEvent) -> None:
        self._publish(told)
        self._spawn(self._recorder.event(told))
        plan = told.plan
        if plan is None:
            return
        if self._settings.dry_run and told.type is EventType.PLAN_PROPOSED and plan.id not in self._shown:
            self._shown.add(plan.id)
            self._spawn(self._show(plan))
        if told.type in IN_FORCE:
            if told.receipt is not None:
                self.ends_s[plan.id] = told.receipt.expires_at_s
            if told.type is EventType.CHANGE_APPLIED:
                self._admit()
        elif told.type in OUT_OF_FORCE and plan.id in self.ends_s:
            del self.ends_s[plan.id]
            self._admissions.pop(plan.id, None)
            self._admit()

    async def _show(self, plan: Plan) -> None:
        """A dry run prints what would be done."""
        driver = self._driver
        if driver is not None:
            try:
                await self._driven(lambda: driver.apply(plan.change, now_s=time.time()))
            except NetwatchError as error:
                self._error("driver", f"{plan.id} would be refused: {error}")

    def _admit(self) -> None:
        """The model of the table obeys what is in force."""
        in_force = [self._admissions[plan_id] for plan_id in self.ends_s if plan_id in self._admissions]
        # What is evicted the model is told as it happens: it must not be ahead of the firewall.
        admission = msgspec.structs.replace(combined("in force", in_force) or Admission(), evict=None)
        self._engine.call(lambda pipeline: pipeline.admit(admission))

    def _error(self, part: str, text: str) -> None:
        self._publish(ErrorTold(time_s=time.time(), part=part, text=text))

    # --- threads ---

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _driven(self, call: Callable[..., Result], *what: object) -> Result:
        return await self._in(self._at_driver, call, *what)

    @staticmethod
    async def _in(pool: ThreadPoolExecutor, call: Callable[..., Result], *what: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(pool, call, *what)


def _rehearse(pipeline: Pipeline, admission: Admission, onset_s: float) -> Rehearsal | None:
    return None if pipeline.recent is None else pipeline.recent.rehearse(admission, pipeline.directory, onset_s=onset_s)
