"""The canary: uses a service as a client would, again and again, so that harm is seen although nobody complains yet.

It is the only evidence of health that does not depend on other people's traffic, and the judge of every mitigation, before a change and
after it. So it goes the way that clients go, through the firewall: from a namespace, from an address, or by a command on another machine
(``ssh probe-host nc -z {address} {port}``), whatever the user has on the other side.

An attempt begins each ``interval_s``, whether the one before has ended or not: one that waits for its time-out must not make netwatch blind
meanwhile. Each ends after ``timeout_s`` at the latest, so ``timeout_s / interval_s`` of them are under way at most; where a farewell or a
busy machine makes them more, attempts are left out and counted.
"""

import asyncio
import errno
import math
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Literal

import msgspec

from netwatch.collect import smtp
from netwatch.errors import ConfigError, NetwatchError
from netwatch.kernel.namespace import entered
from netwatch.model.canary import CanaryOutcome, CanaryResult
from netwatch.model.service import Service

SMTP_PORTS = (25, 587)
CANNOT_SEND = (errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EPERM, errno.EACCES, errno.EMFILE, errno.ENFILE)
"""Of our own side: no such address, no port left, forbidden by the machine's own rules, too many open files."""

Verdict = tuple[CanaryOutcome, str]
"""How an attempt ended, and what was said."""


class CanarySettings(msgspec.Struct, frozen=True, kw_only=True):
    """One canary."""

    service: Service
    address: str | None = None  # of the service to connect to, where that is a prefix
    interval_s: float = 1.0
    timeout_s: float = 3.0  # a lost SYN is repeated after 1 s, and then 2 s later
    speaks: Literal["tcp", "smtp"] | None = None  # default: smtp on ports 25 and 587
    hello: str | None = None  # name to say EHLO with; default: QUIT right after the greeting
    namespace: str | None = None
    source: str | None = None  # address to connect from
    command: tuple[str, ...] = ()  # instead of a connection of our own: {address} and {port} are put in, exit code 0 is an answer


class Canary:
    """Attempts at one service, told to the caller as they end."""

    def __init__(self, settings: CanarySettings, tell: Callable[[CanaryResult], None]) -> None:
        """Check the settings; nothing is sent before ``run``.

        Raises:
            ConfigError: there is no single address to connect to, or no way to speak the service's protocol.
        """
        service = settings.service
        if not (settings.interval_s > 0 and settings.timeout_s > 0):
            raise ConfigError(f"canary of {service.label}: interval_s and timeout_s must be > 0")
        self._settings = settings
        self._tell = tell
        self._address = _single_address(settings)
        self._speaks_smtp = settings.speaks == "smtp" or (settings.speaks is None and service.port in SMTP_PORTS)
        self._most = max(1, math.ceil(settings.timeout_s / settings.interval_s))
        self._under_way = 0
        self.left_out = 0  # attempts whose turn came while too many were under way
        if service.protocol != "tcp" and not settings.command:
            raise ConfigError(f"canary of {service.label}: only tcp can be connected to; give a command that speaks {service.protocol}")
        if settings.command and (settings.namespace or settings.source):
            raise ConfigError(f"canary of {service.label}: a command chooses itself where it sends from; leave out namespace and source")

    async def run(self) -> None:
        """Attempt until cancelled; whatever is under way then ends too."""
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        async with asyncio.TaskGroup() as attempts:
            while True:
                if self._under_way < self._most:
                    self._under_way += 1
                    attempts.create_task(self._attempt())
                else:
                    self.left_out += 1
                # After a pause of the machine there is one attempt, not one for each that was missed.
                due_s = max(due_s + self._settings.interval_s, loop.time())
                await asyncio.sleep(due_s - loop.time())

    async def _attempt(self) -> None:
        at_s, began_s = time.time(), time.monotonic()
        try:
            if self._settings.command:
                self._report(at_s, began_s, await self._command())
            else:
                await self._connection(at_s, began_s)
        finally:
            self._under_way -= 1

    def _report(self, at_s: float, began_s: float, verdict: Verdict) -> None:
        outcome, detail = verdict
        latency_s = time.monotonic() - began_s
        self._tell(CanaryResult(service=self._settings.service.label, at_s=at_s, outcome=outcome, latency_s=latency_s, detail=detail))

    async def _connection(self, at_s: float, began_s: float) -> None:
        deadline_s = asyncio.get_running_loop().time() + self._settings.timeout_s
        try:
            opened = self._open()
        except NetwatchError as error:
            self._report(at_s, began_s, (CanaryOutcome.NO_SOURCE, str(error)))
            return
        with opened:
            verdict = await self._connect(opened, deadline_s)
            if verdict[0] is CanaryOutcome.ANSWERED and self._speaks_smtp:
                verdict = await smtp.greet(opened, deadline_s=deadline_s, hello=self._settings.hello)
                self._report(at_s, began_s, verdict)
                if verdict[0] in (CanaryOutcome.ANSWERED, CanaryOutcome.TURNED_AWAY):
                    await smtp.part(opened)
            else:
                self._report(at_s, began_s, verdict)

    def _open(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        with entered(self._settings.namespace):
            opened = socket.socket(family, socket.SOCK_STREAM)
        opened.setblocking(False)
        return opened

    async def _connect(self, opened: socket.socket, deadline_s: float) -> Verdict:
        try:
            if self._settings.source is not None:
                opened.bind((self._settings.source, 0))
            async with asyncio.timeout_at(deadline_s):
                await asyncio.get_running_loop().sock_connect(opened, (self._address, self._settings.service.port))
        except TimeoutError:
            return CanaryOutcome.FILTERED, ""
        except OSError as error:
            return _why_not_connected(error), os.strerror(error.errno) if error.errno else str(error)  # asyncio puts the address there
        return CanaryOutcome.ANSWERED, ""

    async def _command(self) -> Verdict:
        port = str(self._settings.service.port)
        words = [word.replace("{address}", self._address).replace("{port}", port) for word in self._settings.command]
        nothing = asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(*words, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
        except OSError as error:
            return CanaryOutcome.NO_SOURCE, f"{words[0]}: {error.strerror}"
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                code = await process.wait()
        except TimeoutError:
            return CanaryOutcome.FILTERED, ""
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return (CanaryOutcome.ANSWERED, "") if code == 0 else (CanaryOutcome.COMMAND_FAILED, f"exit code {code}")


def _single_address(settings: CanarySettings) -> str:
    label, given = settings.service.label, settings.address or settings.service.address
    try:
        network = ip_network(given, strict=False)
        source = ip_address(settings.source) if settings.source is not None else None
    except ValueError as error:
        raise ConfigError(f"canary of {label}: {error}") from error
    if network.num_addresses != 1:
        raise ConfigError(f"canary of {label}: {given} is a prefix; give the address to connect to")
    if source is not None and source.version != network.version:
        raise ConfigError(f"canary of {label}: source {source} and address {given} are not of the same family")
    return str(network.network_address)


def _why_not_connected(error: OSError) -> CanaryOutcome:
    match error.errno:
        case errno.ECONNREFUSED:
            return CanaryOutcome.REFUSED
        case errno.ECONNRESET:
            return CanaryOutcome.RESET
        case number if number in CANNOT_SEND:
            return CanaryOutcome.NO_SOURCE
        case _:
            return CanaryOutcome.UNREACHABLE
