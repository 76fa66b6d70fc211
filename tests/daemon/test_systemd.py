"""netwatch as a service of a real systemd: it starts, is started again when it dies or hangs, and leaves nothing behind."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from tests.conftest import ROOT
from tests.daemon.booted import Booted, booted

pytestmark = [pytest.mark.namespace, pytest.mark.timeout(240)]

UNIT = ROOT / "systemd" / "netwatch.service"
ELEMENT = ("inet", "netwatch", "blk4", "{ 192.0.2.0/24 timeout 60s }")
CAPABILITIES = "0000000000003000"
"""CAP_NET_ADMIN (12) and CAP_NET_RAW (13)."""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Booted]:
    warm_up(replay_settings())
    with booted(tmp_path, UNIT) as one:
        yield one


def armed(machine: Booted) -> bool:
    return "192.0.2.0/24" in machine.run("nft", "list", "set", "inet", "netwatch", "blk4", check=False)


def process(machine: Booted) -> str:
    return machine.shown("MainPID")


def test_the_service_starts_survives_a_kill_and_a_hang_is_reloaded_and_stops(machine: Booted) -> None:
    machine.run("systemctl", "start", "netwatch")  # returns when netwatch has said that it is ready
    assert "watches lo of edge-1" in machine.shown("StatusText")
    first = process(machine)
    has = dict(re.findall(r"^(Cap\w+):\s*(\w+)$", machine.run("cat", f"/proc/{first}/status"), re.MULTILINE))
    assert {has["CapEff"], has["CapBnd"]} == {CAPABILITIES}

    machine.run("nft", "add", "element", *ELEMENT)
    machine.run("kill", "-9", first)
    machine.wait(lambda: process(machine) not in ("0", first) and machine.shown("ActiveState") == "active")
    assert not armed(machine), "what was armed is disarmed before the next one starts"

    machine.run("systemctl", "reload", "netwatch")
    machine.wait(lambda: "reloaded: netwatch" in machine.run("journalctl", "-u", "netwatch", "--no-pager"))

    second = process(machine)
    machine.run("kill", "-STOP", second)
    machine.wait(lambda: process(machine) not in ("0", second) and machine.shown("ActiveState") == "active")
    assert machine.shown("NRestarts") == "2"

    machine.run("systemctl", "stop", "netwatch")
    assert (machine.shown("ActiveState"), machine.shown("Result")) == ("inactive", "success")
    assert machine.run("nft", "list", "tables") == ""
