"""A mail server as far as a firewall can tell: banner, NOOP, QUIT, over TCP port 25; and a UDP port that swallows what it gets.

``python -m netwatch.lab.service PORT SINK_PORT``; prints ``ready`` when it listens.
"""

import asyncio
import resource
import signal
import socket
import sys

BANNER = b"220 mail.example ESMTP\r\n"
ANSWERS = {b"QUIT": b"221 2.0.0 Bye\r\n", b"NOOP": b"250 2.0.0 OK\r\n"}
UNKNOWN = b"502 5.5.1 Not implemented\r\n"
LONGEST_LINE = 512  # RFC 5321 section 4.5.3.1.4
BACKLOG = 16_384


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(BANNER)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        *lines, self._pending = (self._pending + data).split(b"\r\n")
        for line in lines:
            self._transport.write(ANSWERS.get(line[:4].upper(), UNKNOWN))
            if line[:4].upper() == b"QUIT":
                self._transport.close()
                return
        if len(self._pending) > LONGEST_LINE:
            self._transport.abort()


async def serve(port: int) -> None:
    """Until the process is ended."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    server = await loop.create_server(Session, ("0.0.0.0", "::"), port, backlog=BACKLOG)
    print("ready", flush=True)
    await ended.wait()
    server.close()


def main(port: int, sink_port: int) -> int:
    # Sessions whose peers vanished stay open here: that they cost a server little is why only the firewall falls over.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sink:
        sink.bind(("::", sink_port))  # nobody reads it: its buffer fills, and the kernel drops the rest without an answer
        asyncio.run(serve(port))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
