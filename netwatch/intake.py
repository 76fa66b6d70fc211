"""The first half of the way: what can be said of packets before anybody asks which service they belong to.

Time, reassembly and flows depend on nothing behind them. So a replay runs them ahead, in the thread that reads and decodes, while the
other core is busy with services, sessions and windows; live, one half follows the other. What is handed on is a ``Part``: packets of one
window, and the windows that end behind them with what reassembly had done by then.
"""

from collections.abc import Iterable, Iterator

import msgspec

from netwatch.measure.meter import ReassemblyTotals
from netwatch.model.buffers import Buffers
from netwatch.model.packet import PacketBlock, Rows, concatenate
from netwatch.model.tracked import TRACKED
from netwatch.track.clock import Border, EventClock
from netwatch.track.flow_table import FlowTable
from netwatch.track.fragments import Reassembly


class Ending(msgspec.Struct, frozen=True):
    """A window that ends."""

    border: Border
    reassembly: ReassemblyTotals


class Part(msgspec.Struct, frozen=True):
    """Neighbouring packets of one window, none if time passed in silence, and the windows to close behind them."""

    block: PacketBlock
    tracked: Rows  # TRACKED, with what the flow table said
    endings: tuple[Ending, ...]


class Intake:
    """Packets in, parts out, in order."""

    def __init__(self) -> None:
        self.clock = EventClock()
        self.reassembly = Reassembly()
        self.flows = FlowTable(records=False)
        self._tracked = Buffers()

    def feed(self, block: PacketBlock) -> Iterator[Part]:
        """Take the next packets; wrong time stamps in them are mended, and fragments that make a datagram are made whole."""
        for stretch in self.clock.cut(block.packets):
            part = PacketBlock(block.packets[stretch.begin : stretch.stop], block.quoted)
            tracked = self._tracked.rows(len(part.packets), TRACKED)
            self.reassembly.track(part, tracked)
            self.flows.track(part.packets, tracked)
            yield Part(part, tracked, self._end(stretch.borders))

    def parts(self, blocks: Iterable[PacketBlock]) -> Iterator[Part]:
        """The parts of all blocks."""
        for block in blocks:
            yield from self.feed(block)

    def tick(self, now_ns: int) -> Part:
        """The windows that end by now although no packet came."""
        return self._silence(self.clock.tick(now_ns))

    def finish(self) -> Part:
        """The last, unfinished window; no window if there was no packet."""
        border = self.clock.finish()
        return self._silence(() if border is None else (border,))

    def _silence(self, borders: Iterable[Border]) -> Part:
        return Part(concatenate([]), self._tracked.rows(0, TRACKED), self._end(borders))

    def _end(self, borders: Iterable[Border]) -> tuple[Ending, ...]:
        return tuple(Ending(border, self._totals_at(border.end_ns)) for border in borders)

    def _totals_at(self, end_ns: int) -> ReassemblyTotals:
        self.reassembly.advance(end_ns)
        self.flows.advance(end_ns)
        return ReassemblyTotals(completed=self.reassembly.completed, failed=self.reassembly.failed, bytes_held=self.reassembly.bytes_held)
