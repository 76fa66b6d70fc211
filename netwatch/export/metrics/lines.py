"""Points as line protocol, in bulk, right by construction.

VictoriaMetrics answers 204 to lines that it cannot read, so nothing wrong may leave: names and types come from the table of the
measurement, and every value is checked here. What has no place in the protocol (infinite, beyond 64 bits, a time outside of what servers
keep) is left out and counted. The loop over the rows of a measurement is made once, from its table, with names and checks in place: that
costs half of what filling in a template costs, and a busy site writes a hundred thousand lines a second.

Syntax: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from collections import Counter
from collections.abc import Callable, Iterable
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
IN_LOOP = {FieldType.INTEGER: "{}={{{}}}i", FieldType.FLOAT: "{}={{{}}}", FieldType.TEXT: '{}="{{quoted({})}}"'}
"""The same inside of an f-string, for a name and a variable."""

Tags = tuple[str, ...]
Loop = Callable[["_Rows", Iterable[Point], list[str]], None]


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
        self._loop = _loop_of(measurement)
        self.series: dict[Tags, str] = {}

    def write(self, points: Iterable[Point], written: list[str]) -> None:
        """Add the lines of points."""
        self._loop(self, points, written)

    def with_oddities(self, point: Point, series: str, time_ms: str, written: list[str]) -> None:
        """The slow way: each value looked at."""
        parts = []
        for column in self._measurement.columns:
            value = getattr(point, column.name)
            if value is None:
                continue
            if (reason := _wrong(column, value)) is not None:
                self._refused[reason] += 1
                continue
            parts.append(FORMS[column.type].format(column.name) % (_quoted(value) if column.type is FieldType.TEXT else value))
        if parts:
            written.append(f"{series} {','.join(parts)} {time_ms}")
        else:
            self._refused["no_field"] += 1

    def time_of(self, point: Point) -> str | None:
        """As it is written, or None for one that no server keeps."""
        if -LATEST_S < point.time_s < LATEST_S:
            return str(round(point.time_s * 1000))
        self._refused["time"] += 1
        return None

    def new_series(self, tags: Tags) -> str:
        """The measurement with its tags, which is remembered: there are few, and each is written again and again."""
        if len(self.series) >= SERIES_KEPT:
            self.series.clear()
        named = zip(self._measurement.tags, tags, strict=True)
        text = self.series[tags] = ",".join([self._measurement.name, *(f"{tag[0]}={_in_tag(value)}" for tag, value in named)])
        return text


def _loop_of(measurement: Measurement) -> Loop:
    """Names come from the table of the measurement, never from outside. A sum of whole numbers that is no ``int`` has others in it;
    adding 0 makes a flag 0 or 1. The first field is one that every row has: the others bring their commas."""
    first = next(column for column in measurement.columns if not column.optional)
    columns = [first, *(column for column in measurement.columns if column is not first)]
    fields: list[str] = []
    sums: dict[FieldType, list[str]] = {FieldType.INTEGER: [], FieldType.FLOAT: []}
    for column in columns:
        read, value = f"p.{column.name}", f"v_{column.name}"
        if column.type is FieldType.TEXT:
            value = read
        elif column.optional:
            sums[column.type].append(f"(0 if ({value} := {read}) is None else ({value} := {value} + 0))")
        else:
            sums[column.type].append(f"({value} := {read} + 0)")
        field = IN_LOOP[column.type].format(column.name, value)
        fields.append(f"{{'' if {value} is None else f',{field}'}}" if column.optional else f",{field}")
    limit = repr(ORDINARY)
    whole, floating = (" + ".join(terms) for terms in sums.values())
    checks = [f"type(whole := {whole}) is int", f"-{limit} < whole < {limit}"] if whole else []
    checks += [f"-{limit} < {floating} < {limit}"] if floating else []
    source = f"""
def loop(rows, points, written):
    append, known, time_s, time_ms = written.append, rows.series, None, None
    for p in points:
        if p.time_s != time_s:
            if (time_ms := rows.time_of(p)) is None:
                continue
            time_s = p.time_s
        tags = ({"".join(f"p.{name}, " for name, _ in measurement.tags)})
        series = known.get(tags) or rows.new_series(tags)
        if {" and ".join(checks) or True}:
            append(f'''{{series}} {"".join(fields)[1:]} {{time_ms}}''')
        else:
            rows.with_oddities(p, series, time_ms, written)
"""
    made: dict[str, Loop] = {}
    exec(source, {"quoted": _quoted}, made)
    return made["loop"]


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
