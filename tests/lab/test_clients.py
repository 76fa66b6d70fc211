"""Those who want to deliver mail, and what they tell of it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from netwatch.lab import plan
from netwatch.lab.clients import Attempt, Load, Manner
from netwatch.lab.plan import Role
from netwatch.lab.world import World

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("drill_machine")]


@pytest.fixture
def world(drill_machine: None, tmp_path: Path) -> Iterator[World]:
    with World(state_folder=tmp_path, sysctls={"net.netfilter.nf_conntrack_tcp_loose": "0"}) as world:
        yield world


@pytest.fixture
def service(world: World) -> None:
    started = world.start_module(Role.SERVER, "service", str(plan.SERVICE_PORT), str(plan.SINK_PORT))
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"


def attempts(world: World, load: Load) -> list[Attempt]:
    output = world.start_module(Role.CLIENT, "clients", msgspec.json.encode(load).decode()).communicate(timeout=20)[0]
    return [msgspec.json.decode(line, type=Attempt) for line in output.splitlines()]


@pytest.mark.usefixtures("service")
def test_as_many_attempts_are_made_as_the_load_says(world: World) -> None:
    made = attempts(world, Load(per_s=50, seconds=1))

    assert len(made) == 50
    assert all(one.ok and not one.retry for one in made)
    assert max(one.began_s for one in made) - min(one.began_s for one in made) > 0.9


def test_without_a_service_every_attempt_fails_and_is_tried_again(world: World) -> None:
    made = attempts(world, Load(per_s=10, seconds=1, retry_s=0.2, retries=2))

    assert not any(one.ok for one in made)
    assert sum(not one.retry for one in made) == 10
    assert 0 < sum(one.retry for one in made) <= 20


@pytest.mark.usefixtures("service")
def test_open_sessions_notice_that_a_firewall_forgot_them(world: World) -> None:
    load = Load(manner=Manner.SESSION, per_s=20, seconds=4, sessions=4, deadline_s=0.5)
    client = world.start_module(Role.CLIENT, "clients", msgspec.json.encode(load).decode())
    assert client.stdout is not None
    first = [msgspec.json.decode(client.stdout.readline(), type=Attempt) for _ in range(20)]

    world.within(Role.FIREWALL, "conntrack", "-F")

    later = [msgspec.json.decode(line, type=Attempt) for line in client.communicate(timeout=20)[0].splitlines()]
    assert all(one.ok for one in first)
    assert not any(one.ok for one in later[-4:])
