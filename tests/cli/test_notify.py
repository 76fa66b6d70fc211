"""``netwatch notify test``: one marked message through each alerting sink, and a word about each."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.export.alerts.receivers import Answer, Receiver, serving

NETWATCH = Path(sys.executable).parent / "netwatch"


def notify(config: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(NETWATCH), "notify", "test", "--config", str(config), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={"PATH": "/usr/bin", **environment})


def configuration(folder: Path, receiver: Receiver) -> Path:
    path = folder / "netwatch.toml"
    path.write_text(
        f"""
site = "dc1"
state_dir = "{folder}"
[[sink]]
type = "prometheus"
[[sink]]
type = "alertmanager"
url = "{receiver.url}"
[[sink]]
type = "pagerduty"
url = "{receiver.url}"
routing_key_env = "KEY"
[[sink]]
type = "webhook"
url = "{receiver.url}/hook"
[[sink]]
type = "jsonl"
path = "{folder}/events.jsonl"
"""
    )
    return path


def test_each_sink_gets_one_marked_message_and_nothing_stays_open(tmp_path: Path) -> None:
    with serving(Receiver()) as receiver:
        done = notify(configuration(tmp_path, receiver), KEY="key")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["alertmanager: ok", "pagerduty: ok", "webhook: ok", "jsonl: ok"]
    by_path: dict[str, list[object]] = {}
    for request in receiver.requests:
        by_path.setdefault(request.path, []).append(request.json)
    firing, resolved = by_path["/api/v2/alerts"]
    assert firing[0]["labels"] == resolved[0]["labels"]  # type: ignore[index]  # JSON
    assert firing[0]["labels"]["alertname"] == "NetwatchTest"  # type: ignore[index]  # JSON
    assert [event["event_action"] for event in by_path["/v2/enqueue"]] == ["trigger", "resolve"]  # type: ignore[index]  # JSON
    assert [event["type"] for event in by_path["/hook"]] == ["test"]  # type: ignore[index]  # JSON
    assert "TEST" in json.dumps(by_path["/v2/enqueue"][0])
    assert json.loads((tmp_path / "events.jsonl").read_text())["type"] == "test"


def test_a_sink_that_fails_is_named_with_the_reason_and_without_the_key(tmp_path: Path) -> None:
    with serving(Receiver(usual=Answer(403, body="key s3cr3t unknown"))) as receiver:
        done = notify(configuration(tmp_path, receiver), "--sink", "pagerduty", KEY="s3cr3t")
    assert done.returncode == 1
    assert done.stdout == "pagerduty: failed: 127.0.0.1 answered 403: key … unknown\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [(["--sink", "opsgenie"], 2, "there is no alerting sink of type 'opsgenie'"), ([], 1, "the environment variable KEY")],
)
def test_what_cannot_be_tried_is_said_in_one_sentence(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    with serving(Receiver()) as receiver:
        done = notify(configuration(tmp_path, receiver), *words)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
