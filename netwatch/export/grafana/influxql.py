"""Queries as InfluxQL, for InfluxDB 1.x and the compatibility API of later ones: a row for each point, with all of its fields."""

from collections.abc import Mapping
from typing import Any

from netwatch.export.grafana.language import PASSWORD_VARIABLE, WHOLE_FIREWALL, shown_tags
from netwatch.export.grafana.mark import Mark
from netwatch.export.grafana.query import Across, Listing, Over, Query
from netwatch.export.metrics.measurements import IncidentPoint
from netwatch.export.metrics.schema import Point

ROWS_SHOWN = 200


class InfluxQl:
    """InfluxDB."""

    plugin = "influxdb"
    has_texts = True

    def chart(self, query: Query, *, gaps: bool = False) -> str:
        conditions = [*_narrowed(query.point, query.tags), *_pinned(query), "$timeFilter"]
        return _select(query, conditions, steps=["time($__interval)"]) + (" fill(null)" if gaps else " fill(none)")

    def alert(self, query: Query) -> str:
        assert query.over is not Over.RATE, f"{query.column}: a rate needs steps of time"
        return _select(query, [*_pinned(query), "$timeFilter"], steps=[])

    def listing(self, listing: Listing) -> str:
        columns = ", ".join(f'"{column}"' for column in listing.columns)
        conditions = [*_narrowed(listing.point, listing.tags), "$timeFilter"]
        source = f'FROM "{listing.point.measurement}" WHERE {" AND ".join(conditions)}'
        return f"SELECT {columns} {source} ORDER BY time DESC LIMIT {ROWS_SHOWN}"

    def tag_values(self, tag: str, given: tuple[str, ...]) -> str:
        source = "netwatch_service" if tag == "service" else "netwatch_firewall"
        narrowed = " AND ".join(f'"{other}" =~ /^${other}$/' for other in given)
        return f'SHOW TAG VALUES FROM "{source}" WITH KEY = "{tag}"' + (f" WHERE {narrowed}" if narrowed else "")

    def target(self, expression: str, *, alias: str = "", table: bool = False) -> Mapping[str, Any]:
        named = {"alias": alias} if alias else {}
        return {"query": expression, "rawQuery": True, "resultFormat": "table" if table else "time_series", **named}

    def alias_of(self, query: Query) -> str:
        return " ".join([*(f"$tag_{tag}" for tag in shown_tags(query)), query.name]).strip()

    def mark(self, mark: Mark) -> Mapping[str, Any]:
        conditions = [*_narrowed(mark.point, mark.tags), f"\"event\" = '{mark.event}'", "$timeFilter"]
        what = "mode" if mark.point is IncidentPoint else "playbook"
        expression = f'SELECT "text", "{what}" FROM "{mark.point.measurement}" WHERE {" AND ".join(conditions)}'
        target = {"refId": "Anno", "query": expression, "fromAnnotations": True, "rawQuery": True}
        return {"target": {**target, "queryType": "tags", "textColumn": "text", "tagsColumn": what, "name": mark.name}}

    def connection(self, *, database: str, user: str | None, interval_s: int) -> Mapping[str, Any]:
        settings: dict[str, Any] = {"jsonData": {"dbName": database, "httpMode": "GET", "timeInterval": f"{interval_s}s"}}
        if user is not None:
            settings |= {"user": user, "secureJsonData": {"password": f"${PASSWORD_VARIABLE}"}}
        return settings


def _select(query: Query, conditions: list[str], *, steps: list[str]) -> str:
    """One SELECT where each series stands for itself. Else a second one around it: first the points of each series become one, then the
    series do, so that a sum over firewalls is a sum of their means and not of all their points."""
    source = f'FROM "{query.point.measurement}" WHERE {" AND ".join(conditions)}'
    wanted = [f'"{tag}"' for tag in query.per]
    if query.is_each_series or (query.over, query.across) in ((Over.MAX, Across.MAX), (Over.MIN, Across.MIN)):
        return f"SELECT {_one(query)} {source}{_group([*steps, *wanted])}"
    each = [f'"{tag}"' for tag in query.tags]
    inner = f'SELECT {_one(query)} AS "one" {source}{_group([*steps, *each])}' + (" fill(none)" if steps else "")
    return f'SELECT {query.across.value}("one") FROM ({inner}) WHERE $timeFilter{_group([*steps, *wanted])}'


def _one(query: Query) -> str:
    """The points of a series within a step, as one."""
    if query.over is Over.RATE:
        return f'non_negative_derivative(last("{query.column}"), 1s)'
    one = f'{query.over.value}("{query.column}")'
    return one if query.beside is None else f'{one} / ({one} + {query.over.value}("{query.beside}"))'


def _group(by: list[str]) -> str:
    return f" GROUP BY {', '.join(by)}" if by else ""


def _pinned(query: Query) -> list[str]:
    return [f'"{tag}" =~ /^{words}$/' for tag, words in query.where.items()]


def _narrowed(point: type[Point], tags: tuple[str, ...]) -> list[str]:
    """By the variables of the board. An incident of the whole firewall is one of every service."""
    whole = point is IncidentPoint
    return [
        f'"{tag}" =~ /^(${tag}|{WHOLE_FIREWALL})$/' if whole and tag == "service" else f'"{tag}" =~ /^${tag}$/'
        for tag in tags
        if tag in ("site", "firewall", "service")
    ]
