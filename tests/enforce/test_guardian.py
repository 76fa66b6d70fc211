"""Sysctls come back whatever becomes of netwatch: killed, stopped, or forgetful; and whatever becomes of the guardian."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from netwatch.enforce.sysctl import Sysctls, setting
from netwatch.errors import ChangeForbiddenError, FirewallUnreachableError
from netwatch.kernel.namespace import entered
from netwatch.kernel.sysctl import read
from netwatch.kernel.timeouts import timeouts
from tests.enforce.table import set_sysctl

pytestmark = pytest.mark.namespace

LOOSE = "net.netfilter.nf_conntrack_tcp_loose"
PATIENCE_S = 10.0

NETWATCH = """
import sys, time
from pathlib import Path
from netwatch.enforce.sysctl import Sysctls
sysctls = Sysctls(Path(sys.argv[1]), sys.argv[2])
sysctls.hold("net.netfilter.nf_conntrack_tcp_loose=0", life_s=float(sys.argv[3]))
print("held", flush=True)
time.sleep(60)
"""


def value(namespace: str, key: str = LOOSE) -> str:
    with entered(namespace):
        return read(key)


def becomes(expected: str, namespace: str) -> bool:
    """The sysctl has the value within some seconds."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if value(namespace) == expected:
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    return tmp_path / "sysctls.json"


@pytest.fixture
def sysctls(state_file: Path, namespace: str) -> Iterator[Sysctls]:
    with closing(Sysctls(state_file, namespace)) as sysctls:
        yield sysctls


@pytest.fixture
def netwatch(state_file: Path, namespace: str) -> Iterator[Callable[[float], subprocess.Popen[bytes]]]:
    """Start a process that holds the sysctl for a time, as netwatch would."""
    started = []

    def start(life_s: float) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", NETWATCH, str(state_file), namespace, str(life_s)], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert value(namespace) == "0"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def guardian_of(sysctls: Sysctls) -> subprocess.Popen[bytes]:
    process = sysctls._process
    assert process is not None
    return process


def test_a_sysctl_is_held_and_put_back(sysctls: Sysctls, namespace: str, state_file: Path) -> None:
    sysctls.hold(f"{LOOSE}=0", life_s=60)
    assert value(namespace) == "0"
    ((line, left_s),) = sysctls.in_force()
    assert line == f"{LOOSE}=0"
    assert 50 < left_s <= 60
    sysctls.restore(f"{LOOSE}=0")
    assert value(namespace) == "1"
    assert sysctls.in_force() == ()
    assert not state_file.exists()


def test_it_comes_back_when_netwatch_is_killed(netwatch: Callable[[float], subprocess.Popen[bytes]], namespace: str) -> None:
    netwatch(60).kill()
    assert becomes("1", namespace)


def test_it_comes_back_in_time_when_netwatch_is_stopped(netwatch: Callable[[float], subprocess.Popen[bytes]], namespace: str) -> None:
    netwatch(1.0).send_signal(signal.SIGSTOP)
    assert becomes("1", namespace)


def test_it_comes_back_when_its_time_is_up(sysctls: Sysctls, namespace: str) -> None:
    sysctls.hold(f"{LOOSE}=0", life_s=0.3)
    assert becomes("1", namespace)
    assert sysctls.in_force() == ()


def test_it_comes_back_when_the_guardian_is_asked_to_end(sysctls: Sysctls, namespace: str) -> None:
    sysctls.hold(f"{LOOSE}=0", life_s=60)
    guardian_of(sysctls).terminate()
    assert becomes("1", namespace)


def test_a_killed_guardian_is_replaced_by_one_that_puts_right_what_it_left(sysctls: Sysctls, namespace: str) -> None:
    sysctls.hold(f"{LOOSE}=0", life_s=60)
    guardian_of(sysctls).kill()
    guardian_of(sysctls).wait()
    assert value(namespace) == "0"
    assert sysctls.in_force() == ()
    assert value(namespace) == "1"


def test_a_start_puts_right_what_a_crash_of_both_left(sysctls: Sysctls, namespace: str, state_file: Path) -> None:
    sysctls.hold(f"{LOOSE}=0", life_s=60)
    guardian_of(sysctls).kill()
    guardian_of(sysctls).wait()
    with closing(Sysctls(state_file, namespace)) as later:
        later.reconcile()
        assert value(namespace) == "1"
    assert not state_file.exists()


def test_a_start_after_a_reboot_or_in_another_namespace_touches_nothing(namespace: str, state_file: Path) -> None:
    state_file.write_text(json.dumps({"where": ["another boot", "net:[1]"], "held": {LOOSE: ["0", "1"]}}))
    with closing(Sysctls(state_file, namespace)) as sysctls:
        sysctls.reconcile()
    assert value(namespace) == "1"


def test_a_broken_or_forged_state_file_touches_nothing(sysctls: Sysctls, namespace: str, state_file: Path) -> None:
    sysctls.hold(f"{LOOSE}=0", life_s=60)
    where = json.loads(state_file.read_text())["where"]
    sysctls.restore(f"{LOOSE}=0")
    for text in ("{", json.dumps({"where": where, "held": {"net.ipv4.ip_forward": ["1", "0"]}})):
        state_file.write_text(text)
        sysctls.close()
        with closing(Sysctls(state_file, namespace)) as later:
            later.reconcile()
        assert value(namespace, "net.ipv4.ip_forward") == "0"


def test_what_somebody_else_changed_meanwhile_is_left_alone(sysctls: Sysctls, namespace: str) -> None:
    key = "net.netfilter.nf_conntrack_tcp_timeout_established"
    sysctls.hold(f"{key}=7440", life_s=60)
    set_sysctl(namespace, key, "3600")
    assert sysctls.in_force() == ()
    sysctls.restore(f"{key}=7440")
    assert value(namespace, key) == "3600"


def test_holding_it_again_extends_it_and_keeps_the_first_old_value(sysctls: Sysctls, namespace: str) -> None:
    key = "net.netfilter.nf_conntrack_tcp_timeout_established"
    sysctls.hold(f"{key}=7440", life_s=0.5)
    sysctls.hold(f"{key}=3600", life_s=60)
    time.sleep(0.8)
    assert value(namespace, key) == "3600"
    sysctls.close()
    assert value(namespace, key) == "432000"


def test_letting_go_of_all_waits_until_it_is_done(sysctls: Sysctls, namespace: str) -> None:
    sysctls.hold(f"{LOOSE}=0", life_s=60)
    sysctls.hold("net.netfilter.nf_conntrack_tcp_be_liberal=1", life_s=60)
    sysctls.close()
    assert (value(namespace), value(namespace, "net.netfilter.nf_conntrack_tcp_be_liberal")) == ("1", "0")


@pytest.mark.parametrize("line", ["net.netfilter.nf_conntrack_max=9", "net.netfilter.nf_conntrack_tcp_loose=-1", "kernel.panic=1", "x", ""])
def test_sysctls_that_are_not_netwatchs_to_change_are_refused(line: str) -> None:
    with pytest.raises(ChangeForbiddenError, match="sysctl"):
        setting(line)


def test_two_guardians_do_not_work_with_one_file(sysctls: Sysctls, namespace: str, state_file: Path) -> None:
    sysctls.hold(f"{LOOSE}=0", life_s=60)
    with closing(Sysctls(state_file, namespace)) as other, pytest.raises(FirewallUnreachableError, match="another guardian"):
        other.hold(f"{LOOSE}=0", life_s=60)


def test_a_guardian_costs_little(sysctls: Sysctls) -> None:
    sysctls.hold(f"{LOOSE}=1", life_s=60)
    maps = Path(f"/proc/{guardian_of(sysctls).pid}/maps").read_text()
    assert "numpy" not in maps
    assert "numba" not in maps


def test_timeouts_are_read_from_the_namespace(namespace: str) -> None:
    set_sysctl(namespace, "net.netfilter.nf_conntrack_udp_timeout", "7")
    found = timeouts(namespace)
    assert (found.udp_s, found.established_s, found.syn_recv_s) == (7.0, 432_000.0, 60.0)
