"""Both databases, filled with the same lines and asked as Grafana would ask them: its variables filled in, in steps of a chart."""

import json
import re
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from netwatch.export.grafana.folder import Connection, files
from netwatch.export.grafana.influxql import InfluxQl
from netwatch.export.grafana.language import Language
from netwatch.export.grafana.promql import PromQl
from netwatch.export.metrics.lines import LineWriter
from netwatch.export.metrics.schema import Point
from netwatch.kernel.namespace import entered
from tests.export.servers import Influx1, VictoriaMetrics

DATABASE = "netwatch"
STEP_S = 10
EVERYTHING = {"site": ".*", "firewall": ".*", "service": ".*"}

Series = dict[frozenset[tuple[str, str]], list[tuple[float, Any]]]
"""By its tags, its points: seconds and value."""


@dataclass(frozen=True)
class Range:
    begin_s: float
    end_s: float
    step_s: int = STEP_S  # of a chart

    @property
    def rate_s(self) -> int:
        """Grafana's ``$__rate_interval`` for points of each second."""
        return max(self.step_s + 1, 4)


class Database(Protocol):
    """A database that was filled, with the language that it speaks."""

    language: Language

    def ask(self, target: Mapping[str, Any], over: Range, variables: Mapping[str, str] = EVERYTHING) -> Series: ...

    def rows(self, target: Mapping[str, Any], over: Range, variables: Mapping[str, str] = EVERYTHING) -> list[list[Any]]: ...

    def at(self, target: Mapping[str, Any], now_s: float, *, back_s: int) -> dict[frozenset[tuple[str, str]], float]: ...

    def tag_values(self, query: str, variables: Mapping[str, str]) -> set[str]: ...


class Influx:
    language: Language = InfluxQl()

    def __init__(self, server: Influx1) -> None:
        self._server = server

    def fill(self, namespace: str, points: Sequence[Point]) -> None:
        self._server.create(DATABASE)
        post(namespace, f"{self._server.url}/write?db={DATABASE}&precision=ms", points)

    def ask(self, target: Mapping[str, Any], over: Range, variables: Mapping[str, str] = EVERYTHING) -> Series:
        return {
            frozenset(series.get("tags", {}).items()): [(row[0] / 1000, row[-1]) for row in series["values"] if row[-1] is not None]
            for series in self._answer(target, over, variables)
        }

    def rows(self, target: Mapping[str, Any], over: Range, variables: Mapping[str, str] = EVERYTHING) -> list[list[Any]]:
        """Of a list of texts: seconds, then its columns."""
        return [[row[0] / 1000, *row[1:]] for series in self._answer(target, over, variables) for row in series["values"]]

    def _answer(self, target: Mapping[str, Any], over: Range, variables: Mapping[str, str]) -> list[dict[str, Any]]:
        escaped = {name: value if value == ".*" else re.escape(value).replace("/", r"\/") for name, value in variables.items()}
        query = filled(
            target["query"],
            timeFilter=f"time >= {over.begin_s * 1000:.0f}ms and time <= {over.end_s * 1000:.0f}ms",
            __interval=f"{over.step_s}s",
            **escaped,
        )
        (result,) = self._server.json("/query", db=DATABASE, q=query, epoch="ms")["results"]
        assert "error" not in result, f"{query}: {result}"
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def at(self, target: Mapping[str, Any], now_s: float, *, back_s: int) -> dict[frozenset[tuple[str, str]], float]:
        return {tags: points[-1][1] for tags, points in self.ask(target, Range(now_s - back_s, now_s)).items()}

    def tag_values(self, query: str, variables: Mapping[str, str]) -> set[str]:
        return {row[1] for row in self._server.rows(DATABASE, filled(query, **variables))}


class Victoria:
    language: Language = PromQl()

    def __init__(self, server: VictoriaMetrics) -> None:
        self._server = server

    def fill(self, namespace: str, points: Sequence[Point]) -> None:
        post(namespace, f"{self._server.url}/api/v2/write?org=noc&bucket={DATABASE}&precision=ms", points)
        self._server.get("/internal/force_flush")

    def ask(self, target: Mapping[str, Any], over: Range, variables: Mapping[str, str] = EVERYTHING) -> Series:
        escaped = {name: value if value == ".*" else value.replace(".", r"\\.") for name, value in variables.items()}
        query = filled(target["expr"], __rate_interval=f"{over.rate_s}s", **escaped)
        span = {"start": f"{over.begin_s}", "end": f"{over.end_s}", "step": f"{over.step_s}s", "nocache": "1"}
        answer = self._server.json("/api/v1/query_range", query=query, **span)["data"]["result"]
        return {frozenset(one["metric"].items()): [(float(at), float(value)) for at, value in one["values"]] for one in answer}

    def rows(self, target: Mapping[str, Any], over: Range, variables: Mapping[str, str] = EVERYTHING) -> list[list[Any]]:
        raise AssertionError(f"there are no texts here: {target}, {over}, {variables}")

    def at(self, target: Mapping[str, Any], now_s: float, *, back_s: int) -> dict[frozenset[tuple[str, str]], float]:
        assert f"[{back_s}s]" in target["expr"]
        answer = self._server.json("/api/v1/query", query=target["expr"], time=f"{now_s}", nocache="1")["data"]["result"]
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in answer}

    def tag_values(self, query: str, variables: Mapping[str, str]) -> set[str]:
        asked = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(query, **variables))
        assert asked is not None, query
        return set(
            self._server.json(f"/api/v1/label/{asked[2]}/values", **{"match[]": asked[1], "start": "1", "end": "4000000000"})["data"]
        )


def filled(text: str, **variables: str) -> str:
    """With Grafana's variables, of which none may be left over."""
    for name, value in variables.items():
        text = re.sub(rf"\${name}\b", lambda _, value=value: value, text)  # type: ignore[misc]
    assert not re.search(r"\$\w", text), text
    return text


def post(namespace: str, url: str, points: Sequence[Point]) -> None:
    writer = LineWriter()
    lines = writer.lines(points)
    assert not writer.refused
    with (
        entered(namespace),
        urllib.request.urlopen(urllib.request.Request(url, "\n".join(lines).encode(), method="POST"), timeout=30) as sent,
    ):
        assert sent.status == 204


def boards(language: Language) -> dict[str, Any]:
    """The written dashboards, by uid."""

    texts = {name: text for name, text in files(language, Connection(url="http://127.0.0.1")).items() if name.endswith(".json")}
    read = [json.loads(text) for text in texts.values()]
    return {board["uid"]: board for board in read}


def panels(board: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def without_data(database: Database, over: Range, *, site: str = ".*") -> dict[str, set[str]]:
    """Panels of which any query gives nothing."""
    variables = {**EVERYTHING, "site": site}
    empty: dict[str, set[str]] = {}
    for uid, board in boards(database.language).items():
        for panel in panels(board):
            if not all(any(database.ask(target, over, variables).values()) for target in panel["targets"]):
                empty.setdefault(uid, set()).add(panel["title"])
    return empty
