"""Whose sessions are one-sided: the prefixes of the other end of flows that go on without an answer, per service and window.

The trackers mark one packet of each such flow (``FlowEvent.ONE_SIDED``), one in thousands, so they are picked out of a block at once and
not counted in the walk over it. The prefix is that of the service's peer, whichever of the two sides is the one that is seen.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.measure.prefixes import key_text
from netwatch.model.packet import IPV4_MAPPED, Rows
from netwatch.model.tracked import FlowEvent
from netwatch.model.window import PrefixCount

NAMED = 16
"""Prefixes told for one service and window, those with the most such flows."""

MOST_FLOWS = 1 << 17
"""Of one window: what comes after them has no prefix. A flood of ACKs that nobody answers consists of them."""

ONE_SIDED = np.uint16(FlowEvent.ONE_SIDED)
HALF, IPV4_WORD, ADDRESS_MASK = np.uint64(32), np.uint64(IPV4_MAPPED >> 32), np.uint64(0xFFFF_FFFF)
HOST_BITS, IPV6_REST, IPV6_KEY, SERVICE_SHIFT = np.uint64(8), np.uint64(16), np.uint64(1 << 48), np.uint64(49)


class OneSidedPeers:
    """The one-sided flows of the open window."""

    def __init__(self) -> None:
        self._keys: list[NDArray[np.uint64]] = []  # as ``prefixes.prefix_key`` makes them
        self._flows = 0

    def add(self, packets: Rows, tracked: Rows) -> None:
        """Note the flows of services that are marked in a block."""
        marked = np.flatnonzero((tracked["flow_events"] & ONE_SIDED).astype(np.bool_) & (tracked["service"] > 0))
        marked = marked[: MOST_FLOWS - self._flows]
        if not len(marked):
            return
        toward = tracked["toward_service"][marked] > 0
        hi = np.where(toward, packets["src_hi"][marked], packets["dst_hi"][marked])
        lo = np.where(toward, packets["src_lo"][marked], packets["dst_lo"][marked])
        ipv4 = (hi == 0) & (lo >> HALF == IPV4_WORD)
        prefixes = np.where(ipv4, (lo & ADDRESS_MASK) >> HOST_BITS, IPV6_KEY | hi >> IPV6_REST)
        self._keys.append((tracked["service"][marked].astype(np.uint64) + np.uint64(1) << SERVICE_SHIFT) | prefixes)
        self._flows += len(marked)

    def close(self) -> dict[int, tuple[PrefixCount, ...]]:
        """End the window: of each service with such flows the prefixes behind them, most first."""
        if not self._keys:
            return {}
        keys, counts = np.unique(np.concatenate(self._keys), return_counts=True)
        self._keys, self._flows = [], 0
        most_first = np.argsort(-counts, kind="stable")
        found: dict[int, list[PrefixCount]] = {}
        for key, count in zip(keys[most_first].tolist(), counts[most_first].tolist(), strict=True):
            named = found.setdefault((key >> int(SERVICE_SHIFT)) - 1, [])
            if len(named) < NAMED:
                named.append(PrefixCount(key_text(key), count))
        return {service: tuple(named) for service, named in found.items()}
