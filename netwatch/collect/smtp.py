"""As much of SMTP as a canary needs: read the greeting, say hello if asked to, and leave politely (RFC 5321).

Who only connects and hangs up fills a server's log with "lost connection" and is taken for a scanner.
"""

import asyncio
import socket
from contextlib import suppress

from netwatch.model.canary import CanaryOutcome

LONGEST_REPLY = 65_536
"""Bytes; a line has at most 512 (section 4.5.3.1.5), a greeting seldom more than one."""

READY, OK = b"220", b"250"
FAREWELL_WITHIN_S = 1.0

Verdict = tuple[CanaryOutcome, str]


async def greet(opened: socket.socket, *, deadline_s: float, hello: str | None) -> Verdict:
    """Wait for the greeting, and for the answer to EHLO if there is a name to say."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(deadline_s):
            reply = await _reply(opened)
            if reply is not None and reply.startswith(READY) and hello is not None:
                await loop.sock_sendall(opened, f"EHLO {hello}\r\n".encode())
                reply = await _reply(opened)
    except TimeoutError:
        return CanaryOutcome.SILENT, ""
    except OSError as error:
        return CanaryOutcome.RESET, error.strerror or str(error)
    if reply is None:
        return CanaryOutcome.CLOSED, ""
    said = reply.decode("ascii", "replace").strip()
    return (CanaryOutcome.ANSWERED if reply.startswith((READY, OK)) else CanaryOutcome.TURNED_AWAY), said


async def part(opened: socket.socket) -> None:
    """Say QUIT and let the server close: who closes first is left with the port in TIME_WAIT, and a canary needs one each second."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(FAREWELL_WITHIN_S):
            await asyncio.get_running_loop().sock_sendall(opened, b"QUIT\r\n")
            while await _reply(opened) is not None:
                continue


async def _reply(opened: socket.socket) -> bytes | None:
    """The last line of the next reply, the one whose code no hyphen follows; ``None`` if the server closes before."""
    loop, read = asyncio.get_running_loop(), b""
    while len(read) < LONGEST_REPLY:
        got = await loop.sock_recv(opened, 4096)
        if not got:
            return None
        read += got
        *lines, _ = read.split(b"\n")
        for line in lines:
            if line[3:4] != b"-":
                return line
    return read[:LONGEST_REPLY]
