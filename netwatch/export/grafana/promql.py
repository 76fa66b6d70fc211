"""Queries as PromQL, for Prometheus and VictoriaMetrics: a series for each field, named by measurement and field."""

from collections.abc import Mapping
from typing import Any

from netwatch.export.grafana.language import ALERT_S, PASSWORD_VARIABLE, WHOLE_FIREWALL, shown_tags
from netwatch.export.grafana.mark import Mark
from netwatch.export.grafana.query import Across, Listing, Over, Query
from netwatch.export.metrics.measurements import IncidentPoint
from netwatch.export.metrics.schema import Point

STEP = "$__rate_interval"
"""Never shorter than a step of the chart, and never without a point of the data source, whose interval it knows."""

OVER = {
    Over.MEAN: "avg_over_time",
    Over.MAX: "max_over_time",
    Over.MIN: "min_over_time",
    Over.LAST: "last_over_time",
    Over.RATE: "rate",
}
ACROSS = {Across.SUM: "sum", Across.MAX: "max", Across.MIN: "min", Across.MEAN: "avg"}


class PromQl:
    """Prometheus, VictoriaMetrics."""

    plugin = "prometheus"
    has_texts = False

    def chart(self, query: Query, *, gaps: bool = False) -> str:
        return _select(query, matchers=_narrowed(query.point, query.tags), step=STEP)

    def alert(self, query: Query) -> str:
        return _select(query, matchers=[], step=f"{ALERT_S}s")

    def listing(self, listing: Listing) -> str:
        raise AssertionError(f"{listing.point.measurement}: there are no texts")

    def tag_values(self, tag: str, given: tuple[str, ...]) -> str:
        series = "netwatch_service_entries" if tag == "service" else "netwatch_firewall_entries"
        matchers = ",".join(f'{other}=~"${other}"' for other in given)
        return f"label_values({series}{{{matchers}}}, {tag})"

    def target(self, expression: str, *, alias: str = "", table: bool = False) -> Mapping[str, Any]:
        named = {"legendFormat": alias} if alias else {}
        return {"expr": expression, "range": True, "instant": False, "editorMode": "code", **named}

    def alias_of(self, query: Query) -> str:
        return " ".join([*(f"{{{{{tag}}}}}" for tag in shown_tags(query)), query.name]).strip()

    def mark(self, mark: Mark) -> Mapping[str, Any]:
        matchers = ",".join(_narrowed(mark.point, mark.tags))
        per = ", ".join(mark.tags)
        if mark.moment is not None:
            expression = f"max by ({per}) (last_over_time({mark.point.measurement}_{mark.moment}{{{matchers}}}[{STEP}])) * 1000"
        else:
            expression = f"sum by ({per}) (increase({mark.point.measurement}_{mark.counter}{{{matchers}}}[{STEP}])) > 0"
        what = "mode" if mark.point is IncidentPoint else "playbook"
        return {
            "expr": expression,
            "target": {"refId": "Anno", "expr": expression},
            "titleFormat": mark.name,
            "textFormat": f"{{{{{what}}}}} at {{{{firewall}}}}",
            "tagKeys": ",".join(mark.tags),
            "useValueForTime": mark.moment is not None,
        }

    def connection(self, *, database: str, user: str | None, interval_s: int) -> Mapping[str, Any]:
        settings: dict[str, Any] = {"jsonData": {"httpMethod": "POST", "timeInterval": f"{interval_s}s"}}
        if user is not None:
            settings |= {"basicAuth": True, "basicAuthUser": user, "secureJsonData": {"basicAuthPassword": f"${PASSWORD_VARIABLE}"}}
        return settings


def _select(query: Query, *, matchers: list[str], step: str) -> str:
    conditions = ",".join([*matchers, *(f'{tag}=~"{words}"' for tag, words in query.where.items())])

    def over(column: str) -> str:
        return f"{OVER[query.over]}({query.point.measurement}_{column}{{{conditions}}}[{step}])"

    one = over(query.column)
    if query.beside is not None:
        one = f"{one} / ({one} + {over(query.beside)})"
    return f"{ACROSS[query.across]} by ({', '.join(query.per)}) ({one})" if query.per else f"{ACROSS[query.across]}({one})"


def _narrowed(point: type[Point], tags: tuple[str, ...]) -> list[str]:
    """By the variables of the board. An incident of the whole firewall is one of every service."""
    whole = f"|{WHOLE_FIREWALL}" if point is IncidentPoint else ""
    return [f'{tag}=~"${tag}{whole if tag == "service" else ""}"' for tag in tags if tag in ("site", "firewall", "service")]
