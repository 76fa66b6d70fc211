"""The kinds of panel, drawn with what each says of itself: unit, thresholds, mappings."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.export.grafana.asking import Range
from tests.export.grafana.quantity import quantity

PALETTE = (
    "#7eb26d",
    "#eab839",
    "#6ed0e0",
    "#ef843c",
    "#e24d42",
    "#1f78c1",
    "#ba43a9",
    "#705da0",
    "#508642",
    "#cca300",
    "#447ebc",
    "#c15c17",
)
COLORS = {"green": "#37872d", "orange": "#e0752d", "red": "#c4162a", "blue": "#1f60c4"}
NAMES_PX, NUMBERS_PX, AXIS_PX, LEGEND_ROW_PX = 260, 104, 16, 16

Points = list[tuple[float, Any]]


@dataclass(frozen=True)
class Line:
    """One series of a panel, as it is called in the legend."""

    name: str
    points: Points


@dataclass(frozen=True)
class Canvas:
    """What a panel draws on, and what it says of itself."""

    panel: Mapping[str, Any]
    over: Range
    width: int
    height: int

    @property
    def defaults(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.panel["fieldConfig"]["defaults"]
        return found

    @property
    def custom(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.defaults.get("custom", {})
        return found

    def text_of(self, value: float) -> str:
        return html.escape(quantity(value, self.defaults["unit"]))

    def step_color(self, value: float) -> str:
        reached = [step for step in self.defaults["thresholds"]["steps"] if step.get("value") is None or value >= step["value"]]
        return COLORS[reached[-1]["color"]]

    def mapped(self, value: float) -> tuple[str, str]:
        """Text and colour of a state."""
        for mapping in self.defaults.get("mappings") or []:
            if (found := mapping["options"].get(f"{value:g}")) is not None:
                return found["text"], COLORS[found["color"]]
        return self.text_of(value), self.step_color(value)


def stats(canvas: Canvas, lines: Sequence[Line]) -> str:
    cells = []
    for line in lines:
        value = line.points[-1][1]
        name = f"<small>{html.escape(line.name)}</small>" if len(lines) > 1 else ""
        cells.append(f'<div style="background:{canvas.step_color(value)}">{name}<b>{canvas.text_of(value)}</b></div>')
    return f'<div class="stats">{"".join(cells)}</div>'


def timeline(canvas: Canvas, lines: Sequence[Line]) -> str:
    """A row a series; what stays the same is one bar."""
    height = canvas.height - AXIS_PX - LEGEND_ROW_PX
    tall = min(26.0, height / len(lines))
    scale = (canvas.width - NAMES_PX) / (canvas.over.end_s - canvas.over.begin_s)
    seen: dict[str, str] = {}
    parts = []
    for row, line in enumerate(lines):
        parts.append(f'<text x="0" y="{row * tall + tall * 0.65:.1f}">{html.escape(line.name)}</text>')
        for at_s, value in line.points:
            text, color = canvas.mapped(value)
            seen[text] = color
            x, wide = NAMES_PX + (at_s - canvas.over.begin_s) * scale, canvas.over.step_s * scale + 0.5
            parts.append(f'<rect x="{x:.1f}" y="{row * tall + 2:.1f}" width="{wide:.1f}" height="{tall - 4:.1f}" fill="{color}"/>')
    parts.append(_time_axis(canvas.over, NAMES_PX, scale, height + 12))
    return f'<svg width="{canvas.width}" height="{height + AXIS_PX}">{"".join(parts)}</svg>{_legend(seen)}'


def chart(canvas: Canvas, lines: Sequence[Line], marks: Sequence[tuple[str, float]]) -> str:
    """Lines over time, with dashed thresholds, and marks of what happened."""
    legend_rows = min(5, 1 + sum(len(line.name) * 7 + 36 for line in lines) // canvas.width)
    height, width = canvas.height - legend_rows * LEGEND_ROW_PX - AXIS_PX, canvas.width
    scale = (width - NUMBERS_PX) / (canvas.over.end_s - canvas.over.begin_s)
    shown = [line.points for line in lines]
    if canvas.custom.get("stacking", {}).get("mode") == "normal":
        shown = _stacked(shown)
    values = [value for points in shown for _, value in points]
    top, bottom = max(values, default=0.0) * 1.05 or 1.0, min([0.0, *values])

    def x(at_s: float) -> float:
        return NUMBERS_PX + (at_s - canvas.over.begin_s) * scale

    def y(value: float) -> float:
        return height - float((value - bottom) / (top - bottom)) * (height - 6)

    def level(value: float, style: str) -> str:
        return f'<line x1="{NUMBERS_PX}" x2="{width}" y1="{y(value):.1f}" y2="{y(value):.1f}" {style}/>'

    parts = []
    for value in (bottom, (bottom + top) / 2, top):
        parts.append(level(value, 'stroke="#2f3238"'))
        parts.append(f'<text x="{NUMBERS_PX - 4}" y="{y(value) + 4:.1f}" text-anchor="end">{canvas.text_of(value)}</text>')
    if canvas.custom.get("thresholdsStyle", {}).get("mode") == "dashed":
        steps = [step for step in canvas.defaults["thresholds"]["steps"] if step.get("value") is not None]
        parts += [
            level(step["value"], f'stroke="{COLORS[step["color"]]}" stroke-dasharray="8 4"')
            for step in steps
            if bottom <= step["value"] <= top
        ]
    for color, at_s in marks:
        parts.append(f'<line x1="{x(at_s):.1f}" x2="{x(at_s):.1f}" y1="0" y2="{height}" stroke="{color}" stroke-dasharray="2 3"/>')
    for place, points in enumerate(shown):
        way = " ".join(f"{x(at_s):.1f},{y(value):.1f}" for at_s, value in points)
        parts.append(f'<polyline points="{way}" fill="none" stroke="{PALETTE[place % len(PALETTE)]}" stroke-width="1.5"/>')
    parts.append(_time_axis(canvas.over, NUMBERS_PX, scale, height + 12))
    legend = _legend({line.name: PALETTE[place % len(PALETTE)] for place, line in enumerate(lines)})
    return f'<svg width="{width}" height="{height + AXIS_PX}">{"".join(parts)}</svg>{legend}'


def clock(at_s: float) -> str:
    second = int(at_s) % 86_400
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def _stacked(shown: Sequence[Points]) -> list[Points]:
    sums: dict[float, float] = {}
    stacked = []
    for points in shown:
        for at_s, value in points:
            sums[at_s] = sums.get(at_s, 0.0) + value
        stacked.append([(at_s, sums[at_s]) for at_s, _ in points])
    return stacked


def _time_axis(over: Range, left: float, scale: float, y: float) -> str:
    at = [over.begin_s + (over.end_s - over.begin_s) * place / 4 for place in range(4)]
    return "".join(f'<text x="{left + (one - over.begin_s) * scale:.1f}" y="{y}">{clock(one)}</text>' for one in at)


def _legend(colors: Mapping[str, str]) -> str:
    return "<ul>" + "".join(f'<li><i style="background:{color}"></i>{html.escape(name)}</li>' for name, color in colors.items()) + "</ul>"
