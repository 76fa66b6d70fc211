"""netlink as we speak it: messages put together from attributes, and a socket that asks one thing at a time.

A reply is read on the socket that asked, so a socket serves one thread. Receiving has a time limit: a kernel that does not answer must not
stop netwatch. Numbers: include/uapi/linux/netlink.h and netfilter/nfnetlink.h.
"""

import errno
import os
import select
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple, Self

from netwatch.errors import FirewallRefusedError, FirewallUnreachableError
from netwatch.kernel.namespace import entered

NETLINK_NETFILTER = 12
SOL_NETLINK, NETLINK_CAP_ACK = 270, 10
SO_RCVBUFFORCE = 33
REQUEST, ACK, CREATE, EXCLUSIVE, DUMP = 0x001, 0x004, 0x400, 0x200, 0x300
NESTED = 0x8000
ERROR, DONE = 2, 3
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
GENERIC = struct.Struct(">BBH")  # struct nfgenmsg: family, version, and a number that is in network byte order

CHUNK = 65_536
"""Room for one reply: the kernel hands out at most 32 kB at a time, whatever is offered."""

ANSWER_WITHIN_S = 5.0


class Answer(NamedTuple):
    """One message of an answer."""

    number: int  # nfgenmsg's; which processor, for example
    attributes: dict[int, bytes]


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(attributes))


def message(kind: int, flags: int, family: int, body: bytes = b"") -> bytes:
    """One request to a subsystem of netfilter; ``kind`` is the subsystem's number times 256 and the message's."""
    return HEADER.pack(HEADER.size + GENERIC.size + len(body), kind, flags | REQUEST, 0, 0) + GENERIC.pack(family, 0, 0) + body


def messages(block: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and value of each message of a reply."""
    at = 0
    while len(block) - at >= HEADER.size:
        length, kind, _, sequence, _ = HEADER.unpack_from(block, at)
        if length < HEADER.size or length > len(block) - at:
            return
        yield kind, sequence, block[at + HEADER.size : at + length]
        at += length + -length % 4


def attributes(body: bytes) -> dict[int, bytes]:
    """Values of a chain of attributes by type."""
    found, at = {}, 0
    while len(body) - at >= 4:
        length, kind = struct.unpack_from("=HH", body, at)
        if length < 4 or length > len(body) - at:
            break
        found[kind & 0x3FFF] = body[at + 4 : at + length]
        at += length + -length % 4
    return found


def error_number(value: bytes) -> int:
    """``errno`` in the value of an ERROR or DONE message; 0 is success."""
    return -int(struct.unpack_from("=i", value)[0]) if len(value) >= 4 else 0


class KernelRefusalError(FirewallRefusedError):
    """The kernel answered a question with an error; ``number`` is its ``errno``."""

    def __init__(self, number: int) -> None:
        super().__init__(f"the kernel refused: {os.strerror(number)}")
        self.number = number


class Netlink:
    """A socket to netfilter in one network namespace."""

    def __init__(self, namespace: str | None, *, unread_bytes: int | None = None) -> None:
        """Open it.

        Args:
            namespace: by name; None is the calling thread's.
            unread_bytes: of replies that the kernel is to keep, also above net.core.rmem_max; None is the system's default.

        Raises:
            FirewallUnreachableError: there is no such namespace, no netfilter in this kernel, or no permission for that buffer.
        """
        try:
            with entered(namespace):
                self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        except OSError as error:
            raise FirewallUnreachableError(f"netfilter's netlink socket: {error.strerror}") from error
        self._sequence = 0
        self._socket.settimeout(ANSWER_WITHIN_S)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        if unread_bytes is None:
            return
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, unread_bytes)
        except PermissionError as error:
            self._socket.close()
            raise FirewallUnreachableError("netfilter: CAP_NET_ADMIN is needed") from error

    def send(self, data: bytes | memoryview) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            raise FirewallUnreachableError(f"netfilter: {error.strerror}") from error

    def receive_into(self, room: memoryview) -> int:
        """Bytes of the next block of a reply, written into ``room``."""
        try:
            return self._socket.recv_into(room)
        except OSError as error:
            raise FirewallUnreachableError(f"netfilter: {error.strerror or 'no answer'}") from error

    def waits(self) -> bool:
        """Whether a block of a reply is there already: the kernel writes the next one of a dump when one is taken."""
        return bool(self._poll.poll(0))

    def receive(self) -> bytes:
        room = bytearray(CHUNK)
        return bytes(room[: self.receive_into(memoryview(room))])

    def ask(self, request: bytes) -> Iterator[Answer]:
        """Each message of the answer, until it is complete.

        Raises:
            KernelRefusalError: the kernel said no, by a number.
            FirewallUnreachableError: no answer, or no permission.
        """
        length, asked, flags, _, port = HEADER.unpack_from(request)
        dump = flags & DUMP == DUMP
        self._sequence += 1
        self.send(HEADER.pack(length, asked, flags, self._sequence, port) + request[HEADER.size :])
        while True:
            for kind, sequence, value in messages(self.receive()):
                if sequence != self._sequence:
                    continue  # of a question that was given up
                if kind in (ERROR, DONE):
                    match error_number(value):
                        case 0:
                            return
                        case errno.EPERM:
                            raise FirewallUnreachableError("netfilter: Operation not permitted; CAP_NET_ADMIN is needed")
                        case number:
                            raise KernelRefusalError(number)
                yield Answer(GENERIC.unpack_from(value)[2], attributes(value[GENERIC.size :]))
                if not dump:
                    return

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
