"""The generator keeps to its bounds; how fast it is, is a benchmark's business."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from netwatch.lab import plan
from netwatch.lab.generator import Attack, Kind, Sent
from netwatch.lab.plan import Role
from netwatch.lab.world import World

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("drill_machine")]


@pytest.fixture
def world(drill_machine: None, tmp_path: Path) -> Iterator[World]:
    with World(state_folder=tmp_path) as world:
        service = world.start_module(Role.SERVER, "service", str(plan.SERVICE_PORT), str(plan.SINK_PORT))
        assert service.stdout is not None
        assert service.stdout.readline() == "ready\n"
        yield world


def attack(world: World, attack: Attack) -> Sent:
    output = world.start_module(Role.ATTACKER, "generator", msgspec.json.encode(attack).decode()).communicate(timeout=20)[0]
    return msgspec.json.decode(output, type=Sent)


def entries(world: World, *words: str) -> int:
    """Entries of the firewall's table, of a kind."""
    listed = world.within(Role.FIREWALL, "conntrack", "-L", *words)
    return len(listed.splitlines())


@pytest.mark.parametrize("per_s", [0.0, 20_000.0], ids=["flat out", "at a pace"])
def test_as_many_packets_leave_as_were_asked_for(world: World, per_s: float) -> None:
    sent = attack(world, Attack(kind=Kind.UDP, count=5000, seconds=10, per_s=per_s, port=plan.SINK_PORT))

    assert sent.packets == 5000
    assert entries(world, "-p", "udp") == pytest.approx(5000, abs=5)  # two of 5000 draws may be the same tuple


def test_it_stops_when_its_time_is_up(world: World) -> None:
    sent = attack(world, Attack(kind=Kind.SYN, count=1_000_000_000, seconds=0.3, per_s=1000))

    assert 0 < sent.packets < 1000


def test_vanished_peers_leave_assured_entries(world: World) -> None:
    sent = attack(world, Attack(kind=Kind.HANDSHAKE, count=500, seconds=10, per_s=2000))

    assert sent.packets == 500
    assert sent.answers >= 500
    assert entries(world, "-p", "tcp", "--state", "ESTABLISHED", "--status", "ASSURED") == 500


def test_bare_acks_are_picked_up_as_established_behind_a_silent_server(tmp_path: Path) -> None:
    with World(state_folder=tmp_path, silent_server=True) as world:
        attack(world, Attack(kind=Kind.ACK, count=500, seconds=10, per_s=10_000))

        assert entries(world, "-p", "tcp", "--state", "ESTABLISHED") == 500
