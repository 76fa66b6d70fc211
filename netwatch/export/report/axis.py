"""The axes: one of time that all charts share, and one of values for each chart.

Plots are drawn in whole numbers of their own units and stretched by the browser (``preserveAspectRatio="none"``), so one page fits a wall
screen and a phone without being drawn twice; everything with letters in it is placed in percent above the drawing, where it keeps its size.
"""

import math
from dataclasses import dataclass

from netwatch.export import figures
from netwatch.model.replay import SeriesPoint

UNITS_PER_POINT = 50
"""Drawing units for one point of the series: enough to zoom in on a minute of an hour without visible steps."""

MOST_UNITS = 4_000_000
"""Browsers hold coordinates in 32-bit floats, whose whole numbers are exact up to 16.7 million."""

PLOT_HEIGHT = 1000
"""Drawing units from the bottom of a plot to its top."""

HEADROOM = 1.06

LEAST_PEAK = 1e-6
"""Once in eleven days; what is rarer is drawn as nothing."""

LAST_TICK = 0.96
"""From this share of the width on a label is set to end at its tick, so that it does not stick out of the page."""

_TIME_STEPS_S = (0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400)
_MOST_TIME_TICKS = 9
_MOST_VALUE_STEPS = 4
_MOST_DECADES = 6


@dataclass(frozen=True)
class Tick:
    """A label beside or below a plot."""

    percent: str  # of the plot's width or height
    text: str
    minor: bool = False  # left out where room is scarce
    last: bool = False  # so near the end that its text must end there


@dataclass(frozen=True)
class TimeAxis:
    """From ``first_s`` to ``last_s``, drawn with ``units_per_s``."""

    first_s: float
    last_s: float
    units_per_s: float

    @classmethod
    def of(cls, series: tuple[SeriesPoint, ...]) -> "TimeAxis":
        first_s, last_s = series[0].start_s, max(series[-1].end_s, series[0].start_s + 1e-3)
        units = min(MOST_UNITS, UNITS_PER_POINT * len(series))
        return cls(first_s, last_s, units / (last_s - first_s))

    @property
    def width(self) -> int:
        return max(1, round((self.last_s - self.first_s) * self.units_per_s))

    def x(self, at_s: float) -> int:
        return round((min(max(at_s, self.first_s), self.last_s) - self.first_s) * self.units_per_s)

    def percent(self, at_s: float) -> str:
        """Place on the axis for a stylesheet; times outside stick to the nearer end."""
        return f"{self._share(at_s) * 100:.3f}%"

    def _share(self, at_s: float) -> float:
        return (min(max(at_s, self.first_s), self.last_s) - self.first_s) / (self.last_s - self.first_s)

    def holds(self, at_s: float) -> bool:
        return self.first_s <= at_s <= self.last_s

    def ticks(self) -> list[Tick]:
        """Round times, every other one minor."""
        step_s = self._step_s()
        first, last = math.ceil(self.first_s / step_s), math.floor(self.last_s / step_s)
        return [self._tick(index * step_s, step_s, minor=bool(index % 2)) for index in range(first, last + 1)]

    def _tick(self, at_s: float, step_s: float, *, minor: bool) -> Tick:
        return Tick(self.percent(at_s), time_label(at_s, step_s), minor, self._share(at_s) > LAST_TICK)

    def _step_s(self) -> float:
        length_s = self.last_s - self.first_s
        for step_s in _TIME_STEPS_S:
            if length_s / step_s <= _MOST_TIME_TICKS:
                return step_s
        return _TIME_STEPS_S[-1] * math.ceil(length_s / _MOST_TIME_TICKS / _TIME_STEPS_S[-1])


def time_label(at_s: float, step_s: float) -> str:
    """As much of the time as the step between two labels needs."""
    if step_s >= figures.DAY_S:
        return figures.day(at_s)[5:]
    if step_s >= figures.MINUTE_S:
        return figures.clock(at_s)[:5]
    return figures.clock(at_s, decimals=0 if step_s >= 1 else 3)


@dataclass(frozen=True)
class ValueScale:
    """From zero to ``top``; logarithmic as log(1 + value), which keeps zero at the bottom."""

    top: float
    step: float
    logarithmic: bool = False

    @classmethod
    def reaching(cls, peak: float, *, logarithmic: bool = False) -> "ValueScale":
        """A scale that shows ``peak`` a little below its top, so that a line at the peak is not cut in half."""
        if not math.isfinite(peak) or peak < LEAST_PEAK:
            peak = 1.0
        if logarithmic and peak >= 10:  # below that there is no decade to show
            return cls(peak * 1.3, 0.0, logarithmic=True)
        return cls(peak * HEADROOM, _round_step(peak / _MOST_VALUE_STEPS))

    def share(self, value: float) -> float:
        """Height of a value, 0 at the bottom to 1 at the top."""
        bounded = min(max(value, 0.0), self.top)
        return math.log1p(bounded) / math.log1p(self.top) if self.logarithmic else bounded / self.top

    def y(self, value: float) -> int:
        """Drawing units from the top, as SVG counts."""
        return round((1 - self.share(value)) * PLOT_HEIGHT)

    def ticks(self) -> list[Tick]:
        return [Tick(f"{self.share(value) * 100:.2f}%", figures.short(value)) for value in self._tick_values()]

    def gridlines(self) -> str:
        """Heights of the ticks, in drawing units."""
        return "".join(f"M0 {self.y(value)}h{MOST_UNITS}" for value in self._tick_values() if value)

    def _tick_values(self) -> list[float]:
        if self.logarithmic:
            decades = int(math.log10(self.top)) + 1
            return [0.0, *(10.0**power for power in range(0, decades, math.ceil(decades / _MOST_DECADES)))]
        return [index * self.step for index in range(math.floor(self.top / self.step) + 1)]


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5 times a power of ten that is not below ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= least * (1 - 1e-9))
