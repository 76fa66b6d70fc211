"""What both capture walkers have in common: how a walk over a block of bytes ends, and what it counts.

A walk writes one ``FRAME`` row a packet. It never stops in the middle of a record: what is not whole yet is walked again with more bytes.
"""

from abc import ABC, abstractmethod
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netwatch.model.packet import Rows

Bytes = NDArray[np.uint8]
Counters = NDArray[np.int64]

MAX_TS_NS = (1 << 62) - 1
"""Latest time that is believed (2116-02-20), nanoseconds since the epoch: time-outs can be added without overflow. The earliest is 0."""


class Outcome(IntEnum):
    """Why a walk ended."""

    NEEDS_MORE = 0  # the record at ``at`` is not whole; or ``at`` lies behind the block, and what is between is to be passed over
    FULL = 1  # no row left for the packet at ``at``
    STOPPED = 2  # the structure is broken at ``at``: nothing behind it can be found
    SECTION = 3  # pcapng: a section header at ``at``
    INTERFACE = 4  # pcapng: an interface description at ``at``, whole


class Counter(IntEnum):
    """Columns of the counters that a kernel adds to."""

    WIRE_BYTES = 0
    FIRST_NS = 1  # earliest; MAX_TS_NS + 1 none yet
    LAST_NS = 2  # latest; -1 none yet
    NEWEST_NS = 3  # of the packet with a time that was read last; -1 none yet
    FIRST_SEEN_NS = 4  # of the first packet with a time; -1 none yet
    BAD_TIMESTAMP = 5
    BAD_RECORD_LENGTH = 6
    UNKNOWN_INTERFACE = 7


COUNTED_ERRORS = (Counter.BAD_TIMESTAMP, Counter.BAD_RECORD_LENGTH, Counter.UNKNOWN_INTERFACE)
NS_PER_S = 1_000_000_000


class Step(NamedTuple):
    """One walk: how many rows were written, where it ended and why."""

    rows: int
    at: int
    outcome: Outcome


class Walker(ABC):
    """Finds the packets of one capture, block by block."""

    header_bytes = 0
    """At the beginning of the capture, before the first record."""

    def __init__(self, link_types: list[str], errors: dict[str, int]) -> None:
        """Both are added to while the capture is walked."""
        self.link_types = link_types
        self.errors = errors
        self.counters = np.zeros(len(Counter), np.int64)
        self.counters[Counter.FIRST_NS] = MAX_TS_NS + 1
        self.counters[[Counter.LAST_NS, Counter.NEWEST_NS, Counter.FIRST_SEEN_NS]] = -1

    @abstractmethod
    def walk(self, data: Bytes, at: int, frames: Rows) -> Step:
        """Write a row for each whole packet from ``at`` on, as many as there is room for."""

    def count(self, reason: str) -> None:
        self.errors[reason] = self.errors.get(reason, 0) + 1

    def publish_errors(self) -> None:
        """Name what the kernels have counted."""
        for counter in COUNTED_ERRORS:
            if number := int(self.counters[counter]):
                self.errors[counter.name.lower()] = number

    @property
    def wire_bytes(self) -> int:
        return int(self.counters[Counter.WIRE_BYTES])

    @property
    def span_s(self) -> tuple[float, float] | None:
        """Earliest and latest time, seconds since the epoch; ``None`` while no packet had one."""
        first_ns, last_ns = int(self.counters[Counter.FIRST_NS]), int(self.counters[Counter.LAST_NS])
        return (first_ns / NS_PER_S, last_ns / NS_PER_S) if last_ns >= 0 else None
