"""A courier: a bounded queue before one channel. It delivers in order, tries again as long as that is of use, and never gives up on a
receiver that is away.

What waits is bounded by dropping the oldest. What a receiver refuses for good (a wrong key, a payload that it does not take) is dropped and
counted, since it would hold up everything behind it.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from netwatch.export.alerts.backoff import wait_s
from netwatch.export.alerts.channel import Channel, Undelivered

Item = TypeVar("Item")

MOST_WAITING = 1000


class Courier(Generic[Item]):
    def __init__(
        self,
        channel: Channel[Item],
        *,
        waiting: Iterable[Item] = (),
        most_waiting: int = MOST_WAITING,
        chance: random.Random | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """``waiting`` is what an earlier netwatch did not get through; ``on_change`` is called whenever what waits has changed."""
        self.channel = channel
        self.delivered = 0
        self.dropped: Counter[str] = Counter()
        self.problem = ""
        self._waiting: deque[Item] = deque(waiting)
        self._current: Item | None = None
        self._most = most_waiting
        self._chance = chance or random.Random()
        self._on_change = on_change
        self._news = asyncio.Event()

    @property
    def waiting(self) -> list[Item]:
        """What is not delivered yet, the oldest first."""
        return [*([self._current] if self._current is not None else []), *self._waiting]

    @property
    def queued(self) -> int:
        return len(self._waiting) + (self._current is not None)

    def put(self, item: Item) -> None:
        """Take one to deliver; never blocks."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            self.dropped["queue full"] += 1
        self._waiting.append(item)
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            if not self._waiting:
                self._news.clear()
                await self._news.wait()
            self._current = self._waiting.popleft()
            await self._deliver_current()

    async def flush(self) -> None:
        """Try once to deliver what waits, after ``run`` was cancelled; what fails goes on waiting."""
        while self._current is not None or self._waiting:
            if self._current is None:
                self._current = self._waiting.popleft()
            failure = await self._attempt(self._current)
            if failure is not None and failure.again:
                return
            self._done()

    async def _deliver_current(self) -> None:
        assert self._current is not None
        failures = 0
        while (failure := await self._attempt(self._current)) is not None and failure.again:
            failures += 1
            await asyncio.sleep(wait_s(failures, failure.after_s, self._chance))
        self._done()

    async def _attempt(self, item: Item) -> Undelivered | None:
        """Deliver once; None if it got through."""
        try:
            await self.channel.deliver(item)
        except Undelivered as failure:
            problem = failure
        except Exception as error:  # noqa: BLE001 -- one message that cannot be put together must not hold up all others for good
            problem = Undelivered("fault", f"a {type(error).__name__} of netwatch's own: please report it", again=False)
        else:
            self.delivered += 1
            self.problem = ""
            return None
        self.problem = str(problem)
        if not problem.again:
            self.dropped[problem.reason] += 1
        return problem

    def _done(self) -> None:
        self._current = None
        self._on_change()
