"""A dashboard as a picture. No Grafana can be had where the tests run, so its panels are drawn from what it would read: the JSON of the
board, and the answers to the queries that stand in it.
"""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.export.grafana.asking import EVERYTHING, Database, Range, Series
from tests.export.grafana.drawing import COLORS, Canvas, Line, chart, clock, stats, timeline

COLUMN_PX, ROW_PX, GAP_PX = 50, 34, 8
WIDTH_PX = 24 * COLUMN_PX + 2 * GAP_PX
STYLE = """
body { margin: 0; background: #111217; color: #ccccdc; font: 13px sans-serif; position: relative }
section { position: absolute; background: #181b1f; border: 1px solid #2f3238; box-sizing: border-box; overflow: hidden; padding: 6px }
h1 { position: absolute; font-size: 15px; margin: 0 }
h2 { font-size: 13px; font-weight: 600; margin: 0 0 4px; white-space: nowrap }
ul { list-style: none; margin: 2px 0 0; padding: 0; font-size: 11px; line-height: 16px }
li { display: inline-block; margin-right: 12px; white-space: nowrap }
li i { display: inline-block; width: 12px; height: 3px; margin-right: 4px; vertical-align: middle }
.stats { display: flex; gap: 4px; position: absolute; inset: 28px 6px 6px }
.stats div { flex: 1; color: #fff; border-radius: 3px; padding: 6px; overflow: hidden }
.stats b { display: block; font-size: 26px; white-space: nowrap }
.empty { text-align: center; padding-top: 40px; color: #8e8e99 }
svg { display: block }
svg text { fill: #9fa7b3; font-size: 10px }
table { font-size: 11px; border-collapse: collapse }
td { padding: 1px 8px 1px 0; white-space: nowrap }
"""


@dataclass
class Picture:
    """A page, and how many series each panel on it has, by its title."""

    page: str
    series: dict[str, int] = field(default_factory=dict)


def picture(board: Mapping[str, Any], database: Database, over: Range, variables: Mapping[str, str] = EVERYTHING) -> Picture:
    """A board over a range of time."""
    made = Picture("")
    marks = [mark for mark in _marks(board, database, over, variables) if over.begin_s <= mark[1] <= over.end_s]
    parts = []
    for panel in board["panels"]:
        place = panel["gridPos"]
        at = f"left:{place['x'] * COLUMN_PX + GAP_PX}px;top:{place['y'] * ROW_PX + GAP_PX}px"
        title = html.escape(panel["title"])
        if panel["type"] == "row":
            parts.append(f'<h1 style="{at}">{title}</h1>')
            continue
        width, height = place["w"] * COLUMN_PX - GAP_PX, place["h"] * ROW_PX - GAP_PX
        inside, made.series[panel["title"]] = _inside(panel, database, over, variables, marks, (width - 14, height - 36))
        parts.append(f'<section style="{at};width:{width}px;height:{height}px"><h2>{title}</h2>{inside}</section>')
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in board["panels"]) * ROW_PX + 2 * GAP_PX
    body = f'<body style="height:{bottom}px;width:{WIDTH_PX}px">{"".join(parts)}</body>'
    made.page = f'<!doctype html><meta charset="utf-8"><title>{html.escape(board["title"])}</title><style>{STYLE}</style>{body}'
    return made


def _inside(
    panel: Mapping[str, Any],
    database: Database,
    over: Range,
    variables: Mapping[str, str],
    marks: Sequence[tuple[str, float]],
    size: tuple[int, int],
) -> tuple[str, int]:
    """What stands in a panel, and how many series that are."""
    if panel.get("timeFrom") == "1m":
        over = Range(max(over.begin_s, over.end_s - 60), over.end_s, over.step_s)
    if "interval" in panel:
        over = Range(over.begin_s, over.end_s, max(over.step_s, int(panel["interval"].removesuffix("s"))))
    if panel["type"] == "table":
        rows = [row for target in panel["targets"] for row in database.rows(target, over, variables)]
        cells = ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in (clock(row[0]), *row[1:])) for row in rows]
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>", len(rows)
    lines = [line for target in panel["targets"] for line in _lines(target, database.ask(target, over, variables))]
    if not lines:
        return f'<p class="empty">{html.escape(panel["fieldConfig"]["defaults"].get("noValue", "no data"))}</p>', 0
    canvas = Canvas(panel, over, *size)
    match panel["type"]:
        case "stat":
            return stats(canvas, lines), len(lines)
        case "state-timeline":
            return timeline(canvas, lines), len(lines)
        case _:
            return chart(canvas, lines, marks), len(lines)


def _lines(target: Mapping[str, Any], series: Series) -> Iterator[Line]:
    for tags, points in sorted(series.items(), key=lambda one: sorted(one[0])):
        name = target.get("alias") or target.get("legendFormat") or ""
        for tag, value in tags:
            name = name.replace(f"$tag_{tag}", value).replace(f"{{{{{tag}}}}}", value)
        yield Line(name, points)


def _marks(board: Mapping[str, Any], database: Database, over: Range, variables: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    """Colour and time of each annotation."""
    for one in board["annotations"].get("list", []):
        color = COLORS.get(one["iconColor"], one["iconColor"])
        for points in database.ask(one["target"], over, variables).values():
            if one.get("useValueForTime"):
                yield from ((color, at_ms / 1000) for at_ms in {value for _, value in points})
            else:
                yield from ((color, at_s) for at_s, _ in (points[:1] if "expr" in one else points))
