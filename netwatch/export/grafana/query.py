"""What a panel asks, in terms of the metric schema, so that InfluxQL and PromQL are made of the same words and cannot drift apart."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum

from netwatch.export.metrics.schema import Column, Point, measurement_of


class Over(Enum):
    """How the points of one series within a step of the chart become one."""

    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    LAST = "last"
    RATE = "rate"  # of a counter, per second


class Across(Enum):
    """How series become one that differ only in tags the panel does not tell apart."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"
    MEAN = "mean"


FIREWALL = ("site", "firewall")
SERVICE = ("site", "firewall", "service")
MODE = ("site", "firewall", "service", "mode")
PLAYBOOK = ("site", "firewall", "playbook")
STAGE = ("site", "firewall", "stage")
EXPORTER = ("site", "firewall", "exporter")

TCP = {"service": ".*tcp"}
"""Of services, those that have handshakes."""


@dataclass(frozen=True)
class Query:
    """A number over time: one series for each combination of the tags in ``per``."""

    point: type[Point]
    column: str
    _: KW_ONLY
    over: Over = Over.MEAN
    per: tuple[str, ...] = FIREWALL
    across: Across = Across.SUM
    where: Mapping[str, str] = field(default_factory=dict)  # tag -> regular expression of its whole value
    beside: str | None = None  # the share of the column in itself and this one: lost beside seen
    name: str = ""  # what it is, where a panel has several

    def __post_init__(self) -> None:
        tags = {tag for tag, _ in measurement_of(self.point).tags}
        unknown = {*self.per, *self.where} - tags
        assert not unknown, f"{self.point.measurement} has no tag {unknown}"
        assert self.schema.counter == (self.over is Over.RATE), f"{self.column}: only a counter has a rate, and has nothing else to show"

    @property
    def schema(self) -> Column:
        """The column, as the schema has it."""
        return next(column for column in measurement_of(self.point).columns if column.name == self.column)

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(tag for tag, _ in measurement_of(self.point).tags)

    @property
    def is_each_series(self) -> bool:
        """Nothing is put together across series: ``per`` and exact conditions name every tag."""
        exact = {tag for tag, words in self.where.items() if words.isalnum()}
        return set(self.tags) <= {*self.per, *exact}

    @property
    def unit(self) -> str:
        """Of what is drawn, in the schema's words."""
        if self.beside is not None or (self.over is Over.MEAN and not self.schema.unit):
            return "1"  # a mean of flags is a share too
        return f"{self.schema.unit}/s" if self.over is Over.RATE else self.schema.unit


@dataclass(frozen=True)
class Listing:
    """Rows with texts, the newest first; only InfluxDB has texts."""

    point: type[Point]
    columns: tuple[str, ...]  # tags and fields

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(tag for tag, _ in measurement_of(self.point).tags)
