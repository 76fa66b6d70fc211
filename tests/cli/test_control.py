"""incidents, approve, decline, undo and status, as a person types them."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from netwatch.daemon.control import Reply, Request, Wish, control_path
from netwatch.daemon.status import Status
from netwatch.model.change import EventType, PlanState
from netwatch.model.event import StageReport
from netwatch.store.journal import Journal, journal_path
from tests.cli.commands import NETWATCH, netwatch
from tests.conftest import missing
from tests.daemon.serving import Desk, serving
from tests.store.records import event, incident, plan, receipt


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two incidents: one over and dealt with, one still on with a plan that waits."""
    file = tmp_path / "netwatch.toml"
    file.write_text(f'state_dir = "{tmp_path}"\n[firewall]\nname = "edge-1"\n')
    old, new = plan(1), plan(1, incident=2, state=PlanState.PROPOSED)
    with Journal.open(journal_path(tmp_path, "edge-1"), now_s=1.0) as journal:
        journal.record_incident(incident(1, ended_s=150.0))
        journal.record_incident(incident(2, onset_s=200.0))
        journal.record(event(EventType.PLAN_PROPOSED, old, at_s=92.0, state=PlanState.PROPOSED, text="synproxy is proposed"))
        journal.record(event(EventType.PLAN_APPROVED, old, at_s=95.0, state=PlanState.APPROVED, by="alice@pts/0/0", text="approved"))
        journal.record(event(EventType.CHANGE_APPLIED, old, at_s=105.0, receipt=receipt(old), text="armed"))
        journal.record(event(EventType.CHANGE_VERIFIED, old, state=PlanState.VERIFIED, text="success 100 %"))
        journal.record(event(EventType.CHANGE_EXPIRED, old, at_s=165.0, state=PlanState.EXPIRED, text="over"))
        journal.record(event(EventType.PLAN_PROPOSED, new, at_s=203.0, text="synproxy is proposed"))
    return file


def test_incidents_are_listed_the_newest_first_a_line_each(config: Path) -> None:
    lines = netwatch("incidents", "--config", config).out.splitlines()
    assert [line.split()[0] for line in lines] == ["incident", "edge-1-2", "edge-1-1"]
    assert "still on" in lines[1]
    assert f"{plan().change.playbook} proposed" in lines[1]
    assert f"{plan().change.playbook} expired" in lines[2]
    assert netwatch("incidents", "--config", config, "--limit", "1").out.count("edge-1-") == 1


def test_one_incident_is_shown_with_who_approved_what_was_done_and_whether_it_helped(config: Path) -> None:
    out = netwatch("incidents", "edge-1-1", "--config", config).out
    for words in ("75,000 SYN/s", "12,000 entries evicted", "plan.approved: approved (alice@pts/0/0)", "change.verified: success 100 %"):
        assert words in out
    assert out.index("began") < out.index("plan.approved") < out.index("change.applied") < out.index("change.expired")


def test_as_json_they_have_the_documented_shape(config: Path) -> None:
    listed = json.loads(netwatch("incidents", "--config", config, "--json").out)
    assert listed["schema_version"] == 1
    assert [(one["incident"]["id"], len(one["plans"])) for one in listed["incidents"]] == [("edge-1-2", 1), ("edge-1-1", 1)]
    history = json.loads(netwatch("incidents", "edge-1-1", "--config", config, "--json").out)["history"]
    assert history["incident"]["mode"] == "syn-flood"
    assert history["plans"][0]["receipt"]["evicted"] == 12_000
    assert [one["by"] for one in history["happened"] if one["type"] == "plan.approved"] == ["alice@pts/0/0"]


def test_an_id_may_be_shortened_as_long_as_it_names_one(config: Path) -> None:
    outcome = netwatch("incidents", "edge-1", "--config", config)
    assert outcome.code == 2
    assert "edge-1 begins the names of 2 incidents" in outcome.sentence
    assert netwatch("incidents", "meteor", "--config", config).code == 2
    desk = Desk()
    with serving(control_path(config.parent, "edge-1"), desk):
        assert netwatch("approve", "edge-1-2", "--config", config).code == 0
        assert netwatch("decline", "edge-1-7.1", "--config", config).out == "decline edge-1-7.1\n"
        assert netwatch("undo", "--all", "--config", config).code == 0
    assert [(one.wish, one.plan_id) for one in desk.asked] == [
        (Wish.APPROVE, "edge-1-2.1"),
        (Wish.DECLINE, "edge-1-7.1"),  # unknown to the journal: netwatch is to judge it
        (Wish.UNDO, None),
    ]
    assert all(one.by.endswith(f"/{os.getuid()}") for one in desk.asked)


def test_what_netwatch_refuses_is_one_sentence_and_exit_code_1(config: Path) -> None:
    async def refuse(request: Request) -> Reply:
        return Reply(ok=False, text=f"{request.plan_id} is applied already")

    with serving(control_path(config.parent, "edge-1"), refuse):
        outcome = netwatch("approve", "edge-1-2.1", "--config", config)
    assert (outcome.code, outcome.sentence) == (1, "netwatch: edge-1-2.1 is applied already")


def test_status_says_what_is_open_what_waits_and_what_is_in_trouble(config: Path) -> None:
    waits = msgspec.structs.replace(plan(1, incident=2), reason="waits for an approval")
    status = Status(
        version="1",
        pid=1,
        site="dc1",
        firewall="edge-1",
        driver="nftables",
        mode="suggest",
        started_at_s=1.0,
        incidents=(incident(2),),
        waiting=(waits,),
        stages=(StageReport(stage="sink influxdb", healthy=False, problem="refused"), StageReport(stage="capture")),
    )

    async def tell(_: Request) -> Reply:
        return Reply(ok=True, text="netwatch watches eth0", status=status)

    with serving(control_path(config.parent, "edge-1"), tell):
        out = netwatch("status", "--config", config).out
        told = json.loads(netwatch("status", "--config", config, "--json").out)
    assert [line.split()[0] for line in out.splitlines()] == ["netwatch", "incident", "waiting", "trouble"]
    assert (told["mode"], told["waiting"][0]["id"]) == ("suggest", "edge-1-2.1")


@pytest.mark.parametrize("words", [["approve", "edge-1-2.1"], ["decline", "edge-1-2.1"], ["status"]])
def test_without_a_running_netwatch_it_says_what_to_do(config: Path, words: list[str]) -> None:
    outcome = netwatch(*words, "--config", config)
    assert outcome.code == 1
    assert "no netwatch runs here" in outcome.sentence
    assert "netwatch run --config" in outcome.sentence


def test_undo_wants_a_plan_or_all(config: Path) -> None:
    assert netwatch("undo", "--config", config).code == 2
    assert netwatch("undo", "edge-1-1.1", "--all", "--config", config).code == 2


def test_where_netwatch_never_ran_incidents_says_so(tmp_path: Path) -> None:
    (tmp_path / "netwatch.toml").write_text(f'state_dir = "{tmp_path}/none"\n')
    outcome = netwatch("incidents", "--config", tmp_path / "netwatch.toml")
    assert outcome.code == 1
    assert "netwatch has not run" in outcome.sentence


@pytest.mark.parametrize("words", [["incidents"], ["approve", "edge-1-2.1"], ["undo", "--all"], ["status"]])
def test_who_may_not_enter_the_state_dir_is_told_so(config: Path, tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    if shutil.which("setpriv") is None:
        missing("setpriv is not installed")
    file = tmp_path_factory.mktemp("config") / "netwatch.toml"
    file.write_text(config.read_text())
    command = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", str(NETWATCH), *words, "--config", str(file)]
    config.parent.chmod(0)  # without capabilities this binds root as well
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    finally:
        config.parent.chmod(0o700)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "root" in done.stderr or "Permission denied" in done.stderr
