"""Points as line protocol, in bulk, right by construction.

VictoriaMetrics answers 204 to lines that it cannot read, so nothing wrong may leave: names and types come from the table of the
measurement, and every value is checked here. What has no place in the protocol (infinite, beyond 64 bits, a time outside of what servers
keep) is left out and counted. The form of a line is made once for each combination of fields that are there; a row then costs one look-up
and one formatting.

Syntax: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from msgspec.structs import astuple

from netwatch.export.metrics.schema import Column, FieldType, Measurement, Point, measurement_of

PRECISION = "ms"
"""Of the times of all lines."""

ORDINARY = 2.0**52
"""Numbers whose sum stays below need no closer look: none of them is infinite, no number, or beyond 64 bits (unless two of them cancel out,
and an infinity never does)."""

LARGEST = 2**63 - 1
LATEST_S = 9_200_000_000.0
"""Both servers keep times as 64 bits of nanoseconds: until the year 2262."""

TAG_CHARS, TEXT_CHARS = 128, 1024
SERIES_KEPT = 10_000

CONTROL = dict.fromkeys([*range(32), 127], " ")
IN_TAG = {**dict.fromkeys(CONTROL, "\\ "), ord(","): "\\,", ord("="): "\\=", ord(" "): "\\ ", ord("\\"): "/"}
IN_TEXT = {**CONTROL, ord('"'): '\\"', ord("\\"): "\\\\"}
FORMS = {FieldType.INTEGER: "{}=%di", FieldType.FLOAT: "{}=%s", FieldType.TEXT: '{}="%s"'}


Values = tuple[Any, ...]
Picker = Callable[[Values], Values]


class _Form(NamedTuple):
    """How a row is written whose fields are there or absent in one certain way."""

    template: str  # the series, the fields, the time
    present: Picker | None  # None: all of them
    numbers: Picker | None  # None: all of them
    texts: tuple[int, ...]  # places among those present


class LineWriter:
    """Writes points; not for several threads at once."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()  # fields left out, by reason; and rows: no_field, time
        self._rows: dict[type[Point], _Rows] = {}

    def lines(self, points: Iterable[Point]) -> list[str]:
        """A line for each point, without its newline; a point that has nothing to say gives none."""
        written: list[str] = []
        for point_type, run in groupby(points, type):
            rows = self._rows.get(point_type)
            if rows is None:
                rows = self._rows[point_type] = _Rows(measurement_of(point_type), self.refused)
            rows.write(map(astuple, run), written)
        return written


class _Rows:
    """Writes the rows of one measurement."""

    def __init__(self, measurement: Measurement, refused: Counter[str]) -> None:
        self._measurement = measurement
        self._refused = refused
        self._border = 1 + len(measurement.tags)  # between tags and fields
        self._optional = tuple(place for place, column in enumerate(measurement.columns) if column.optional)
        self._forms: dict[tuple[bool, ...], _Form] = {}
        self._series: dict[tuple[str, ...], str] = {}

    def write(self, points: Iterable[Values], written: list[str]) -> None:
        """Add the lines of points. The loop that all figures go through: what it needs it has at hand."""
        border, optional, forms, series = self._border, self._optional, self._forms, self._series
        absent: tuple[bool, ...] = ()
        time_s, time_ms = None, 0
        for values in points:
            fields = values[border:]
            if optional:
                absent = tuple([fields[place] is None for place in optional])
            form = forms.get(absent) or self._new_form(absent)
            template, present, numbers, texts = form
            if not -ORDINARY < sum(fields if numbers is None else numbers(fields)) < ORDINARY:
                self._write_with_oddities(values, written)
                continue
            if values[0] != time_s:
                if not -LATEST_S < values[0] < LATEST_S:
                    self._write_with_oddities(values, written)
                    continue
                time_s = values[0]
                time_ms = round(time_s * 1000)
            if present is not None:
                fields = present(fields)
            if texts:
                fields = _quoted(fields, texts)
            tags = values[1:border]
            written.append(template % (series.get(tags) or self._new_series(tags), *fields, time_ms))

    def _write_with_oddities(self, values: Values, written: list[str]) -> None:
        """The slow way: each value looked at."""
        if not -LATEST_S < values[0] < LATEST_S:
            self._refused["time"] += 1
            return
        parts = []
        for column, value in zip(self._measurement.columns, values[self._border :], strict=True):
            if value is None:
                continue
            if (reason := _wrong(column, value)) is not None:
                self._refused[reason] += 1
                continue
            text = str(value)[:TEXT_CHARS].translate(IN_TEXT) if column.type is FieldType.TEXT else value
            parts.append(FORMS[column.type].format(column.name) % text)
        if not parts:
            self._refused["no_field"] += 1
            return
        written.append(f"{self._new_series(values[1 : self._border])} {','.join(parts)} {round(values[0] * 1000)}")

    def _new_series(self, tags: tuple[str, ...]) -> str:
        """The measurement with its tags, which is remembered: there are few, and each is written again and again."""
        if len(self._series) >= SERIES_KEPT:
            self._series.clear()
        named = zip(self._measurement.tags, tags, strict=True)
        text = self._series[tags] = ",".join([self._measurement.name, *(f"{tag[0]}={_in_tag(value)}" for tag, value in named)])
        return text

    def _new_form(self, absent: tuple[bool, ...]) -> _Form:
        gone = {place for place, is_absent in zip(self._optional, absent, strict=True) if is_absent}
        here = [(place, column) for place, column in enumerate(self._measurement.columns) if place not in gone]
        numbers = [place for place, column in here if column.type is not FieldType.TEXT]
        everything = len(self._measurement.columns)
        form = _Form(
            f"%s {','.join(FORMS[column.type].format(column.name) for _, column in here)} %d",
            None if len(here) == everything else _picker([place for place, _ in here]),
            None if len(numbers) == everything else _picker(numbers),
            tuple(position for position, (_, column) in enumerate(here) if column.type is FieldType.TEXT),
        )
        self._forms[absent] = form
        return form


def _picker(places: list[int]) -> Picker:
    """The values at some places; ``itemgetter`` gives no tuple for one."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)


def _quoted(values: Values, texts: tuple[int, ...]) -> Values:
    changed = list(values)
    for position in texts:
        changed[position] = changed[position][:TEXT_CHARS].translate(IN_TEXT)
    return tuple(changed)


def _in_tag(value: str) -> str:
    """A tag's value; an empty one is not allowed, and a backslash cannot be told from one that escapes."""
    return value[:TAG_CHARS].translate(IN_TAG) or "-"


def _wrong(column: Column, value: Any) -> str | None:
    """Why a number cannot be written; None if it can."""
    match column.type:
        case FieldType.INTEGER:
            return None if -LARGEST <= value <= LARGEST else "beyond_64_bits"
        case FieldType.FLOAT:
            return None if -float("inf") < value < float("inf") else "not_finite"
        case FieldType.TEXT:
            return None
