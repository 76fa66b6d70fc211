"""The report page as a browser shows it: no complaint, nothing fetched, nothing cut off, and charts that answer."""

import re
import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from netwatch.export.report import write_report
from tests.export.browser import Page, page
from tests.export.fakes import empty_replay, flood_replay, quiet_replay
from tests.export.test_report import hostile_replay

pytestmark = pytest.mark.browser

REPLAYS = {"flood": flood_replay, "quiet": quiet_replay, "empty": empty_replay, "hostile": hostile_replay}
WIDTHS = (1280, 390)

VIEW_BOXES = """
[...document.querySelectorAll("[data-chart] .plot > svg")].map((svg) => `${svg.viewBox.baseVal.x} ${svg.viewBox.baseVal.width}`)
"""

CONTRASTS = """
(() => {
  const probe = document.createElement("canvas").getContext("2d");
  const rgb = (colour) => { probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1); return [...probe.getImageData(0, 0, 1, 1).data]; };
  const linear = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (colour) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => sum + weight * linear(rgb(colour)[i] / 255), 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (rgb(colour)[3] === 255 && colour !== "rgba(0, 0, 0, 0)") return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const texts = [...document.querySelectorAll("h1, h2, h3, p, li, td, th, dt, dd, small, output, code, pre, button, .frame span, .pill")];
  const lines = [...document.querySelectorAll(".curve")];
  return {
    text: Math.min(...texts.map((e) => ratio(getComputedStyle(e).color, ground(e)))),
    line: Math.min(...lines.map((e) => ratio(getComputedStyle(e).stroke, ground(e)))),
  };
})()
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    for name, replay in REPLAYS.items():
        write_report(replay(), folder / f"{name}.html")
    return {name: folder / f"{name}.html" for name in REPLAYS}


@pytest.fixture(scope="module")
def tab() -> Iterator[Page]:
    with page() as opened:
        yield opened


def shades(png: bytes) -> int:
    """How many different bytes the picture's filtered rows hold; a blank one has a handful."""
    data, at = b"", 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    return len(set(zlib.decompress(data)))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", REPLAYS)
def test_the_page_opens_without_complaint_fits_its_window_and_is_not_blank(
    tab: Page, pages: dict[str, Path], name: str, width: int, dark: bool
) -> None:
    tab.open(pages[name], width=width, dark=dark)
    picture = tab.screenshot()

    assert tab.complaints == []
    assert tab.requests == [pages[name].as_uri()]
    assert tab.value("document.documentElement.scrollWidth") == width
    assert shades(picture) > 100


@pytest.mark.parametrize("width", WIDTHS)
def test_every_chart_draws_its_curves_over_its_plot(tab: Page, pages: dict[str, Path], width: int) -> None:
    tab.open(pages["flood"], width=width)
    covered = tab.value(
        """[...document.querySelectorAll("[data-chart] .plot")].map((plot) => Math.max(...[...plot.querySelectorAll(".curve")]
           .map((curve) => curve.getBoundingClientRect().width / plot.getBoundingClientRect().width)))"""
    )
    assert len(covered) == 7
    assert min(covered) > 0.95


@pytest.mark.parametrize("width", WIDTHS)
def test_labels_stay_within_the_page_and_do_not_overlap(tab: Page, pages: dict[str, Path], width: int) -> None:
    tab.open(pages["flood"], width=width)
    rows = tab.value(
        """[...document.querySelectorAll(".times")].map((row) => [...row.children].map((label) => label.getBoundingClientRect())
           .map((box) => [box.left, box.right]))"""
    )
    assert len(rows) == 8
    for boxes in rows:
        assert len(boxes) >= 3
        assert all(left >= 0 and right <= width for left, right in boxes)
        assert all(earlier[1] < later[0] for earlier, later in pairwise(boxes))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_and_curves_have_the_contrast_that_accessibility_asks_for(tab: Page, pages: dict[str, Path], dark: bool) -> None:
    """WCAG 2.2: 4.5 to 1 for text (1.4.3), 3 to 1 for graphics (1.4.11)."""
    tab.open(pages["flood"], width=1280, dark=dark)
    contrast = tab.value(CONTRASTS)
    assert contrast["text"] >= 4.5
    assert contrast["line"] >= 3.0


def test_markup_in_names_does_not_run(tab: Page, pages: dict[str, Path]) -> None:
    tab.open(pages["hostile"], width=1280)
    assert tab.value("typeof window.owned") == "undefined"
    assert tab.value("document.images.length") == 0


def test_the_pointer_reads_every_chart_at_one_time(tab: Page, pages: dict[str, Path]) -> None:
    tab.open(pages["flood"], width=1280)
    x, y = middle_of_first_plot(tab)
    tab.mouse("mouseMoved", x, y)

    assert tab.value("document.querySelector('.cursor-time').textContent") == "15:00:45 – 15:00:46 UTC"
    assert tab.value("document.querySelector('[data-chart=table] output').textContent") == "30,000"
    assert tab.value("[...document.querySelectorAll('.cursor')].every((cursor) => !cursor.hidden)")
    assert tab.value("document.querySelectorAll('output.live').length === document.querySelectorAll('[data-line]').length")


def test_dragging_zooms_all_charts_and_a_double_click_shows_the_whole(tab: Page, pages: dict[str, Path]) -> None:
    tab.open(pages["flood"], width=1280)
    whole = tab.value(VIEW_BOXES)
    x, y = middle_of_first_plot(tab)
    tab.mouse("mouseMoved", x, y)
    tab.mouse("mousePressed", x, y, pressed=True)
    tab.mouse("mouseMoved", x + 50, y, pressed=True)
    tab.mouse("mouseMoved", x + 100, y, pressed=True)
    tab.mouse("mouseReleased", x + 100, y)
    zoomed = tab.value(VIEW_BOXES)

    assert len(set(whole)) == 1
    assert len(set(zoomed)) == 1
    assert float(zoomed[0].split()[1]) < 0.2 * float(whole[0].split()[1])
    assert tab.value("document.querySelector('.times').textContent").startswith("15:00:4")

    tab.value("document.querySelector('[data-zoom=all]').click()")
    assert tab.value(VIEW_BOXES) == whole


def test_the_keyboard_moves_the_cursor(tab: Page, pages: dict[str, Path]) -> None:
    tab.open(pages["flood"], width=1280)
    tab.value("document.querySelector('[data-chart=table] .plot').focus()")
    for _ in range(3):
        tab.ask("Input.dispatchKeyEvent", type="keyDown", key="ArrowRight")
    assert tab.value("document.querySelector('.cursor-time').textContent") == "15:00:02 – 15:00:03 UTC"


def test_without_scripts_the_charts_are_there_all_the_same(tab: Page, pages: dict[str, Path], tmp_path: Path) -> None:
    still = tmp_path / "still.html"
    still.write_text(re.sub(r"<script.*?</script>", "", pages["flood"].read_text(), flags=re.DOTALL))
    tab.open(still, width=390)
    assert tab.value("document.scripts.length") == 0
    assert tab.value("[...document.querySelectorAll('[data-chart] .plot .curve')].every((curve) => curve.getTotalLength() > 100)")
    assert tab.value("document.querySelector('.buttons').hidden")
    assert tab.value("document.documentElement.scrollWidth") == 390


def middle_of_first_plot(tab: Page) -> tuple[float, float]:
    tab.value("document.querySelector('[data-chart=table] .plot').scrollIntoView({ block: 'center' })")
    x, y = tab.value(
        """(() => { const box = document.querySelector("[data-chart=table] .plot").getBoundingClientRect();
           return [box.left + box.width * 0.505, box.top + box.height / 2]; })()"""
    )
    return x, y
