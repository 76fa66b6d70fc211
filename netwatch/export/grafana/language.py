"""What a query language has to give: everything else of a dashboard is the same for both."""

from collections.abc import Mapping
from typing import Any, Protocol

from netwatch.export.grafana.mark import Mark
from netwatch.export.grafana.query import Listing, Query

WHOLE_FIREWALL = "all"
"""The tag ``service`` of incidents of no service alone: they concern each."""

ALERT_S = 60
"""Seconds that an alert rule looks back."""


class Language(Protocol):
    """A language of queries, and the type of Grafana data source that speaks it."""

    plugin: str
    has_texts: bool

    def chart(self, query: Query, *, gaps: bool = False) -> str:
        """For a panel: narrowed by the board's variables, a point for each of the chart's steps. With ``gaps`` a step without a point has
        a null, where the language would say nothing of it."""

    def alert(self, query: Query) -> str:
        """For a rule: of everything, one number for each series, over the last ``ALERT_S`` seconds."""

    def listing(self, listing: Listing) -> str:
        """Rows with texts; only asked of a language that has them."""

    def tag_values(self, tag: str, given: tuple[str, ...]) -> str:
        """All values of a tag, narrowed by the variables of other tags."""

    def target(self, expression: str, *, alias: str = "", table: bool = False) -> Mapping[str, Any]:
        """An expression as Grafana keeps it in a panel or a rule; ``alias`` as ``alias_of`` makes it."""

    def alias_of(self, query: Query) -> str:
        """How Grafana is to name the series: by tags, and by what it is."""

    def mark(self, mark: Mark) -> Mapping[str, Any]:
        """The parts of an annotation query that are the language's own."""

    def connection(self, *, database: str, user: str | None, interval_s: int) -> Mapping[str, Any]:
        """The parts of a data source that are the language's own; a password comes from ``PASSWORD_VARIABLE`` of Grafana's environment."""


PASSWORD_VARIABLE = "NETWATCH_DATASOURCE_PASSWORD"


def shown_tags(query: Query) -> tuple[str, ...]:
    """The tags that name a series; site and firewall only where nothing else does."""
    rest = tuple(tag for tag in query.per if tag not in ("site", "firewall"))
    return tuple(tag for tag in query.per if tag != "site") if rest else query.per
