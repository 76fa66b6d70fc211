"""Reads capture files the plain way, one packet at a time, and makes frame blocks of packets: enough to feed the decoder in tests."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from netwatch.model.packet import FRAME, FrameBlock

LAST_NS = 2**63 - 1
SECTION, INTERFACE, OLD_PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6


class Captured(NamedTuple):
    """One packet of a capture file, or one made by a test."""

    data: bytes
    wire_len: int
    link_type: int = 1
    ts_ns: int = 0


def frame(data: bytes, *, link_type: int = 1, wire_len: int | None = None, ts_ns: int = 0) -> Captured:
    """A packet that was captured whole unless ``wire_len`` says that it was longer."""
    return Captured(data, len(data) if wire_len is None else wire_len, link_type, ts_ns)


def frame_block(captured: Iterable[Captured]) -> FrameBlock:
    """Lay packets end to end, as a file does, without a byte more: what reads beyond the last one reads beyond the array."""
    listed = list(captured)
    frames = np.zeros(len(listed), FRAME)
    place = 0
    for row, packet in zip(frames, listed, strict=True):
        row["offset"], row["ts_ns"], row["link_type"] = place, min(packet.ts_ns, LAST_NS), packet.link_type
        row["captured_len"], row["wire_len"] = len(packet.data), packet.wire_len
        place += len(packet.data)
    return FrameBlock(np.frombuffer(b"".join(packet.data for packet in listed), np.uint8), frames)


def read_capture(path: Path) -> Iterator[Captured]:
    """Yield the packets of a pcap or pcapng file, up to where it is cut or makes no sense."""
    content = path.read_bytes()
    yield from read_pcapng(content) if content[:4] == b"\n\r\r\n" else read_pcap(content)


def read_pcap(content: bytes) -> Iterator[Captured]:
    order = next((order for order in "<>" if struct.unpack(order + "I", content[:4])[0] in (0xA1B2C3D4, 0xA1B23C4D)), None)
    if order is None or len(content) < 24:
        return
    scale = 1000 if struct.unpack(order + "I", content[:4])[0] == 0xA1B2C3D4 else 1
    link_type = struct.unpack(order + "I", content[20:24])[0] & 0xFFFF
    at = 24
    while at + 16 <= len(content):
        seconds, fraction, captured, wire = struct.unpack(order + "IIII", content[at : at + 16])
        if at + 16 + captured > len(content) or captured > 1 << 20:
            return
        yield Captured(content[at + 16 : at + 16 + captured], wire, link_type, seconds * 10**9 + fraction * scale)
        at += 16 + captured


def read_pcapng(content: bytes) -> Iterator[Captured]:
    at, order, interfaces = 0, "<", [(1, 0)]
    while at + 12 <= len(content):
        kind = struct.unpack(order + "I", content[at : at + 4])[0]
        if kind == SECTION:
            order = "<" if content[at + 8 : at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        length = struct.unpack(order + "I", content[at + 4 : at + 8])[0]
        if length < 12 or at + length > len(content):
            return
        body = content[at + 8 : at + length - 4]
        if kind == INTERFACE:
            interfaces.append((struct.unpack(order + "H", body[:2])[0], struct.unpack(order + "I", body[4:8])[0]))
        elif kind == ENHANCED_PACKET:
            number, high, low, captured, wire = struct.unpack(order + "IIIII", body[:20])
            yield Captured(body[20 : 20 + captured], wire, interfaces[number][0], ((high << 32) | low) * 1000)
        elif kind == OLD_PACKET:
            number, _, high, low, captured, wire = struct.unpack(order + "HHIIII", body[:20])
            yield Captured(body[20 : 20 + captured], wire, interfaces[number][0], ((high << 32) | low) * 1000)
        elif kind == SIMPLE_PACKET:
            wire = struct.unpack(order + "I", body[:4])[0]
            limit = interfaces[0][1] or wire
            yield Captured(body[4 : 4 + min(wire, limit)], wire, interfaces[0][0], 0)
        at += length
