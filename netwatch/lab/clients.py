"""Those who only want to deliver mail, and the canary: what they tried, and whether it went well in time.

``python -m netwatch.lab.clients JSON`` with the fields of ``Load``; on stdout a line for each attempt, as it ends. An attempt counts for
the moment when it began, so that a second in which nobody got through shows as that second.

*connect* opens a session for each attempt (banner, QUIT, close), as most senders do. *session* keeps sessions open and asks NOOP in each at
a pace: only those notice when a firewall forgets its sessions and lets new ones open. A session whose answer does not come stays as it is,
as TCP itself would keep trying, until ``give_up_s`` is over; then it is opened anew.
"""

import asyncio
import itertools
import os
import random
import resource
import socket
import sys
import time
from contextlib import suppress
from enum import StrEnum

import msgspec

from netwatch.lab import plan

IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h


class Manner(StrEnum):
    """What an attempt is."""

    CONNECT = "connect"
    SESSION = "session"


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How much a client wants."""

    manner: Manner = Manner.CONNECT
    per_s: float  # attempts; with sessions, over all of them
    seconds: float
    start_at_s: float = 0.0  # since the epoch: made ready before, so that it begins on time
    sources: tuple[str, ...] = plan.CLIENTS
    sessions: int = 20  # held open, where the manner says so
    deadline_s: float = 1.0
    retry_s: float | None = None  # a failed connect is tried again so much later, beside the new ones, as a mail queue does
    retries: int = 20  # at most, of one message
    give_up_s: float = 15.0  # a session without answers is opened anew
    address: str = plan.SERVER
    port: int = plan.SERVICE_PORT


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One attempt."""

    began_s: float  # since the epoch
    ok: bool
    took_s: float
    retry: bool = False


class Client:
    """Makes attempts and tells of them."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._sources = itertools.cycle(load.sources)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends_at = 0.0  # of the monotonic clock

    async def run(self) -> None:
        """For as long as the load says, and until the last attempt has ended."""
        load = self._load
        await asyncio.sleep(max(0.0, load.start_at_s - time.time()))
        self._ends_at = time.monotonic() + load.seconds
        if load.manner is Manner.SESSION:
            await asyncio.gather(*(self._hold(place / load.per_s, load.sessions / load.per_s) for place in range(load.sessions)))
            return
        began = time.monotonic()
        for number in range(int(load.seconds * load.per_s)):
            await asyncio.sleep(max(0.0, began + number / load.per_s - time.monotonic()))
            self._spawn(0, 0.0)
        while self._tasks:
            await asyncio.gather(*self._tasks)

    def _spawn(self, tries: int, after_s: float) -> None:
        task = asyncio.create_task(self._deliver(tries, after_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, tries: int, after_s: float) -> None:
        await asyncio.sleep(after_s)
        began, ok = time.time(), False
        started = time.monotonic()
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(self._load.deadline_s):
                reader, writer = await self._open()
                try:
                    await reader.readuntil(b"\r\n")
                    writer.write(b"QUIT\r\n")
                    await reader.readuntil(b"\r\n")
                    ok = True
                finally:
                    writer.close()
        _tell(Attempt(began, ok, time.monotonic() - started, tries > 0))
        retry_s = self._load.retry_s
        if not ok and retry_s is not None and tries < self._load.retries and time.monotonic() + retry_s < self._ends_at:
            self._spawn(tries + 1, retry_s * random.uniform(0.9, 1.1))

    async def _hold(self, first_after_s: float, every_s: float) -> None:
        """One session for the whole time."""
        await asyncio.sleep(first_after_s)
        while time.monotonic() < self._ends_at:
            began, started = time.time(), time.monotonic()
            try:
                async with asyncio.timeout(self._load.deadline_s):
                    reader, writer = await self._open()
                    await reader.readuntil(b"\r\n")
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                _tell(Attempt(began, ok=False, took_s=time.monotonic() - started))
                await asyncio.sleep(every_s)
                continue
            try:
                await self._talk(reader, writer, every_s)
            finally:
                writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, every_s: float) -> None:
        """Ask until the session is broken or the time is over."""
        heard_at = time.monotonic()
        while (started := time.monotonic()) < self._ends_at and started - heard_at < self._load.give_up_s:
            began, ok = time.time(), False
            try:
                writer.write(b"NOOP\r\n")
                async with asyncio.timeout(self._load.deadline_s):
                    await reader.readuntil(b"\r\n")
                ok, heard_at = True, time.monotonic()
            except TimeoutError:
                pass
            except (OSError, asyncio.IncompleteReadError):
                return
            finally:
                _tell(Attempt(began, ok, time.monotonic() - started))
            await asyncio.sleep(max(0.0, started + every_s - time.monotonic()))

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)  # the port is chosen at connect: all of them for each address
            opened.bind((next(self._sources), 0))
            await asyncio.get_running_loop().sock_connect(opened, (self._load.address, self._load.port))
            return await asyncio.open_connection(sock=opened)
        except BaseException:
            opened.close()
            raise


def _tell(attempt: Attempt) -> None:
    try:
        os.write(1, msgspec.json.encode(attempt) + b"\n")
    except BrokenPipeError:
        os._exit(1)  # the drill is gone, and so is the reason to go on


def main(text: str) -> int:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(Client(msgspec.json.decode(text, type=Load)).run())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
