"""Scales and paths, against what a hand would draw."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.export.report.axis import MOST_UNITS, PLOT_HEIGHT, TimeAxis, ValueScale
from netwatch.export.report.heat import heat
from netwatch.export.report.paths import Stretch, filled, heat_paths, line_path, stair_path
from netwatch.model.replay import PrefixPoint, SeriesPoint

AXIS = TimeAxis(1000.0, 1010.0, 10.0)
SCALE = ValueScale(100.0, 25.0)


def seconds(values: list[float]) -> list[Stretch]:
    return [Stretch(1000.0 + index, 1001.0 + index, value) for index, value in enumerate(values)]


def corners(path: str) -> list[tuple[int, int]]:
    """Follow a path's commands and list where its pen stood."""
    x = y = 0
    found = []
    for command, words in re.findall(r"([MlhvVHz])([-\d ]*)", path):
        numbers = [int(word) for word in words.split()]
        match command:
            case "M":
                x, y = numbers
            case "l":
                x, y = x + numbers[0], y + numbers[1]
            case "h":
                x += numbers[0]
            case "v":
                y += numbers[0]
            case "H":
                x = numbers[0]
            case "V":
                y = numbers[0]
        found.append((x, y))
    return found


def test_a_gauge_is_a_line_through_the_ends_of_its_windows() -> None:
    assert corners(line_path(seconds([0, 50, 100]), AXIS, SCALE)) == [(10, 1000), (20, 500), (30, 0)]


def test_a_level_stretch_needs_only_its_ends() -> None:
    assert corners(line_path(seconds([50, 50, 50, 50, 0]), AXIS, SCALE)) == [(10, 500), (40, 500), (50, 1000)]


def test_a_rate_is_a_stair_over_its_windows() -> None:
    assert stair_path(seconds([50, 50, 0]), AXIS, SCALE) == "M0 500h20v500h10"


def test_a_stair_is_broken_where_windows_do_not_touch() -> None:
    apart = [Stretch(1000.0, 1001.0, 0.0), Stretch(1005.0, 1006.0, 0.0)]
    assert stair_path(apart, AXIS, SCALE) == "M0 1000h10M50 1000h10"


def test_an_area_closes_at_the_bottom() -> None:
    stretches = seconds([50, 100])
    assert corners(filled(stair_path(stretches, AXIS, SCALE), stretches, AXIS, stair=True))[-3:] == [
        (20, PLOT_HEIGHT),
        (0, PLOT_HEIGHT),
        (0, PLOT_HEIGHT),
    ]


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=60), st.booleans())
def test_no_value_leaves_the_plot(values: list[float], logarithmic: bool) -> None:
    scale = ValueScale.reaching(max(values), logarithmic=logarithmic)
    axis = TimeAxis(1000.0, 1000.0 + len(values), 7.0)
    for path in (line_path(seconds(values), axis, scale), stair_path(seconds(values), axis, scale)):
        assert all(0 <= x <= axis.width and 0 <= y <= PLOT_HEIGHT for x, y in corners(path))


@given(st.floats(1e-3, 1e15), st.booleans())
def test_a_scale_has_a_few_ticks_and_all_below_its_top(peak: float, logarithmic: bool) -> None:
    ticks = ValueScale.reaching(peak, logarithmic=logarithmic).ticks()
    assert 2 <= len(ticks) <= 7
    assert all(0 <= float(tick.percent.rstrip("%")) <= 100 for tick in ticks)


@pytest.mark.parametrize("length_s", [0.002, 0.7, 9, 60, 3600, 86_400, 30 * 86_400, 40 * 365 * 86_400])
def test_every_length_of_capture_has_a_readable_number_of_time_labels(length_s: float) -> None:
    axis = TimeAxis.of((SeriesPoint(start_s=1_709_823_600.0, duration_s=length_s, entries=0, limit=1),))
    assert 1 <= len(axis.ticks()) <= 11
    assert axis.width <= MOST_UNITS


def test_time_labels_show_what_their_step_needs() -> None:
    def labels(length_s: float) -> list[str]:
        return [tick.text for tick in TimeAxis(1_709_823_600.0, 1_709_823_600.0 + length_s, 1.0).ticks()]

    assert labels(60)[:2] == ["15:00:00", "15:00:10"]
    assert labels(7200)[:2] == ["15:00", "15:15"]
    assert labels(7 * 86_400)[:2] == ["03-08", "03-09"]


def test_heat_joins_neighbours_of_one_level() -> None:
    assert heat_paths([2, 2, 0, 1], [0, 10, 20, 30], [10, 20, 30, 40], 2) == ["M30 0h10v1h-10z", "M0 0h20v1h-20z"]


def test_a_spoofed_crowd_shows_in_the_strip_of_all_others() -> None:
    series = tuple(
        SeriesPoint(start_s=float(second), duration_s=1.0, entries=0, limit=1, attempts=1000, prefixes=(PrefixPoint("192.0.2.0/24", 10),))
        for second in range(5)
    )
    found = heat(series, TimeAxis.of(series))
    assert found is not None
    assert [(strip.label, strip.note) for strip in found.strips] == [
        ("192.0.2.0/24", "50 in all, at most 10/s"),
        ("all other sources", "4,950 in all, at most 990/s"),
    ]
    assert found.strips[1].paths[-1]
    assert not found.strips[0].paths[-1]


def test_without_prefixes_there_is_no_heat() -> None:
    series = (SeriesPoint(start_s=0.0, duration_s=1.0, entries=0, limit=1),)
    assert heat(series, TimeAxis.of(series)) is None
