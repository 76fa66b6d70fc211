"""The attack: frames at a pace or flat out, bounded in count and in time, in a process of its own in the attacker's namespace.

``python -m netwatch.lab.generator JSON`` with the fields of ``Attack``; on stdout a line with what was sent. It stops by itself.

Of an attack with full handshakes nothing is remembered: a SYN-ACK says all that its ACK must say. So are the server's first bytes
acknowledged, since a peer that vanished after them leaves an entry with the longest time-out there is (5 days); one that owes an ACK is
given 300 s. What comes back to these sources meets nobody else, so no RST tells the firewall.
"""

import select
import socket
import sys
import time
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.lab import frames as make
from netwatch.lab import plan
from netwatch.lab.frames import ACK, SYN, Sources, Target
from netwatch.lab.wire import BATCH, Frames, Messages, open_wire, receive, send

PACED_BATCH = 128
"""Frames in one go at a pace: few enough that a burst of them fits any queue on the way."""

RECEIVED_BYTES = 128
"""Of each frame that comes back: all headers, which say the length of the rest."""


class Kind(StrEnum):
    """What an attack sends."""

    SYN = "syn"
    ACK = "ack"
    UDP = "udp"
    HANDSHAKE = "handshake"


class Attack(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent, how fast and how much of it."""

    kind: Kind
    sources: str = plan.ATTACK_SOURCES
    per_s: float = 0.0  # packets, of handshakes SYNs; 0 is flat out
    count: int  # at most so many
    seconds: float  # at most so long
    address: str = plan.SERVER
    port: int = plan.SERVICE_PORT
    interface: str = plan.LINK
    linger_s: float = 0.5  # handshakes are still answered after the last SYN
    seed: int = 1
    start_at_s: float = 0.0  # since the epoch: made ready before, so that it begins on time


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What an attack did."""

    packets: int  # as counted against ``count``
    answers: int  # ACKs of handshakes
    seconds: float
    refused: int = 0  # frames that the kernel had no buffer for

    @property
    def per_s(self) -> float:
        return self.packets / self.seconds if self.seconds else 0.0


class Batch:
    """One array of frames that is filled anew for each call."""

    def __init__(self, attack: Attack, size: int) -> None:
        self._kind = attack.kind
        self._sources = Sources.of(attack.sources)
        self._random = np.random.default_rng(attack.seed)
        target = Target(attack.address, attack.port, plan.ATTACKER_MAC, plan.FIREWALL_MAC)
        match attack.kind:
            case Kind.SYN | Kind.HANDSHAKE:
                template = make.tcp_template(target, SYN)
            case Kind.ACK:
                template = make.tcp_template(target, ACK)
            case Kind.UDP:
                template = make.udp_template(target, bytes(24))
        self._protocol = socket.IPPROTO_UDP if attack.kind is Kind.UDP else socket.IPPROTO_TCP
        self.messages = Messages(make.rows(template, size))

    def refill(self) -> None:
        """New sources, ports and sequence numbers, so that each frame is a session of its own."""
        rows = self.messages.frames
        count = len(rows)
        make.put32(rows, make.IP_AT + 12, self._sources.draw(self._random, count))
        make.put16(rows, make.L4_AT, self._random.integers(1024, 65_535, count, dtype=np.uint16))
        if self._protocol == socket.IPPROTO_TCP:
            make.put32(rows, make.L4_AT + 4, self._random.integers(0, 1 << 32, count, dtype=np.uint32))
        if self._kind is Kind.ACK:
            make.put32(rows, make.L4_AT + 8, self._random.integers(0, 1 << 32, count, dtype=np.uint32))
        make.seal(rows, self._protocol)


class Answers:
    """The other half of handshakes whose peer does not exist."""

    def __init__(self, attack: Attack) -> None:
        target = Target(attack.address, attack.port, plan.ATTACKER_MAC, plan.FIREWALL_MAC)
        self._sources = Sources.of(attack.sources)
        self._received = Messages(np.zeros((BATCH, RECEIVED_BYTES), np.uint8))
        self._acks = Messages(make.rows(make.tcp_template(target, ACK), BATCH))

    def give(self, wire: socket.socket) -> int:
        """Acknowledge what came since; how many ACKs left."""
        given = 0
        while count := receive(wire, self._received):
            answered = self._answerable(self._received.frames[:count])
            given += self._acknowledge(wire, answered)
            if count < BATCH:
                break
        return given

    def _answerable(self, rows: Frames) -> Frames:
        """TCP to our sources that takes up sequence space: SYN-ACKs and data, not bare ACKs."""
        ours = make.get32(rows, make.IP_AT + 16) - np.uint32(self._sources.network) < np.uint32(self._sources.hosts)
        tcp = (rows[:, make.IP_AT] == 0x45) & (rows[:, make.IP_AT + 9] == socket.IPPROTO_TCP)
        answerable: Frames = rows[ours & tcp & (rows[:, make.L4_AT + 13] & make.RST == 0) & (_occupied(rows) > 0)]
        return answerable

    def _acknowledge(self, wire: socket.socket, heard: Frames) -> int:
        count = len(heard)
        if count == 0:
            return 0
        rows = self._acks.frames[:count]
        rows[:, make.IP_AT + 12 : make.IP_AT + 16] = heard[:, make.IP_AT + 16 : make.IP_AT + 20]
        rows[:, make.L4_AT : make.L4_AT + 2] = heard[:, make.L4_AT + 2 : make.L4_AT + 4]
        rows[:, make.L4_AT + 4 : make.L4_AT + 8] = heard[:, make.L4_AT + 8 : make.L4_AT + 12]
        make.put32(rows, make.L4_AT + 8, make.get32(heard, make.L4_AT + 4) + _occupied(heard))
        make.seal(rows, socket.IPPROTO_TCP)
        return send(wire, self._acks, count)


def _occupied(rows: Frames) -> NDArray[np.uint32]:
    """Sequence numbers that each segment takes: its bytes, and one for SYN and for FIN."""
    flags = rows[:, make.L4_AT + 13]
    data_offset = (rows[:, make.L4_AT + 12] >> 4).astype(np.uint32) * 4
    payload = make.get16(rows, make.IP_AT + 2).astype(np.uint32) - np.uint32(make.IPV4) - data_offset
    occupied: NDArray[np.uint32] = payload + (flags & SYN != 0) + (flags & make.FIN != 0)
    return occupied


def run(attack: Attack) -> Sent:
    """Send until the count or the time is reached."""
    size = min(PACED_BATCH if attack.per_s else BATCH, attack.count)
    batch = Batch(attack, size)
    answers = Answers(attack) if attack.kind is Kind.HANDSHAKE else None
    sent = answered = refused = 0
    with open_wire(attack.interface, receive=answers is not None) as wire:
        time.sleep(max(0.0, attack.start_at_s - time.time()))
        began = time.monotonic()
        while sent < attack.count and (elapsed := time.monotonic() - began) < attack.seconds:
            due = min(attack.count, int(elapsed * attack.per_s) + 1 if attack.per_s else attack.count) - sent
            if due > 0:
                batch.refill()
                wanted = min(due, size)
                taken = send(wire, batch.messages, wanted)
                sent += taken
                refused += wanted - taken
            elif answers is None:
                time.sleep(min(0.001, 1 / attack.per_s))
            if answers is not None:
                select.select([wire], [], [], 0.0 if due > 0 else 0.0005)
                answered += answers.give(wire)
        ended = time.monotonic()
        while answers is not None and time.monotonic() < ended + attack.linger_s:
            select.select([wire], [], [], 0.01)
            answered += answers.give(wire)
    return Sent(packets=sent, answers=answered, refused=refused, seconds=ended - began)


def main(text: str) -> int:
    print(msgspec.json.encode(run(msgspec.json.decode(text, type=Attack))).decode(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
