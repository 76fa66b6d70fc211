"""Event time: the packets' own clock, and the borders of windows on it.

Everything behind this file takes its time from the data, so it must be sound: it never goes back (a late packet happens "now"), and one
forged or damaged time stamp far ahead must not end the day for all packets behind it. Silence closes windows too. A long one is covered by
ever longer windows, since a capture may be silent for days and no chart or detector needs each of those seconds.
"""

from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.jit import njit
from netwatch.model.packet import Rows

SECOND_NS = 1_000_000_000

LEAP_NS = 3600 * SECOND_NS
"""A packet that is this far ahead of the one behind it has a wrong time stamp: no network delivers an hour late."""

LEAP_PASSES = 4
"""Wrong time stamps in a row that are mended; more than that is a clock that was really set."""

FINE_SILENT_WINDOWS = 10
"""Silent windows of one second before they begin to double."""

LONGEST_SILENT_S = 60
"""Windows do not grow beyond this within the first hour of silence …"""

COARSE_AFTER_S = 3600
"""… after which they double without bound, so that years cost no more than hours."""


@njit
def run_on(packets: Rows, latest_ns: int, times_ns: NDArray[np.int64]) -> bool:
    """Write when each packet counts as having come, never before the one in front of it. ``False``: a wrong time stamp must be mended."""
    ahead_ns = latest_ns
    for number in range(len(packets)):
        ts_ns = packets[number].ts_ns
        if ahead_ns - ts_ns > LEAP_NS and number:
            return False
        ahead_ns = ts_ns
        latest_ns = max(latest_ns, ts_ns)
        times_ns[number] = latest_ns
    return True


class Border(msgspec.Struct, frozen=True):
    """A window that ends here."""

    start_ns: int
    end_ns: int


class Stretch(msgspec.Struct, frozen=True):
    """Neighbouring packets of one window, and the windows to close behind them."""

    begin: int
    stop: int
    borders: tuple[Border, ...]


class EventClock:
    """Cuts blocks of packets at whole seconds of their own time."""

    def __init__(self) -> None:
        self.now_ns: int | None = None
        self.first_ns: int | None = None
        self.mended = 0  # wrong time stamps replaced
        self._window_start_ns = 0
        self._silent_windows = 0

    def cut(self, packets: Rows) -> Iterator[Stretch]:
        """Yield the packets of a block window by window, in order; wrong time stamps in ``packets`` are mended in place."""
        if not len(packets):
            return
        ts_ns = self._running_time(packets)
        begin = 0
        while begin < len(ts_ns):
            stop = int(np.searchsorted(ts_ns, self._window_start_ns + SECOND_NS, side="left"))
            if stop > begin:
                self._silent_windows = 0
            borders = tuple(self._borders(int(ts_ns[stop]))) if stop < len(ts_ns) else ()
            yield Stretch(begin, stop, borders)
            begin = stop
        self.now_ns = int(ts_ns[-1])

    def tick(self, now_ns: int) -> tuple[Border, ...]:
        """The windows that end by ``now_ns`` although no packet came: a live source calls this each second."""
        if self.now_ns is None:
            self._begin(now_ns)
        self.now_ns = max(now_ns, self.now_ns or now_ns)
        return tuple(self._borders(self.now_ns))

    def finish(self) -> Border | None:
        """The last, unfinished window; ``None`` if there was no packet."""
        if self.now_ns is None:
            return None
        return Border(self._window_start_ns, self._window_start_ns + SECOND_NS)

    def _begin(self, now_ns: int) -> None:
        self.first_ns = now_ns
        self._window_start_ns = now_ns - now_ns % SECOND_NS

    def _running_time(self, packets: Rows) -> NDArray[np.int64]:
        times_ns = np.empty(len(packets), np.int64)
        if not run_on(packets, self.now_ns or 0, times_ns):
            self._mend(packets["ts_ns"])
            np.maximum(np.maximum.accumulate(packets["ts_ns"]), self.now_ns or 0, out=times_ns)
        if self.now_ns is None:
            self._begin(int(times_ns[0]))
        return times_ns

    def _mend(self, ts_ns: NDArray[np.int64]) -> None:
        for _ in range(LEAP_PASSES):
            leaps = np.flatnonzero(ts_ns[:-1] - ts_ns[1:] > LEAP_NS)
            if not len(leaps):
                break
            ts_ns[leaps] = ts_ns[leaps + 1]
            self.mended += len(leaps)

    def _borders(self, now_ns: int) -> Iterator[Border]:
        """Close windows until ``now_ns`` lies in the one that is open."""
        while now_ns - self._window_start_ns >= SECOND_NS:
            whole_s = (now_ns - self._window_start_ns) // SECOND_NS
            end_ns = self._window_start_ns + min(self._silent_length_s(whole_s), whole_s) * SECOND_NS
            yield Border(self._window_start_ns, end_ns)
            self._window_start_ns = end_ns
            self._silent_windows += 1

    def _silent_length_s(self, ahead_s: int) -> int:
        doublings = max(0, self._silent_windows - FINE_SILENT_WINDOWS)
        if doublings == 0:
            return 1
        length_s = 1 << min(doublings, 62)
        return length_s if ahead_s > COARSE_AFTER_S else min(length_s, LONGEST_SILENT_S)
