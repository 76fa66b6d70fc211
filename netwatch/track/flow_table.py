"""Bidirectional flows: who spoke with whom, how much, how fast the handshake was, what was sent twice, and how it ended.

A flow is a 5-tuple in either direction; protocols without ports are told apart by addresses and protocol only, and later fragments whose
ports are not known are flows of their own. A *record* is what is written of a flow. One is closed by the idle time-out, by the active
time-out (a transfer of days is told in parts), by a SYN that opens an ended connection again, by eviction, or by the end of the capture;
the tuple itself stays known as long as the capacity allows. Therefore ``distinct`` counts 5-tuples, not records, and a connection that was
silent for two hours is recognised when it speaks again: firewalls forget such connections, and that black hole is one of the things to see.

Memory is bounded by the capacity: 248 bytes a flow, 152 without records, taken only as flows come. When it is full, the flow that was idle
longest leaves: first those whose record is closed (``forgotten``), then open ones (``evicted``; their record says so). Idle times are told
apart to a tick of 1.07 s.
"""

from math import ceil

import numpy as np

from netwatch.model.flow import FLOW
from netwatch.model.packet import Rows, empty_packets
from netwatch.model.rows import copied, joined
from netwatch.model.tracked import TRACKED
from netwatch.track.flow_age import ROOM, TABLE, TICK_SHIFT
from netwatch.track.flow_kernel import track_packets, write_open_records
from netwatch.track.flow_row import ROW, TALLY

TCP_IDLE_TIMEOUT_S = 3600.0
"""A connection that is only kept alive speaks every two hours at the latest (RFC 9293 section 3.8.4), most mail and web servers hang up
within minutes (RFC 5321 section 4.5.3.2: 10 minutes at most): after an hour a record may be written."""

IDLE_TIMEOUT_S = 300.0
"""Of other protocols: conversations over UDP that pause for five minutes are two (RFC 4787 section 4.3: NATs keep UDP that long)."""

ACTIVE_TIMEOUT_S = 1800.0
"""softflowd's and NetFlow's usual half hour."""

LONGEST_TIMEOUT_S = 7 * 86_400.0
LARGEST_CAPACITY = 1 << 30
OUTPUT_ROWS = 8192
LINE_BYTES = 64


def cache_aligned(count: int, dtype: np.dtype[np.void]) -> Rows:
    """Zeroed rows that begin at a cache line; memory is taken from the system when a row is first touched."""
    raw = np.zeros(count * dtype.itemsize + LINE_BYTES, np.uint8)
    skip = -raw.ctypes.data % LINE_BYTES
    return raw[skip : skip + count * dtype.itemsize].view(dtype)


def ticks(timeout_s: float) -> int:
    return ceil(timeout_s * 1e9 / (1 << TICK_SHIFT))


class FlowTable:
    """The table; ``track`` fills ``flow_events`` and ``gap_bin`` of the tracked rows."""

    def __init__(
        self,
        *,
        capacity: int = 1_000_000,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        tcp_idle_timeout_s: float = TCP_IDLE_TIMEOUT_S,
        active_timeout_s: float = ACTIVE_TIMEOUT_S,
        records: bool = True,
    ) -> None:
        """``records=False`` only counts and marks events: nothing is kept for ``drain`` and ``finish``."""
        if not 1 <= capacity <= LARGEST_CAPACITY:
            raise ValueError(f"capacity of the flow table must be 1 … {LARGEST_CAPACITY}, got {capacity}")
        for timeout_s in (idle_timeout_s, tcp_idle_timeout_s, active_timeout_s):
            if not 0 < timeout_s <= LONGEST_TIMEOUT_S:
                raise ValueError(f"time-outs of the flow table must be above 0 and at most {LONGEST_TIMEOUT_S:.0f} s, got {timeout_s}")
        self._table = np.zeros(1, TABLE)
        self._table["idle_ticks"] = [[ticks(tcp_idle_timeout_s), ticks(idle_timeout_s)]]
        self._table["active_ns"] = round(active_timeout_s * 1e9)
        self._table["keep_records"] = records
        self._table["earliest_ns"] = np.iinfo(np.int64).max
        queues = 1 << int(self._table["idle_ticks"].max() + 2).bit_length()
        self._heads, self._tails = np.zeros((2, queues), np.uint32), np.zeros((2, queues), np.uint32)
        self._rows = cache_aligned(capacity, ROW)
        self._tallies = np.zeros(capacity if records else 1, TALLY)
        self._slots = np.zeros(1 << (2 * capacity - 1).bit_length(), np.uint64)
        self._newer, self._older = np.zeros(capacity, np.uint32), np.zeros(capacity, np.uint32)
        self._output = np.zeros(OUTPUT_ROWS if records else ROOM + 1, FLOW)
        self._ended: list[Rows] = []

    def track(self, packets: Rows, tracked: Rows) -> None:
        """Take packets (``PACKET``) in, and mark in their ``TRACKED`` rows what they did to their flows."""
        self._run(packets, tracked, now_ns=0)

    def advance(self, now_ns: int) -> None:
        """Let time pass without packets."""
        self._run(empty_packets(), np.zeros(0, TRACKED), now_ns=now_ns)

    def _run(self, packets: Rows, tracked: Rows, *, now_ns: int) -> None:
        done, table = 0, self._table
        while True:
            done = track_packets(
                packets,
                tracked,
                done,
                now_ns,
                table,
                self._rows,
                self._tallies,
                self._slots,
                self._heads,
                self._tails,
                self._newer,
                self._older,
                self._output,
            )
            written = int(table["records"][0])
            is_full = written >= len(self._output) - ROOM
            if written:
                self._ended.append(copied(self._output[:written]))
                table["records"] = 0
            if done == len(packets) and not is_full:
                return

    def drain(self) -> Rows:
        """Return the records (``FLOW``) that ended since the last call, in the order in which they ended."""
        ended, self._ended = self._ended, []
        return joined(ended) if ended else np.zeros(0, FLOW)

    def finish(self) -> Rows:
        """Return the records that are still to come when the capture is over: those that ended, then the open ones."""
        parts = [self.drain()]
        row, used = 0, int(self._table["used"][0])
        while self._table["keep_records"][0] and row < used:
            output = np.zeros(min(used - row, 1 << 16), FLOW)
            row, written = write_open_records(self._rows, self._tallies, row, used, output)
            parts.append(output[:written])
        return joined(parts)

    @property
    def distinct(self) -> int:
        """Different 5-tuples seen; one that left a full table and came again counts again."""
        return int(self._table["distinct"][0])

    @property
    def evicted(self) -> int:
        """Open flows that left because the table was full."""
        return int(self._table["evicted"][0])

    @property
    def forgotten(self) -> int:
        """Flows with a closed record that left because the table was full."""
        return int(self._table["forgotten"][0])
