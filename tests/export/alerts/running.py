"""Runs a sink as the daemon does: offered events on the loop's thread, cancelled at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from netwatch.export.sink import Sink

PATIENCE_S = 30.0


@asynccontextmanager
async def running(sink: Sink) -> AsyncIterator[Sink]:
    task = asyncio.create_task(sink.run())
    try:
        yield sink
    finally:
        if task.done():
            task.result()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come; a test that waits in vain fails."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def until_quiet(sink: Sink) -> None:
    """Everything that was offered has left, or was given up."""
    await until(lambda: sink.report().queued == 0)
