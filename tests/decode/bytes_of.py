"""Headers as bytes, written out plainly, for tests that need one that no honest builder makes."""

import struct
from ipaddress import ip_address

SRC, DST = "192.0.2.1", "198.51.100.2"
SRC6, DST6 = "2001:db8::1", "2001:db8::2"
MACS = bytes.fromhex("020000000002020000000001")


def ethernet(kind: int, rest: bytes = b"") -> bytes:
    return MACS + struct.pack(">H", kind) + rest


def ipv4(
    rest: bytes, *, protocol: int = 17, total: int | None = None, fragment: int = 0, first: int = 0x45, src: str = SRC, dst: str = DST
) -> bytes:
    """``fragment`` is the whole 16-bit field: 0x2000 more fragments, the low 13 bits the offset in units of 8 bytes."""
    length = 20 + len(rest) if total is None else total
    header = struct.pack(">BBHHHBBH", first, 0, length, 0x1234, fragment, 64, protocol, 0)
    return header + ip_address(src).packed + ip_address(dst).packed + rest


def ipv6(rest: bytes, *, following: int = 17, payload: int | None = None, first: int = 0x60, src: str = SRC6, dst: str = DST6) -> bytes:
    length = len(rest) if payload is None else payload
    return struct.pack(">B3xHBB", first, length, following, 64) + ip_address(src).packed + ip_address(dst).packed + rest


def udp(rest: bytes = b"", *, sport: int = 1000, dport: int = 2000, length: int | None = None) -> bytes:
    return struct.pack(">HHHH", sport, dport, 8 + len(rest) if length is None else length, 0) + rest


def tcp(
    rest: bytes = b"", *, flags: int = 0x02, offset: int | None = None, options: bytes = b"", sport: int = 1000, dport: int = 25
) -> bytes:
    words = 5 + len(options) // 4 if offset is None else offset
    return struct.pack(">HHIIBBHHH", sport, dport, 7, 9, words << 4, flags, 512, 0, 0) + options + rest


def icmp(kind: int, code: int = 0, rest: bytes = b"", *, identifier: int = 0) -> bytes:
    return struct.pack(">BBHHH", kind, code, 0, identifier, 0) + rest


def extension(following: int, *, size: int = 8) -> bytes:
    """An IPv6 options or routing header of ``size`` bytes, a multiple of 8."""
    return struct.pack(">BB", following, size // 8 - 1) + b"\x01" + bytes([size - 4]) + bytes(size - 4)


def fragment_header(following: int, *, offset: int = 0, more: bool = False, identification: int = 77) -> bytes:
    return struct.pack(">BxHI", following, offset | more, identification)


UDP4 = ipv4(udp(b"x" * 10))
UDP6 = ipv6(udp(b"x" * 10))
