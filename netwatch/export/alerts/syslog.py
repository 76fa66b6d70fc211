"""Syslog to a local socket or a remote collector.

Over TCP and TLS each message has its length before it (octet counting, RFC 6587 section 3.4.1 and RFC 5425), so that nothing in a message
can look like the end of one. Syslog has no receipts: what was written just before a connection broke may be lost, and nobody can know. A
connection that the collector has closed is seen before the next message is written, and that one goes over a new connection.
"""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any

from netwatch.errors import ConfigError
from netwatch.export.alerts.channel import Undelivered
from netwatch.export.alerts.record import test_record
from netwatch.export.alerts.settings import SyslogSettings
from netwatch.export.alerts.syslog_message import INFORMATIONAL, render, syslog_message
from netwatch.export.sink import SinkContext
from netwatch.model.event import Event

PORTS = {"udp": 514, "tcp": 514, "tls": 6514}
"""Of IANA; TCP has none of its own, and 514 is what collectors listen on."""


class Syslog:
    def __init__(self, settings: SyslogSettings, name: str, context: SinkContext, *, tls: Callable[[], ssl.SSLContext]) -> None:
        self.name = name
        self._settings = settings
        self._context = context
        self._hostname = socket.gethostname()
        self._host, self._port = ("", 0) if settings.transport == "unix" else _host_and_port(settings, name)
        self._tls = tls() if settings.transport == "tls" else None
        self._datagrams: socket.socket | None = None
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def deliver(self, item: Event) -> None:
        settings = self._settings
        message = syslog_message(
            item,
            self._context,
            facility=settings.facility,
            enterprise=settings.enterprise,
            hostname=self._hostname,
            process=os.getpid(),
        )
        await self._send(message)

    async def send_test(self, now_s: float) -> None:
        record = test_record(self._context, now_s)
        message = render(
            level=INFORMATIONAL,
            time_s=now_s,
            kind="test",
            fields={"site": self._context.site, "firewall": self._context.firewall},
            text=str(record["text"]),
            facility=self._settings.facility,
            enterprise=self._settings.enterprise,
            hostname=self._hostname,
            process=os.getpid(),
        )
        await self._send(message)

    async def close(self) -> None:
        if self._datagrams is not None:
            self._datagrams.close()
            self._datagrams = None
        if self._stream is not None:
            _, writer = self._stream
            self._stream = None
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()

    async def _send(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                if self._settings.transport in ("tcp", "tls"):
                    await self._send_counted(message)
                else:
                    await self._send_datagram(message)
        except TimeoutError as error:
            await self.close()
            raise Undelivered(
                "timeout", f"{self._settings.address} took nothing within {self._settings.timeout_s:g} s", again=True
            ) from error
        except OSError as error:
            await self.close()
            raise Undelivered("unreachable", f"{self._settings.address}: {error.strerror or error}", again=True) from error

    async def _send_counted(self, message: bytes) -> None:
        if self._stream is not None and self._stream[0].at_eof():
            await self.close()
        if self._stream is None:
            self._stream = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        reader, writer = self._stream
        await asyncio.sleep(0)  # lets the reader see that the collector has closed
        if reader.at_eof():
            await self.close()
            raise ConnectionResetError(104, "the collector closes the connection at once")
        writer.write(b"%d %b" % (len(message), message))
        await writer.drain()

    async def _send_datagram(self, message: bytes) -> None:
        loop = asyncio.get_running_loop()
        if self._datagrams is None:
            if self._settings.transport == "unix":
                self._datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                address: Any = self._settings.address
            else:
                family, kind, _, _, address = (await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM))[0]
                self._datagrams = socket.socket(family, kind)
            self._datagrams.setblocking(False)
            await loop.sock_connect(self._datagrams, address)
        await loop.sock_sendall(self._datagrams, message)


def _host_and_port(settings: SyslogSettings, name: str) -> tuple[str, int]:
    """``HOST``, ``HOST:PORT``, ``[IPv6]:PORT`` or a bare IPv6 address.

    Raises:
        ConfigError: it is none of these.
    """
    address = settings.address
    if address.startswith("/"):
        raise ConfigError(
            f"sink {name}: address '{address}' is a path, for transport = \"unix\"; {settings.transport} needs HOST or HOST:PORT"
        )
    host, colon, port = address.rpartition(":")
    bare = not colon or address.endswith("]") or (address.count(":") > 1 and not host.startswith("["))
    if bare:
        host, port = address, str(PORTS[settings.transport])
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535) or not host.strip("[]"):
        raise ConfigError(f"sink {name}: address '{address}' is not HOST, HOST:PORT or [IPv6]:PORT")
    return host.strip("[]"), int(port)
