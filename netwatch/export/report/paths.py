"""Values over time as SVG path data, in whole drawing units and relative steps: an hour of seconds is a few kilobytes.

A gauge is a line through the ends of its windows, which is when it was read. A rate is a stair: it holds for the whole of its window and
says nothing about the moments within.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from netwatch.export.report.axis import PLOT_HEIGHT, TimeAxis, ValueScale


@dataclass(frozen=True)
class Stretch:
    """One value and the time it holds for."""

    start_s: float
    end_s: float
    value: float


def line_path(stretches: Sequence[Stretch], axis: TimeAxis, scale: ValueScale) -> str:
    """A line through the values at the ends of their windows."""
    corners = _without_straight_middles([(axis.x(item.end_s), scale.y(item.value)) for item in stretches])
    return _polyline(corners)


def stair_path(stretches: Sequence[Stretch], axis: TimeAxis, scale: ValueScale) -> str:
    """A stair; where windows do not touch, it is broken."""
    parts: list[str] = []
    x = y = -1
    for item in stretches:
        start, end, height = axis.x(item.start_s), axis.x(item.end_s), scale.y(item.value)
        if start != x:
            parts.append(f"M{start} {height}")
        elif height != y:
            parts.append(f"v{height - y}")
        parts.append(f"h{end - start}")
        x, y = end, height
    return _joined_runs(parts)


def filled(path: str, stretches: Sequence[Stretch], axis: TimeAxis, *, stair: bool) -> str:
    """The area below an unbroken line or stair."""
    if not path:
        return ""
    first_x = axis.x(stretches[0].start_s if stair else stretches[0].end_s)
    return f"{path}V{PLOT_HEIGHT}H{first_x}z"


def heat_paths(levels: Sequence[int], starts: Sequence[int], ends: Sequence[int], count: int) -> list[str]:
    """One path of full-height boxes for each of ``count`` levels above 0; neighbours of one level are one box."""
    paths: list[list[str]] = [[] for _ in range(count)]
    index = 0
    while index < len(levels):
        level, start, end = levels[index], starts[index], ends[index]
        index += 1
        while index < len(levels) and levels[index] == level and starts[index] <= end:
            end = ends[index]
            index += 1
        if level > 0 and end > start:
            paths[level - 1].append(f"M{start} 0h{end - start}v1h{start - end}z")
    return ["".join(path) for path in paths]


def _polyline(corners: list[tuple[int, int]]) -> str:
    if not corners:
        return ""
    parts = [f"M{corners[0][0]} {corners[0][1]}"]
    for (x, y), (next_x, next_y) in pairwise(corners):
        parts.append(f"l{next_x - x} {next_y - y}")
    return "".join(parts)


def _without_straight_middles(corners: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Leave out points on a level stretch: most of a quiet capture."""
    return [
        corner
        for index, corner in enumerate(corners)
        if index in (0, len(corners) - 1) or not corners[index - 1][1] == corner[1] == corners[index + 1][1]
    ]


def _joined_runs(parts: list[str]) -> str:
    """Consecutive horizontal runs become one."""
    joined: list[str] = []
    run = 0
    for part in parts:
        if part[0] == "h":
            run += int(part[1:])
            continue
        if run:
            joined.append(f"h{run}")
            run = 0
        joined.append(part)
    if run:
        joined.append(f"h{run}")
    return "".join(joined)
