"""The sink: events to points to lines to disk in one thread, from disk to the server in another; the event loop only fills a queue."""

import asyncio
import contextlib
import hashlib
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable

from netwatch.errors import SinkError
from netwatch.export.influx.block import Block
from netwatch.export.influx.sender import RESEND_S, Sender
from netwatch.export.influx.server import InfluxServer
from netwatch.export.influx.settings import InfluxDb1Settings, InfluxDbSettings
from netwatch.export.influx.spool import Spool
from netwatch.export.metrics.lines import LineWriter
from netwatch.export.metrics.points import Points
from netwatch.export.sink import SHUTDOWN_S, SinkContext
from netwatch.model.event import Event, StageReport

EVENTS_QUEUED = 1_000
"""Some minutes of them; they wait only while the disk does not answer."""

FLUSH_S = 0.4
"""Lines wait so long for others at most before they are on disk."""

SYNC_S = 0.5
"""And so long for a power loss not to take them any more: with the time in the queue and the flush it stays below a second."""

STUCK_TIMEOUTS = 3.0
"""A request that takes so many time-outs is stuck: a server that drips bytes never lets one run out."""


class InfluxSink:
    """One database that gets all points."""

    def __init__(self, settings: InfluxDbSettings | InfluxDb1Settings, name: str, context: SinkContext) -> None:
        """
        Raises:
            ConfigError: as ``InfluxServer``.
        """
        self._name = name
        self._settings = settings
        self._server = InfluxServer(settings, name=name)
        self._points = Points(site=context.site, firewall=context.firewall)
        self._writer = LineWriter()
        self._spool = Spool(
            context.state_dir / "spool" / spool_name(settings), limit_bytes=settings.spool_bytes, settle_s=settings.settle_s + RESEND_S
        )
        self._sender = Sender(self._spool, self._server, batch_lines=settings.batch)
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._dropped: Counter[str] = Counter()
        self._taken = 0
        self._offered = self._formatted = 0  # events
        self._held_lines = 0  # formatted, not yet in the spool
        self._synced_s = 0.0
        self._finishing, self._stopping, self._more = threading.Event(), threading.Event(), threading.Event()
        self._crashed: BaseException | None = None

    @property
    def name(self) -> str:
        return self._name

    def offer(self, event: Event) -> None:
        if self._queue.qsize() >= EVENTS_QUEUED:
            self._dropped["queue_full"] += 1
        else:
            self._offered += 1
            self._queue.put(event)

    def report(self) -> StageReport:
        asked_at_s = self._sender.asked_at_s
        stuck = asked_at_s is not None and time.monotonic() - asked_at_s > STUCK_TIMEOUTS * self._settings.timeout_s
        problem = self._sender.problem or self._spool.problem or (f"{self._server.url}: a request does not end" if stuck else "")
        dropped: Counter[str] = Counter()
        for counts in (self._dropped, self._writer.refused, self._spool.dropped, self._sender.dropped):
            dropped.update(dict(counts))
        return StageReport(
            stage=f"sink {self._name}",
            taken=self._taken,
            given=self._sender.written,
            dropped=dict(dropped),
            queued=self._offered - self._formatted + self._held_lines + self._spool.unsent_lines,
            healthy=not problem,
            problem=problem,
        )

    async def run(self) -> None:
        await asyncio.to_thread(self._spool.open)
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def guarded(work: Callable[[], None]) -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001  # handed to the task that waits; a thread has nobody else to tell
                self._crashed = error
                loop.call_soon_threadsafe(ended.set)

        writing = threading.Thread(target=guarded, args=(self._write,), name=f"{self._name}-spool", daemon=True)
        sending = threading.Thread(
            target=guarded, args=(lambda: self._sender.run(self._stopping, self._more),), name=f"{self._name}-send", daemon=True
        )
        writing.start()
        sending.start()
        try:
            await ended.wait()
            raise SinkError(f"sink {self._name}: stopped by {type(self._crashed).__name__}: {self._crashed}") from self._crashed
        finally:
            await asyncio.shield(asyncio.to_thread(self._finish, writing, sending))

    def _finish(self, writing: threading.Thread, sending: threading.Thread) -> None:
        """What is queued goes to disk, then what can be sent is sent; what cannot waits on disk for the next start."""
        deadline_s = time.monotonic() + SHUTDOWN_S
        self._finishing.set()
        writing.join(SHUTDOWN_S / 2)
        while sending.is_alive() and self._spool.unsent_lines and not self._sender.problem and time.monotonic() < deadline_s - 0.2:
            time.sleep(0.02)
        self._stopping.set()
        self._more.set()
        sending.join(max(0.0, deadline_s - time.monotonic()))
        self._spool.close()
        if not sending.is_alive():
            self._server.close()

    def _write(self) -> None:
        """Events to disk, until told to finish and nothing is left."""
        lines: list[str] = []
        since_s: float | None = None  # the oldest of these lines
        while not (self._finishing.is_set() and self._queue.empty()):
            with contextlib.suppress(queue.Empty):
                self._lines_of(self._queue.get(timeout=0.1), lines)
            now_s = time.monotonic()
            if lines and since_s is None:
                since_s = now_s
            if since_s is not None and now_s - since_s >= FLUSH_S:
                self._keep(lines, now_s)
                lines, since_s = [], None
            elif (ready := len(lines) - len(lines) % self._settings.batch) > 0:
                self._keep(lines[:ready], now_s)
                lines, since_s = lines[ready:], None
            self._held_lines = len(lines)
            if now_s - self._synced_s >= SYNC_S:
                self._spool.sync()
                self._synced_s = now_s
        self._keep(lines, time.monotonic())
        self._held_lines = 0
        self._spool.sync()

    def _lines_of(self, event: Event, lines: list[str]) -> None:
        try:
            written = self._writer.lines(self._points.of(event))
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
            self._dropped["unreadable_event"] += 1
            written = []
        self._taken += len(written)
        lines += written
        self._held_lines = len(lines)
        self._formatted += 1

    def _keep(self, lines: list[str], now_s: float) -> None:
        for begin in range(0, len(lines), self._settings.batch):
            part = lines[begin : begin + self._settings.batch]
            self._spool.append(Block.of(("\n".join(part) + "\n").encode("utf-8", "replace"), len(part)), now_s)
            self._more.set()


def spool_name(settings: InfluxDbSettings | InfluxDb1Settings) -> str:
    """One folder for each database of each server, whatever the order in the configuration."""
    where = (settings.url, settings.org, settings.bucket) if isinstance(settings, InfluxDbSettings) else (settings.url, settings.database)
    return f"{type(settings).__struct_config__.tag}-{hashlib.sha256(repr(where).encode()).hexdigest()[:12]}"
