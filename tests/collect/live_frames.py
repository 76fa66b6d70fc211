"""Numbered frames for a real link, and what a live capture has seen of them."""

import struct
import time
from typing import NamedTuple

import numpy as np

from netwatch.collect.live import LiveCapture
from tests.collect.namespaces import CLIENT_MAC, SERVER_MAC

PATIENCE_S = 5.0
QUIET_S = 0.1
HEADERS = 42
"""Bytes of Ethernet, IPv4 and UDP."""


def ipv4(number: int, *, payload: int = 40, source: str = "10.0.0.1", target: str = "10.0.0.2") -> bytes:
    """A UDP packet whose source port is its number."""
    addresses = bytes(int(part) for address in (source, target) for part in address.split("."))
    header = struct.pack(">BBHHHBBH", 0x45, 0, 28 + payload, 0, 0, 64, 17, 0) + addresses
    words = struct.unpack(">10H", header)
    total = sum(words)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    udp = struct.pack(">HHHH", number, 53, 8 + payload, 0)
    return header[:10] + struct.pack(">H", checksum) + header[12:] + udp + bytes(payload)


def frame(
    number: int,
    *,
    tags: tuple[int, ...] = (),
    sender: str = CLIENT_MAC,
    receiver: str = SERVER_MAC,
    payload: int = 40,
    target: str = "10.0.0.2",
) -> bytes:
    """An Ethernet frame around it, with VLAN tags if any."""
    addresses = bytes.fromhex((receiver + sender).replace(":", ""))
    tagged = b"".join(struct.pack(">HH", 0x8100, tag) for tag in tags)
    return addresses + tagged + b"\x08\x00" + ipv4(number, payload=payload, target=target)


class Seen(NamedTuple):
    """One captured frame: its row and its bytes."""

    row: np.void
    data: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.data[HEADERS - 8 : HEADERS - 6], "big")


def gather(capture: LiveCapture, enough: int) -> list[Seen]:
    """Frames until there are enough, and whatever comes within the next moment."""
    seen: list[Seen] = []
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        for block in capture.blocks(0.02):
            for row in block.frames.copy():
                first = int(row["offset"])
                seen.append(Seen(row, block.data[first : first + int(row["captured_len"])].tobytes()))
        if len(seen) >= enough:
            deadline_s = min(deadline_s, time.monotonic() + QUIET_S)
    return seen
