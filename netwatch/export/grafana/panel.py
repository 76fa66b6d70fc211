"""A panel and a board, as said by the tables in ``boards``."""

from dataclasses import KW_ONLY, dataclass
from enum import Enum

from netwatch.export.grafana.query import Listing, Query


class Kind(Enum):
    """How a panel shows its numbers."""

    LINES = "lines"
    STACKED = "stacked"
    STAT = "stat"  # the newest value, large
    TIMELINE = "timeline"  # bars of a state: up or down, open or over


class Meaning(Enum):
    """What the values of a timeline say."""

    HEALTH = "health"  # 1 works, 0 does not
    LASTING = "lasting"  # above 0: so many last, which is bad
    IN_FORCE = "in force"  # above 0: so many are in force, which is neither good nor bad
    LEARNING = "learning"  # 1 while normals are learned
    SEVERITY = "severity"  # 0 info, 1 warning, 2 critical


@dataclass(frozen=True)
class Limits:
    """Where a value becomes worth a look, and where it is bad. ``warn`` above ``bad``: low values are the bad ones."""

    warn: float
    bad: float

    @property
    def low_is_bad(self) -> bool:
        return self.warn > self.bad


@dataclass(frozen=True)
class Panel:
    """A chart; the unit comes from the schema, the same for all of its queries."""

    title: str
    text: str
    _: KW_ONLY
    queries: tuple[Query, ...]
    kind: Kind = Kind.LINES
    limits: Limits | None = None  # none: no value of it is good or bad in itself
    meaning: Meaning | None = None
    none_text: str = "no data"  # shown where there is no value, if that has a meaning
    only_now: bool = False  # of a range that ends now only its last minute, so that what is over does not stand there as the newest value
    width: int = 12  # of 24
    height: int = 8

    def __post_init__(self) -> None:
        assert len({query.unit for query in self.queries}) == 1, f"{self.title}: one panel, one unit"

    @property
    def unit(self) -> str:
        return self.queries[0].unit


@dataclass(frozen=True)
class TextPanel:
    """A list of texts, only where there is InfluxDB."""

    title: str
    text: str
    _: KW_ONLY
    listing: Listing
    width: int = 24
    height: int = 8


@dataclass(frozen=True)
class Board:
    """A dashboard; rows have a title each."""

    uid: str
    title: str
    text: str
    _: KW_ONLY
    rows: tuple[tuple[str, tuple[Panel | TextPanel, ...]], ...]
    marked: bool = True  # with the marks of incidents and changes
    about: str = ""  # tag of which one value is chosen at first, and not all: together they could not be read

    @property
    def tags(self) -> tuple[str, ...]:
        """Of site, firewall and service, those that its queries can be narrowed by."""
        used = {tag for _, panels in self.rows for panel in panels for tag in _tags(panel)}
        return tuple(tag for tag in ("site", "firewall", "service") if tag in used)


def _tags(panel: Panel | TextPanel) -> set[str]:
    asked: tuple[Query | Listing, ...] = panel.queries if isinstance(panel, Panel) else (panel.listing,)
    return {tag for one in asked for tag in one.tags}
