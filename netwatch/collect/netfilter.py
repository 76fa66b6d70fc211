"""What netfilter can be asked over netlink, in one network namespace. Nothing here changes anything.

Receiving has a time limit, and answers to an earlier question, one that was given up, are passed over.
Numbers: include/uapi/linux/netlink.h and netfilter/nfnetlink.h.
"""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple, Self

from netwatch.collect.namespace import entered
from netwatch.errors import FirewallUnreachableError

NETLINK_NETFILTER = 12
REQUEST, DUMP = 0x001, 0x300
ERROR, DONE = 2, 3
HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
GENERIC = struct.Struct(">BBH")  # struct nfgenmsg: family, version, and a number that is in network byte order
ATTRIBUTE = struct.Struct("=HH")
TYPE_MASK = 0x3FFF

ANSWER_WITHIN_S = 5.0
ROOM = 65_536
"""For one datagram: the kernel hands out at most 32 kB at a time, whatever is offered."""


class Answer(NamedTuple):
    """One message of an answer."""

    number: int  # nfgenmsg's; which processor, for example
    attributes: dict[int, bytes]


def attribute(kind: int, value: bytes) -> bytes:
    return ATTRIBUTE.pack(len(value) + ATTRIBUTE.size, kind) + value + bytes(-len(value) % 4)


def attributes(chain: bytes) -> dict[int, bytes]:
    """Values of a chain of attributes by type; the last of a type counts."""
    found, at = {}, 0
    while len(chain) - at >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(chain, at)
        if length < ATTRIBUTE.size or length > len(chain) - at:
            break
        found[kind & TYPE_MASK] = chain[at + ATTRIBUTE.size : at + length]
        at += length + -length % 4
    return found


class Netfilter:
    """A socket that asks one thing at a time; for one thread."""

    def __init__(self, namespace: str | None = None) -> None:
        """Open it.

        Raises:
            FirewallUnreachableError: there is no such namespace, or no netfilter in this kernel.
        """
        try:
            with entered(namespace):
                self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        except OSError as error:
            raise FirewallUnreachableError(f"netfilter cannot be asked: {error.strerror}") from error
        self._socket.settimeout(ANSWER_WITHIN_S)
        self._sequence = 0

    def send(self, kind: int, *, family: int = 0, body: bytes = b"", dump: bool = False) -> None:
        """Put a question; ``kind`` is the subsystem's number times 256 and the message's."""
        self._sequence += 1
        flags = REQUEST | DUMP if dump else REQUEST
        length = HEADER.size + GENERIC.size + len(body)
        try:
            self._socket.send(HEADER.pack(length, kind, flags, self._sequence, 0) + GENERIC.pack(family, 0, 0) + body)
        except OSError as error:
            raise FirewallUnreachableError(f"netfilter cannot be asked: {error.strerror}") from error

    def receive_into(self, room: memoryview) -> int:
        """Write the next datagram of the answer into ``room``; return its bytes."""
        try:
            return self._socket.recv_into(room)
        except OSError as error:
            raise FirewallUnreachableError(f"netfilter does not answer: {error.strerror or 'timed out'}") from error

    def ask(self, kind: int, *, family: int = 0, body: bytes = b"", dump: bool = False) -> list[Answer]:
        """Put a question and return the whole answer.

        Raises:
            OSError: the kernel refused; ``errno`` says why.
            FirewallUnreachableError: no answer.
        """
        self.send(kind, family=family, body=body, dump=dump)
        answers = []
        for answer_kind, value in self._messages():
            if answer_kind in (ERROR, DONE):
                if number := -int.from_bytes(value[:4], sys.byteorder, signed=True):
                    raise OSError(number, os.strerror(number))
                break
            answers.append(Answer(GENERIC.unpack_from(value)[2], attributes(value[GENERIC.size :])))
            if not dump:
                break
        return answers

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        """Type and value of each message that answers the last question, as long as somebody wants more."""
        room = bytearray(ROOM)
        while True:
            block, at = bytes(room[: self.receive_into(memoryview(room))]), 0
            while len(block) - at >= HEADER.size:
                length, kind, _, sequence, _ = HEADER.unpack_from(block, at)
                if length < HEADER.size:
                    break
                if sequence == self._sequence:
                    yield kind, block[at + HEADER.size : at + length]
                at += length + -length % 4

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
