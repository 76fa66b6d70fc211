"""The control socket of a running netwatch: how people on its machine approve, decline, undo and ask how it does.

A unix socket beside the lock, mode 0600. One request a connection, one line of JSON each way. Who asks is not taken from the request: the
kernel vouches for the user at the other end (``SO_PEERCRED``), and nobody but root and netwatch's own user is answered. Whatever a client
does, it holds nothing up: lines, clients and time are bounded.

A unix socket's address has room for 107 bytes, and a ``state_dir`` may be longer, so both ends reach it through their open folder.
"""

import asyncio
import os
import socket
import stat
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import cast
from urllib.parse import quote

import msgspec

from netwatch.daemon.status import Status
from netwatch.errors import ControlError, NetwatchError

LONGEST_LINE = 4096
MOST_CLIENTS = 8
REQUEST_WITHIN_S = 5.0
REPLY_WITHIN_S = 10.0
LONGEST_PERSON = 64
CREDENTIALS = struct.Struct("=iII")  # struct ucred: process, user, group


class Wish(StrEnum):
    APPROVE = "approve"
    DECLINE = "decline"
    UNDO = "undo"
    STATUS = "status"


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    wish: Wish
    plan_id: str | None = None  # UNDO without it: all that is in force
    by: str = ""  # ``user@tty`` as the client says; the handler is given ``user@tty/uid``, with the uid that the kernel says


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    ok: bool
    text: str  # one sentence for the person
    status: Status | None = None


Handle = Callable[[Request], Awaitable[Reply]]


def control_path(state_dir: Path, firewall: str) -> Path:
    """Where the socket of a firewall's netwatch lies, beside its lock and its journal."""
    return state_dir / f"{quote(firewall, safe=' ')}.control"


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """An address of the socket that is short enough, for as long as the block lasts.

    Raises:
        OSError: the folder cannot be opened.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class ControlServer:
    """Serves one socket. Start it while the lock is held: a file that is there already is nobody's then, and is replaced."""

    def __init__(self, path: Path, handle: Handle) -> None:
        self.path = path
        self.answered = 0
        self.refused: Counter[str] = Counter()  # by reason
        self._handle = handle
        self._clients: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until cancelled; the file is gone afterwards.

        Raises:
            ControlError: the socket cannot be made.
        """
        try:
            opened = self._open()
        except OSError as error:
            raise ControlError(f"{self.path}: the control socket cannot be made: {error.strerror or error}") from error
        made = self.path.stat().st_ino
        try:
            server = await asyncio.start_unix_server(self._serve, sock=opened, limit=LONGEST_LINE)
            async with server:
                await server.serve_forever()
        finally:
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)
            await asyncio.sleep(0)  # their connections close in the loop's next round
            opened.close()
            with suppress(OSError):
                if self.path.stat().st_ino == made:
                    self.path.unlink()

    def _open(self) -> socket.socket:
        if self.path.exists() and not stat.S_ISSOCK(self.path.lstat().st_mode):
            raise ControlError(f"{self.path}: is no socket, and netwatch wants to be spoken to there: move it away")
        self.path.unlink(missing_ok=True)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            os.fchmod(opened.fileno(), 0o600)  # before it has a name: there is no moment in which others may connect
            with reachable(self.path) as address:
                opened.bind(address)
        except BaseException:
            opened.close()
            raise
        return opened

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served = cast("asyncio.Task[None]", asyncio.current_task())
        self._clients.add(served)
        try:
            reply = await self._reply(reader, writer.get_extra_info("socket"))
            if reply is not None:
                writer.write(msgspec.json.encode(reply) + b"\n")
                async with asyncio.timeout(REQUEST_WITHIN_S):
                    await writer.drain()
        except (OSError, TimeoutError):
            self.refused["gone"] += 1
        finally:
            self._clients.discard(served)
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader, connection: socket.socket) -> Reply | None:
        """What to say; None to a client that went away or said nothing."""
        _, uid, _ = CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size))
        if uid not in (0, os.geteuid()):
            return self._refuse("permission", "only root and netwatch's own user may speak to it")
        if len(self._clients) > MOST_CLIENTS:
            return self._refuse("busy", f"{MOST_CLIENTS} others are speaking to netwatch: try again")
        try:
            async with asyncio.timeout(REQUEST_WITHIN_S):
                line = await reader.readuntil(b"\n")
            request = msgspec.json.decode(line, type=Request)
        except (asyncio.IncompleteReadError, TimeoutError):
            self.refused["silent"] += 1
            return None
        except asyncio.LimitOverrunError:
            return self._refuse("too long", f"a request has at most {LONGEST_LINE} bytes")
        except msgspec.MsgspecError as error:
            return self._refuse("malformed", f"not a request that this netwatch knows: {error}")
        try:
            async with asyncio.timeout(REPLY_WITHIN_S):
                reply = await self._handle(msgspec.structs.replace(request, by=_person(request.by, uid)))
        except TimeoutError:
            return self._refuse("late", f"netwatch did not get to it within {REPLY_WITHIN_S:g} s; it may still do it: see its log")
        except NetwatchError as error:
            return self._refuse("failed", str(error))
        self.answered += 1
        return reply

    def _refuse(self, reason: str, text: str) -> Reply:
        self.refused[reason] += 1
        return Reply(ok=False, text=text)


def _person(said: str, uid: int) -> str:
    """Whoever it is, in a form that belongs into a journal: no control characters, and not endless."""
    return f"{''.join(filter(str.isprintable, said))[:LONGEST_PERSON] or 'somebody'}/{uid}"
