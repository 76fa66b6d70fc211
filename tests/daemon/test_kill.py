"""Whatever happens to netwatch in the middle of a mitigation, the firewall is itself again within the life of the change."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from netwatch.lab import plan
from netwatch.lab.plan import Role
from netwatch.store.journal import Journal, journal_path
from tests.daemon.edge import Edge, edge
from tests.lab.conftest import drill_machine

__all__ = ["drill_machine"]

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("drill_machine"), pytest.mark.timeout(240)]

LIFE_S = 12
"""``max_life_s`` of the tests' configuration: no element lives longer."""


@pytest.fixture
def under_attack(tmp_path: Path) -> Iterator[Edge]:
    """netwatch has put a change in force against a flood that goes on."""
    warm_up(replay_settings())
    with edge(tmp_path) as one:
        one.configure()
        one.clients(60)
        one.start()
        one.flood(15)
        one.wait(lambda: one.events("change.applied"))
        yield one


def test_killed_at_any_moment_it_leaves_nothing_and_the_next_one_knows(under_attack: Edge) -> None:
    time.sleep(random.uniform(0.0, 2.0))
    under_attack.signal(signal.SIGKILL)
    assert under_attack.ended(5) != 0
    under_attack.wait(lambda: not under_attack.armed(), within_s=LIFE_S + 2)

    with Journal.read(journal_path(under_attack.state_dir, "edge")) as journal:
        assert [plan.change.playbook for plan, _ in journal.unfinished()] == ["synproxy+clear-half-open"]
    under_attack.start()
    assert under_attack.events("change.expired")
    under_attack.signal(signal.SIGTERM)
    assert under_attack.ended(10) == 0


def test_started_again_at_once_it_holds_what_is_in_force_and_undoes_it_when_asked_to_stop(under_attack: Edge) -> None:
    under_attack.signal(signal.SIGKILL)
    under_attack.ended(5)
    under_attack.start()
    assert any("was in force when netwatch started" in event["text"] for event in under_attack.events("change.verified"))
    assert under_attack.armed()
    under_attack.signal(signal.SIGTERM)
    assert under_attack.ended(10) == 0
    assert under_attack.events("change.undone")
    assert under_attack.armed() == []


def test_stopped_for_longer_than_a_change_lives_it_goes_on_afterwards(under_attack: Edge) -> None:
    under_attack.signal(signal.SIGSTOP)
    under_attack.wait(lambda: not under_attack.armed(), within_s=LIFE_S + 2)
    windows = len(under_attack.events("window"))
    under_attack.signal(signal.SIGCONT)
    under_attack.wait(lambda: len(under_attack.events("window")) > windows + 2)
    under_attack.wait(lambda: under_attack.events("change.expired", "change.undone"))
    under_attack.signal(signal.SIGTERM)
    assert under_attack.ended(10) == 0


def test_a_flushed_ruleset_is_noticed_and_the_change_made_again_until_a_person_takes_it_back(under_attack: Edge) -> None:
    under_attack.world.within(Role.FIREWALL, "nft", "delete", "table", "inet", "netwatch")
    under_attack.wait(lambda: len(under_attack.events("change.applied")) == 2)
    assert any("removed by somebody else" in event["text"] for event in under_attack.events("change.undone"))

    assert "undone" in under_attack.ask("undo", "--all")
    under_attack.wait(lambda: not under_attack.armed())
    under_attack.wait(lambda: any("taken back by" in event["text"] for event in under_attack.events("change.undone")))
    time.sleep(3)
    assert len(under_attack.events("change.applied")) == 2, "an incident that a person took over is left to him"


def test_without_room_for_the_journal_nothing_is_changed_and_detection_goes_on(tmp_path: Path) -> None:
    warm_up(replay_settings())
    with edge(tmp_path) as one:
        one.configure()
        one.state_dir.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(one.state_dir)], check=True)
        try:
            one.clients(40)
            one.start()
            with suppress(OSError):  # no space left
                (one.state_dir / "filling").write_bytes(bytes(1 << 20))
            one.flood(6)
            one.wait(lambda: any("not on disk" in event["text"] for event in one.events("plan.failed")))
            assert one.events("incident.opened")
            assert not one.events("change.applied")
            assert one.armed() == []
            one.signal(signal.SIGTERM)
            assert one.ended(10) == 0
        finally:
            subprocess.run(["umount", str(one.state_dir)], check=True)


def test_a_suggested_change_waits_for_its_approval(tmp_path: Path) -> None:
    warm_up(replay_settings())
    with edge(tmp_path) as one:
        one.configure(mode="suggest")
        one.clients(40)
        one.start()
        one.flood(15)
        one.wait(lambda: one.events("plan.proposed"))
        time.sleep(1)
        assert one.armed() == []
        plan_id = one.events("plan.proposed")[0]["plan"]["id"]
        assert "is approved" in one.ask("approve", plan_id)
        one.wait(lambda: one.events("change.applied"))
        assert one.armed()
        assert one.events("plan.approved")[0]["by"]


def test_a_wrong_configuration_is_not_reloaded_and_a_right_one_is(tmp_path: Path) -> None:
    warm_up(replay_settings())
    with edge(tmp_path) as one:
        one.configure(mode="observe")
        one.start()
        one.config.write_text("nonsense = 1\n")
        one.signal(signal.SIGHUP)
        one.wait(lambda: any("not reloaded" in event["text"] for event in one.events("error")))
        one.configure(mode="suggest")
        one.signal(signal.SIGHUP)
        one.wait(lambda: any("mode suggest" in event["text"] for event in one.events("error")))
        windows = len(one.events("window"))
        one.wait(lambda: len(one.events("window")) > windows + 2)

        one.config.write_text(one.config.read_text().replace(f'interface = "{plan.OUTSIDE}"', 'interface = "nowhere"'))
        one.signal(signal.SIGHUP)
        one.wait(lambda: any("goes on as before" in event["text"] and "nowhere" in event["text"] for event in one.events("error")))
        windows = len(one.events("window"))
        one.wait(lambda: len(one.events("window")) > windows + 2)
        one.signal(signal.SIGTERM)
        assert one.ended(10) == 0


def test_a_reload_in_the_middle_of_an_attack_ends_no_mitigation_and_leaves_no_incident_open(under_attack: Edge) -> None:
    opened = under_attack.events("incident.opened")[0]["incident"]["id"]
    under_attack.configure(more="hold_down_s = 60")
    under_attack.signal(signal.SIGHUP)
    under_attack.wait(
        lambda: any("was in force when netwatch started" in event["text"] for event in under_attack.events("change.verified"))
    )
    assert under_attack.armed()
    assert opened in {event["incident"]["id"] for event in under_attack.events("incident.closed")}
