"""Puts the packets of several captures into one order of time.

Two taps of one firewall, or the interfaces of a rotating capture, must be seen by the state tables in the order in which the packets
passed. A capture's own order is never changed: it is what its clock and its queue made of the truth, and sorting it again would invent
another. So each packet is given the latest time that its stream has shown so far, and streams are merged by that; at equal times the stream
named first goes first.

One block of each stream is held at a time. The stream whose block ends first sets a limit: up to there nothing can come in between any
more.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from netwatch.model.packet import PacketBlock, concatenate


class _Stream:
    """One stream, with what is left of the block it last gave."""

    def __init__(self, blocks: Iterator[PacketBlock]) -> None:
        self._blocks = blocks
        self._block: PacketBlock | None = None
        self._taken = 0  # rows of the block that were handed on
        self._times: NDArray[np.int64] = np.empty(0, np.int64)
        self._latest_ns = np.iinfo(np.int64).min

    def fill(self) -> bool:
        """Have a block with packets left, if the stream has any more; false at its end."""
        while self._taken == len(self._times):
            block = next(self._blocks, None)
            if block is None:
                return False
            self._block, self._taken = block, 0
            self._times = np.maximum(np.maximum.accumulate(block.packets["ts_ns"]), self._latest_ns)
            if len(self._times):
                self._latest_ns = int(self._times[-1])
        return True

    @property
    def end_ns(self) -> int:
        """The time of the last packet that is here."""
        return self._latest_ns

    def take(self, limit_ns: int, *, inclusive: bool) -> tuple[PacketBlock, NDArray[np.int64]]:
        """Hand on the packets up to a time, or before it, and the times they count as."""
        assert self._block is not None
        start, stop = self._taken, int(np.searchsorted(self._times, limit_ns, side="right" if inclusive else "left"))
        stop = max(start, stop)
        self._taken = stop
        packets, quoted = self._block.packets[start:stop], self._block.quoted
        if 0 < stop - start < len(self._times):
            packets, used = packets.copy(), packets["quoted"][packets["quoted"] >= 0]
            quoted = quoted[used[0] : used[-1] + 1] if len(used) else quoted[:0]
            if len(used):
                packets["quoted"][packets["quoted"] >= 0] -= used[0]
        return PacketBlock(packets, quoted), self._times[start:stop]


def merge_by_time(streams: Sequence[Iterator[PacketBlock]]) -> Iterator[PacketBlock]:
    """Yield the packets of all streams in order of time, as blocks, holding at most one block of each stream."""
    if len(streams) == 1:
        yield from streams[0]
        return
    live = [stream for stream in map(_Stream, streams) if stream.fill()]
    while live:
        ends = [stream.end_ns for stream in live]
        first_to_end = ends.index(min(ends))
        taken = [stream.take(ends[first_to_end], inclusive=number <= first_to_end) for number, stream in enumerate(live)]
        parts = [(block, times) for block, times in taken if len(times)]
        joined = concatenate([block for block, _ in parts])
        if len(parts) > 1:
            order = np.argsort(np.concatenate([times for _, times in parts]), kind="stable")
            joined = PacketBlock(joined.packets[order], joined.quoted)
        yield joined
        live = [stream for stream in live if stream.fill()]
