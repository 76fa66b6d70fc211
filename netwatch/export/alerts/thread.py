"""Libraries that block, kept off the event loop: one call in a thread of its own, with an end.

A thread cannot be stopped. One that is stuck beyond the time-out is left behind; it is a daemon thread, so that netwatch can end without
it.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def in_thread(call: Callable[[], Result], *, timeout_s: float, name: str) -> Result:
    """Run a call and wait for it.

    Raises:
        TimeoutError: it did not come back; whatever else the call raises.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # a Result where there is no error

    def work() -> None:
        try:
            outcome: tuple[Result | None, BaseException | None] = call(), None
        except BaseException as error:  # noqa: BLE001 -- it is raised in the task that waits
            outcome = None, error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=work, name=name, daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await future
