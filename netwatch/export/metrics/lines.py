"""Points as line protocol, in bulk, right by construction.

VictoriaMetrics answers 204 to lines that it cannot read, so nothing wrong may leave: names and types come from the table of the
measurement, and every value is checked here. What has no place in the protocol (infinite, beyond 64 bits, a time outside of what servers
keep) is left out and counted. For each combination of fields that are there a function is made once, whose body is the form of the line
with its fields in place: that costs half of what filling in a template costs, and a busy site writes a hundred thousand lines a second.

Syntax: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

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
Tags = tuple[str, ...]
Form = Callable[[Any, str, str], str | None]
"""The line of a point, from its series and its time as they are written; None if one of its numbers needs a closer look."""


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
            rows.write(run, written)
        return written


class _Rows:
    """Writes the rows of one measurement."""

    def __init__(self, measurement: Measurement, refused: Counter[str]) -> None:
        self._measurement = measurement
        self._refused = refused
        self._optional = [column for column in measurement.columns if column.optional]
        self._tags_of: Callable[[Any], Tags] = _tuple_of([f"p.{name}" for name, _ in measurement.tags])
        self._absent_of: Callable[[Any], tuple[bool, ...]] = _tuple_of([f"p.{column.name} is None" for column in self._optional])
        self._forms: dict[tuple[bool, ...], Form] = {}
        self._series: dict[Tags, str] = {}

    def write(self, points: Iterable[Point], written: list[str]) -> None:
        """Add the lines of points. The loop that all figures go through: what it needs it has at hand."""
        tags_of, absent_of, forms, series, optional = self._tags_of, self._absent_of, self._forms, self._series, bool(self._optional)
        absent: tuple[bool, ...] = ()
        time_s, time_ms = None, "0"
        for point in points:
            if point.time_s != time_s:
                if not -LATEST_S < point.time_s < LATEST_S:
                    self._refused["time"] += 1
                    continue
                time_s = point.time_s
                time_ms = str(round(time_s * 1000))
            tags = tags_of(point)
            if optional:
                absent = absent_of(point)
            form = forms.get(absent) or self._new_form(absent)
            line = form(point, series.get(tags) or self._new_series(tags), time_ms)
            if line is None:
                line = self._with_oddities(point, tags, time_ms)
                if line is None:
                    continue
            written.append(line)

    def _with_oddities(self, point: Point, tags: Tags, time_ms: str) -> str | None:
        """The slow way: each value looked at. None if none can be written."""
        parts = []
        for column in self._measurement.columns:
            value = getattr(point, column.name)
            if value is None:
                continue
            if (reason := _wrong(column, value)) is not None:
                self._refused[reason] += 1
                continue
            parts.append(FORMS[column.type].format(column.name) % (_quoted(value) if column.type is FieldType.TEXT else value))
        if not parts:
            self._refused["no_field"] += 1
            return None
        return f"{self._new_series(tags)} {','.join(parts)} {time_ms}"

    def _new_series(self, tags: tuple[str, ...]) -> str:
        """The measurement with its tags, which is remembered: there are few, and each is written again and again."""
        if len(self._series) >= SERIES_KEPT:
            self._series.clear()
        named = zip(self._measurement.tags, tags, strict=True)
        text = self._series[tags] = ",".join([self._measurement.name, *(f"{tag[0]}={_in_tag(value)}" for tag, value in named)])
        return text

    def _new_form(self, absent: tuple[bool, ...]) -> Form:
        gone = {column for column, is_absent in zip(self._optional, absent, strict=True) if is_absent}
        form = self._forms[absent] = _form_of([column for column in self._measurement.columns if column not in gone])
        return form


def _form_of(columns: Sequence[Column]) -> Form:
    """Names come from the table of the measurement, never from outside. A sum of whole numbers that is no ``int`` has others in it; the
    plus makes a flag 0 or 1."""
    sums: dict[FieldType, str] = {FieldType.INTEGER: "", FieldType.FLOAT: ""}
    fields = []
    for column in columns:
        name = column.name
        if column.type is FieldType.TEXT:
            fields.append(f'{name}="{{_quoted(p.{name})}}"')
        else:
            sums[column.type] += f" + ({name} := +p.{name})"
            fields.append(f"{name}={{{name}}}{'i' if column.type is FieldType.INTEGER else ''}")
    fits = [
        f"-ORDINARY < (total := 0{terms}) < ORDINARY{' and type(total) is int' * is_whole}"
        for is_whole, terms in ((True, sums[FieldType.INTEGER]), (False, sums[FieldType.FLOAT]))
        if terms
    ]
    made: Form = eval(
        f"lambda p, series, time_ms: f'{{series}} {','.join(fields)} {{time_ms}}' if {' and '.join(fits) or True} else None", globals()
    )
    return made


def _tuple_of(expressions: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What some expressions about a point ``p`` are."""
    made: Callable[[Any], tuple[Any, ...]] = eval(f"lambda p: ({''.join(f'{one}, ' for one in expressions)})")
    return made


def _quoted(text: str) -> str:
    return text[:TEXT_CHARS].translate(IN_TEXT)


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
