"""Attack frames, made by the column: a template a row, then random sources, ports and numbers, then both checksums over all rows at once.

The checksums must be right: conntrack counts a packet with a wrong one as invalid and gives it no entry, and the drill would attack
nothing.
"""

import socket
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netwatch.lab.wire import Frames

ETHERNET, IPV4, TCP, UDP = 14, 20, 20, 8
IP_AT, L4_AT = ETHERNET, ETHERNET + IPV4
FIN, SYN, RST, ACK = 1, 2, 4, 16
MSS_OPTION = bytes((2, 4, 5, 180))  # 1460


@dataclass(frozen=True)
class Sources:
    """A prefix that packets claim to come from; hosts are drawn from all of it."""

    network: int
    hosts: int

    @staticmethod
    def of(prefix: str) -> "Sources":
        address, _, length = prefix.partition("/")
        return Sources(int.from_bytes(socket.inet_aton(address), "big"), 1 << (32 - int(length)))

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.uint32]:
        return (self.network + random.integers(0, self.hosts, count)).astype(np.uint32)


@dataclass(frozen=True)
class Target:
    """Where frames go: a service, over the MAC address of the next hop."""

    address: str
    port: int
    source_mac: str
    target_mac: str

    def ethernet(self) -> bytes:
        return bytes.fromhex((self.target_mac + self.source_mac).replace(":", "")) + b"\x08\x00"


def tcp_template(target: Target, flags: int) -> bytes:
    options = MSS_OPTION if flags == SYN else b""
    tcp = struct.pack("!HHIIBBHHH", 0, target.port, 0, 0, (TCP + len(options)) // 4 << 4, flags, 64_240, 0, 0) + options
    return target.ethernet() + _ipv4(target, socket.IPPROTO_TCP, len(tcp)) + tcp


def udp_template(target: Target, payload: bytes) -> bytes:
    udp = struct.pack("!HHHH", 0, target.port, UDP + len(payload), 0) + payload
    return target.ethernet() + _ipv4(target, socket.IPPROTO_UDP, len(udp)) + udp


def _ipv4(target: Target, protocol: int, length: int) -> bytes:
    return struct.pack("!BBHHHBBH4s4s", 0x45, 0, IPV4 + length, 0, 0x4000, 64, protocol, 0, bytes(4), socket.inet_aton(target.address))


def rows(template: bytes, count: int) -> Frames:
    """Rows of even length: a checksum is a sum of 16-bit words."""
    assert len(template) % 2 == 0
    return np.tile(np.frombuffer(template, np.uint8), (count, 1))


def put32(frames: Frames, at: int, values: NDArray[np.uint32]) -> None:
    frames[:, at : at + 4] = values.astype(">u4").view(np.uint8).reshape(-1, 4)


def put16(frames: Frames, at: int, values: NDArray[np.uint16]) -> None:
    frames[:, at : at + 2] = values.astype(">u2").view(np.uint8).reshape(-1, 2)


def get32(frames: Frames, at: int) -> NDArray[np.uint32]:
    return np.ascontiguousarray(frames[:, at : at + 4]).view(">u4").reshape(-1).astype(np.uint32)


def get16(frames: Frames, at: int) -> NDArray[np.uint16]:
    return np.ascontiguousarray(frames[:, at : at + 2]).view(">u2").reshape(-1).astype(np.uint16)


def seal(frames: Frames, protocol: int) -> None:
    """Fill in the checksums of the IP header and of TCP or UDP (RFC 1071: the complement of the ones' complement sum)."""
    at = L4_AT + (16 if protocol == socket.IPPROTO_TCP else 6)
    frames[:, IP_AT + 10 : IP_AT + 12] = 0
    frames[:, at : at + 2] = 0
    words = np.ascontiguousarray(frames[:, IP_AT:]).view(">u2").astype(np.uint32)
    header, rest = words[:, : IPV4 // 2], words[:, IPV4 // 2 :]
    put16(frames, IP_AT + 10, _complement(header.sum(axis=1, dtype=np.uint32)))
    pseudo = header[:, 6:10].sum(axis=1, dtype=np.uint32) + np.uint32(protocol + frames.shape[1] - L4_AT)
    put16(frames, at, _complement(rest.sum(axis=1, dtype=np.uint32) + pseudo))


def _complement(sums: NDArray[np.uint32]) -> NDArray[np.uint16]:
    folded = (sums & 0xFFFF) + (sums >> 16)
    folded = (folded & 0xFFFF) + (folded >> 16)
    return (folded ^ 0xFFFF).astype(np.uint16)
