"""The rehearsal: a plan is tried on the traffic of just now, in a copy of the session table, before anybody touches a firewall.

A what-if of a replay runs forward from a fork. Live there is no forward, so the fork must lie in the past: every half minute the table is
copied, and the packets since then are kept. A rehearsal forks the older of two copies with the plan in force and runs half a minute to a
minute of real traffic through it. It begins with the sessions that really were there, so one that rests meanwhile, such as an idle IMAP
client, counts as what it is; a table that began empty would take it for a stranger and the plan for a villain.

Both are bounded: what a flood makes of half a minute may be hundreds of megabytes, then the two spans are shorter. Packets are put away
(put_away.py), those of a flood in some 45 bytes each, so about two million are kept, and a rehearsal takes half a second at most. A copy of
262,144 entries takes some 50 MB.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from netwatch.measure.services import ServiceDirectory
from netwatch.model.change import Rehearsal
from netwatch.model.packet import PacketBlock, concatenate
from netwatch.model.plan import Admission
from netwatch.model.service import Service
from netwatch.model.tracked import TRACKED
from netwatch.put_away import PutAway, put_away, taken_out
from netwatch.track.clock import SECOND_NS
from netwatch.track.session_table import SessionTable

KEPT_S = 60
KEPT_BYTES = 96 << 20
TOGETHER = 4096
"""Packets that are put away in one go, at least, or all of a second: twenty-six columns cost a tenth of a millisecond, however short."""


class _Span:
    """A copy of the table, and the packets since then, a window after the other."""

    def __init__(self, table: SessionTable, begin_ns: int) -> None:
        self.table = table
        self.begin_ns = begin_ns
        self.windows: list[tuple[list[PutAway], int]] = []  # parts, and the window's end
        self.bytes = 0


class RecentTraffic:
    """The packets of the last half to whole minute, and the session table as it was before them."""

    def __init__(self, sessions: SessionTable, *, seconds: int = KEPT_S, most_bytes: int = KEPT_BYTES) -> None:
        self._sessions = sessions
        self._span_ns = seconds * SECOND_NS // 2
        self._span_bytes = most_bytes // 2
        self._spans: list[_Span] = []  # the older first, at most two
        self._waiting: list[PacketBlock] = []  # to be put away together
        self._open: list[PutAway] = []
        self._open_bytes = 0

    def keep(self, part: PacketBlock) -> None:
        """Keep packets of the open window."""
        if self._spans and self._open_bytes <= self._span_bytes:
            self._waiting.append(part)
            if sum(len(block.packets) for block in self._waiting) >= TOGETHER:
                self._put_away()

    def _put_away(self) -> None:
        if self._waiting:
            self._open.append(put_away(concatenate(self._waiting) if len(self._waiting) > 1 else self._waiting[0]))
            self._open_bytes += self._open[-1].nbytes
            self._waiting = []

    def close(self, end_ns: int) -> None:
        """The window ends; the table has seen it."""
        self._put_away()
        if self._open_bytes > self._span_bytes:  # one second of it is more than there is room for: what is left has a hole
            self._spans.clear()
        elif self._spans:
            span = self._spans[-1]
            span.windows.append((self._open, end_ns))
            span.bytes += self._open_bytes
        self._open, self._open_bytes = [], 0
        if not self._spans or end_ns - self._spans[-1].begin_ns >= self._span_ns or self._spans[-1].bytes >= self._span_bytes:
            self._spans = [*self._spans[-1:], _Span(self._sessions.fork(Admission()), end_ns)]

    def follow(self, sessions: SessionTable) -> None:
        """The table goes on as this one: a mitigation came into force, or ended."""
        self._sessions = sessions

    def assign(self, learned: Sequence[tuple[int, Service]]) -> None:
        """Services were learned: their entries in the copies belong to them too."""
        for span in self._spans:
            span.table.assign(learned)

    @property
    def bytes(self) -> int:
        """Held by packets."""
        return sum(span.bytes for span in self._spans) + self._open_bytes

    @property
    def seconds(self) -> float:
        """Of traffic that a rehearsal would run on."""
        windows = [end_ns for span in self._spans for _, end_ns in span.windows]
        return (windows[-1] - self._spans[0].begin_ns) / SECOND_NS if windows else 0.0

    def rehearse(self, admission: Admission, directory: ServiceDirectory, *, onset_s: float) -> Rehearsal | None:
        """Try a mitigation on what is kept; None if nothing is.

        Args:
            admission: the mitigation.
            directory: names the services of the packets, also of those that were kept before they were learned.
            onset_s: of the incident; what is older shows what the mitigation does to ordinary traffic.
        """
        spans = tuple(self._spans)
        if not any(parts for span in spans for parts, _ in span.windows):
            return None
        table = spans[0].table.fork(admission)
        packets_before = refused_before = 0
        end_ns = spans[0].begin_ns
        for parts, end_ns in _windows(spans):
            for part in map(taken_out, parts):
                tracked = np.zeros(len(part.packets), TRACKED)
                table.track(part.packets, part.quoted, tracked, directory.index)
                packets_before += len(part.packets) if end_ns <= onset_s * SECOND_NS else 0
            table.advance(end_ns)
            if end_ns <= onset_s * SECOND_NS:
                refused_before = table.shed
        return Rehearsal(
            seconds=(end_ns - spans[0].begin_ns) / SECOND_NS,
            healthy_sessions=self._sessions.healthy(spans[0].begin_ns),
            healthy_hit=table.healthy_hit,
            packets_before=packets_before,
            refused_before=refused_before,
        )


def _windows(spans: tuple[_Span, ...]) -> Iterator[tuple[list[PutAway], int]]:
    for span in spans:
        yield from tuple(span.windows)
