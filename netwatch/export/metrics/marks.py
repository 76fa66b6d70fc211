"""Times of the rows that mark a chart. Two rows of one series in the same millisecond would be one point to a database, and the second
would overwrite the first; so it stands a millisecond later. The same events always get the same times, also when they are written again."""

from collections import deque

ROWS_KEPT, SERIES_KEPT = 64, 1_000


class Marks:
    """The newest rows of each series."""

    def __init__(self) -> None:
        self._taken_ms: dict[tuple[str, ...], deque[int]] = {}

    def next_s(self, series: tuple[str, ...], time_s: float) -> float:
        """When to put a row about something that happened at a time."""
        taken = self._taken_ms.pop(series, None) or deque(maxlen=ROWS_KEPT)
        self._taken_ms[series] = taken
        if len(self._taken_ms) > SERIES_KEPT:
            del self._taken_ms[next(iter(self._taken_ms))]
        time_ms = round(time_s * 1000)
        while time_ms in taken:
            time_ms += 1
        taken.append(time_ms)
        return time_ms / 1000
