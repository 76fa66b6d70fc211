"""A board of the tables as a dashboard of Grafana, in JSON."""

import json

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, DatasourceVariable, QueryVariable, Row
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from netwatch.export.grafana.annotation import AnnotationBuilder
from netwatch.export.grafana.charts import chart, text_table
from netwatch.export.grafana.language import Language
from netwatch.export.grafana.mark import MARKS
from netwatch.export.grafana.panel import Board, Panel, TextPanel
from netwatch.export.grafana.place import places
from netwatch.export.grafana.target import DATASOURCE, DATASOURCE_VARIABLE, chosen

TAG = "netwatch"


def dashboard_json(board: Board, language: Language) -> str:
    """Always the same text for the same board and language."""
    made = (
        Dashboard(board.title)
        .uid(board.uid)
        .description(board.text)
        .tags([TAG])
        .time("now-1h", "now")
        .refresh("10s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(DashboardLink("netwatch").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(True).include_vars(True).keep_time(True))
        .with_variable(
            DatasourceVariable(DATASOURCE_VARIABLE)
            .label("Data source")
            .type(language.plugin)
            .current(VariableOption(selected=True, text=DATASOURCE, value=DATASOURCE))
        )
    )
    for position, tag in enumerate(board.tags):
        made.with_variable(_variable(tag, board.tags[:position], language, all_at_first=tag != board.about))
    for mark in MARKS if board.marked else ():
        made.annotation(AnnotationBuilder(mark, language))
    for number, (content, place) in enumerate(places(board, has_texts=language.has_texts), start=1):
        match content:
            case Panel():
                made.with_panel(chart(content, place, number=number, language=language))
            case TextPanel():
                made.with_panel(text_table(content, place, number=number, language=language))
            case str():
                made.with_row(Row(content).id(number))
    return json.dumps(json.loads(JSONEncoder().encode(made.build())), indent=2, sort_keys=True) + "\n"


def _variable(tag: str, given: tuple[str, ...], language: Language, *, all_at_first: bool) -> QueryVariable:
    variable = (
        QueryVariable(tag)
        .label(tag.capitalize())
        .query(language.tag_values(tag, given))
        .datasource(chosen(language))
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )
    return variable.current(VariableOption(selected=True, text=["All"], value=["$__all"])) if all_at_first else variable
