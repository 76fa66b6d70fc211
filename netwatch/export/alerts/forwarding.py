"""The sink that passes events on as they are, to a channel that brings each to its receiver: webhook, JSON lines, syslog."""

import asyncio
from collections.abc import Sequence

from netwatch.export.alerts.channel import Channel
from netwatch.export.alerts.courier import Courier
from netwatch.export.sink import SHUTDOWN_S
from netwatch.model.event import Event, StageReport


class ForwardingSink:
    def __init__(self, name: str, channel: Channel[Event], kinds: Sequence[str]) -> None:
        """``kinds`` are the first words of the types that are passed on."""
        self._name = name
        self._courier: Courier[Event] = Courier(channel)
        self._kinds = frozenset(kinds)
        self._taken = 0

    @property
    def name(self) -> str:
        return self._name

    def offer(self, event: Event) -> None:
        if event.type.partition(".")[0] in self._kinds:
            self._taken += 1
            self._courier.put(event)

    async def run(self) -> None:
        try:
            await self._courier.run()
        finally:
            try:
                async with asyncio.timeout(SHUTDOWN_S / 2):
                    await self._courier.flush()
            except TimeoutError:
                pass
            finally:
                await self._courier.channel.close()

    def report(self) -> StageReport:
        courier = self._courier
        return StageReport(
            stage=f"sink {self._name}",
            taken=self._taken,
            given=courier.delivered,
            dropped=dict(courier.dropped),
            queued=courier.queued,
            healthy=not courier.problem,
            problem=courier.problem,
        )
