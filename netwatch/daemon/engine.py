"""The engine: one thread that reads packets from the rings, judges them, and waits for nobody.

Whoever wants something of it leaves a call that it makes between two rounds; whatever it finds it hands to ``tell`` and forgets. A round is
``ROUND_S``: often enough that a window is judged right after its end, rarely enough that an idle link costs nothing.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

import msgspec

from netwatch.collect.live import LiveCapture
from netwatch.collect.ring import InterfaceSettings
from netwatch.collect.tap import InterfaceStatistics, LinkNews
from netwatch.config import ReplaySettings
from netwatch.daemon.live_table import LiveTable
from netwatch.decode import Decoder
from netwatch.decode.reorder import Reordering
from netwatch.export.series import SeriesBuilder
from netwatch.model.incident import Finding, Incident
from netwatch.model.service import Service
from netwatch.model.window import Window
from netwatch.pipeline import Pipeline

ROUND_S = 0.05
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Between two starts of an engine that failed."""

STOPS_WITHIN_S = 2.0

Result = TypeVar("Result")


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A window, and what was found in it."""

    window: Window
    findings: tuple[Finding, ...]
    changed: tuple[Incident, ...]
    services: tuple[Service, ...]
    delay_s: float  # from the window's end to its judgement


class Failed(msgspec.Struct, frozen=True):
    """The engine broke down, and begins anew with empty tables."""

    reason: str
    again_in_s: float


Told = Judged | LinkNews | Failed


class Engine:
    """Packets of some interfaces to incidents, in a thread of its own."""

    def __init__(
        self,
        settings: ReplaySettings,
        interfaces: Sequence[InterfaceSettings],
        *,
        tell: Callable[[Told], None],
        namespace: str | None = None,
    ) -> None:
        """``tell`` is called from the engine's thread and must not wait."""
        self.seed = int.from_bytes(os.urandom(8), "little")
        """Of the hash of 5-tuples: nobody who floods can choose tuples that collide."""
        self._settings = settings
        self._interfaces = tuple(interfaces)
        self._namespace = namespace
        self._tell = tell
        self._calls: queue.SimpleQueue[tuple[Future[object], Callable[[Pipeline], object]]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._capture: LiveCapture | None = None
        self._earlier_lost = 0
        self.decoder = Decoder(hash_seed=self.seed)
        self.table = LiveTable(
            settings.profile, losses=lambda: self.lost, sampled_one_in=max((one.sample for one in self._interfaces), default=1)
        )
        self.alive_s = time.monotonic()
        """When the last round ended: what a watchdog asks."""
        self.windows = self.restarts = 0

    def start(self) -> None:
        """Open the rings and begin.

        Raises:
            CaptureError: an interface cannot be captured.
        """
        self._capture = self._open()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOPS_WITHIN_S)

    def call(self, wanted: Callable[[Pipeline], Result]) -> "Future[Result]":
        """Have something done with the pipeline, between two rounds."""
        promised: Future[Result] = Future()
        self._calls.put((promised, wanted))  # type: ignore[arg-type]  # a queue of futures of anything
        return promised

    @property
    def interfaces(self) -> tuple[InterfaceStatistics, ...]:
        capture = self._capture
        return capture.statistics() if capture is not None else ()

    @property
    def lost(self) -> int:
        """Packets that the rings could not take, since the start."""
        return self._earlier_lost + sum(one.lost for one in self.interfaces)

    def _open(self) -> LiveCapture:
        return LiveCapture(self._interfaces, namespace=self._namespace)

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            began_s = time.monotonic()
            try:
                self._work()
                return
            except Exception as error:  # noqa: BLE001  (whatever it was: said, and detection begins anew)
                pause_s = FIRST_PAUSE_S if time.monotonic() - began_s > LONGEST_PAUSE_S else min(2 * pause_s, LONGEST_PAUSE_S)
                self.restarts += 1
                self._tell(Failed(f"{type(error).__name__}: {error}", pause_s))
            finally:
                if self._capture is not None:
                    self._earlier_lost = self.lost
                    self._capture.close()
                    self._capture = None
            self._stopping.wait(pause_s)

    def _work(self) -> None:
        pipeline = Pipeline(self._settings, rehearses=True, hash_seed=self.seed)
        pipeline.line.view = self.table
        pipeline.line.series = SeriesBuilder(max_points=2)  # for a report; live, sinks keep the past
        pipeline.line.listeners.append(lambda *found: self._judged(pipeline, *found))
        if self._capture is None:
            self._capture = self._open()
        capture, reordering = self._capture, Reordering()
        due_s = time.monotonic() + ROUND_S
        while not self._stopping.is_set():
            for block in capture.blocks(max(0.0, due_s - time.monotonic())):
                reordering.add(self.decoder.decode(block))
            for news in capture.news():
                self._tell(news)
            if (now_s := time.monotonic()) < due_s:
                continue
            due_s = now_s + ROUND_S
            until_ns = time.time_ns() - capture.delay_ns
            pipeline.feed(reordering.take(until_ns))
            pipeline.tick(until_ns)
            self._answer(pipeline)
            self.alive_s = now_s

    def _judged(self, pipeline: Pipeline, window: Window, findings: Sequence[Finding], changed: Sequence[Incident]) -> None:
        self.windows += 1
        delay_s = time.time() - window.end_s
        self._tell(Judged(window=window, findings=tuple(findings), changed=tuple(changed), services=pipeline.services, delay_s=delay_s))

    def _answer(self, pipeline: Pipeline) -> None:
        while True:
            try:
                promised, wanted = self._calls.get_nowait()
            except queue.Empty:
                return
            if promised.set_running_or_notify_cancel():
                with suppress(Exception):  # the asker has it
                    try:
                        promised.set_result(wanted(pipeline))
                    except BaseException as error:
                        promised.set_exception(error)
                        raise
