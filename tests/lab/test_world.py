"""The world of a drill comes and goes without leftovers, whichever way it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netwatch.errors import DrillError
from netwatch.lab import caretaker
from netwatch.lab.plan import SERVER, SERVER6, Role, namespace_name
from netwatch.lab.world import World

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("drill_machine")]

LIMIT = Path(caretaker.LIMIT_FILE)
ROOT = Path(__file__).resolve().parents[2]

DRILL = """
import sys
from pathlib import Path
from netwatch.lab.plan import Role
from netwatch.lab.world import World
with World(limit=int(sys.argv[1]), state_folder=Path(sys.argv[2])) as world:
    child = world.start(Role.CLIENT, "sleep", "60")
    print(child.pid, flush=True)
    sys.stdin.read()
"""


def limit() -> int:
    return int(LIMIT.read_text())


def other_limit() -> int:
    """A limit that tells whose it is, and hurts nobody else on this machine."""
    return limit() - 1


def eventually(true: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 8
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def running_drill(folder: Path) -> tuple["subprocess.Popen[str]", int]:
    """A drill in a process of its own, and the process that runs in its world."""
    drill = subprocess.Popen(
        [sys.executable, "-c", DRILL, str(other_limit()), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert drill.stdout is not None
    return drill, int(drill.stdout.readline())


def ended(drill: "subprocess.Popen[str]") -> None:
    drill.wait(10)
    for pipe in (drill.stdin, drill.stdout):
        if pipe is not None:
            pipe.close()


def test_packets_go_through_the_firewall_in_both_families(tmp_path: Path) -> None:
    with World(state_folder=tmp_path) as world:
        for address in (SERVER, SERVER6):
            assert "1 received" in world.within(Role.CLIENT, "ping", "-c", "1", "-W", "3", address)
        assert "established,related accept" in world.within(Role.FIREWALL, "nft", "list", "ruleset")


def test_nothing_is_left_afterwards(tmp_path: Path) -> None:
    before = limit()
    with World(limit=other_limit(), state_folder=tmp_path) as world:
        child = world.start(Role.SERVER, "sleep", "60")
        assert limit() == before - 1
        assert len(caretaker.namespaces_of(os.getpid())) == len(Role)

    assert limit() == before
    assert caretaker.namespaces_of(os.getpid()) == []
    assert child.returncode is not None


def test_nothing_is_left_when_the_body_raises(tmp_path: Path) -> None:
    before = limit()
    with pytest.raises(ZeroDivisionError), World(limit=other_limit(), state_folder=tmp_path):
        print(1 // 0)

    assert limit() == before
    assert caretaker.namespaces_of(os.getpid()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_nothing_is_left_when_the_drill_is_ended_by_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    before = limit()
    drill, child = running_drill(tmp_path)
    assert limit() == before - 1

    drill.send_signal(number)

    ended(drill)
    assert eventually(lambda: limit() == before and caretaker.namespaces_of(drill.pid) == [])
    assert eventually(lambda: not Path(f"/proc/{child}").exists())


def test_nothing_is_left_when_the_caretaker_is_killed(tmp_path: Path) -> None:
    before = limit()
    with World(limit=other_limit(), state_folder=tmp_path):
        subprocess.run(["pkill", "-KILL", "-P", str(os.getpid()), "-f", f"netwatch.lab.caretaker {os.getpid()} "], check=True)

    assert limit() == before
    assert caretaker.namespaces_of(os.getpid()) == []


def test_a_second_drill_waits_for_the_first(tmp_path: Path) -> None:
    with World(limit=other_limit(), state_folder=tmp_path):
        refused = subprocess.run(
            [sys.executable, "-m", "netwatch.lab.caretaker", str(os.getpid() + 1), str(tmp_path), f"{LIMIT}={limit()}"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    assert refused.returncode == 1
    assert "another drill is running" in refused.stdout


def test_what_a_killed_caretaker_left_is_put_right_by_the_next(tmp_path: Path) -> None:
    before = limit()
    values = caretaker.MachineValues(tmp_path)
    values.change({str(LIMIT): str(before - 1)})

    caretaker.MachineValues(tmp_path).restore_left_behind()

    assert limit() == before


def test_a_value_that_somebody_else_changed_is_left_alone(tmp_path: Path) -> None:
    before = limit()
    values = caretaker.MachineValues(tmp_path)
    values.change({str(LIMIT): str(before - 1)})
    LIMIT.write_text(str(before - 2))

    values.restore()

    try:
        assert limit() == before - 2
    finally:
        LIMIT.write_text(str(before))


def test_namespaces_of_dead_processes_are_swept() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    name = namespace_name(gone.pid, Role.CLIENT)
    subprocess.run(["ip", "netns", "add", name], check=True)

    assert name in caretaker.sweep()
    assert name not in caretaker.abandoned()


def test_a_command_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    with World(state_folder=tmp_path) as world, pytest.raises(DrillError, match="syntax error"):
        world.within(Role.FIREWALL, "nft", "add", "nonsense")
