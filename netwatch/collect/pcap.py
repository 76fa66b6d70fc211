"""Classic pcap: a file header, then records of a 16-byte header and the bytes of a packet (draft-ietf-opsawg-pcap section 5).

Nothing marks a record: the place of each follows from the length in the one before. So one impossible length ends the reading, and
everything behind it is lost.
"""

import numpy as np

from netwatch.collect.link_types import link_type_name, registered_number
from netwatch.collect.loads import load_u32
from netwatch.collect.pcap_header import HEADER_BYTES, MAX_CAPTURED_BYTES, RECORD_HEADER_BYTES, PcapHeader, SwappedLengths
from netwatch.collect.walk import NS_PER_S, Bytes, Counter, Counters, Outcome, Step, Walker
from netwatch.jit import njit
from netwatch.model.packet import Rows

RECORD_HEADER = np.uint64(RECORD_HEADER_BYTES)
MAX_CAPTURED = np.int64(MAX_CAPTURED_BYTES)


@njit
def _walk_records(
    data: Bytes, start: int, frames: Rows, counters: Counters, big: bool, unit_ns: int, swapped_lengths: int, link_type: int
) -> tuple[int, int, int]:
    """Write one row a whole record; return rows, place and ``Outcome``. Longer than ten lines: the loop must stay in registers."""
    at, end = np.uint64(start), np.uint64(len(data))
    units_per_s = NS_PER_S // unit_ns
    wire_bytes, bad_timestamps = counters[Counter.WIRE_BYTES], counters[Counter.BAD_TIMESTAMP]
    earliest, latest = counters[Counter.FIRST_NS], counters[Counter.LAST_NS]
    row = 0
    outcome = Outcome.NEEDS_MORE.value
    while at + RECORD_HEADER <= end:
        captured = load_u32(data, at + np.uint64(8), big)
        wire = load_u32(data, at + np.uint64(12), big)
        if swapped_lengths == SwappedLengths.ALWAYS or (swapped_lengths == SwappedLengths.IF_CAPTURED_IS_LONGER and captured > wire):
            captured, wire = wire, captured
        if captured > MAX_CAPTURED:
            outcome = Outcome.STOPPED.value
            break
        behind = at + RECORD_HEADER + np.uint64(captured)
        if behind > end:
            break
        if row == len(frames):
            outcome = Outcome.FULL.value
            break
        fraction = load_u32(data, at + np.uint64(4), big)
        if fraction >= units_per_s:
            # Taken as it stands it could lie 71 minutes ahead; the second it belongs to is known.
            fraction = np.int64(units_per_s - 1)
            bad_timestamps += 1
        ts_ns = load_u32(data, at, big) * NS_PER_S + fraction * unit_ns
        frame = frames[row]
        frame["offset"] = np.int64(at + RECORD_HEADER)
        frame["ts_ns"] = ts_ns
        frame["captured_len"] = captured
        frame["wire_len"] = wire
        frame["link_type"] = link_type
        frame["interface"] = 0
        frame["vlan"] = 0
        frame["direction"] = 0
        frame["_pad"] = 0
        wire_bytes += wire
        earliest, latest = min(earliest, ts_ns), max(latest, ts_ns)
        row += 1
        at = behind
    counters[Counter.WIRE_BYTES], counters[Counter.BAD_TIMESTAMP] = wire_bytes, bad_timestamps
    counters[Counter.FIRST_NS], counters[Counter.LAST_NS] = earliest, latest
    return row, int(at), outcome


class PcapWalker(Walker):
    """Finds the packets of a classic pcap file."""

    header_bytes = HEADER_BYTES

    def __init__(self, header: PcapHeader, link_types: list[str], errors: dict[str, int]) -> None:
        super().__init__(link_types, errors)
        self.link_types.append(link_type_name(header.link_type))
        self._big = header.order == "big"
        self._unit_ns = NS_PER_S // header.units_per_s
        self._swapped_lengths = int(header.swapped_lengths)
        self._link_type = registered_number(header.link_type)

    def walk(self, data: Bytes, at: int, frames: Rows) -> Step:
        rows, at, outcome = _walk_records(data, at, frames, self.counters, self._big, self._unit_ns, self._swapped_lengths, self._link_type)
        if outcome == Outcome.STOPPED:
            self.count("bad_record_length")
        return Step(rows, at, Outcome(outcome))
