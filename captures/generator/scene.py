"""A scene: one capture in the making, seen at one tap on the firewall's outer side.

Sessions may begin before the capture and end after it, as in a real one: what lies outside is cut off when the file is written.
"""

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import NamedTuple

import numpy as np

from captures.generator.wire import Endpoint, Packet, pcap

START_S = 1_750_000_000
"""When every capture starts, seconds since the epoch."""

FIRST_EPHEMERAL_PORT, EPHEMERAL_PORTS = 32_768, 28_232  # Linux' ip_local_port_range


def endpoint(address: str, port: int) -> Endpoint:
    return Endpoint(ip_address(address).packed, port)


class Outage(NamedTuple):
    """A server that does not answer; one that restarts resets what it had open and refuses what is new."""

    server: Endpoint
    start_s: float
    end_s: float
    restart: bool


class Scene:
    """Packets in any order, the random numbers they are drawn from, and what is known of the whole."""

    def __init__(self, seed: int, *, length_s: float) -> None:
        self.rng = np.random.default_rng(seed)
        self.length_s = length_s
        self.outages: list[Outage] = []
        self._packets: list[Packet] = []
        self._hidden: list[Callable[[Packet], bool]] = []
        self._next_port: dict[bytes, int] = {}

    def add(self, packet: Packet) -> None:
        self._packets.append(packet)

    def hide(self, unseen: Callable[[Packet], bool]) -> None:
        """Packets that took another way: they are delivered, but this tap does not see them."""
        self._hidden.append(unseen)

    def outage(self, server: Endpoint, start_s: float, end_s: float, *, restart: bool = False) -> None:
        self.outages.append(Outage(server, start_s, end_s, restart))

    def outage_of(self, server: Endpoint, at_s: float) -> Outage | None:
        for outage in self.outages:
            if outage.server == server and outage.start_s <= at_s < outage.end_s:
                return outage
        return None

    def interruption(self, server: Endpoint, since_s: float, now_s: float) -> Outage | None:
        """What hits a session that was last heard at ``since_s``: a silence that lasts now, or any restart in between."""
        for outage in self.outages:
            if outage.server == server and outage.start_s <= now_s and since_s < outage.end_s and (outage.restart or now_s < outage.end_s):
                return outage
        return None

    def ephemeral_port(self, address: bytes) -> int:
        """The next source port of a host: a 5-tuple is not used twice within a capture."""
        port = self._next_port.get(address)
        if port is None:
            port = int(self.rng.integers(EPHEMERAL_PORTS))
        self._next_port[address] = (port + 1) % EPHEMERAL_PORTS
        return FIRST_EPHEMERAL_PORT + port

    def arrivals(self, per_s: float, start_s: float, end_s: float, *, growing_to: float | None = None) -> Iterator[float]:
        """Times of a Poisson process, whose rate may grow linearly; one that shrinks is not supported."""
        top = per_s if growing_to is None else growing_to
        at_s = start_s + self.rng.exponential(1 / top)
        while at_s < end_s:
            rate = per_s + (top - per_s) * (at_s - start_s) / (end_s - start_s)
            if self.rng.random() * top < rate:
                yield at_s
            at_s += self.rng.exponential(1 / top)

    def pcap(self) -> bytes:
        """The capture file, packets in the order of their time."""
        first_us, last_us = 0, round(self.length_s * 1e6)
        seen = [
            packet for packet in self._packets if first_us <= packet.at_us < last_us and not any(unseen(packet) for unseen in self._hidden)
        ]
        seen.sort(key=lambda packet: packet.at_us)
        return pcap(packet._replace(at_us=packet.at_us + START_S * 1_000_000) for packet in seen)
