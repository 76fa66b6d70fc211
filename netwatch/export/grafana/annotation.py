"""A mark as an annotation query of Grafana: what each data source wants beside the common part is its own."""

from collections.abc import Mapping
from typing import Any

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import AnnotationQuery

from netwatch.export.grafana.language import Language
from netwatch.export.grafana.mark import Mark
from netwatch.export.grafana.target import chosen


class Annotation(AnnotationQuery):
    """The SDK's, with more words."""

    def __init__(self, common: AnnotationQuery, words: Mapping[str, Any]) -> None:
        super().__init__(common.name, common.datasource, common.enable, common.hide, common.icon_color)
        self._words = words

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), **self._words}


class AnnotationBuilder(Builder[AnnotationQuery]):
    """Of a mark in a language."""

    def __init__(self, mark: Mark, language: Language) -> None:
        common = AnnotationQuery(name=mark.name, datasource=chosen(language), icon_color=mark.color)
        self._annotation = Annotation(common, language.mark(mark))

    def build(self) -> AnnotationQuery:
        return self._annotation
