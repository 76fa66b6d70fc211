"""Where panels lie: from left to right, a new line where the next one does not fit, a title before each row."""

from collections.abc import Iterator
from typing import NamedTuple

from netwatch.export.grafana.panel import Board, Panel, TextPanel

WIDTH = 24


class Place(NamedTuple):
    """In units of Grafana's grid."""

    x: int
    y: int
    width: int
    height: int


def places(board: Board, *, has_texts: bool) -> Iterator[tuple[str | Panel | TextPanel, Place]]:
    """Titles of rows and panels in their order; panels of texts only where there are texts."""
    y = 0
    for title, panels in board.rows:
        yield title, Place(0, y, WIDTH, 1)
        x, y, height = 0, y + 1, 0
        for panel in panels:
            if isinstance(panel, TextPanel) and not has_texts:
                continue
            if x + panel.width > WIDTH:
                x, y, height = 0, y + height, 0
            yield panel, Place(x, y, panel.width, panel.height)
            x, height = x + panel.width, max(height, panel.height)
        y += height
