"""A panel of the tables as a panel of Grafana."""

from collections.abc import Iterator
from typing import assert_never

from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphTresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    FieldColorModeId,
    GridPos,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.dashboard import Panel as Built
from grafana_foundation_sdk.models.dashboard import ThresholdsConfig as BuiltThresholds

from netwatch.export.grafana.language import Language
from netwatch.export.grafana.panel import Kind, Limits, Meaning, Panel, TextPanel
from netwatch.export.grafana.place import Place
from netwatch.export.grafana.target import TargetBuilder, chosen
from netwatch.export.grafana.units import grafana_unit

GOOD, WARN, BAD, PLAIN = "green", "orange", "red", "blue"
NOW_RANGE = "1m"
TIMELINE_STEP = "5s"
"""The least of a timeline; rows that are written each second may be some milliseconds more apart."""

MANY_LASTING = 20
"""Counts that a timeline has a text for; more than this many never last at once."""

MAPPED = {
    Meaning.HEALTH: {"1": ("works", GOOD), "0": ("does not work", BAD)},
    Meaning.LASTING: {
        "0": ("none", GOOD),
        "1": ("lasts", BAD),
        **{str(count): (f"{count} last", BAD) for count in range(2, MANY_LASTING)},
    },
    Meaning.IN_FORCE: {
        "0": ("none", GOOD),
        "1": ("in force", PLAIN),
        **{str(count): (f"{count} in force", PLAIN) for count in range(2, MANY_LASTING)},
    },
    Meaning.LEARNING: {"0": ("normals are known", GOOD), "1": ("learns", PLAIN)},
    Meaning.SEVERITY: {"0": ("info", PLAIN), "1": ("warning", WARN), "2": ("critical", BAD)},
}

Chart = timeseries.Panel | stat.Panel | statetimeline.Panel


def chart(panel: Panel, place: Place, *, number: int, language: Language) -> Builder[Built]:
    """``number``: identifies it within its board."""
    drawn = _form(panel)
    drawn.id(number).title(panel.title).description(panel.text).datasource(chosen(language))
    drawn.grid_pos(GridPos(x=place.x, y=place.y, w=place.width, h=place.height))
    drawn.unit(grafana_unit(panel.unit)).thresholds(thresholds(panel.limits)).no_value(panel.none_text)
    drawn.color_scheme(FieldColor().mode(_color(panel)))
    if panel.meaning is not None:
        drawn.mappings(_mappings(panel.meaning))
    if panel.only_now:
        drawn.time_from(NOW_RANGE)
    for place_of_query, query in enumerate(panel.queries):
        words = language.target(language.chart(query, gaps=panel.kind is Kind.TIMELINE), alias=language.alias_of(query))
        drawn.with_target(TargetBuilder(language, place_of_query, words))
    return drawn


def text_table(panel: TextPanel, place: Place, *, number: int, language: Language) -> Builder[Built]:
    """Rows of texts."""
    words = language.target(language.listing(panel.listing), table=True)
    return (
        table.Panel()
        .id(number)
        .title(panel.title)
        .description(panel.text)
        .datasource(chosen(language))
        .grid_pos(GridPos(x=place.x, y=place.y, w=place.width, h=place.height))
        .unit(grafana_unit(""))
        .thresholds(thresholds(None))
        .with_target(TargetBuilder(language, 0, words))
    )


def thresholds(limits: Limits | None) -> Builder[BuiltThresholds]:
    """Steps from low to high, as Grafana wants them; where low values are the bad ones they begin red."""
    if limits is None:
        steps = [Threshold(None, GOOD)]
    elif limits.low_is_bad:
        steps = [Threshold(None, BAD), Threshold(limits.bad, WARN), Threshold(limits.warn, GOOD)]
    else:
        steps = [Threshold(None, GOOD), Threshold(limits.warn, WARN), Threshold(limits.bad, BAD)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _form(panel: Panel) -> Chart:
    match panel.kind:
        case Kind.LINES:
            return _lines(panel)
        case Kind.STACKED:
            return _lines(panel).stacking(StackingConfig().mode(StackingMode.NORMAL).group("A")).fill_opacity(40)
        case Kind.STAT:
            newest = ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False)
            return stat.Panel().graph_mode(BigValueGraphMode.NONE).color_mode(BigValueColorMode.BACKGROUND).reduce_options(newest)
        case Kind.TIMELINE:
            # A bar lasts until the next value or null, so steps without a point must be asked for, or what is over would last to the edge.
            return statetimeline.Panel().interval(TIMELINE_STEP).show_value(VisibilityMode.NEVER).merge_values(True).legend(_legend())
        case _:
            assert_never(panel.kind)


def _lines(panel: Panel) -> timeseries.Panel:
    shown = GraphTresholdsStyleMode.OFF if panel.limits is None else GraphTresholdsStyleMode.DASHED
    return (
        timeseries.Panel()
        .fill_opacity(5)
        .show_points(VisibilityMode.NEVER)
        .thresholds_style(GraphThresholdsStyleConfig().mode(shown))
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        .legend(_legend())
    )


def _legend() -> VizLegendOptions:
    return VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM).show_legend(True)


def _color(panel: Panel) -> FieldColorModeId:
    """Lines tell series apart, all others tell good from bad."""
    return FieldColorModeId.PALETTE_CLASSIC if panel.kind in (Kind.LINES, Kind.STACKED) else FieldColorModeId.THRESHOLDS


def _mappings(meaning: Meaning) -> list[ValueMapping]:
    results = {value: ValueMappingResult(text, color) for value, (text, color) in MAPPED[meaning].items()}
    return [ValueMap(dict(_numbered(results)))]


def _numbered(results: dict[str, ValueMappingResult]) -> Iterator[tuple[str, ValueMappingResult]]:
    for index, (value, result) in enumerate(results.items()):
        result.index = index
        yield value, result
