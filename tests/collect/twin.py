"""The slow, obviously right reader: the whole file in memory, one ``struct`` after the other, times as exact integers."""

import struct
from typing import NamedTuple

MAX_CAPTURED = 1 << 20
MAX_BLOCK = 2 << 20
LATEST_NS = (1 << 62) - 1
HEAD_BYTES = 16_384  # within them the first time is looked for that packets without one may take
MOST_S = 18_446_744_073  # what 64 bits of nanoseconds hold, before the offset of the interface is added


class TwinFrame(NamedTuple):
    ts_ns: int
    data: bytes
    wire_len: int
    link_type: int
    interface: int


class Interface(NamedTuple):
    link_type: int
    number: int
    snaplen: int
    units_per_s: int
    offset_s: int


class Twin:
    """What a capture holds, read from its bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.frames: list[TwinFrame] = []
        self.errors: dict[str, int] = {}
        self.truncated = False
        if content[:4] == b"\x0a\x0d\x0d\x0a":
            self._read_pcapng()
        else:
            self._read_pcap()

    def _count(self, reason: str) -> None:
        self.errors[reason] = self.errors.get(reason, 0) + 1

    def _stop(self, reason: str) -> None:
        self._count(reason)
        self.truncated = True

    def _believed(self, ts_ns: int) -> int:
        if 0 <= ts_ns <= LATEST_NS:
            return ts_ns
        self._count("bad_timestamp")
        return 0 if ts_ns < 0 else LATEST_NS

    def _read_pcap(self) -> None:
        if len(self.content) < 24:
            self._stop("cut_file")
            return
        sign = "<" if self.content[0] in (0xD4, 0x4D) else ">"
        magic, _, minor, _, _, _, link = struct.unpack_from(f"{sign}IHHIIII", self.content)
        link &= 0x03FFFFFF
        link_type = 101 if link in (12, 14) else min(link, 65535)
        units_per_s = 10**9 if magic == 0xA1B23C4D else 10**6
        at = 24
        while at < len(self.content):
            header = self.content[at : at + 16]
            if len(header) < 16:
                self._stop("cut_file")
                return
            seconds, fraction, captured, wire = struct.unpack(f"{sign}IIII", header)
            if minor < 3 or (minor == 3 and captured > wire):
                captured, wire = wire, captured
            if captured > MAX_CAPTURED:
                self._stop("bad_record_length")
                return
            data = self.content[at + 16 : at + 16 + captured]
            if len(data) < captured:
                self._stop("cut_file")
                return
            if fraction >= units_per_s:
                self._count("bad_timestamp")
                fraction = units_per_s - 1
            ts_ns = seconds * 10**9 + fraction * (10**9 // units_per_s)
            self.frames.append(TwinFrame(ts_ns, data, wire, link_type, 0))
            at += 16 + captured

    def _read_pcapng(self) -> None:
        at, sign = 0, "<"
        interfaces: list[Interface] = []
        known_before = 0
        waiting: list[int] = []  # frames before the first time
        newest: int | None = None
        while at < len(self.content):
            left = self.content[at:]
            if len(left) < 12:
                self._stop("cut_file")
                return
            if left[:4] == b"\x0a\x0d\x0d\x0a":
                if left[8:12] not in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a"):
                    self._stop("bad_section_header")
                    return
                sign = ">" if left[8] == 0x1A else "<"
                (total,) = struct.unpack(f"{sign}I", left[4:8])
                if total < 28 or total % 4 or total > MAX_BLOCK:
                    self._stop("bad_block_length")
                    return
                if len(left) >= 16 and struct.unpack(f"{sign}H", left[12:14]) != (1,):
                    self._stop("unknown_section_version")
                    return
                known_before += len(interfaces)
                interfaces = []
            kind, total = struct.unpack(f"{sign}II", left[:8])
            if total < 12 or total % 4 or (kind in (1, 2, 3, 6) and total > MAX_BLOCK):
                self._stop("bad_block_length")
                return
            if len(left) < total:
                self._stop("cut_file")
                return
            if total <= MAX_BLOCK and struct.unpack(f"{sign}I", left[total - 4 : total]) != (total,):
                self._stop("bad_block_length")
                return
            body = left[8 : total - 4]
            at += total
            if kind == 1:
                if total < 20:
                    self._stop("bad_block_length")
                    return
                if len(interfaces) == 65535:
                    self._count("too_many_interfaces")
                else:
                    interfaces.append(self._interface(body, sign, min(65535, known_before + len(interfaces))))
            if kind not in (2, 3, 6):
                continue
            fixed = 4 if kind == 3 else 20
            if len(body) < fixed:
                self._count("bad_record_length")
                continue
            count: int | None = None
            if kind == 3:
                (wire,) = struct.unpack_from(f"{sign}I", body)
                number = 0
                captured = min(wire, interfaces[0].snaplen or wire) if interfaces else wire
            else:
                number, high, low, captured, wire = struct.unpack_from(f"{sign}{'IIIII' if kind == 6 else 'HxxIIII'}", body)
                count = high << 32 | low
            if captured > len(body) - fixed or captured > MAX_CAPTURED:
                self._count("bad_record_length")
                continue
            if number >= len(interfaces):
                self._count("unknown_interface")
                continue
            interface = interfaces[number]
            if count is None:
                if newest is None:
                    waiting.append(len(self.frames))
                ts_ns = newest or 0
            else:
                ts_ns = newest = self._time(count, interface)
                if at <= HEAD_BYTES:
                    for place in waiting:
                        self.frames[place] = self.frames[place]._replace(ts_ns=ts_ns)
                waiting = []
            data = body[fixed : fixed + captured]
            self.frames.append(TwinFrame(ts_ns, data, wire, interface.link_type, interface.number))

    def _time(self, count: int, interface: Interface) -> int:
        if not -(1 << 63) <= interface.offset_s * 10**9 < 1 << 63:
            return self._believed(LATEST_NS + 1)
        since_offset_ns = count * 10**9 // interface.units_per_s
        if since_offset_ns >= MOST_S * 10**9:
            return self._believed(LATEST_NS + 1)
        return self._believed(since_offset_ns + interface.offset_s * 10**9)

    def _interface(self, body: bytes, sign: str, number: int) -> Interface:
        link, snaplen = struct.unpack_from(f"{sign}HxxI", body)
        units_per_s, offset_s, at, broken = 10**6, 0, 8, False
        while at + 4 <= len(body):
            code, length = struct.unpack_from(f"{sign}HH", body, at)
            value = body[at + 4 : at + 4 + length]
            if code == 0:
                break
            if len(value) < length or (code, length) in ((9, length if length != 1 else -1), (14, length if length != 8 else -1)):
                broken = True
            if len(value) < length:
                break
            if code == 9 and length == 1:
                units_per_s = 1 << (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            if code == 14 and length == 8:
                (offset_s,) = struct.unpack(f"{sign}q", value)
            at += 4 + length + -length % 4
        if broken:
            self._count("bad_interface_option")
        return Interface(101 if link in (12, 14) else link, number, snaplen, units_per_s, offset_s)
