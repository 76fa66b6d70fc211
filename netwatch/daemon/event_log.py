"""``--events F.jsonl``: every event as a line of JSON, as it happens. A full disk costs lines, which are counted, and nothing else."""

import asyncio
from collections import deque
from pathlib import Path

import msgspec

from netwatch.errors import ReportError
from netwatch.export.sink import SHUTDOWN_S
from netwatch.model.event import Event, SelfReported, StageReport

MOST_WAITING = 10_000
EVERY_S = 0.1


class EventLog:
    """A sink that appends to a file."""

    name = "events"

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            ReportError: it cannot be written.
        """
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise ReportError(f"{path}: events cannot be written there: {error.strerror}") from error
        self._path = path
        self._waiting: deque[Event] = deque()
        self._written = self._overflowed = self._lost = 0
        self._problem = ""

    def offer(self, event: Event) -> None:
        if isinstance(event, SelfReported):  # for metrics only
            return
        if len(self._waiting) >= MOST_WAITING:
            self._overflowed += 1
            return
        self._waiting.append(event)

    async def run(self) -> None:
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                await asyncio.to_thread(self._write)
        except asyncio.CancelledError:
            async with asyncio.timeout(SHUTDOWN_S):
                await asyncio.to_thread(self._write)
            raise

    def _write(self) -> None:
        events = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not events:
            return
        lines = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
        try:
            done = self._file.write(lines)
            if done != len(lines):
                raise OSError(None, f"only {done} of {len(lines)} bytes were taken")
        except OSError as error:
            self._lost += len(events)
            self._problem = f"{self._path}: {error.strerror}"
        else:
            self._written += len(events)
            self._problem = ""

    def report(self) -> StageReport:
        dropped = {"queue full": self._overflowed, "not written": self._lost}
        return StageReport(
            stage=f"sink {self.name}",
            taken=self._written + self._lost + len(self._waiting) + self._overflowed,
            given=self._written,
            dropped={reason: count for reason, count in dropped.items() if count},
            queued=len(self._waiting),
            healthy=not self._problem,
            problem=self._problem,
        )
