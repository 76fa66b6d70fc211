"""When the state table will be full, and what then happens to a new session.

The slope of the entries is the best leading signal there is: it needs no training, and it is the same whichever mode fills the table.
Over the last 30 seconds it is the median of the slopes of all pairs of points (Theil-Sen), which a collector's steps hardly disturb; but a
median turns only when half of the pairs have, many seconds late. So the last four points may overrule it: when all of their steps point the
same way, that is the slope now.
"""

import math
from bisect import bisect_left, insort
from collections import deque
from itertools import pairwise

from netwatch.model.session import FirewallProfile, TableCounts

LONG_S = 30.0
SHORT_POINTS = 4
"""Three steps, so that a change of slope shows within three seconds."""

MOST_POINTS = 32
EVICTION_NODES = 16.0
"""Early drop looks at 8 buckets (NF_CT_EVICTION_RANGE, net/netfilter/nf_conntrack_core.c), and each entry hangs in two."""


Point = tuple[float, int]
"""A time and the entries then."""


class FillForecast:
    """The table's entries over the last half minute."""

    def __init__(self) -> None:
        self._points: deque[Point] = deque()
        self._slopes: list[float] = []  # of all pairs of points, sorted: a point more or less is 31 of 496

    def update(self, at_s: float, entries: int) -> None:
        """Add a point; one that is not later than the last replaces it."""
        while self._points and self._points[-1][0] >= at_s:
            self._leave(self._points.pop())
        newest = (at_s, entries)
        for point in self._points:
            insort(self._slopes, _slope_per_s(point, newest))
        self._points.append(newest)
        while len(self._points) > MOST_POINTS or (len(self._points) > 2 and self._points[0][0] < at_s - LONG_S):
            self._leave(self._points.popleft())

    def _leave(self, gone: Point) -> None:
        for point in self._points:
            del self._slopes[bisect_left(self._slopes, _slope_per_s(point, gone))]

    @property
    def slope_per_s(self) -> float:
        """Entries gained per second now; 0 before there are two points."""
        if not self._slopes:
            return 0.0
        pairs = len(self._slopes)
        long_per_s = 0.5 * (self._slopes[(pairs - 1) // 2] + self._slopes[pairs // 2])
        newest = list(self._points)[-SHORT_POINTS:]
        if len(newest) < SHORT_POINTS:
            return long_per_s
        short_per_s = _slope_per_s(newest[0], newest[-1])
        grew = [after > before for (_, before), (_, after) in pairwise(newest)]
        if all(grew):
            return max(long_per_s, short_per_s)
        return long_per_s if any(grew) else min(long_per_s, short_per_s)


def _slope_per_s(one: Point, other: Point) -> float:
    """The same, to the last bit, whichever comes first."""
    return (other[1] - one[1]) / (other[0] - one[0])


def time_to_full_s(entries: int, limit: int, slope_per_s: float) -> float | None:
    """Seconds until the limit at this slope; 0 when it is reached, ``None`` while the table does not fill or has no limit."""
    if limit <= 0:
        return None
    if entries >= limit:
        return 0.0
    return (limit - entries) / slope_per_s if slope_per_s > 0.0 else None


def drop_probability(counts: TableCounts, profile: FirewallProfile) -> float:
    """The chance that a new session is dropped now.

    A full table drops it unless early drop finds an entry that is not assured in the buckets it looks at. With U such entries hashed
    over B buckets, two nodes each, it finds none with probability exp(-16 U / B). Measured on kernel 6.18: 0.277 where this says 0.295,
    0.181 where it says 0.202.
    """
    if profile.limit <= 0 or counts.all.entries < profile.limit:
        return 0.0
    if not profile.early_drop:
        return 1.0
    unassured = counts.all.entries - counts.all.assured
    return math.exp(-EVICTION_NODES * unassured / profile.buckets)
