"""What is written: the same each time, complete, and what a person needs on every panel."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from netwatch.export.grafana.folder import Connection, files
from netwatch.export.grafana.influxql import InfluxQl
from netwatch.export.grafana.language import Language
from netwatch.export.grafana.place import WIDTH
from netwatch.export.grafana.promql import PromQl
from tests.cli.commands import netwatch
from tests.conftest import missing
from tests.export.grafana.asking import EVERYTHING, boards, filled, panels

LANGUAGES = pytest.mark.parametrize("language", [InfluxQl(), PromQl()], ids=["influxql", "prometheus"])
CONNECTION = Connection(url="http://db.example.net")


@pytest.mark.parametrize("datasource", ["influxql", "prometheus"])
def test_the_command_writes_the_same_bytes_each_time_and_says_what(tmp_path: Path, datasource: str) -> None:
    texts = []
    for folder in (tmp_path / "one", tmp_path / "other"):
        done = netwatch("dashboards", "--output", folder, "--datasource", datasource)
        assert done.code == 0, done.err
        written = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert {folder / name for name in written} == {Path(line) for line in done.out.splitlines()}
        texts.append(written)
    assert texts[0] == texts[1]
    assert len(texts[0]) == 9


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = netwatch("dashboards", "--output", tmp_path / "file", "--datasource", "influxql")
    assert done.code == 1
    assert "Not a directory; choose an --output that can be written" in done.sentence


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['grafana_foundation_sdk'] = None; from netwatch.cli.app import main; main()"
    words = ["dashboards", "--output", str(tmp_path), "--datasource", "influxql"]
    done = subprocess.run([sys.executable, "-c", hide, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "grafana_foundation_sdk not installed; install it with: pip install 'netwatch[grafana]'" in done.stderr


@LANGUAGES
def test_every_panel_has_a_description_a_unit_thresholds_and_a_place_of_its_own(language: Language) -> None:
    for uid, board in boards(language).items():
        assert board["uid"] == uid
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < WIDTH, panel["title"]
            taken |= cells
        for panel in panels(board):
            defaults = panel["fieldConfig"]["defaults"]
            assert panel["description"].endswith((".", "?")), panel["title"]
            assert defaults["unit"], panel["title"]
            values = [step["value"] for step in defaults["thresholds"]["steps"]]
            assert values[0] is None, panel["title"]
            assert values[1:] == sorted(values[1:]), panel["title"]
            assert panel["datasource"]["uid"] == "${datasource}"
            assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"])
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_both_languages_have_the_same_boards_with_the_same_panels_but_those_of_texts() -> None:
    by_influx, by_prometheus = boards(InfluxQl()), boards(PromQl())
    assert by_influx.keys() == by_prometheus.keys()
    for uid, board in by_influx.items():
        charts = [(panel["title"], panel["type"], panel["fieldConfig"]) for panel in panels(board) if panel["type"] != "table"]
        assert charts == [(panel["title"], panel["type"], panel["fieldConfig"]) for panel in panels(by_prometheus[uid])]
        assert [variable["name"] for variable in board["templating"]["list"]][:3] == ["datasource", "site", "firewall"]


@LANGUAGES
def test_rules_ask_the_written_data_source_and_lead_to_the_panel_that_shows_it(language: Language) -> None:
    written = files(language, CONNECTION)
    (source,) = yaml.safe_load(written["datasources/netwatch.yaml"])["datasources"]
    (group,) = yaml.safe_load(written["alerting/netwatch.yaml"])["groups"]
    for board in boards(language).values():
        assert board["templating"]["list"][0]["current"]["value"] == source["uid"] == source["name"]
    for rule in group["rules"]:
        shown = {panel["id"]: panel for panel in panels(boards(language)[rule["dashboardUid"]])}
        assert rule["panelId"] in shown
        assert {entry["datasourceUid"] for entry in rule["data"]} == {source["uid"], "__expr__"}
        assert "$" not in "".join(rule["annotations"].values()), "Grafana takes it for a variable of its environment"


@LANGUAGES
def test_a_password_is_never_written_but_named(language: Language) -> None:
    def source(connection: Connection) -> dict[str, Any]:
        (read,) = yaml.safe_load(files(language, connection)["datasources/netwatch.yaml"])["datasources"]
        assert isinstance(read, dict)
        return read

    assert "secureJsonData" not in source(CONNECTION)
    with_user = source(Connection(url="http://db.example.net", user="reader"))
    assert list(with_user["secureJsonData"].values()) == ["$NETWATCH_DATASOURCE_PASSWORD"]
    assert "reader" in with_user.values()


def test_prometheus_itself_understands_every_expression(tmp_path: Path) -> None:
    """VictoriaMetrics takes more than it does."""
    if shutil.which("promtool") is None:
        missing("promtool is not installed")
    written = boards(PromQl())
    (group,) = yaml.safe_load(files(PromQl(), CONNECTION)["alerting/netwatch.yaml"])["groups"]
    asked = [target["expr"] for board in written.values() for panel in panels(board) for target in panel["targets"]]
    asked += [one["expr"] for board in written.values() for one in board["annotations"].get("list", [])]
    asked += [entry["model"]["expr"] for rule in group["rules"] for entry in rule["data"] if "expr" in entry["model"]]
    rules = [{"record": f"asked:{number}", "expr": filled(text, __rate_interval="1m", **EVERYTHING)} for number, text in enumerate(asked)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", str(tmp_path / "rules.yml")], capture_output=True, text=True, check=False)
    assert f"SUCCESS: {len(asked)} rules found" in checked.stdout, checked.stderr


def test_dashboards_are_looked_for_where_grafana_sees_the_folder() -> None:
    written = files(PromQl(), Connection(url="http://db.example.net", provisioning="/srv/grafana"))
    (provider,) = yaml.safe_load(written["dashboards/netwatch.yaml"])["providers"]
    assert provider["options"]["path"] == "/srv/grafana/dashboards/netwatch"
    assert "dashboards/netwatch/netwatch-overview.json" in written
