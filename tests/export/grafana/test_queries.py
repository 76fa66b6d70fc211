"""Every query that is written is asked of a real InfluxDB 1.x and a real VictoriaMetrics that hold the same incident."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from netwatch.export.grafana.alert import ALERTS
from netwatch.export.grafana.folder import Connection, files
from netwatch.export.grafana.mark import MARKS
from netwatch.model.incident import Incident
from tests.collect.namespaces import namespaces
from tests.export.grafana import story
from tests.export.grafana.asking import STEP_S, Database, Influx, Range, Series, Victoria, boards, panels, without_data
from tests.export.metrics import told
from tests.export.servers import Influx1, VictoriaMetrics, started

pytestmark = pytest.mark.namespace

LIVE_ONLY = {
    "netwatch-overview": {"Canaries that were answered", "Mitigations"},
    "netwatch-firewall": {
        "Counters of netwatch's rules",
        "Synproxy",
        "Dropped by interfaces and processors",
        "Processors that ran out of time",
        "Processor time of netwatch",
    },
    "netwatch-service": {"Canary: latency", "Canary: answered"},
    "netwatch-incident": {"Mitigations in force", "Remaining life", "Changes"},
    "netwatch-exporters": {"Health", "Records taken", "Records decoded", "Records lost or refused", "Lost or refused, by reason"},
    "netwatch-itself": {
        "Health of its parts",
        "Age of the newest window",
        "Delay of detection",
        "Taken",
        "Given",
        "Dropped, by part and reason",
        "Waiting",
        "Restarts",
        "Processor time",
        "Memory",
    },
}
"""Panels that a replay leaves empty: it has no canary, no changes, no counters of a kernel, and no netwatch that goes on."""

INCIDENT_MARKS = {"Onset": "onset_s", "Detected": "detected_s", "Recovered": "ended_s"}
CHANGE_MARKS = {"Change applied": 20, "Change failed": 20, "Change verified": 24, "Change undone": 28}
"""When the live story has them, in seconds from its begin."""

FIRES_AT = {
    "netwatch-table-filling": story.REPLAYED,
    "netwatch-table-full": story.REPLAYED,
    "netwatch-service-unhealthy": story.REPLAYED,
    "netwatch-service-unreachable": story.LIVE,
    "netwatch-blind": story.LIVE,
    "netwatch-part-down": story.LIVE,
    "netwatch-mitigation-stuck": story.LIVE,
    "netwatch-lossy": story.LIVE,
}


class Loaded(NamedTuple):
    """Both databases and what they hold."""

    influx: Database
    victoria: Database
    over: Range
    incidents: list[Incident]
    live_s: float

    def each(self) -> tuple[Database, Database]:
        return self.influx, self.victoria


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    folder: Path = tmp_path_factory.mktemp("grafana")
    with namespaces("grafana") as (namespace,):
        one, other = Influx1(namespace, folder / "influx"), VictoriaMetrics(namespace, folder / "vm")
        with started(one), started(other):
            replayed, incidents = story.replayed()
            begin_s = min(point.time_s for point in replayed)
            live, over = story.live(begin_s)
            points = [*replayed, *live]
            influx, victoria = Influx(one), Victoria(other)
            influx.fill(namespace, points)
            victoria.fill(namespace, points)
            end_s = max(point.time_s for point in points)
            yield Loaded(influx, victoria, Range(begin_s - STEP_S, end_s + STEP_S), [*incidents, over], begin_s)


def test_every_panel_has_data_of_a_replay_but_those_that_are_live_by_nature(loaded: Loaded) -> None:
    for database in loaded.each():
        wanted = {uid: {panel["title"] for panel in panels(board)} & LIVE_ONLY[uid] for uid, board in boards(database.language).items()}
        assert without_data(database, loaded.over, site=story.REPLAYED) == wanted


def test_no_panel_is_without_data_beside_a_running_netwatch(loaded: Loaded) -> None:
    for database in loaded.each():
        assert without_data(database, loaded.over) == {}


def drawn(database: Database, over: Range) -> dict[tuple[str, str, str], Series]:
    """Everything that charts show, by board, panel and query."""
    return {
        (uid, panel["title"], target["refId"]): database.ask(target, over)
        for uid, board in boards(database.language).items()
        for panel in panels(board)
        if panel["type"] != "table"
        for target in panel["targets"]
    }


def test_both_languages_draw_the_same_series_with_the_same_peaks(loaded: Loaded) -> None:
    by_influx, by_victoria = (drawn(database, loaded.over) for database in loaded.each())
    queries = {
        (uid, panel["title"], target["refId"]): target["query"]
        for uid, board in boards(loaded.influx.language).items()
        for panel in panels(board)
        for target in panel["targets"]
    }
    assert by_influx.keys() == by_victoria.keys()
    compared = 0
    for key, series in by_influx.items():
        assert series.keys() == by_victoria[key].keys(), key
        if queries[key].startswith("SELECT max("):
            for tags, points in series.items():
                assert max(value for _, value in points) == pytest.approx(max(value for _, value in by_victoria[key][tags])), key
                compared += 1
    assert compared > 20


def test_variables_name_what_there_is_and_narrow_it(loaded: Loaded) -> None:
    service = told.SMTP.label
    for database in loaded.each():
        board = boards(database.language)["netwatch-service"]
        queries = {variable["name"]: variable["query"] for variable in board["templating"]["list"]}
        live = {"site": story.LIVE, "firewall": ".*"}
        assert database.tag_values(queries["site"], {}) == {story.LIVE, story.REPLAYED}
        assert database.tag_values(queries["firewall"], {"site": story.LIVE}) == {"edge-2"}
        assert database.tag_values(queries["service"], live) == {service}
        for panel in panels(board):
            if panel["type"] != "table":
                series = database.ask(panel["targets"][0], loaded.over, {"site": ".*", "firewall": "edge-2", "service": service})
                assert {dict(tags)["service"] for tags in series} == {service}, panel["title"]
                assert {dict(tags)["firewall"] for tags in series} == {"edge-2"}, panel["title"]


def marked(database: Database, over: Range, name: str) -> list[float]:
    """When a mark is drawn. Grafana joins points of PromQL that follow each other to one mark, which begins at the first."""
    (annotation,) = (one for one in boards(database.language)["netwatch-incident"]["annotations"]["list"] if one["name"] == name)
    times = set()
    for points in database.ask(annotation["target"], over).values():
        if annotation.get("useValueForTime"):
            times |= {value / 1000 for _, value in points}
        elif "expr" in annotation:
            times.add(points[0][0])
        else:
            times |= {at_s for at_s, _ in points}
    return sorted(times)


@pytest.mark.parametrize(("name", "moment"), INCIDENT_MARKS.items())
def test_incidents_are_marked_at_their_own_times(loaded: Loaded, name: str, moment: str) -> None:
    wanted = sorted({at_s for incident in loaded.incidents if (at_s := getattr(incident, moment)) is not None})
    assert wanted
    assert marked(loaded.victoria, loaded.over, name) == pytest.approx(wanted, abs=0.001)
    # A mark of a second incident whose series has a row at that millisecond already is moved by one.
    assert marked(loaded.influx, loaded.over, name) == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize(("name", "second"), CHANGE_MARKS.items())
def test_changes_are_marked_when_they_happened(loaded: Loaded, name: str, second: int) -> None:
    happened_s = loaded.live_s + second
    assert marked(loaded.influx, loaded.over, name) == pytest.approx([happened_s], abs=0.01)
    (seen_s,) = marked(loaded.victoria, loaded.over, name)
    assert 0 <= seen_s - happened_s <= 2 * STEP_S  # the step of the chart that ends after it


def test_all_marks_are_tried_here() -> None:
    assert {mark.name for mark in MARKS} == {*INCIDENT_MARKS, *CHANGE_MARKS}


def firing(database: Database, rule: Mapping[str, Any], now_s: float) -> set[str]:
    """Sites where the conditions of a rule hold: its queries asked, its expression worked out as Grafana does."""
    asked = {
        entry["refId"]: database.at(entry["model"], now_s, back_s=entry["relativeTimeRange"]["from"])
        for entry in rule["data"]
        if entry["refId"].startswith("ASKED")
    }
    (expression,) = (entry["model"]["expression"] for entry in rule["data"] if entry["refId"] == rule["condition"])
    conditions = re.findall(r"\$\{NEWEST(\d)\} ([<>]) (-?[\d.]+)", expression)
    assert " && ".join(f"${{NEWEST{number}}} {sign} {than}" for number, sign, than in conditions) == expression
    holding = [
        {tags for tags, value in asked[f"ASKED{number}"].items() if (value < float(than) if sign == "<" else value > float(than))}
        for number, sign, than in conditions
    ]
    return {dict(tags)["site"] for tags in set.intersection(*holding)}


def rules(database: Database) -> dict[str, Mapping[str, Any]]:
    (group,) = yaml.safe_load(files(database.language, Connection(url="http://127.0.0.1"))["alerting/netwatch.yaml"])["groups"]
    return {rule["uid"]: rule for rule in group["rules"]}


@pytest.mark.parametrize(("uid", "site"), FIRES_AT.items())
def test_a_rule_fires_where_it_is_bad_and_not_before(loaded: Loaded, uid: str, site: str) -> None:
    for database in loaded.each():
        rule = rules(database)[uid]
        calm = [firing(database, rule, loaded.live_s + second) for second in range(5, 25, 5)]
        rough = [firing(database, rule, loaded.live_s + second) for second in range(30, story.LIVE_S, 5)]
        assert not any(site in sites for sites in calm), (database.language.plugin, calm)
        assert any(site in sites for sites in rough), (database.language.plugin, rough)


def test_all_rules_are_tried_here() -> None:
    assert set(FIRES_AT) == {alert.uid for alert in ALERTS}
