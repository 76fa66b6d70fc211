"""A small writer of pcap and pcapng: what is written is said field by field, so that a test can write what no program should."""

import struct
from typing import NamedTuple

from netwatch.collect.recognise import ByteOrder

MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
ETHERNET = 1


class Packet(NamedTuple):
    """One packet of a classic pcap file."""

    data: bytes = b"\x02" * 14
    seconds: int = 1_700_000_000
    fraction: int = 0
    wire_len: int | None = None  # None: as long as the data
    captured_len: int | None = None  # None: the truth


def _sign(order: ByteOrder) -> str:
    return "<" if order == "little" else ">"


def pcap_header(
    *, order: ByteOrder = "little", magic: int = MICROSECONDS, link: int = ETHERNET, version: tuple[int, int] = (2, 4)
) -> bytes:
    return struct.pack(f"{_sign(order)}IHHIIII", magic, *version, 0, 0, 262_144, link)


def pcap_record(packet: Packet, *, order: ByteOrder = "little") -> bytes:
    captured = len(packet.data) if packet.captured_len is None else packet.captured_len
    wire = len(packet.data) if packet.wire_len is None else packet.wire_len
    return struct.pack(f"{_sign(order)}IIII", packet.seconds, packet.fraction, captured, wire) + packet.data


def pcap(*packets: Packet, order: ByteOrder = "little", magic: int = MICROSECONDS, link: int = ETHERNET) -> bytes:
    header = pcap_header(order=order, magic=magic, link=link)
    return header + b"".join(pcap_record(packet, order=order) for packet in packets)


class Pcapng:
    """The blocks of one section, in its byte order."""

    def __init__(self, order: ByteOrder = "little") -> None:
        self.order = order
        self.sign = _sign(order)

    def pack(self, layout: str, *values: int) -> bytes:
        return struct.pack(self.sign + layout, *values)

    def block(self, kind: int, body: bytes, *, total: int | None = None, trailer: int | None = None) -> bytes:
        body += b"\0" * (-len(body) % 4)
        true_total = 12 + len(body)
        total = true_total if total is None else total
        return self.pack("II", kind, total) + body + self.pack("I", total if trailer is None else trailer)

    def options(self, *options: tuple[int, bytes]) -> bytes:
        if not options:
            return b""
        parts = [self.pack("HH", code, len(value)) + value + b"\0" * (-len(value) % 4) for code, value in options]
        return b"".join(parts) + self.pack("HH", 0, 0)

    def section(self, *, length: int = -1, version: tuple[int, int] = (1, 0), options: bytes = b"") -> bytes:
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, *version, length) + options)

    def interface(
        self, *, link: int = ETHERNET, snaplen: int = 0, resolution: int | None = None, offset_s: int | None = None, name: bytes = b""
    ) -> bytes:
        options: list[tuple[int, bytes]] = [(2, name)] if name else []
        if resolution is not None:
            options.append((9, bytes([resolution])))
        if offset_s is not None:
            options.append((14, self.pack("q", offset_s)))
        return self.block(1, self.pack("HHI", link, 0, snaplen) + self.options(*options))

    def enhanced(
        self,
        data: bytes = b"\x02" * 14,
        *,
        time: int = 1_700_000_000_000_000,
        interface: int = 0,
        wire_len: int | None = None,
        captured_len: int | None = None,
        options: bytes = b"",
    ) -> bytes:
        captured = len(data) if captured_len is None else captured_len
        wire = len(data) if wire_len is None else wire_len
        padded = data + b"\0" * (-len(data) % 4)
        return self.block(6, self.pack("IIIII", interface, time >> 32, time & 0xFFFFFFFF, captured, wire) + padded + options)

    def simple(self, data: bytes, *, wire_len: int | None = None) -> bytes:
        return self.block(3, self.pack("I", len(data) if wire_len is None else wire_len) + data)

    def obsolete(self, data: bytes, *, time: int = 1_700_000_000_000_000, interface: int = 0, wire_len: int | None = None) -> bytes:
        wire = len(data) if wire_len is None else wire_len
        return self.block(2, self.pack("HHIIII", interface, 7, time >> 32, time & 0xFFFFFFFF, len(data), wire) + data)
