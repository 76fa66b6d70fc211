"""A real Alertmanager: it fires, groups, inhibits and resolves by what netwatch tells it."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from netwatch.errors import ConfigError
from netwatch.export.alerts.build import build_alert_sink
from netwatch.export.alerts.settings import AlertmanagerSettings
from netwatch.export.sink import Sink
from netwatch.model.event import Event
from netwatch.model.incident import Mode, Severity
from tests.collect.namespaces import namespaces
from tests.conftest import missing
from tests.export.alerts.receivers import Answer, Receiver, serving
from tests.export.alerts.running import running, until, until_quiet
from tests.export.alerts.story import ONSET_S, applied, closed, context, incident, not_helped, opened, updated

BINARY = Path("/usr/bin/prometheus-alertmanager")
KEY = incident().id
ROUTES = """
route: {receiver: hook, group_by: [incident], group_wait: 300ms, group_interval: 500ms, repeat_interval: 1h}
receivers: [{name: hook, webhook_configs: [{url: "http://127.0.0.1:%d/", send_resolved: true}]}]
inhibit_rules:
  - {source_matchers: [severity="critical"], target_matchers: [severity="warning"], equal: [site, firewall]}
"""


def alertmanager(urls: list[str] | str, folder: Path, **settings: Any) -> Sink:
    told = {"type": "alertmanager", "url": urls, **settings}
    return build_alert_sink(
        msgspec.convert(told, AlertmanagerSettings), "alertmanager", context(folder, report_url="http://n.example/{incident}")
    )


# The scene runs as a process of its own inside a namespace, where Alertmanager has its port to itself and reaches nobody else.


@contextmanager
def real_alertmanager(folder: Path, hook: Receiver) -> Iterator[str]:
    config = folder / "am.yml"
    config.write_text(ROUTES % hook.port)
    words = [str(BINARY), f"--config.file={config}", f"--storage.path={folder}", "--web.listen-address=127.0.0.1:9093"]
    with (folder / "am.log").open("wb") as log:
        daemon = subprocess.Popen([*words, "--cluster.listen-address="], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while not is_ready("http://127.0.0.1:9093"):
            assert time.monotonic() < deadline, (folder / "am.log").read_text()
            time.sleep(0.05)
        yield "http://127.0.0.1:9093"
    finally:
        daemon.terminate()
        daemon.wait(timeout=20)


def alerts_of(url: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = httpx.get(f"{url}/api/v2/alerts", trust_env=False).raise_for_status().json()
    return told


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False).is_success
    except httpx.TransportError:
        return False


def shift(event: Event, by_s: float) -> Event:
    """The story's events as of now: Alertmanager goes by the clock."""
    told = msgspec.to_builtins(event)

    def later(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: later(item, key) for key, item in value.items()}
        if isinstance(value, float) and name.endswith("_s") and value > 1e9:
            return value + by_s
        return [later(item) for item in value] if isinstance(value, list) else value

    shifted: Event = msgspec.convert(later(told), type(event))
    return shifted


async def scene(folder: Path) -> dict[str, Any]:
    """What Alertmanager says and tells its webhook while an incident goes by."""
    by_s = time.time() - ONSET_S - 60
    seen: dict[str, Any] = {}
    with serving(Receiver(usual=Answer(200))) as hook, real_alertmanager(folder, hook) as url:
        sink = alertmanager(url, folder, repost_s=1.0)
        other = "203.0.113.26:25/tcp"

        def notified(status: str, incident_id: str) -> list[dict[str, Any]]:
            bodies = [request.json for request in hook.requests]
            return [body for body in bodies if body["status"] == status and body["groupLabels"]["incident"] == incident_id]

        async with running(sink):
            sink.offer(shift(opened(mode=Mode.TABLE_FULL, service=None), by_s))
            await until(lambda: bool(notified("firing", KEY)))
            seen["first"] = notified("firing", KEY)[0]
            sink.offer(shift(updated(severity=Severity.CRITICAL), by_s))  # the cause is found, and it is graver
            sink.offer(shift(opened(2, at_s=4, service=other), by_s))  # a warning of the same firewall
            sink.offer(shift(applied(), by_s))
            await until(lambda: any(alert["status"]["state"] == "suppressed" for alert in alerts_of(url)))
            sink.offer(shift(not_helped(), by_s))
            await until(lambda: any(len(body["alerts"]) > 1 for body in notified("firing", KEY)))
            seen["standing"] = alerts_of(url)
            seen["grouped"] = notified("firing", KEY)[-1]
            told = sink.report().given
            await until(lambda: sink.report().given > told + 1)  # said again though there is no news
            sink.offer(shift(closed(at_s=59), by_s))
            await until(lambda: bool(notified("resolved", KEY)))
            seen["resolved"] = notified("resolved", KEY)[-1]
            await until(lambda: bool(notified("firing", incident(2).id)))  # inhibited until then
            sink.offer(shift(closed(2, at_s=59, service=other), by_s))
            await until(lambda: bool(notified("resolved", incident(2).id)))
            await until(lambda: alerts_of(url) == [])
        seen["healthy"] = sink.report().healthy
    return seen


@pytest.mark.namespace
def test_alertmanager_fires_groups_inhibits_and_resolves(tmp_path: Path) -> None:
    if not BINARY.exists():
        missing("prometheus-alertmanager is not installed")
    with namespaces("am") as (namespace,):
        words = ["ip", "netns", "exec", namespace, sys.executable, "-m", "tests.export.alerts.test_alertmanager", str(tmp_path)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["healthy"]
    assert seen["first"]["commonLabels"]["mode"] == "table-full"
    standing = {(alert["labels"]["alertname"], alert["labels"]["mode"], alert["labels"]["severity"]): alert for alert in seen["standing"]}
    assert set(standing) == {
        ("NetwatchIncident", "syn-flood", "critical"),
        ("NetwatchIncident", "syn-flood", "warning"),
        ("NetwatchMitigationFailed", "syn-flood", "critical"),
    }
    page = standing["NetwatchIncident", "syn-flood", "critical"]
    assert page["labels"] | {"incident": KEY, "site": "dc1", "firewall": "edge-1", "service": "203.0.113.25:25/tcp"} == page["labels"]
    assert page["annotations"]["runbook_url"] == "https://wiki.example.net/modes/syn-flood.md"
    assert page["annotations"]["report_url"] == page["generatorURL"] == f"http://n.example/{KEY}"
    assert "synproxy is in force" in page["annotations"]["done"]
    warning = standing["NetwatchIncident", "syn-flood", "warning"]
    assert warning["status"]["state"] == "suppressed"
    assert {alert["labels"]["alertname"] for alert in seen["grouped"]["alerts"]} >= {"NetwatchIncident", "NetwatchMitigationFailed"}
    assert {alert["status"] for alert in seen["resolved"]["alerts"]} == {"resolved"}


def test_each_member_of_a_cluster_is_told_and_one_that_is_away_catches_up(tmp_path: Path) -> None:
    with serving(Receiver()) as probe:
        port = probe.port
    late = Receiver(usual=Answer(200))

    async def cluster() -> None:
        sink = alertmanager([first.url, f"http://127.0.0.1:{port}"], tmp_path)
        async with running(sink):
            sink.offer(opened())
            await until(lambda: len(first.requests) > 0 and "member 2" in sink.report().problem)
            sink.offer(updated(severity=Severity.CRITICAL))
            await until(lambda: len(first.requests) > 1)
            with serving(late, port=port):
                await until(lambda: len(late.requests) > 0 and sink.report().healthy)

    with serving(Receiver(usual=Answer(200))) as first:
        asyncio.run(cluster())
    severities = [[alert["labels"]["severity"] for alert in request.json] for request in first.requests]
    assert severities == [["warning"], ["critical", "warning"]]  # the alert under the labels of before is ended
    assert [alert["labels"]["severity"] for alert in late.requests[0].json] == ["critical"]


def test_after_a_restart_what_stands_is_said_again_under_the_same_labels(tmp_path: Path) -> None:
    with serving(Receiver(usual=Answer(200))) as receiver:
        for events in ((opened(),), (opened(7, at_s=90),)):  # the same attack, found again under another identifier

            async def told(events: tuple[Event, ...] = events) -> None:
                sink = alertmanager(receiver.url, tmp_path)
                async with running(sink):
                    for event in events:
                        sink.offer(event)
                    await until_quiet(sink)
                    await until(lambda: sink.report().given > 0)

            asyncio.run(told())
    labels = [alert["labels"] for request in receiver.requests for alert in request.json]
    assert {label["incident"] for label in labels} == {KEY}
    assert len({json.dumps(label, sort_keys=True) for label in labels}) == 1


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"user": "netwatch"}, "user and password_env"),
        ({"user": "netwatch", "token_env": "NETWATCH_TEST_KEY"}, "either a user with a password or a token"),
    ],
)
def test_half_a_login_is_said_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], problem: str
) -> None:
    monkeypatch.setenv("NETWATCH_TEST_KEY", "key")
    with pytest.raises(ConfigError, match=problem):
        alertmanager("http://127.0.0.1:9093", tmp_path, **settings)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(scene(Path(sys.argv[1])))))
