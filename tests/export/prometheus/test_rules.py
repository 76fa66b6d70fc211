"""The rules about netwatch itself: checked and tried by promtool, scraped and fired by Prometheus."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from netwatch.export.metrics.measurements import POINT_TYPES
from netwatch.export.metrics.schema import measurement_of
from netwatch.export.prometheus.settings import PrometheusSettings
from netwatch.export.sink import SinkContext
from netwatch.export.sinks import build_sinks
from netwatch.kernel.namespace import entered
from netwatch.model.change import EventType
from netwatch.model.event import StageReport
from tests.collect.namespaces import namespaces
from tests.conftest import ROOT, missing
from tests.export.alerts.running import running
from tests.export.metrics import told
from tests.export.servers import Prometheus

RULES = ROOT / "rules" / "prometheus" / "netwatch-self.rules.yml"
CASES = Path(__file__).parent / "netwatch-self.test.yml"


def promtool(*words: str) -> str:
    if shutil.which("promtool") is None:
        missing("promtool is not installed")
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_no_fault_in_the_rules() -> None:
    assert re.search(r"SUCCESS: \d+ rules found", promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES)))


def test_each_rule_fires_on_its_trouble_and_none_while_all_is_well() -> None:
    promtool("test", "rules", str(CASES))
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    assert alerts
    assert alerts == set(re.findall(r"^ +alertname: (\w+)$", CASES.read_text(), re.MULTILINE))


def test_rules_ask_only_for_what_is_written() -> None:
    written = {f"{measured.name}_{column.name}" for measured in map(measurement_of, POINT_TYPES) for column in measured.columns}
    assert set(re.findall(r"\bnetwatch_\w+", RULES.read_text())) <= written


@pytest.mark.namespace
def test_prometheus_scrapes_and_a_rule_fires(tmp_path: Path) -> None:
    context = SinkContext(site="dc1", firewall="edge-1", state_dir=tmp_path)
    plan = told.plan()

    async def play(server: Prometheus) -> None:
        (sink,) = build_sinks([PrometheusSettings()], context)
        async with running(sink), asyncio.timeout(30):
            await asyncio.to_thread(server.start)
            second, firing = 0, set[str]()
            while "NetwatchMitigationFailed" not in firing:
                sink.offer(told.window(told.START_S + second))
                sink.offer(told.itself(StageReport(stage="capture"), sink.report(), time_s=told.START_S + second))
                if second == 3:
                    sink.offer(told.happened(EventType.PLAN_FAILED, plan, told.START_S + second))
                second += 1
                await asyncio.sleep(0.5)
                answer = server.json("/api/v1/alerts")
                firing = {alert["labels"]["alertname"] for alert in answer["data"]["alerts"] if alert["state"] == "firing"}
            (scraped,) = server.json("/api/v1/query", query="netwatch_firewall_fill_ratio")["data"]["result"]
            assert (scraped["metric"]["firewall"], scraped["value"][1]) == ("edge-1", "0.7")
            assert firing == {"NetwatchMitigationFailed"}
            assert server.json("/api/v1/query", query="up")["data"]["result"][0]["value"][1] == "1"

    with namespaces("scrape") as (namespace,), entered(namespace):
        server = Prometheus(namespace, tmp_path / "prometheus", RULES)
        try:
            asyncio.run(play(server))
        finally:
            server.kill()
