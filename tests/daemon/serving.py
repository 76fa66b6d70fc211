"""A control server in a thread of its own, with a handler that a test chose."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from netwatch.daemon.control import ControlServer, Handle, Reply, Request
from netwatch.errors import NetwatchError


class Desk:
    """A handler that remembers what it was asked, and agrees."""

    def __init__(self) -> None:
        self.asked: list[Request] = []

    async def __call__(self, request: Request) -> Reply:
        self.asked.append(request)
        return Reply(ok=True, text=f"{request.wish} {request.plan_id}")


@contextmanager
def serving(path: Path, handle: Handle) -> Iterator[ControlServer]:
    server = ControlServer(path, handle)
    loop = asyncio.new_event_loop()
    task = loop.create_task(server.run())

    def turn() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(task)
        except (asyncio.CancelledError, NetwatchError):
            return  # the test is told by the task
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        while thread.is_alive() and not listens(path):
            time.sleep(0.01)
        yield server
    finally:
        with suppress(RuntimeError):  # the loop is over already if the socket could not be made
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
    if not task.cancelled() and (error := task.exception()) is not None:
        raise error


def listens(path: Path) -> bool:
    """The kernel's own list of sockets that accept connections."""
    rows = [line.split(maxsplit=7) for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return any(len(row) == 8 and row[7].endswith(f"/{path.name}") and row[3] == "00010000" for row in rows)
