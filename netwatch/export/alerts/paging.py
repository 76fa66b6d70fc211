"""The sink of everything that tells people: one desk decides what is told, a courier for each receiver brings it there."""

import asyncio
from collections.abc import Sequence

from netwatch.export.alerts.channel import Channel
from netwatch.export.alerts.courier import Courier
from netwatch.export.alerts.desk import Desk
from netwatch.export.alerts.memory import Memory, Remembered
from netwatch.export.alerts.page import Notice
from netwatch.export.sink import SHUTDOWN_S, SinkContext
from netwatch.model.event import Event, StageReport


class PagingSink:
    def __init__(self, name: str, context: SinkContext, channels: Sequence[Channel[Notice]]) -> None:
        self._name = name
        self._memory = Memory(context.state_dir, name)
        remembered = self._memory.load()
        self._desk = Desk(context.alerts, site=context.site, firewall=context.firewall, limited=True, state=remembered.desk)
        self._channels = channels
        self._couriers = [
            Courier(channel, waiting=remembered.waiting.get(channel.name, ()), on_change=self._memory.changed) for channel in self._channels
        ]
        self._taken = 0

    @property
    def name(self) -> str:
        return self._name

    def offer(self, event: Event) -> None:
        for notice in self._desk.take(event):
            self._taken += 1
            for courier in self._couriers:
                courier.put(notice)
            self._memory.changed()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._memory.keep(self._remembered))
                for courier in self._couriers:
                    tasks.create_task(courier.run())
        finally:
            await self._finish()

    def report(self) -> StageReport:
        dropped: dict[str, int] = {"too many open pages": self._desk.refused} if self._desk.refused else {}
        for courier in self._couriers:
            for reason, count in courier.dropped.items():
                dropped[reason] = dropped.get(reason, 0) + count
        problems = [f"{courier.channel.name}: {courier.problem}" for courier in self._couriers if courier.problem]
        if self._memory.problem:
            problems.append(self._memory.problem)
        return StageReport(
            stage=f"sink {self._name}",
            taken=self._taken,
            given=sum(courier.delivered for courier in self._couriers),
            dropped=dropped,
            queued=sum(courier.queued for courier in self._couriers),
            healthy=not problems,
            problem="; ".join(problems),
        )

    def _remembered(self) -> Remembered:
        waiting = {courier.channel.name: tuple(courier.waiting) for courier in self._couriers if courier.queued}
        return Remembered(desk=self._desk.state, waiting=waiting)

    async def _finish(self) -> None:
        """Bring out what can be brought out in the time that is left, and write down the rest."""
        try:
            async with asyncio.timeout(SHUTDOWN_S / 2):
                await asyncio.gather(*(courier.flush() for courier in self._couriers))
        except TimeoutError:
            pass
        finally:
            self._memory.save(self._remembered())
            for channel in self._channels:
                await channel.close()
