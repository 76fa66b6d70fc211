"""The journal keeps what it was told, tells it again, and says clearly when it cannot."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from netwatch.errors import StoreError
from netwatch.model.change import EventType, PlanState
from netwatch.store.journal import Journal, journal_path
from netwatch.store.schema import LATEST
from tests.conftest import missing
from tests.store.records import event, incident, plan, receipt


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return journal_path(tmp_path / "state", "edge-1")


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal.open(path, now_s=1.0) as found:
        yield found


def rows(path: Path, table: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(f"SELECT * FROM {table}").fetchall()
    connection.close()
    return found


def test_a_plan_comes_back_as_it_was(journal: Journal, path: Path) -> None:
    journal.intend(plan())
    journal.close()
    with Journal.open(path, now_s=2.0) as again:
        assert again.plan("edge-1-1.1") == plan()
        assert again.unfinished() == [(plan(), None)]


def test_a_commit_waits_for_the_disk(journal: Journal) -> None:
    """FULL: the log is synced at each commit; NORMAL would lose the last intents in a power cut."""
    assert journal._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert journal._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_an_incident_is_kept_as_it_is_now(journal: Journal) -> None:
    journal.record_incident(incident())
    journal.record_incident(incident(2, onset_s=95))
    journal.record_incident(incident(ended_s=200))
    assert [one.id for one in journal.incidents()] == ["edge-1-2", "edge-1-1"]
    assert journal.incident("edge-1-1") == incident(ended_s=200)
    assert [one.id for one in journal.incidents(most=1)] == ["edge-1-2"]
    assert journal.incident("edge-1-9") is None


def test_the_life_of_a_plan_fills_the_tables_that_speak_of_it(journal: Journal, path: Path) -> None:
    one = plan()
    journal.record(event(EventType.PLAN_PROPOSED, one, state=PlanState.PROPOSED))
    journal.record(event(EventType.PLAN_APPROVED, one, state=PlanState.APPROVED, by="ana"))
    journal.intend(one)
    journal.record(event(EventType.CHANGE_APPLIED, one, state=PlanState.APPLIED, receipt=receipt(one)))
    journal.record(event(EventType.CHANGE_VERIFIED, one, state=PlanState.VERIFIED))
    journal.record(event(EventType.CHANGE_RENEWED, one, state=PlanState.VERIFIED, receipt=receipt(one, applied_at_s=145, evicted=0)))
    journal.record(event(EventType.CHANGE_UNDONE, one, state=PlanState.UNDONE, at_s=150))
    assert rows(path, "approvals") == [(one.id, 110.0, "ana", 1)]
    assert rows(path, "changes") == [(one.id, 105.0, 165.0, 12_000, 0), (one.id, 145.0, 205.0, 0, 1)]
    assert rows(path, "verdicts") == [(one.id, 110.0, "verified", "so it was")]
    assert rows(path, "undos") == [(one.id, 150.0, "undone", "so it was")]
    assert len(rows(path, "events")) == 6
    assert journal.unfinished() == []


def test_a_mitigation_that_made_things_worse_is_a_verdict(journal: Journal, path: Path) -> None:
    journal.record(event(EventType.INCIDENT_OPENED, plan(), text="0 of 5 connections"))
    assert rows(path, "verdicts") == [("edge-1-1.1", 110.0, "mitigation-induced", "0 of 5 connections")]


def test_what_may_be_in_force_is_told_with_its_whole_life(journal: Journal) -> None:
    one, other, over = plan(1), plan(2), plan(3)
    for each in (other, one, over):
        journal.intend(each)
    journal.record(event(EventType.CHANGE_APPLIED, one, state=PlanState.APPLIED, receipt=receipt(one)))
    journal.record(event(EventType.CHANGE_RENEWED, one, state=PlanState.APPLIED, receipt=receipt(one, applied_at_s=145, evicted=0)))
    journal.record(event(EventType.PLAN_FAILED, over, state=PlanState.FAILED))
    (first, made), (second, nothing) = journal.unfinished()
    assert (first.id, second.id, nothing) == (one.id, other.id, None)
    assert made == receipt(one, life_s=100.0)  # first applied at 105, lasts until 205


def test_plans_that_wait_are_those_that_can_be_approved(journal: Journal) -> None:
    journal.record(event(EventType.PLAN_PROPOSED, plan(1), state=PlanState.PROPOSED))
    journal.record(event(EventType.PLAN_PROPOSED, plan(2), state=PlanState.PROPOSED))
    journal.record(event(EventType.PLAN_REJECTED, plan(2), state=PlanState.REFUSED, by="ana"))
    assert [one.id for one in journal.waiting()] == ["edge-1-1.1"]
    assert [one.state for one in journal.plans("edge-1-1")] == [PlanState.PROPOSED, PlanState.REFUSED]


def test_a_timeline_tells_how_it_was_found_and_what_was_done(journal: Journal) -> None:
    journal.record_incident(incident())
    journal.record(event(EventType.CHANGE_APPLIED, plan(), at_s=105, text="synproxy is in force"))
    journal.record(event(EventType.CHANGE_UNDONE, plan(), at_s=150, text="undone: its cause is gone"))
    assert [(entry.at_s, entry.text) for entry in journal.timeline("edge-1-1")] == [
        (90.0, "began"),
        (91.0, "syn-flood found"),
        (105.0, "change.applied: synproxy is in force"),
        (150.0, "change.undone: undone: its cause is gone"),
    ]


def test_what_is_long_over_is_forgotten_with_all_that_belongs_to_it(journal: Journal, path: Path) -> None:
    for number, ended_s in ((1, 200.0), (2, None), (3, 900.0)):
        journal.record_incident(incident(number, ended_s=ended_s))
        one = plan(incident=number)
        journal.record(event(EventType.CHANGE_APPLIED, one, state=PlanState.APPLIED, receipt=receipt(one)))
    assert journal.forget(before_s=500) == 1
    assert [one.id for one in journal.incidents()] == ["edge-1-3", "edge-1-2"]
    assert len(rows(path, "plans")) == len(rows(path, "changes")) == len(rows(path, "events")) == 2


def test_a_reader_sees_what_the_writer_has_finished(journal: Journal, path: Path) -> None:
    journal.intend(plan(1))
    with Journal.read(path) as reader:
        assert len(reader.unfinished()) == 1
        journal.intend(plan(2))
        assert len(reader.unfinished()) == 2
        with pytest.raises(StoreError, match="readonly"):
            reader.intend(plan(3))


def test_a_journal_that_is_not_there_yet_is_told_as_that(path: Path) -> None:
    with pytest.raises(StoreError, match="has not run with this state_dir"):
        Journal.read(path)


def test_a_file_that_is_no_journal_is_not_written_over(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"a diary, not a journal" * 1000)
    for open_it in (lambda: Journal.open(path, now_s=1.0), lambda: Journal.read(path)):
        with pytest.raises(StoreError, match="move it away"):
            open_it()
    assert path.read_bytes().startswith(b"a diary")


def test_a_newer_schema_is_left_to_the_newer_netwatch(journal: Journal, path: Path) -> None:
    journal.close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO migrations VALUES (?, 2.0)", (LATEST + 1,))
    connection.close()
    with pytest.raises(StoreError, match=f"schema {LATEST + 1}, this netwatch knows schema {LATEST}"):
        Journal.open(path, now_s=3.0)


def test_opening_it_again_migrates_nothing_twice(journal: Journal, path: Path) -> None:
    journal.close()
    Journal.open(path, now_s=5.0).close()
    assert rows(path, "migrations") == [(version, 1.0) for version in range(1, LATEST + 1)]


def test_the_firewalls_name_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    assert journal_path(tmp_path, "../../etc/passwd").parent == tmp_path
    assert journal_path(tmp_path, "edge 1").name == "edge 1.journal"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreError, match="cannot be made to keep the journal"):
        Journal.open(tmp_path / "state" / "deeper" / "edge-1.journal", now_s=1.0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if os.geteuid() != 0:
        missing("mounting a small file system needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "netwatch-test", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        missing("a tmpfs cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(4096))


def intend_on_and_on(journal: Journal) -> None:
    for number in range(2, 1000):
        journal.intend(plan(number))
        assert journal.plan(plan(number).id) is not None


def test_a_full_disk_is_told_nothing_of_the_intent_stays_and_space_makes_it_work_again(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with Journal.open(small_disk / "edge-1.journal", now_s=1.0) as journal:
        journal.intend(plan(1))
        with pytest.raises(OSError, match="No space"):
            fill(ballast)
        with pytest.raises(StoreError, match="full"):
            intend_on_and_on(journal)
        kept = len(journal.unfinished())
        with pytest.raises(StoreError, match="full"):
            journal.intend(plan(5000))
        assert len(journal.unfinished()) == kept
        ballast.unlink()
        journal.intend(plan(1000))
        assert len(journal.unfinished()) == kept + 1


def test_a_read_only_file_system_is_told(small_disk: Path) -> None:
    with Journal.open(small_disk / "edge-1.journal", now_s=1.0) as journal:
        journal.intend(plan(1))
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StoreError, match=r"readonly|unable to open"):
        Journal.open(small_disk / "edge-1.journal", now_s=2.0).intend(plan(2))
