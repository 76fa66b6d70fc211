"""Writes what happens into the journal, in a thread of its own. A full disk is said once, and once when it is over.

An intent must be on disk before its change is made, so who asks for it waits for the answer; everything else is kept if it can be.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from netwatch.errors import NetwatchError
from netwatch.model.change import MitigationEvent, Plan, Receipt
from netwatch.model.event import ErrorTold, Event, StageReport
from netwatch.model.incident import Incident
from netwatch.store.journal import Journal

Result = TypeVar("Result")


class Recorder:
    """The journal, from the event loop."""

    def __init__(self, journal: Journal, publish: Callable[[Event], None]) -> None:
        self._journal = journal
        self._publish = publish
        self._thread = ThreadPoolExecutor(1, "journal")
        self._written = self._lost = 0
        self._problem = ""

    async def unfinished(self) -> Sequence[tuple[Plan, Receipt | None]]:
        """Plans of which something may be in force.

        Raises:
            StoreError: the journal cannot be read.
        """
        return await self._in_thread(self._journal.unfinished)

    async def intend(self, plan: Plan) -> None:
        """Put an intent on disk.

        Raises:
            StoreError: it is not there; the change must not be made.
        """
        await self._in_thread(self._journal.intend, plan)

    async def incident(self, incident: Incident) -> None:
        """Keep an incident as it is now."""
        await self._keep(self._journal.record_incident, incident)

    async def event(self, told: MitigationEvent) -> None:
        """Keep what happened to a plan."""
        await self._keep(self._journal.record, told)

    def report(self) -> StageReport:
        return StageReport(
            stage="journal",
            taken=self._written + self._lost,
            given=self._written,
            dropped={"not written": self._lost} if self._lost else {},
            healthy=not self._problem,
            problem=self._problem,
        )

    def close(self) -> None:
        """What is under way is written; the journal itself is its owner's."""
        self._thread.shutdown(wait=False, cancel_futures=False)

    async def _keep(self, write: Callable[..., None], what: object) -> None:
        try:
            await self._in_thread(write, what)
        except NetwatchError as error:
            self._lost += 1
            if not self._problem:
                self._tell(f"{error}; no change is made until it can be written")
            self._problem = str(error)
        else:
            self._written += 1
            if self._problem:
                self._tell("can be written again", over=True)
            self._problem = ""

    def _tell(self, text: str, *, over: bool = False) -> None:
        self._publish(ErrorTold(time_s=time.time(), part="journal", text=text, over=over))

    async def _in_thread(self, call: Callable[..., Result], *what: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *what)
