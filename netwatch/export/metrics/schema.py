"""What a measurement is: a point type whose annotations are its table of tags and fields.

One declaration rules everything: the type checker sees that a field always gets its type, line protocol and Prometheus take names and types
from it, and the page for people (docs/metrics.md) is made of it. A field never changes its type, since InfluxDB refuses the point then.
"""

import types
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Annotated, Any, ClassVar, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec


class Tag(NamedTuple):
    """Metadata of a tag: what it names, and what bounds the number of its values."""

    text: str
    bound: str


class Field(NamedTuple):
    """Metadata of a field."""

    unit: str  # "" for what has none: flags, texts
    text: str


class FieldType(Enum):
    """How a field is written; by the Python type of the annotation."""

    INTEGER = "integer"
    FLOAT = "float"
    TEXT = "text"


class Point(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of a measurement. A field that is None is not written. It holds only texts and numbers, so no collector need visit it."""

    measurement: ClassVar[str] = ""
    time_s: float  # since the epoch; written to the millisecond, as finely as VictoriaMetrics keeps it


class Column(NamedTuple):
    """A field of a measurement, ready for the writers."""

    name: str
    type: FieldType
    unit: str
    text: str
    optional: bool

    @property
    def counter(self) -> bool:
        """It only grows, from 0 at the start of netwatch."""
        return self.name.endswith("_total")


class Measurement(NamedTuple):
    """What all points of one type have in common."""

    name: str
    text: str
    tags: tuple[tuple[str, Tag], ...]
    columns: tuple[Column, ...]


TYPES = {int: FieldType.INTEGER, float: FieldType.FLOAT, str: FieldType.TEXT}


@cache
def measurement_of(point_type: type[Point]) -> Measurement:
    """The table of a point type; its tags stand before its fields."""
    tags: list[tuple[str, Tag]] = []
    columns: list[Column] = []
    for name, annotation in _annotations(point_type):
        base, metadata = get_args(annotation)
        if isinstance(metadata, Tag):
            assert not columns, f"{point_type.__name__}.{name}: tags stand before fields"
            tags.append((name, metadata))
        else:
            plain, optional = _plain(base)
            columns.append(Column(name, TYPES[plain], metadata.unit, metadata.text, optional))
    return Measurement(point_type.measurement, (point_type.__doc__ or "").strip(), tuple(tags), tuple(columns))


def _annotations(point_type: type[Point]) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(point_type, include_extras=True)
    for name in point_type.__struct_fields__:
        if get_origin(hints[name]) is Annotated:
            yield name, hints[name]


def _plain(annotation: Any) -> tuple[type, bool]:
    """``int | None`` is an optional int."""
    if get_origin(annotation) in (Union, types.UnionType):
        (plain,) = (part for part in get_args(annotation) if part is not type(None))
        return plain, True
    return annotation, False
