"""pcapng: a stream of blocks that carry their length at both ends, in sections (draft-ietf-opsawg-pcapng).

The walk knows the blocks that hold packets (enhanced, simple, and the obsolete packet block) and passes over all others: name
resolution, statistics, secrets, custom blocks and those not invented yet. Section headers and interface descriptions are rare and
left to Python. A packet block that contradicts itself is counted and passed over, since its own length still leads to the next block.
"""

import numpy as np

from netwatch.collect.link_types import link_type_name, registered_number
from netwatch.collect.loads import load_u16, load_u32
from netwatch.collect.pcap_header import MAX_CAPTURED_BYTES
from netwatch.collect.pcapng_blocks import (
    INTERFACE,
    INTERFACE_HEADER_BYTES,
    MAX_BLOCK_BYTES,
    MIN_BLOCK_BYTES,
    Section,
    SectionFault,
    Unit,
    interface_row,
    read_interface,
    read_section,
)
from netwatch.collect.recognise import ByteOrder
from netwatch.collect.walk import MAX_TS_NS, Bytes, Counter, Counters, Outcome, Step, Walker
from netwatch.jit import inlined, njit
from netwatch.model.packet import FRAME, Rows

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
OBSOLETE_PACKET = 2
SIMPLE_PACKET = 3
ENHANCED_PACKET = 6

MAX_INTERFACES = 65_535
"""Of one section, so that a hostile file cannot fill memory with them; ``FRAME.interface`` numbers no more than that in a capture."""

NS_PER_S = np.uint64(1_000_000_000)
LATEST_NS = np.int64(MAX_TS_NS)

MOST_S = np.uint64(18_446_744_073)
"""Whole seconds whose nanoseconds 64 bits without sign do not hold any more."""


@inlined
def _binary_fraction_ns(fraction: np.uint64, shift: np.uint64) -> np.uint64:
    """``fraction * 10 ** 9 >> shift`` in 96 bits: both halves stay below 2 ** 62."""
    low_ns = (fraction & np.uint64(0xFFFFFFFF)) * NS_PER_S
    high_ns = (fraction >> np.uint64(32)) * NS_PER_S
    if shift <= np.uint64(32):
        return low_ns >> shift
    down = shift - np.uint64(32)
    return (high_ns + (low_ns >> np.uint64(32))) >> down if down < np.uint64(64) else np.uint64(0)


@inlined
def _to_ns(count: np.uint64, interface: np.void) -> np.int64:
    """Nanoseconds since the epoch of a time in the interface's unit; -1 before the epoch, ``MAX_TS_NS`` + 1 beyond the latest believed."""
    beyond = LATEST_NS + np.int64(1)
    whole_s, ns = np.uint64(0), np.uint64(0)
    if interface["unit"] == Unit.MULTIPLY:
        if count > (MOST_S * NS_PER_S - np.uint64(1)) // interface["factor"]:
            return beyond
        ns = count * interface["factor"]
    elif interface["unit"] == Unit.DIVIDE:
        ns = count // interface["factor"]
    elif interface["unit"] == Unit.BINARY:
        shift = np.uint64(interface["shift"])
        if shift < np.uint64(64):
            whole_s = count >> shift
            count &= (np.uint64(1) << shift) - np.uint64(1)
        if whole_s >= MOST_S:
            return beyond
        ns = whole_s * NS_PER_S + _binary_fraction_ns(count, shift)
    else:
        return beyond
    offset_ns = np.int64(interface["offset_ns"])
    if offset_ns >= 0:
        if ns > np.uint64(LATEST_NS) or np.int64(ns) > LATEST_NS - offset_ns:
            return beyond
        return np.int64(ns) + offset_ns
    before = np.uint64(-(offset_ns + np.int64(1))) + np.uint64(1)
    if ns < before:
        return np.int64(-1)
    since = ns - before
    return np.int64(since) if since <= np.uint64(LATEST_NS) else beyond


@njit
def _walk_blocks(
    data: Bytes, start: int, frames: Rows, first_row: int, counters: Counters, big: bool, interfaces: Rows, interface_count: int
) -> tuple[int, int, int]:
    """Write one row a packet block; return rows, place and ``Outcome``. Longer than ten lines: three kinds of block in one loop."""
    at, end = np.uint64(start), np.uint64(len(data))
    row = first_row
    outcome = Outcome.NEEDS_MORE.value
    while at + np.uint64(MIN_BLOCK_BYTES) <= end:
        kind = load_u32(data, at, big)
        if kind == SECTION_HEADER:
            outcome = Outcome.SECTION.value
            break
        total = load_u32(data, at + np.uint64(4), big)
        holds_packet = kind in (ENHANCED_PACKET, SIMPLE_PACKET, OBSOLETE_PACKET)
        must_be_whole = holds_packet or kind == INTERFACE_DESCRIPTION
        if total < MIN_BLOCK_BYTES or total & 3 or (must_be_whole and total > MAX_BLOCK_BYTES):
            outcome = Outcome.STOPPED.value
            break
        behind = at + np.uint64(total)
        if total > MAX_BLOCK_BYTES:
            at = behind
            continue
        if behind > end:
            break
        if load_u32(data, behind - np.uint64(4), big) != total:
            outcome = Outcome.STOPPED.value
            break
        if not holds_packet:
            if kind == INTERFACE_DESCRIPTION:
                outcome = Outcome.INTERFACE.value
                break
            at = behind
            continue

        # The packet's place, lengths and interface, by the kind of its block.
        number, wire, captured, room, packet_at = np.int64(0), np.int64(0), np.int64(0), np.int64(0), at
        if kind == SIMPLE_PACKET:
            packet_at, room = at + np.uint64(12), np.int64(total - 16)
            if room >= 0:
                wire = load_u32(data, at + np.uint64(8), big)
                captured = wire
                if interface_count > 0 and interfaces[0]["snaplen"]:
                    captured = min(captured, np.int64(interfaces[0]["snaplen"]))
        else:
            packet_at, room = at + np.uint64(28), np.int64(total - 32)
            if room >= 0:
                number = load_u16(data, at + np.uint64(8), big) if kind == OBSOLETE_PACKET else load_u32(data, at + np.uint64(8), big)
                captured = load_u32(data, at + np.uint64(20), big)
                wire = load_u32(data, at + np.uint64(24), big)
        if room < 0 or captured > room or captured > MAX_CAPTURED_BYTES:
            counters[Counter.BAD_RECORD_LENGTH] += 1
            at = behind
            continue
        if number >= interface_count:
            counters[Counter.UNKNOWN_INTERFACE] += 1
            at = behind
            continue
        if row == len(frames):
            outcome = Outcome.FULL.value
            break

        interface = interfaces[number]
        frame = frames[row]
        newest = counters[Counter.NEWEST_NS]
        if kind == SIMPLE_PACKET:
            # It has no time of its own: its predecessor's keeps it in place.
            frame["ts_ns"] = max(newest, np.int64(0))
        else:
            high, low = load_u32(data, at + np.uint64(12), big), load_u32(data, at + np.uint64(16), big)
            ts_ns = _to_ns(np.uint64(high) << np.uint64(32) | np.uint64(low), interface)
            if ts_ns < 0 or ts_ns > LATEST_NS:
                counters[Counter.BAD_TIMESTAMP] += 1
                ts_ns = min(max(ts_ns, np.int64(0)), LATEST_NS)
            if newest < 0:
                counters[Counter.FIRST_SEEN_NS] = ts_ns
            frame["ts_ns"] = ts_ns
            counters[Counter.NEWEST_NS] = ts_ns
            counters[Counter.FIRST_NS] = min(counters[Counter.FIRST_NS], ts_ns)
            counters[Counter.LAST_NS] = max(counters[Counter.LAST_NS], ts_ns)
        frame["offset"] = np.int64(packet_at)
        frame["captured_len"] = captured
        frame["wire_len"] = wire
        frame["link_type"] = interface["link_type"]
        frame["interface"] = interface["number"]
        frame["vlan"] = 0
        frame["direction"] = 0
        frame["_pad"] = 0
        counters[Counter.WIRE_BYTES] += wire
        row += 1
        at = behind
    return row, int(at), outcome


class PcapngWalker(Walker):
    """Finds the packets of a pcapng file, section by section."""

    def __init__(self, link_types: list[str], errors: dict[str, int]) -> None:
        super().__init__(link_types, errors)
        self._order: ByteOrder = "little"
        self._interfaces = np.zeros(1, INTERFACE)
        self._interface_count = 0  # of this section
        self._interfaces_before = 0  # of earlier sections

    def look_ahead(self, head: bytes) -> None:
        """Take the first time among the packets in ``head`` for those before it that have none; else they would lie in 1970."""
        scout = PcapngWalker([], {})
        writable = np.array(memoryview(head))  # as all blocks are: for read-only arrays the kernel would be compiled once more
        scout.walk(writable, 0, np.empty(len(head) // MIN_BLOCK_BYTES + 1, FRAME))
        self.counters[Counter.NEWEST_NS] = scout.counters[Counter.FIRST_SEEN_NS]

    def walk(self, data: Bytes, at: int, frames: Rows) -> Step:
        rows = 0
        while True:
            rows, at, outcome = _walk_blocks(
                data, at, frames, rows, self.counters, self._order == "big", self._interfaces, self._interface_count
            )
            if outcome == Outcome.SECTION:
                match read_section(data.data[at:]):
                    case Section(order, length):
                        self._open_section(order)
                        at += length
                    case SectionFault.NEEDS_MORE:
                        return Step(rows, at, Outcome.NEEDS_MORE)
                    case fault:
                        return self._stop(rows, at, fault.value)
            elif outcome == Outcome.INTERFACE:
                length = int.from_bytes(data[at + 4 : at + 8].tobytes(), self._order)
                if length < INTERFACE_HEADER_BYTES:
                    return self._stop(rows, at, "bad_block_length")
                self._open_interface(data[at : at + length].tobytes())
                at += length
            elif outcome == Outcome.STOPPED:
                return self._stop(rows, at, "bad_block_length")
            else:
                return Step(rows, at, Outcome(outcome))

    def _stop(self, rows: int, at: int, reason: str) -> Step:
        self.count(reason)
        return Step(rows, at, Outcome.STOPPED)

    def _open_section(self, order: ByteOrder) -> None:
        self._order = order
        self._interfaces_before += self._interface_count
        self._interface_count = 0

    def _open_interface(self, block: bytes) -> None:
        if self._interface_count == MAX_INTERFACES:
            self.count("too_many_interfaces")
            return
        description = read_interface(block, self._order)
        if description.options_broken:
            self.count("bad_interface_option")
        if self._interface_count == len(self._interfaces):
            self._interfaces = np.concatenate([self._interfaces, np.zeros_like(self._interfaces)])
        number = min(self._interfaces_before + self._interface_count, MAX_INTERFACES)
        self._interfaces[self._interface_count] = interface_row(description, registered_number(description.link_type), number)
        self._interface_count += 1
        name = link_type_name(description.link_type)
        if name not in self.link_types:
            self.link_types.append(name)
