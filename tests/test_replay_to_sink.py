"""A past incident in the dashboards of today: ``netwatch replay --sink`` against a real database."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netwatch.kernel.namespace import entered
from tests.cli.commands import Outcome, netwatch
from tests.collect.namespaces import namespaces
from tests.conftest import ROOT
from tests.export.servers import Influx1, VictoriaMetrics, started

CAPTURE = ROOT / "captures" / "syn-flood" / "attack.pcap.zst"
CONFIG = """\
site = "dc1"
[firewall]
name = "edge-1"
limit = 3000
[[sink]]
type = "influxdb"
url = "http://127.0.0.1:8428"
org = "noc"
bucket = "nw"
timeout_s = 2
[[sink]]
type = "influxdb1"
url = "http://127.0.0.1:8086"
database = "nw"
[[sink]]
type = "prometheus"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "netwatch.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    with namespaces("replay") as (made,):
        yield made


def result_of(done: Outcome) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(done.out)
    return read


@pytest.mark.namespace
def test_windows_and_incidents_of_a_replay_are_in_influxdb_at_their_own_times(namespace: str, tmp_path: Path, config: Path) -> None:
    server = Influx1(namespace, tmp_path / "influx")
    with started(server), entered(namespace):
        server.create("nw")
        first = netwatch("replay", CAPTURE, "--config", str(config), "--sink", "influxdb1", "--json", "-")
        again = netwatch("replay", CAPTURE, "--config", str(config), "--sink", "influxdb1", "--json", "-")
        windows = server.rows("nw", "select entries, fill_ratio from netwatch_firewall where site='dc1' and firewall='edge-1'")
        opened = server.rows("nw", "select incident, onset_s, detected_s from netwatch_incident where event='opened'")
    assert first.code == again.code == 0
    result = result_of(first)
    capture = result["captures"][0]
    assert capture["first_s"] - 1 <= windows[0][0] / 1000 <= windows[-1][0] / 1000 <= capture["last_s"] + 1
    assert len(windows) == pytest.approx(capture["last_s"] - capture["first_s"], abs=2)
    assert max(row[1] for row in windows) == pytest.approx(result["firewall"]["peak_entries"], rel=0.02)
    assert {row[1] for row in opened} == {incident["id"] for incident in result["incidents"]}
    assert {round(row[3], 3) for row in opened} == {round(row[0] / 1000, 3) for row in opened}


@pytest.mark.namespace
def test_and_in_victoriametrics(namespace: str, tmp_path: Path, config: Path) -> None:
    server = VictoriaMetrics(namespace, tmp_path / "vm")
    with started(server), entered(namespace):
        done = netwatch("replay", CAPTURE, "--config", str(config), "--sink", "influxdb", "--json", "-")
        server.get("/internal/force_flush")
        times = server.times('netwatch_firewall_fill_ratio{site="dc1"}')
        modes = server.json("/api/v1/label/mode/values", start="1", end="4000000000")["data"]
    assert done.code == 0
    result = result_of(done)
    assert "points written to influxdb at http://127.0.0.1:8428" in done.err
    assert len(times) == pytest.approx(result["captures"][0]["last_s"] - result["captures"][0]["first_s"], abs=2)
    assert {incident["mode"] for incident in result["incidents"]} <= set(modes)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--sink", "influxdb"], 2, "say with --config where that sink is"),
        (["--config", "CONFIG", "--sink", "webhook"], 2, "it has influxdb, influxdb1, prometheus"),
        (["--config", "CONFIG", "--sink", "prometheus"], 2, "takes only what happens now"),
    ],
)
def test_a_sink_that_cannot_be_meant_is_said(config: Path, words: list[str], code: int, says: str) -> None:
    done = netwatch("replay", CAPTURE, *[str(config) if word == "CONFIG" else word for word in words])
    assert (done.code, says in done.err) == (code, True), done.err


@pytest.mark.namespace
def test_a_server_that_is_not_there_is_said_before_the_replay_begins(namespace: str, config: Path) -> None:
    with entered(namespace):
        done = netwatch("replay", CAPTURE, "--config", str(config), "--sink", "influxdb")
    assert done.code == 1
    assert "http://127.0.0.1:8428: Connection refused; nothing was replayed" in done.err
    assert done.out == ""
