"""Puts the packets of several captures into one order of time.

Two taps of one firewall, or the interfaces of a rotating capture, must be seen by the state tables in the order in which the packets
passed. A capture's own order is never changed: it is what its clock and its queue made of the truth, and sorting it again would invent
another. So each packet is given the latest time that its stream has shown so far, and streams are merged by that; at equal times the stream
named first goes first.

One block of each stream is held at a time. The stream whose block ends first sets a limit: up to there nothing can come in between any
more. A stream that is known to begin later is not even opened: a day of captures, one a minute, is 1,440 files.
"""

from bisect import insort
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from netwatch.model.packet import PacketBlock, concatenate
from netwatch.model.rows import chosen, copied

BEFORE_ALL = np.iinfo(np.int64).min


class _Stream:
    """One stream, with what is left of the block it last gave."""

    def __init__(self, blocks: Iterator[PacketBlock]) -> None:
        self._blocks = blocks
        self._block: PacketBlock | None = None
        self._taken = 0  # rows of the block that were handed on
        self._times: NDArray[np.int64] = np.empty(0, np.int64)
        self._latest_ns = BEFORE_ALL

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
            packets, used = copied(packets), packets["quoted"][packets["quoted"] >= 0]
            quoted = quoted[used[0] : used[-1] + 1] if len(used) else quoted[:0]
            if len(used):
                packets["quoted"][packets["quoted"] >= 0] -= used[0]
        return PacketBlock(packets, quoted), self._times[start:stop]


def merge_by_time(streams: Sequence[Iterator[PacketBlock]], *, begins_ns: Sequence[int | None] = ()) -> Iterator[PacketBlock]:
    """Yield the packets of all streams in order of time, as blocks, holding at most one block of each stream.

    Args:
        streams: what is merged.
        begins_ns: the time of each stream's first packet; a stream for which it is given is asked for blocks only when that has come.
    """
    if len(streams) == 1:
        yield from streams[0]
        return
    known = [begin if begin is not None else BEFORE_ALL for begin in begins_ns] or [BEFORE_ALL] * len(streams)
    waiting = sorted(zip(known, range(len(streams)), map(_Stream, streams), strict=True), key=lambda one: one[:2], reverse=True)
    open_streams: list[tuple[int, _Stream]] = []  # in the order in which they were named
    while waiting or open_streams:
        while waiting and (not open_streams or waiting[-1][0] <= min(stream.end_ns for _, stream in open_streams)):
            _, number, stream = waiting.pop()
            if stream.fill():
                insort(open_streams, (number, stream), key=lambda one: one[0])
        live = [stream for _, stream in open_streams]
        if not live:
            return
        ends = [stream.end_ns for stream in live]
        first_to_end = ends.index(min(ends))
        taken = [stream.take(ends[first_to_end], inclusive=number <= first_to_end) for number, stream in enumerate(live)]
        parts = [(block, times) for block, times in taken if len(times)]
        joined = concatenate([block for block, _ in parts])
        if len(parts) > 1:
            order = np.argsort(np.concatenate([times for _, times in parts]), kind="stable")
            joined = PacketBlock(chosen(joined.packets, order), joined.quoted)
        yield joined
        open_streams = [(number, stream) for number, stream in open_streams if stream.fill()]
