"""A query of either language, in the form in which the SDK puts it into a panel. It has a builder for PromQL only."""

from collections.abc import Mapping
from typing import Any

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from netwatch.export.grafana.language import Language

DATASOURCE_VARIABLE = "datasource"

DATASOURCE = "netwatch"
"""Name and uid of the data source that is written: by which of them a variable goes depends on the version of Grafana."""


class Target(Dataquery):
    """What Grafana keeps of a query."""

    def __init__(self, words: Mapping[str, Any]) -> None:
        self._words = words

    def to_json(self) -> Mapping[str, Any]:
        return self._words


class TargetBuilder(Builder[Dataquery]):
    """The ``number``-th query of a panel."""

    def __init__(self, language: Language, number: int, words: Mapping[str, Any]) -> None:
        self._target = Target({"refId": chr(ord("A") + number), "datasource": chosen(language), **words})

    def build(self) -> Dataquery:
        return self._target


def chosen(language: Language) -> DataSourceRef:
    """The data source that is chosen at the top of the board."""
    return DataSourceRef(type_val=language.plugin, uid=f"${{{DATASOURCE_VARIABLE}}}")
