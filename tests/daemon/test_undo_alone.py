"""Undo without a running netwatch: what is armed goes, it is written down, and a running one is never gone behind."""

import os
import shutil
import subprocess
import time
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from netwatch.config import Config, FirewallSection
from netwatch.daemon.undo_alone import undo_alone
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.enforce.nftables import open_nftables
from netwatch.enforce.ruleset import Ruleset
from netwatch.errors import StoreError, UsageError
from netwatch.model.change import EventType, PlanState
from netwatch.store.journal import Journal, journal_path
from netwatch.store.lock import Lock
from tests.cli.commands import NETWATCH
from tests.conftest import missing
from tests.enforce.changes import change, element
from tests.enforce.conftest import base, namespace
from tests.store.records import event, incident, plan, receipt

__all__ = ["base", "namespace"]  # fixtures

pytestmark = pytest.mark.namespace

OURS = change(element("synproxy4", "203.0.113.25 . 25"), sysctl=["net.netfilter.nf_conntrack_udp_timeout=7"])
FOREIGN = change(element("blk4", "192.0.2.0/24"))


@pytest.fixture
def left_behind(base: str, namespace: str, tmp_path: Path) -> Config:
    """A netwatch was killed: its plan and something of a person's are armed, and the journal holds the plan."""
    config = Config(state_dir=str(tmp_path), firewall=FirewallSection(name="edge-1", driver="nftables", namespace=namespace))
    driver = open_nftables(base, decoder=EntryDecoder(), state_folder=tmp_path, namespace=namespace)
    driver.load()
    driver.apply(OURS, now_s=time.time())
    driver.apply(FOREIGN, now_s=time.time())
    driver.close()
    ours = msgspec.structs.replace(plan(), change=msgspec.structs.replace(OURS, id=plan().id), state=PlanState.APPLIED)
    with Journal.open(journal_path(tmp_path, "edge-1"), now_s=1.0) as journal:
        journal.record_incident(incident())
        journal.record(event(EventType.CHANGE_APPLIED, ours, receipt=receipt(ours)))
    return config


def armed(namespace: str) -> str:
    command = ["ip", "netns", "exec", namespace, "nft", "list", "ruleset"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return " ".join(word for word in ("203.0.113.25", "192.0.2.0/24") if word in listing)


def test_one_plan_is_undone_and_the_rest_left(left_behind: Config, namespace: str, tmp_path: Path) -> None:
    assert armed(namespace) == "203.0.113.25 192.0.2.0/24"
    assert undo_alone(left_behind, plan().id, by="alice@pts/0/0") == [f"{plan().id} is undone: test"]
    assert armed(namespace) == "192.0.2.0/24"
    with Journal.read(journal_path(tmp_path, "edge-1")) as journal:
        found = journal.history("edge-1-1")
        assert found is not None
        assert [(one.plan.state, one.receipt is not None) for one in found.plans] == [(PlanState.UNDONE, True)]
        assert (found.happened[-1].type, found.happened[-1].by) == ("change.undone", "alice@pts/0/0")
        assert journal.unfinished() == []


def test_all_means_also_what_nobody_owns_and_the_table_itself(left_behind: Config, namespace: str, tmp_path: Path) -> None:
    said = undo_alone(left_behind, None, by="alice")
    assert sorted(said) == ["disarmed: blk4 { 192.0.2.0/24 }", "disarmed: synproxy4 { 203.0.113.25 . 25 }"]
    with closing(Ruleset(namespace)) as ruleset:
        assert ruleset.fingerprint() is None
    assert undo_alone(left_behind, None, by="alice") == ["nothing was in force"]
    with Journal.read(journal_path(tmp_path, "edge-1")) as journal:
        assert [one.state for one in journal.plans("edge-1-1")] == [PlanState.UNDONE]


def test_a_damaged_journal_does_not_keep_the_firewall_from_being_released(left_behind: Config, namespace: str, tmp_path: Path) -> None:
    for path in tmp_path.glob("edge-1.journal*"):
        path.unlink()
    journal_path(tmp_path, "edge-1").write_bytes(b"no journal at all" * 100)
    said = undo_alone(left_behind, None, by="alice")
    assert "not recorded" in said[0]
    assert armed(namespace) == ""


def test_a_plan_that_is_not_there_is_told(left_behind: Config) -> None:
    with pytest.raises(UsageError, match=r"edge-1-9\.1: no netwatch runs, and the journal knows no such plan"):
        undo_alone(left_behind, "edge-1-9.1", by="alice")


def test_a_running_netwatch_is_not_gone_behind(left_behind: Config, namespace: str, tmp_path: Path) -> None:
    with Lock(tmp_path, "edge-1"), pytest.raises(StoreError, match=f"process {os.getpid()}"):
        undo_alone(left_behind, None, by="alice")
    assert armed(namespace) == "203.0.113.25 192.0.2.0/24"


def test_where_nftables_is_missing_it_says_so(left_behind: Config, tmp_path: Path) -> None:
    """Library and program are hidden in a mount namespace of the command's own."""
    if shutil.which("unshare") is None:
        missing("unshare is not installed")
    libraries = " ".join(f"'{path}'" for path in Path("/usr/lib").glob("*/libnftables.so.1*"))
    program = shutil.which("nft")
    config = tmp_path / "netwatch.toml"
    firewall = f'name = "edge-1"\ndriver = "nftables"\nnamespace = "{left_behind.firewall.namespace}"'
    config.write_text(f'state_dir = "{tmp_path}"\n[firewall]\n{firewall}\n[mitigate]\nmode = "enforce"\n')
    hide = f"for file in {libraries} '{program}'; do mount --bind /dev/null $(readlink -f $file); done; exec \"$@\""
    for words, code in ((["undo", "--all"], 1), (["doctor"], 1)):
        command = ["unshare", "--mount", "sh", "-c", hide, "sh", str(NETWATCH), *words, "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
        assert done.returncode == code, done.stderr
        assert "install" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
