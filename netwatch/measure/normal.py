"""What is normal: a robust level and spread for every feature of every service, learned as it goes.

Score first, learn after: a window is compared with what the windows before it taught. Three things keep a flood from teaching the baseline:

* The first ten windows are kept, and their median and median absolute deviation are the estimate, so that half of them may be anything.
  A window under alarm is not among them: a service that was first seen in a flood stays warming until the flood is over.
* From then on each value is clipped to 2.5 spreads around the level before it moves it (Huber's M-estimator of location as an
  exponentially weighted mean): one wild window moves the level no more than a mildly high one.
* While a service is alarmed its level follows 6 times more slowly than the slowest otherwise, clipped to one spread, and its spread not at
  all: at most 20 % in an hour. Not frozen for good, since a service that has really moved would otherwise stay alarmed for ever.

The weight of a window is 1/60 after the first ten, 1/n from the sixtieth (the plain mean, which converges fastest) and 1/300 in the end. A
window of ``d`` seconds weighs as ``d`` windows of one. Learning is a handful of operations on matrices of services x features, O(1) each.

It fails where a service has no normal of its own: bursts an hour apart look wild each time.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.model.window import Normal

WARM_WINDOWS = 10
"""Windows before the normals mean anything."""

FASTEST_WINDOWS, SLOWEST_WINDOWS = 60, 300
ALARMED_WINDOWS = 1800
CLIP_SPREADS = 2.5
ALARMED_CLIP_SPREADS = 1.0

MAD_TO_SIGMA = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""

MEAN_DEVIATION_TO_SIGMA = 1.2533
"""Standard deviation over mean absolute deviation of a normal distribution, sqrt(pi / 2)."""

Matrix = NDArray[np.float64]


class Normals:
    """Levels and spreads of some features (columns) for some subjects (rows), all rates per second."""

    def __init__(self, rows: int, features: int) -> None:
        self.level: Matrix = np.zeros((rows, features))
        self.spread: Matrix = np.zeros((rows, features))
        self.windows = np.zeros(rows, np.int64)
        self._first: Matrix = np.zeros((WARM_WINDOWS, rows, features))

    def of(self, row: int) -> list[Normal]:
        """The normals of one subject, in the order of the features."""
        return list(map(Normal, self.level[row].tolist(), self.spread[row].tolist()))

    def of_each(self, rows: NDArray[np.intp]) -> list[list[Normal]]:
        """Of each feature the normals of some subjects."""
        pairs = zip(self.level[rows].T.tolist(), self.spread[rows].T.tolist(), strict=True)
        return [list(map(Normal, levels, spreads)) for levels, spreads in pairs]

    def warming(self, row: int) -> bool:
        """Whether too few windows were seen for the normals to mean anything."""
        return bool(self.windows[row] < WARM_WINDOWS)

    def learn(self, rows: NDArray[np.intp], rates: Matrix, *, duration_s: float, alarmed: NDArray[np.bool_]) -> None:
        """Take in one window of these subjects; ``rates`` and ``alarmed`` are in their order."""
        young = self.windows[rows] < WARM_WINDOWS
        if young.any():
            first = young & ~alarmed
            self._learn_first(rows[first], rates[first])
            rows, rates, alarmed = rows[~young], rates[~young], alarmed[~young]
        if len(rows):
            self._follow(rows, rates, duration_s, alarmed)

    def _learn_first(self, rows: NDArray[np.intp], rates: Matrix) -> None:
        seen = self.windows[rows]
        self._first[seen, rows] = rates
        kept = self._first[:, rows]  # a copy
        kept[np.arange(WARM_WINDOWS)[:, None] > seen] = np.inf
        self.level[rows] = _median(kept, seen + 1)
        self.spread[rows] = MAD_TO_SIGMA * _median(np.abs(kept - self.level[rows]), seen + 1)
        self.windows[rows] = seen + 1

    def _follow(self, rows: NDArray[np.intp], rates: Matrix, duration_s: float, alarmed: NDArray[np.bool_]) -> None:
        seen = self.windows[rows] + 1
        self.windows[rows] = seen
        windows = np.minimum(np.maximum(seen, FASTEST_WINDOWS), SLOWEST_WINDOWS)
        windows[~rates.any(axis=1)] = SLOWEST_WINDOWS  # silence says that a service is silent, not what it does when it works
        windows[alarmed] = ALARMED_WINDOWS
        weight = (1.0 - (1.0 - 1.0 / windows) ** duration_s)[:, None]
        level, spread = self.level[rows], self.spread[rows]
        clip = np.where(alarmed, ALARMED_CLIP_SPREADS, CLIP_SPREADS)[:, None] * np.maximum(np.maximum(spread, 0.1 * level), 1.0)
        step = np.minimum(np.maximum(rates - level, -clip), clip)
        self.level[rows] = level + weight * step
        self.spread[rows] = spread + np.where(alarmed[:, None], 0.0, weight) * (MEAN_DEVIATION_TO_SIGMA * np.abs(step) - spread)


def _median(values: Matrix, counts: NDArray[np.int64]) -> Matrix:
    """Median along the first axis, of which column ``i`` holds ``counts[i]`` values and infinities behind them once it is sorted."""
    ordered = np.sort(values, axis=0)
    columns = np.arange(values.shape[1])
    return 0.5 * (ordered[(counts - 1) // 2, columns] + ordered[counts // 2, columns])
