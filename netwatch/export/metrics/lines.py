"""Points as line protocol, in bulk, right by construction.

VictoriaMetrics answers 204 to lines that it cannot read, so nothing wrong may leave: names and types come from the table of the
measurement, and every value is checked here. What has no place in the protocol (infinite, beyond 64 bits, a time outside of what servers
keep) is left out and counted. The form of a line is made once for each combination of fields that are there; a row then costs one look-up
and one formatting.

Syntax: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from collections import Counter
from collections.abc import Callable, Iterable
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


class _Form(NamedTuple):
    """How a row is written whose fields are there or absent in one certain way."""

    template: str
    present: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    numbers: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    texts: tuple[int, ...]  # places among those present


class LineWriter:
    """Writes points; not for several threads at once."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()  # fields left out, by reason; and rows: no_field, time
        self._rows: dict[type[Point], _Rows] = {}

    def lines(self, points: Iterable[Point]) -> list[str]:
        """A line for each point, without its newline; a point that has nothing to say gives none."""
        written = []
        for point in points:
            rows = self._rows.get(type(point))
            if rows is None:
                rows = self._rows[type(point)] = _Rows(measurement_of(type(point)), self.refused)
            if line := rows.line(astuple(point)):
                written.append(line)
        return written


class _Rows:
    """Writes the rows of one measurement."""

    def __init__(self, measurement: Measurement, refused: Counter[str]) -> None:
        self._measurement = measurement
        self._refused = refused
        self._fields = slice(1 + len(measurement.tags), None)
        self._optional = tuple(place for place, column in enumerate(measurement.columns) if column.optional)
        self._forms: dict[tuple[bool, ...], _Form] = {}
        self._series: dict[tuple[str, ...], str] = {}

    def line(self, values: tuple[Any, ...]) -> str | None:
        fields = values[self._fields]
        absent = tuple([fields[place] is None for place in self._optional])
        form = self._forms.get(absent) or self._new_form(absent)
        time_s = values[0]
        if not (-ORDINARY < sum(form.numbers(fields)) < ORDINARY and -LATEST_S < time_s < LATEST_S):
            return self._line_with_oddities(values)
        written = form.present(fields)
        if form.texts:
            written = _quoted(written, form.texts)
        return f"{self._series_of(values)} {form.template % written} {round(time_s * 1000)}"

    def _line_with_oddities(self, values: tuple[Any, ...]) -> str | None:
        """The slow way: each value looked at."""
        if not -LATEST_S < values[0] < LATEST_S:
            self._refused["time"] += 1
            return None
        parts = []
        for column, value in zip(self._measurement.columns, values[self._fields], strict=True):
            if value is None:
                continue
            if (reason := _wrong(column, value)) is not None:
                self._refused[reason] += 1
                continue
            text = str(value)[:TEXT_CHARS].translate(IN_TEXT) if column.type is FieldType.TEXT else value
            parts.append(FORMS[column.type].format(column.name) % text)
        if not parts:
            self._refused["no_field"] += 1
            return None
        return f"{self._series_of(values)} {','.join(parts)} {round(values[0] * 1000)}"

    def _series_of(self, values: tuple[Any, ...]) -> str:
        tags = values[1 : self._fields.start]
        known = self._series.get(tags)
        if known is None:
            if len(self._series) >= SERIES_KEPT:
                self._series.clear()
            named = zip(self._measurement.tags, tags, strict=True)
            known = self._series[tags] = ",".join([self._measurement.name, *(f"{tag[0]}={_in_tag(value)}" for tag, value in named)])
        return known

    def _new_form(self, absent: tuple[bool, ...]) -> _Form:
        gone = {place for place, is_absent in zip(self._optional, absent, strict=True) if is_absent}
        here = [(place, column) for place, column in enumerate(self._measurement.columns) if place not in gone]
        form = _Form(
            ",".join(FORMS[column.type].format(column.name) for _, column in here),
            _picker([place for place, _ in here]),
            _picker([place for place, column in here if column.type is not FieldType.TEXT]),
            tuple(position for position, (_, column) in enumerate(here) if column.type is FieldType.TEXT),
        )
        self._forms[absent] = form
        return form


def _picker(places: list[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """The values at some places; ``itemgetter`` gives no tuple for one."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)


def _quoted(values: tuple[Any, ...], texts: tuple[int, ...]) -> tuple[Any, ...]:
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
