"""Puts the packets of several live interfaces into one order of time.

Each ring hands its packets over in blocks, up to a ring's delay late. Read as they come, an answer on one interface would be tracked before
its question on another, and be judged invalid. So packets are held until nothing older can come any more: the caller says up to when, the
time now less the rings' delay. What comes later still keeps its place behind: it is tracked late, never lost.
"""

import numpy as np

from netwatch.model.packet import PacketBlock, concatenate, empty_packets
from netwatch.model.rows import chosen

MOST_HELD = 1 << 18
"""Packets, some 30 MB of rows. More are held only if the clock was set back, or the machine is too busy to ask for them."""

NOTHING = PacketBlock(empty_packets(), concatenate([]).quoted)


class Reordering:
    """Decoded packets that wait for older ones."""

    def __init__(self) -> None:
        self._held: list[PacketBlock] = []

    def add(self, block: PacketBlock) -> None:
        """Take a block of one interface, whose packets are in order."""
        self._held.append(block)

    def take(self, until_ns: int) -> PacketBlock:
        """The packets up to a time, in its order; those of one interface that have the same time stay as they came."""
        if not self._held:
            return NOTHING
        joined = concatenate(self._held)
        times_ns = np.ascontiguousarray(joined.packets["ts_ns"])
        if (times_ns[1:] < times_ns[:-1]).any():
            order = np.argsort(times_ns, kind="stable")
            joined, times_ns = PacketBlock(chosen(joined.packets, order), joined.quoted), times_ns[order]
        ready = int(np.searchsorted(times_ns, until_ns, side="right"))
        if len(times_ns) > MOST_HELD:
            ready = len(times_ns)
        self._held = [_part(joined, ready, len(times_ns))] if ready < len(times_ns) else []
        return _part(joined, 0, ready)


def _part(block: PacketBlock, begin: int, end: int) -> PacketBlock:
    """Some rows of a block that nobody else has, with only those quoted headers that they refer to."""
    packets = block.packets[begin:end]
    if not len(block.quoted):
        return PacketBlock(packets, block.quoted)
    quoting = packets["quoted"] >= 0
    quoted = block.quoted[packets["quoted"][quoting]]
    packets["quoted"][quoting] = np.arange(len(quoted))
    return PacketBlock(packets, quoted)
