"""The sink that repeats what stands: for Alertmanager, which forgets what nobody says again.

Each member of a cluster is told by a task of its own, at once when something has changed and else every ``repost_s``. One that was away is
told the state of now: there is no queue to be worked off.
"""

import asyncio
import random
from collections.abc import Sequence

from netwatch.export.alerts.alertmanager import AlertmanagerMember
from netwatch.export.alerts.backoff import wait_s
from netwatch.export.alerts.channel import Undelivered
from netwatch.export.alerts.desk import Desk
from netwatch.export.alerts.memory import Memory, Remembered
from netwatch.export.sink import SHUTDOWN_S, SinkContext
from netwatch.model.event import Event, StageReport


class _Teller:
    """Tells one member."""

    def __init__(self, member: AlertmanagerMember, *, repost_s: float, chance: random.Random) -> None:
        self.member = member
        self.news = asyncio.Event()
        self.told = 0
        self.refused: dict[str, int] = {}
        self.problem = ""
        self._repost_s = repost_s
        self._chance = chance
        self._failures = 0

    async def run(self, desk: Desk) -> None:
        while True:
            wait = await self.tell(desk)
            if self._failures:
                await asyncio.sleep(wait)
                continue
            try:
                async with asyncio.timeout(wait):
                    await self.news.wait()
            except TimeoutError:
                pass

    async def tell(self, desk: Desk) -> float:
        """Say what stands; how long to wait until it is said again."""
        self.news.clear()
        try:
            await self.member.tell(desk.pages)
        except Undelivered as failure:
            self._failures += 1
            self.problem = str(failure)
            self.refused[failure.reason] = self.refused.get(failure.reason, 0) + 1
            return wait_s(self._failures, failure.after_s, self._chance)
        self._failures, self.problem = 0, ""
        self.told += 1
        return self._repost_s


class StandingSink:
    def __init__(
        self,
        name: str,
        context: SinkContext,
        members: Sequence[AlertmanagerMember],
        *,
        repost_s: float,
    ) -> None:
        self._name = name
        self._memory = Memory(context.state_dir, name)
        self._desk = Desk(context.alerts, site=context.site, firewall=context.firewall, limited=False, state=self._memory.load().desk)
        chance = random.Random()
        self._tellers = [_Teller(member, repost_s=repost_s, chance=chance) for member in members]
        self._taken = 0

    @property
    def name(self) -> str:
        return self._name

    def offer(self, event: Event) -> None:
        if self._desk.take(event):
            self._taken += 1
            self._memory.changed()
            for teller in self._tellers:
                teller.news.set()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._memory.keep(lambda: Remembered(desk=self._desk.state)))
                for teller in self._tellers:
                    tasks.create_task(teller.run(self._desk))
        finally:
            await self._finish()

    def report(self) -> StageReport:
        dropped = {"too many open pages": self._desk.refused} if self._desk.refused else {}
        problems = [f"{teller.member.name}: {teller.problem}" for teller in self._tellers if teller.problem]
        if self._memory.problem:
            problems.append(self._memory.problem)
        return StageReport(
            stage=f"sink {self._name}",
            taken=self._taken,
            given=sum(teller.told for teller in self._tellers),
            dropped=dropped,
            queued=sum(teller.news.is_set() for teller in self._tellers),
            healthy=not problems,
            problem="; ".join(problems),
        )

    async def _finish(self) -> None:
        """Say the last news, and write down what stands."""
        try:
            async with asyncio.timeout(SHUTDOWN_S / 2):
                await asyncio.gather(*(teller.tell(self._desk) for teller in self._tellers if teller.news.is_set()))
        except TimeoutError:
            pass
        finally:
            self._memory.save(Remembered(desk=self._desk.state))
            for teller in self._tellers:
                await teller.member.close()
