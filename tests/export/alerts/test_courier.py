"""A courier delivers in order, waits longer each time, and is held up by nothing for good."""

import asyncio
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.export.alerts.backoff import LONGEST_ASKED_S, LONGEST_S, wait_s
from netwatch.export.alerts.channel import Undelivered
from netwatch.export.alerts.courier import Courier
from tests.export.alerts.running import until


class Door:
    """A channel that does to each try what it was told to."""

    name = "door"

    def __init__(self, *answers: Exception | None) -> None:
        self.answers = list(answers)
        self.tries: list[int] = []
        self.taken: list[int] = []

    async def deliver(self, item: int) -> None:
        self.tries.append(item)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.taken.append(item)

    async def send_test(self, now_s: float) -> None:
        await self.deliver(int(now_s))

    async def close(self) -> None:
        """Nothing is open."""


AGAIN = Undelivered("busy", "later", again=True)
NEVER = Undelivered("refused", "no", again=False)
FAULT = ValueError("what only a mistake of ours can do")


async def delivered(door: Door, items: Sequence[int]) -> Courier[int]:
    courier: Courier[int] = Courier(door, chance=random.Random(1))
    for item in items:
        courier.put(item)
    task = asyncio.create_task(courier.run())
    await until(lambda: courier.queued == 0)
    task.cancel()
    return courier


@pytest.mark.parametrize(("answer", "reason"), [(NEVER, "refused"), (FAULT, "fault")])
def test_what_can_never_be_delivered_is_counted_and_holds_up_nothing(answer: Exception, reason: str) -> None:
    door = Door(answer)
    courier = asyncio.run(delivered(door, [1, 2, 3]))
    assert door.taken == [2, 3]
    assert courier.dropped == {reason: 1}
    assert courier.delivered == 2


def test_what_may_be_delivered_later_is_tried_until_it_is() -> None:
    door = Door(AGAIN, None, AGAIN)
    courier = asyncio.run(delivered(door, [1, 2, 3]))
    assert door.tries == [1, 1, 2, 2, 3]
    assert door.taken == [1, 2, 3]
    assert courier.problem == ""


def test_at_the_end_everything_is_tried_once_more_and_what_fails_is_kept() -> None:
    async def ended() -> Courier[int]:
        courier: Courier[int] = Courier(Door(None, NEVER, AGAIN), waiting=[1, 2, 3])
        courier.put(4)
        await courier.flush()
        return courier

    courier = asyncio.run(ended())
    assert courier.waiting == [3, 4]


@given(st.integers(1, 1000), st.one_of(st.none(), st.floats(0, 1e9)), st.integers())
def test_a_wait_is_bounded_and_not_shorter_than_what_was_asked_for(failures: int, after_s: float | None, seed: int) -> None:
    waited_s = wait_s(failures, after_s, random.Random(seed))
    assert 0.5 <= waited_s <= max(LONGEST_S, LONGEST_ASKED_S)
    if after_s is not None:
        assert waited_s >= min(after_s, LONGEST_ASKED_S)
    else:
        assert waited_s <= LONGEST_S
