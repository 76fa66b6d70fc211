"""The unit of systemd is right, and netwatch can do its work with the capabilities that it leaves."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, missing
from tests.enforce.conftest import base, namespace

__all__ = ["base", "namespace"]  # fixtures

UNIT = ROOT / "systemd" / "netwatch.service"
WORK = """
import sys, time
from pathlib import Path
from netwatch.collect.firewall_state import FirewallPoll
from netwatch.collect.interface import find_interface
from netwatch.collect.ring import InterfaceSettings, Ring
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.enforce.nftables import open_nftables
from netwatch.rulebook import rules_folder
from tests.enforce.changes import change, element

print([line.split()[1] for line in open("/proc/self/status") if line.startswith("CapEff")][0])
interface = find_interface("lo")
Ring(interface, InterfaceSettings(interface="lo")).close()
with FirewallPoll() as poll:
    poll.poll()
driver = open_nftables((rules_folder() / "nftables" / "base.nft").read_text(), decoder=EntryDecoder(), state_folder=Path(sys.argv[1]))
print(driver.load())
driver.apply(change(element("synproxy4", "203.0.113.25 . 25"), sysctl=["net.netfilter.nf_conntrack_udp_timeout=7"]), now_s=time.time())
print([one.set for one in driver.in_force()])
driver.release()
driver.close()
print(open("/proc/sys/net/netfilter/nf_conntrack_udp_timeout").read())
"""


def setting(name: str) -> str:
    found = re.search(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        missing("systemd is not installed")
    netwatch = Path(sys.executable).parent / "netwatch"
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/usr/bin/netwatch", str(netwatch)))
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False, timeout=60)
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_commands_of_the_unit_exist() -> None:
    for name in ("ExecStart", "ExecStopPost"):
        words = setting(name).lstrip("-").split()
        done = subprocess.run([sys.executable, "-m", "netwatch.cli.app", "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        shown = subprocess.run([Path(sys.executable).parent / "netwatch", words[1], "--help"], capture_output=True, text=True, check=True)
        assert all(word in shown.stdout for word in words[2:] if word.startswith("--"))


def bounded() -> list[str]:
    """The words that start a command with what the unit leaves."""
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in setting("CapabilityBoundingSet").split())
    return ["setpriv", f"--bounding-set=-all,{kept}", f"--inh-caps=-all,{kept}", f"--ambient-caps=-all,{kept}", "--no-new-privs"]


@pytest.mark.namespace
def test_it_tells_systemd_that_it_is_ready_alive_and_about_to_stop(namespace: str, tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        missing("setpriv is not installed")
    subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
    config = tmp_path / "netwatch.toml"
    firewall = '[firewall]\ndriver = "nftables"\n[[capture]]\ninterface = "lo"\n[mitigate]\nmode = "enforce"\n'
    config.write_text(f'state_dir = "{tmp_path}"\n{firewall}')
    words = ["ip", "netns", "exec", namespace, *bounded(), str(Path(sys.executable).parent / "netwatch"), "run", "--config", str(config)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(200)  # its kernels may have to be compiled
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")})
        try:
            assert manager.recv(4096).decode().splitlines()[0] == "READY=1"
            assert manager.recv(4096) == b"WATCHDOG=1"
        finally:
            process.terminate()
            _, told = process.communicate(timeout=30)
        while (word := manager.recv(4096)) == b"WATCHDOG=1":
            continue
    assert word == b"STOPPING=1"
    assert process.returncode == 0, told


@pytest.mark.namespace
def test_the_two_capabilities_of_the_unit_are_enough_to_watch_and_to_change_a_firewall(namespace: str, tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        missing("setpriv is not installed")
    words = ["ip", "netns", "exec", namespace, *bounded(), sys.executable, "-c", WORK, str(tmp_path)]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=120, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    capabilities, loaded, in_force, restored = done.stdout.split("\n")[:4]
    assert int(capabilities, 16) == 1 << 12 | 1 << 13
    assert loaded == "fresh"
    assert in_force == "['synproxy4', 'sysctl']"
    assert restored == "30"
