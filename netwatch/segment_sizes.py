"""The MSS of each service, learned from its own SYN-ACKs.

A synproxy answers a client before it has asked the server, so it must know beforehand how large a segment the server takes (RFC 9293,
section 3.7.1). Behind a tunnel that is less than 1460 bytes, and on a server with jumbo frames more. A server announces the same MSS to
everybody on a path, so a look at the first packets of each block is enough. What the firewall answers itself, while a synproxy is in force,
is left out.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from netwatch.model.packet import Rows, TcpFlag, TcpOption
from netwatch.model.service import Service

LOOKED_AT = 1024
"""Packets of a block: some ten microseconds, whatever its size."""

COUNTED = 64
"""SYN-ACKs of a block."""

LEAST = 3
"""SYN-ACKs that are believed: one may be a stranger's."""

FORGOTTEN_AT = 1024
"""SYN-ACKs of a service; then all counts are halved, so that a server that was replaced is believed before long."""

KINDS = 16
"""Different MSS that are counted for one service: a prefix may hold servers of several kinds."""

SYN_ACK, HAS_MSS = int(TcpFlag.SYN | TcpFlag.ACK), int(TcpOption.MSS)


class SegmentSizes:
    """How often each service announced which MSS."""

    def __init__(self) -> None:
        self._counts: dict[int, dict[int, int]] = {}  # by the service's row and the MSS
        self._left_out: frozenset[int] = frozenset()

    def leave_out(self, rows: frozenset[int]) -> None:
        """Services whose SYN-ACKs are not their own from now on."""
        self._left_out = rows

    def learn(self, packets: Rows, tracked: Rows) -> None:
        """Look at some packets of a block that has been classified."""
        answers = np.flatnonzero(packets["tcp_flags"][:LOOKED_AT] & SYN_ACK == SYN_ACK)
        fields = (tracked["service"], tracked["toward_service"], packets["tcp_options"], packets["mss"])
        counted = 0
        for row, toward, options, mss in zip(*(field[answers].tolist() for field in fields), strict=True):
            if not row or toward or not options & HAS_MSS:
                continue
            if mss and row not in self._left_out:
                self._count(row, mss)
            counted += 1
            if counted == COUNTED:
                return

    def _count(self, row: int, mss: int) -> None:
        counts = self._counts.setdefault(row, {})
        if mss in counts or len(counts) < KINDS:
            counts[mss] = counts.get(mss, 0) + 1
        if sum(counts.values()) >= FORGOTTEN_AT:
            self._counts[row] = {kind: count // 2 for kind, count in counts.items() if count > 1}

    def told(self, services: Sequence[Service]) -> tuple[Service, ...]:
        """The services, in the order of their rows from 1 on, with the MSS that each announces mostly."""
        return tuple(self._with(service, self._counts.get(row, {})) for row, service in enumerate(services, 1))

    @staticmethod
    def _with(service: Service, counts: dict[int, int]) -> Service:
        mss = max(counts, key=lambda kind: (counts[kind], -kind), default=0)
        return msgspec.structs.replace(service, mss=mss) if mss and counts[mss] >= LEAST else service
