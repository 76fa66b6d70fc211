"""Which charts the page shows, in which order, and what each draws: the table's fill, what would have been, new sessions and drops,
handshakes of each service, and who opened them.

Every chart is a frozen value with its paths and labels ready, so the page template holds no arithmetic. The numbers behind the lines go
to the page once more as plain values, for the readout under the pointer.
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from netwatch.export import figures
from netwatch.export.report.axis import TimeAxis, ValueScale
from netwatch.export.report.paths import Stretch, filled, line_path, stair_path
from netwatch.export.verdict import main_incident
from netwatch.model.replay import Replay, SeriesPoint, ServicePoint, WhatIf

SERVICES_SHOWN = 4
WHAT_IFS_SHOWN = 5
"""Curves that can still be told apart in one chart."""

LIMIT_SHOWN_FROM = 0.2
"""Below this fill the limit is left above the chart: drawn in, it would press the curve against the bottom."""

LOGARITHMIC_FROM = 20.0
"""When a peak is this many times the median, a linear scale hides the usual under it."""

_WHAT_IF_COLOURS = ("green", "purple", "orange", "teal", "blue")


@dataclass(frozen=True)
class Line:
    """One curve, with its entry in the legend."""

    label: str
    colour: str  # a name that the stylesheet gives a colour, light and dark
    path: str
    note: str  # what the legend says while nothing is pointed at
    values: tuple[float | None, ...]  # one for each point of the series; None: no value there
    area: str = ""
    dash: str = ""  # "dashed" or "dotted"; told apart without colour


@dataclass(frozen=True)
class Chart:
    """Curves over the shared time axis."""

    id: str
    title: str
    unit: str
    description: str  # for those who cannot see it
    scale: ValueScale
    lines: tuple[Line, ...]
    drawn_only: tuple[Line, ...] = field(default=())  # in the plot and the legend, but without a value to read out


def charts(replay: Replay, axis: TimeAxis) -> list[Chart]:
    """All charts of curves that have something to show, in the order of the page."""
    series = replay.series
    found = [_table(replay, axis), _what_if(replay, axis), _sessions(series, axis)]
    found += [_handshakes(label, series, axis) for label in _services_worth_showing(replay)]
    found.append(_oddities(series, axis))
    return [chart for chart in found if chart is not None]


def _table(replay: Replay, axis: TimeAxis) -> Chart:
    series = replay.series
    entries = [point.entries for point in series]
    limit = max(point.limit for point in series)
    forecast = _forecast(replay, axis)
    limit_shown = max(entries) >= LIMIT_SHOWN_FROM * limit or forecast is not None
    scale = ValueScale.reaching(float(max(*entries, limit) if limit_shown else max(entries)))
    lines = [_gauge("entries", "blue", series, entries, axis, scale, area=True)]
    half_open, assured = [point.half_open for point in series], [point.assured for point in series]
    if any(half_open):
        lines.append(_gauge("half-open", "orange", series, half_open, axis, scale))
    if any(assured):
        lines.append(_gauge("assured", "purple", series, assured, axis, scale, dash="dotted"))
    drawn = [_limit_line(series, axis, scale, shown=limit_shown)]
    if forecast is not None:
        drawn.append(_forecast_line(forecast, axis, scale))
    return Chart(
        id="table",
        title="State table",
        unit="entries",
        description=f"Entries of the state table over time. Peak {max(entries):,} of a limit of {limit:,}.",
        scale=scale,
        lines=tuple(lines),
        drawn_only=tuple(drawn),
    )


def _limit_line(series: Sequence[SeriesPoint], axis: TimeAxis, scale: ValueScale, *, shown: bool) -> Line:
    limit = max(point.limit for point in series)
    if not shown:
        return Line("limit", "red", "", f"{limit:,}, far above this chart", (), dash="dashed")
    path = stair_path([Stretch(point.start_s, point.end_s, float(point.limit)) for point in series], axis, scale)
    return Line("limit", "red", path, f"{limit:,}", (), dash="dashed")


@dataclass(frozen=True)
class Forecast:
    """What the table would do at the slope of the moment when the incident was detected."""

    at_s: float
    entries: int
    full_at_s: float
    limit: int


def _forecast(replay: Replay, axis: TimeAxis) -> Forecast | None:
    """The first forecast made from the detection of the main incident on, before the table was full.

    One that lies further ahead than the capture is long is no alarm and would only squeeze the chart.
    """
    incident = main_incident(replay.incidents)
    if incident is None:
        return None
    full_at_s = replay.firewall.full_at_s
    for point in replay.series:
        if point.end_s >= incident.detected_s and point.time_to_full_s is not None and point.entries < point.limit:
            if (full_at_s is not None and point.end_s > full_at_s) or point.time_to_full_s > axis.last_s - axis.first_s:
                return None
            return Forecast(point.end_s, point.entries, point.end_s + point.time_to_full_s, point.limit)
    return None


def _forecast_line(forecast: Forecast, axis: TimeAxis, scale: ValueScale) -> Line:
    shown_s = max(0.0, min(forecast.full_at_s, axis.last_s) - forecast.at_s)
    whole_s = forecast.full_at_s - forecast.at_s
    reached = forecast.entries + (forecast.limit - forecast.entries) * (shown_s / whole_s if whole_s > 0 else 1.0)
    ends = [Stretch(at_s, at_s, value) for at_s, value in ((forecast.at_s, float(forecast.entries)), (forecast.at_s + shown_s, reached))]
    note = f"made {figures.clock(forecast.at_s)}: full at {figures.clock(forecast.full_at_s)}"
    return Line("forecast", "red", line_path(ends, axis, scale), note, (), dash="dotted")


def _what_if(replay: Replay, axis: TimeAxis) -> Chart | None:
    shown = [one for one in replay.what_if if one.series][:WHAT_IFS_SHOWN]
    if not shown:
        return None
    series = replay.series
    limit = max(point.limit for point in series)
    peak = max(point.entries for points in (series, *(one.series for one in shown)) for point in points)
    limit_shown = peak >= LIMIT_SHOWN_FROM * limit
    scale = ValueScale.reaching(float(max(peak, limit) if limit_shown else peak))
    base = _gauge("nothing done", "grey", series, [point.entries for point in series], axis, scale, area=True)
    return Chart(
        id="what-if",
        title="State table, had a playbook been in force",
        unit="entries",
        description="Entries of the state table as they were, and as they would have been with one playbook in force.",
        scale=scale,
        lines=(base, *(_what_if_line(one, colour, series, axis, scale) for one, colour in zip(shown, _WHAT_IF_COLOURS, strict=False))),
        drawn_only=(_limit_line(series, axis, scale, shown=limit_shown),),
    )


def _what_if_line(one: WhatIf, colour: str, base: Sequence[SeriesPoint], axis: TimeAxis, scale: ValueScale) -> Line:
    stretches = [Stretch(point.start_s, point.end_s, float(point.entries)) for point in one.series]
    note = f"peak {one.result.peak_entries:,}"
    return Line(figures.printable(one.result.playbook), colour, line_path(stretches, axis, scale), note, _aligned(one.series, base))


def _sessions(series: tuple[SeriesPoint, ...], axis: TimeAxis) -> Chart:
    features: list[Feature] = [
        ("new sessions", "blue", "", [point.new_sessions for point in series]),
        ("dropped, table full", "red", "", [point.dropped_full for point in series]),
        ("evicted early", "orange", "dashed", [point.early_dropped for point in series]),
        ("refused by a mitigation", "green", "dashed", [point.shed for point in series]),
    ]
    dropped = sum(features[1][3])
    return Chart(
        id="sessions",
        title="New sessions and drops",
        unit="per second",
        description=f"New sessions, and packets of new sessions dropped, per second. {dropped:,} dropped in all.",
        **_rates(features[:2] + [feature for feature in features[2:] if any(feature[3])], series, axis),
    )


def _oddities(series: tuple[SeriesPoint, ...], axis: TimeAxis) -> Chart | None:
    """What healthy traffic has little of; each matters to some failure mode."""
    features: list[Feature] = [
        ("invalid packets", "purple", "", [point.invalid for point in series]),
        ("resets", "orange", "dashed", [point.resets for point in series]),
        ("fragments", "teal", "", [point.fragments for point in series]),
        ("sessions picked up mid-stream", "blue", "dotted", [point.picked_up for point in series]),
        ("sessions with one side", "grey", "dashed", [point.one_sided for point in series]),
    ]
    used = [feature for feature in features if any(feature[3])]
    if not used:
        return None
    totals = ", ".join(f"{sum(counts):,} {label}" for label, _, _, counts in used)
    return Chart(id="oddities", title="Packets out of the ordinary", unit="per second", description=totals, **_rates(used, series, axis))


Feature = tuple[str, str, str, list[int]]
"""A count over time: its label, colour, dash and one number for each point."""


class Rates(TypedDict):
    """What charts of rates have in common."""

    scale: ValueScale
    lines: tuple[Line, ...]


def _rates(features: Sequence[Feature], series: tuple[SeriesPoint, ...], axis: TimeAxis) -> Rates:
    """Stairs on a scale that fits all of them; the first is filled."""
    scale = _rate_scale(series, [counts for *_, counts in features])
    lines = [
        _rate(label, colour, series, counts, axis, scale, dash=dash, area=index == 0)
        for index, (label, colour, dash, counts) in enumerate(features)
    ]
    return Rates(scale=scale, lines=tuple(lines))


def _handshakes(label: str, series: tuple[SeriesPoint, ...], axis: TimeAxis) -> Chart:
    points = [_of(label, point) for point in series]
    asked, completed = [point.asked for point in points], [point.completed for point in points]
    name = figures.printable(label)
    if not label.endswith("/tcp"):
        scale = _rate_scale(series, [asked])
        lines: tuple[Line, ...] = (_rate("new exchanges", "blue", series, asked, axis, scale),)
        title, description = f"Exchanges of {name}", f"{sum(asked):,} new exchanges."
    else:
        scale = _rate_scale(series, [asked, completed])
        lines = (
            _rate("asked", "blue", series, asked, axis, scale),
            _rate("completed", "green", series, completed, axis, scale, area=True),
        )
        title, description = f"Handshakes of {name}", f"{sum(asked):,} handshakes asked for, {sum(completed):,} completed."
    return Chart(id=f"service-{label}", title=title, unit="per second", description=description, scale=scale, lines=lines)


def _services_worth_showing(replay: Replay) -> list[str]:
    """Those that an incident names, then the busiest."""
    asked: Counter[str] = Counter()
    for point in replay.series:
        for service in point.services:
            asked[service.service] += service.asked
    main = main_incident(replay.incidents)
    harmed = [incident.service for incident in (main, *replay.incidents) if incident is not None and incident.service is not None]
    busiest = sorted((label for label in asked if asked[label]), key=lambda label: (-asked[label], label))
    return list(dict.fromkeys((*harmed, *busiest)))[:SERVICES_SHOWN]


_NOTHING = ServicePoint("", 0, 0, 0)


def _of(label: str, point: SeriesPoint) -> ServicePoint:
    return next((service for service in point.services if service.service == label), _NOTHING)


def _rate_scale(series: tuple[SeriesPoint, ...], lines: Sequence[Sequence[int]]) -> ValueScale:
    """Linear, unless a flood would press the usual rate against the bottom."""
    rates = [[count / point.duration_s for count, point in zip(counts, series, strict=True) if point.duration_s > 0] for counts in lines]
    peak = max((rate for line in rates for rate in line), default=0.0)
    medians = [statistics.median(positive) for line in rates if (positive := [rate for rate in line if rate > 0])]
    return ValueScale.reaching(peak, logarithmic=bool(medians) and peak > LOGARITHMIC_FROM * max(1.0, min(medians)))


def _gauge(
    label: str,
    colour: str,
    series: Sequence[SeriesPoint],
    values: Sequence[int],
    axis: TimeAxis,
    scale: ValueScale,
    *,
    area: bool = False,
    dash: str = "",
) -> Line:
    stretches = [Stretch(point.start_s, point.end_s, float(value)) for point, value in zip(series, values, strict=True)]
    path = line_path(stretches, axis, scale)
    peak = max(stretches, key=lambda stretch: stretch.value)
    note = f"peak {figures.count(peak.value)} at {figures.clock(peak.end_s)}"
    return Line(label, colour, path, note, tuple(values), filled(path, stretches, axis, stair=False) if area else "", dash)


def _rate(
    label: str,
    colour: str,
    series: Sequence[SeriesPoint],
    counts: Sequence[int],
    axis: TimeAxis,
    scale: ValueScale,
    *,
    area: bool = False,
    dash: str = "",
) -> Line:
    rates = [count / point.duration_s if point.duration_s > 0 else 0.0 for point, count in zip(series, counts, strict=True)]
    stretches = [Stretch(point.start_s, point.end_s, rate) for point, rate in zip(series, rates, strict=True)]
    path = stair_path(stretches, axis, scale)
    note = f"{sum(counts):,} in all, at most {figures.number(max(rates))}/s"
    values = tuple(round(rate, 1) for rate in rates)
    return Line(label, colour, path, note, values, filled(path, stretches, axis, stair=True) if area else "", dash)


def _aligned(series: Sequence[SeriesPoint], base: Sequence[SeriesPoint]) -> tuple[int | None, ...]:
    """The entries of one series at the ends of another's points, where it has any."""
    aligned: list[int | None] = []
    index = 0
    for point in base:
        while index < len(series) and series[index].end_s < point.end_s - 1e-6:
            index += 1
        known = index < len(series) and series[index].start_s < point.end_s
        aligned.append(series[index].entries if known else None)
    return tuple(aligned)
