"""The other end of the control socket: one question to a running netwatch."""

import errno
import os
import pwd
import socket
from contextlib import suppress
from pathlib import Path

import msgspec

from netwatch.daemon.control import REPLY_WITHIN_S, Reply, Request, reachable
from netwatch.errors import ControlError, NotRunningError

PATIENCE_S = REPLY_WITHIN_S + 2.0
LONGEST_REPLY = 4 << 20


def ask(path: Path, request: Request, *, timeout_s: float = PATIENCE_S) -> Reply:
    """Put a request to the netwatch behind a socket.

    Raises:
        NotRunningError: there is none.
        ControlError: it does not answer, or this user may not ask it.
    """
    try:
        with reachable(path) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as asking:
            asking.settimeout(timeout_s)
            asking.connect(address)
            with suppress(BrokenPipeError):  # who is refused at the door is told before he has spoken
                asking.sendall(msgspec.json.encode(request) + b"\n")
            line = _line(asking)
    except TimeoutError as error:
        advice = "see its log, or stop it and `netwatch undo --all`"
        raise ControlError(f"{path}: netwatch runs and did not answer within {timeout_s:g} s: {advice}") from error
    except PermissionError as error:
        raise ControlError(f"{path}: this user may not speak to netwatch: be root (sudo) or the user that it runs as") from error
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
            raise NotRunningError(f"no netwatch runs here (nobody listens at {path}): start one with `netwatch run --config F`") from error
        raise ControlError(f"{path}: netwatch cannot be asked: {error.strerror or error}") from error
    if not line:
        raise ControlError(f"{path}: netwatch closed the connection without an answer; see its log")
    try:
        return msgspec.json.decode(line, type=Reply)
    except msgspec.MsgspecError as error:
        raise ControlError(f"{path}: netwatch's answer is none that this version understands: {error}") from error


def _line(asking: socket.socket) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n") and len(received) < LONGEST_REPLY:
        part = asking.recv(65_536)
        if not part:
            break
        received += part
    return bytes(received)


def person() -> str:
    """Who is at this terminal, as ``user@tty``; behind sudo the user who called it."""
    user = os.environ.get("SUDO_USER") or _account()
    for descriptor in (0, 1, 2):
        try:
            return f"{user}@{os.ttyname(descriptor).removeprefix('/dev/')}"
        except OSError:
            continue
    return user


def _account() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user without a name
        return str(os.getuid())
