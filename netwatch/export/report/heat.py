"""Who opened sessions, over time: a strip for each of the busiest source prefixes, the darker the more, and one for all others together.

A spoofed flood shows as a dark last strip above pale ones; a single abuser as one dark strip. Steps are a factor of about three each,
since the busiest prefix of a flood and the usual ones differ by orders of magnitude.
"""

import math
from collections import Counter
from dataclasses import dataclass

from netwatch.export import figures
from netwatch.export.report.axis import TimeAxis
from netwatch.export.report.paths import heat_paths
from netwatch.model.replay import SeriesPoint

STRIPS_SHOWN = 7
LEVELS = 6
STEP = math.sqrt(10.0)
OTHERS = "all other sources"


@dataclass(frozen=True)
class Strip:
    """One prefix over time."""

    label: str
    note: str
    paths: tuple[str, ...]  # one for each level, palest first


@dataclass(frozen=True)
class Heat:
    """All strips and what their shades mean."""

    strips: tuple[Strip, ...]
    shades: tuple[str, ...]  # lower edge of each level, as text


def heat(series: tuple[SeriesPoint, ...], axis: TimeAxis) -> Heat | None:
    """The strips, or nothing where no prefix is known."""
    totals: Counter[str] = Counter()
    for point in series:
        for item in point.prefixes:
            totals[item.prefix] += item.count
    if not totals:
        return None
    named = [prefix for prefix, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:STRIPS_SHOWN]]
    rates = {prefix: [_rate(_count(point, prefix), point) for point in series] for prefix in named}
    rates[OTHERS] = [_rate(max(0, _asked(point) - sum(_count(point, prefix) for prefix in named)), point) for point in series]
    counts = {prefix: totals[prefix] for prefix in named}
    counts[OTHERS] = sum(max(0, _asked(point) - sum(_count(point, prefix) for prefix in named)) for point in series)
    peak = max(rate for line in rates.values() for rate in line)
    edges = [max(peak, 1e-9) / STEP ** (LEVELS - level) for level in range(LEVELS)]
    strips = tuple(_strip(prefix, rates[prefix], counts[prefix], edges, series, axis) for prefix in rates if counts[prefix])
    return Heat(strips, tuple(f"{figures.number(float(f'{edge:.2g}'))}/s" for edge in edges))


def _strip(prefix: str, rates: list[float], total: int, edges: list[float], series: tuple[SeriesPoint, ...], axis: TimeAxis) -> Strip:
    levels = [sum(rate >= edge for edge in edges) for rate in rates]
    starts, ends = [axis.x(point.start_s) for point in series], [axis.x(point.end_s) for point in series]
    note = f"{figures.count(total)} in all, at most {figures.number(max(rates))}/s"
    return Strip(figures.printable(prefix), note, tuple(heat_paths(levels, starts, ends, LEVELS)))


def _count(point: SeriesPoint, prefix: str) -> int:
    return sum(item.count for item in point.prefixes if item.prefix == prefix)


def _asked(point: SeriesPoint) -> int:
    """Everything that was asked for in a point, whether or not the table had room for it."""
    return max(point.attempts, sum(item.count for item in point.prefixes))


def _rate(count: int, point: SeriesPoint) -> float:
    return count / point.duration_s if point.duration_s > 0 else 0.0
