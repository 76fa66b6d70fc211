"""One incident, seen by everybody: the drill's, from the first packet to the resolved page; and what the NOC's dashboards show of it."""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from netwatch.lab.caretaker import namespaces_of
from tests.daemon.night import Night, night
from tests.export.browser import page
from tests.export.grafana.asking import Database, Influx, Range, Victoria, boards, without_data
from tests.export.grafana.picture import WIDTH_PX, picture
from tests.lab.conftest import machine_for_drills

pytestmark = [pytest.mark.namespace, pytest.mark.timeout(240)]

MAY_BE_EMPTY = {
    "netwatch-exporters": {"Health", "Records taken", "Records decoded", "Records lost or refused", "Lost or refused, by reason"},
    "netwatch-itself": {"Dropped, by part and reason"},
}
"""A drill has no routers that send flow records, and a netwatch that is well drops nothing."""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    machine_for_drills()
    warm_up(replay_settings())
    with night(tmp_path_factory.mktemp("night")) as one:
        yield one
    assert namespaces_of(os.getpid()) == []


@pytest.fixture(params=["influxql", "promql"])
def database(request: pytest.FixtureRequest, seen: Night) -> Database:
    return Influx(seen.influx) if request.param == "influxql" else Victoria(seen.victoria)


def over(seen: Night) -> Range:
    return Range(seen.begin_s, seen.end_s, step_s=1)


def test_an_incident_pages_once_is_updated_by_its_change_and_resolved_when_it_is_over(seen: Night) -> None:
    incident = seen.of("incident.opened")[0]["incident"]
    page_of_it = [request.json for request in seen.pages if request.json["dedup_key"] == incident["id"]]
    actions = [event["event_action"] for event in page_of_it]
    assert actions[0] == "trigger"
    assert actions[-1] == "resolve"
    assert "acknowledge" in actions
    news = [event["payload"]["custom_details"].get("news", "") for event in page_of_it if event["event_action"] == "trigger"]
    assert news[0] == ""
    assert any("is in force" in text for text in news[1:])
    assert page_of_it[0]["payload"]["severity"] == incident["severity"] == "critical"
    assert page_of_it[0]["links"][-1]["href"] == "https://wiki.example.net/modes/syn-flood.md"


def test_alertmanager_fires_for_it_and_resolves_it(seen: Night) -> None:
    incident = seen.of("incident.opened")[0]["incident"]
    firing, resolved = (
        [one for one in seen.told(status) if one.json["groupLabels"]["incident"] == incident["id"]] for status in ("firing", "resolved")
    )
    labels = firing[0].json["alerts"][0]["labels"]
    assert (labels["mode"], labels["service"]) == (incident["mode"], incident["service"])
    assert {alert["status"] for alert in resolved[-1].json["alerts"]} == {"resolved"}


def test_everybody_is_told_in_the_order_in_which_it_happened(seen: Night) -> None:
    """Alert and page come after detection and before the end; a page is acknowledged after the change was verified."""
    (opened, *_), (verified, *_), (*_, closed) = (seen.of(kind) for kind in ("incident.opened", "change.verified", "incident.closed"))
    acknowledged = next(request for request in seen.pages if request.json["event_action"] == "acknowledge")
    for told in (seen.told("firing")[0], seen.pages[0], seen.hook.taken[0]):
        assert opened["incident"]["detected_s"] <= told.at_s < closed["time_s"]
    assert verified["time_s"] <= acknowledged.at_s < closed["time_s"] <= seen.told("resolved")[-1].at_s
    assert all(before.at_s <= after.at_s for before, after in pairwise(seen.pages))


def test_no_panel_is_without_data_but_those_of_what_a_drill_does_not_have(seen: Night, database: Database) -> None:
    empty = without_data(database, over(seen))
    assert {uid: titles - MAY_BE_EMPTY.get(uid, set()) for uid, titles in empty.items() if titles - MAY_BE_EMPTY.get(uid, set())} == {}


@pytest.mark.browser
def test_dashboards_can_be_drawn(seen: Night, tmp_path: Path) -> None:
    """What they look like lies in the folder that NETWATCH_PICTURES names."""
    folder = Path(os.environ.get("NETWATCH_PICTURES", tmp_path))
    with page() as tab:
        for database in (Influx(seen.influx), Victoria(seen.victoria)):
            for uid, board in boards(database.language).items():
                drawn = picture(board, database, over(seen))
                file = folder / f"{uid}-{database.language.plugin}.html"
                file.write_text(drawn.page)
                tab.open(file, width=WIDTH_PX)
                assert tab.complaints == []
                lines = tab.value("document.querySelectorAll('polyline').length")
                charts = [panel["title"] for panel in board["panels"] if panel["type"] == "timeseries"]
                assert lines == sum(drawn.series[title] for title in charts)
                assert tab.value("[...document.querySelectorAll('h2')].filter((e) => e.scrollWidth > e.clientWidth).length") == 0
                file.with_suffix(".png").write_bytes(tab.screenshot())
