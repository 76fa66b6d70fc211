"""The doctor tries things instead of guessing, says what is missing, and leaves nothing behind."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from netwatch.config import load_config
from netwatch.doctor import ruleset, site, trial
from netwatch.doctor.check import Outcome
from netwatch.kernel.namespace import entered
from tests.cli.commands import NETWATCH, netwatch
from tests.conftest import ROOT, missing
from tests.enforce.conftest import base, namespace

__all__ = ["base", "namespace"]  # fixtures

pytestmark = pytest.mark.namespace


def doctor(config: Path) -> tuple[int, dict[str, dict[str, Any]]]:
    outcome = netwatch("doctor", "--config", config, "--json")
    return outcome.code, {check["name"]: check for check in json.loads(outcome.out)["checks"]}


def own_namespaces() -> list[str]:
    folder = Path("/run/netns")
    return [path.name for path in folder.iterdir() if "-doctor-" in path.name] if folder.is_dir() else []


def test_a_firewall_in_order_is_told_so(namespace: str, tmp_path: Path) -> None:
    config = tmp_path / "netwatch.toml"
    config.write_text(
        f'state_dir = "{tmp_path}"\n[firewall]\nnamespace = "{namespace}"\ndriver = "nftables"\n[[capture]]\ninterface = "lo"\n'
    )
    subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
    code, checks = doctor(config)
    assert code == 0
    for name in ("netwatch's table", "neighbouring rules", "interface lo", "state_dir", "kernel cache", "clock"):
        assert checks[name]["outcome"] == "ok", checks[name]
    trials = {name: check for name, check in checks.items() if name.startswith("trial: ")}
    assert len(trials) == 6
    assert all(check["outcome"] == "ok" for check in trials.values()), trials
    assert own_namespaces() == []


def test_what_the_configuration_names_and_is_not_there_is_failed_with_what_to_do(namespace: str, tmp_path: Path) -> None:
    config = tmp_path / "netwatch.toml"
    config.write_text(
        f'state_dir = "{config}/state"\n[firewall]\nnamespace = "{namespace}"\n'
        '[[capture]]\ninterface = "lo"\n[[capture]]\ninterface = "eth77"\n'
        '[[service]]\nname = "mail"\naddress = "203.0.113.25"\nport = 25\n[service.canary]\nsource = "203.0.113.9"\n'
        '[[sink]]\ntype = "influxdb"\nurl = "http://127.0.0.1:8086"\norg = "noc"\nbucket = "b"\ntoken_env = "NO_SUCH_TOKEN"\n'
    )
    code, checks = doctor(config)
    assert code == 1
    assert checks["interface lo"]["found"] == "it is down"
    assert checks["interface eth77"]["outcome"] == "failed"
    assert "ip link" in checks["interface eth77"]["advice"]
    assert checks["state_dir"]["outcome"] == "failed"
    assert "203.0.113.9" in checks["service mail"]["found"]
    assert "NO_SUCH_TOKEN is not set" in checks["sink influxdb: token_env"]["found"]


def test_another_programs_chain_at_the_same_place_is_named(base: str, namespace: str) -> None:
    early, late = (f"chain {name} {{ type filter hook prerouting priority {at}; }}" for name, at in (("early", -310), ("late", -309)))
    words = f"table ip other {{\n {early}\n {late}\n }}"
    subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=words, text=True, check=True)
    subprocess.run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], input=base, text=True, check=True)
    found = [check for check in ruleset.checks(base, namespace, acts=True) if check.name == "neighbouring rules"]
    assert [check.outcome for check in found] == [Outcome.WARNING]
    assert "chain early of table ip other hooks prerouting at priority -310" in found[0].found


def test_a_table_that_the_kernel_refuses_is_failed_in_its_own_words(base: str, namespace: str) -> None:
    broken = base.replace("priority -310", "priority moon")
    found = {check.name: check for check in ruleset.checks(broken, namespace, acts=True)}
    assert found["netwatch's table"].outcome is Outcome.FAILED
    assert "invalid priority" in found["netwatch's table"].found


def test_a_table_that_does_not_do_what_it_says_is_found_out(base: str) -> None:
    """Each of its means is taken away; what is left must not be called well."""
    if os.geteuid() != 0:
        missing("network namespaces need root")
    lame = base.replace('ct timeout set "tcp_short4"', "accept").replace(
        "limit rate over 10/second burst 20 packets", "limit rate over 9999/second burst 9999 packets"
    )
    lame = lame.replace("jump proxy4", "drop").replace("@blk4 counter name dropped_prefix drop", "@blk4 accept")
    found = {check.name: check for check in trial.checks(lame)}
    for name in ("short time-outs", "synproxy", "meters by prefix", "elements expire"):
        assert found[f"trial: {name}"].outcome is Outcome.WARNING, found[f"trial: {name}"]
    assert own_namespaces() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_in_the_middle_it_leaves_nothing_for_long(number: signal.Signals, tmp_path: Path, base: str) -> None:
    (tmp_path / "netwatch.toml").write_text(f'state_dir = "{tmp_path}"\n')
    words = [str(NETWATCH), "doctor", "--config", str(tmp_path / "netwatch.toml")]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(own_namespaces()) < 2:
        time.sleep(0.01)
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(20) != 0
    if number is signal.SIGKILL:
        assert len(own_namespaces()) == 2
        list(trial.checks(base))  # the next one clears away
    assert own_namespaces() == []


def test_without_root_it_says_what_it_could_not_try() -> None:
    """Of a copy that another user can read, since a checkout of root's may not be."""
    python = Path("/usr/bin/python3")
    if os.geteuid() != 0 or shutil.which("setpriv") is None or not python.exists():
        missing("to be another user needs root, setpriv and the system's python3")
    with tempfile.TemporaryDirectory(prefix="netwatch-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        for part in ("netwatch", "rules"):
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=shutil.ignore_patterns("__pycache__"))
        site = Path(next(path for path in sys.path if path.endswith("site-packages")))
        shutil.copytree(site, Path(folder) / "packages", ignore=shutil.ignore_patterns("__pycache__", "scapy", "pyarrow", "pandas"))
        code = "import sys; sys.argv = ['netwatch', 'doctor', '--json']; from netwatch.cli.app import main; main()"
        words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", str(python), "-c", code]
        cache = Path(folder) / "cache"
        cache.mkdir()
        os.chown(cache, 65534, 65534)
        environment = {
            "NETWATCH_CACHE_DIR": str(cache),
            "PYTHONPATH": f"{folder}:{folder}/packages",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/nonexistent",
        }
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment, cwd="/", timeout=120)
    assert done.returncode == 1, done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["privileges: CAP_NET_ADMIN"]["outcome"] == "failed"
    assert checks["state_dir"]["outcome"] == "failed"
    for name in ("trials with real packets", "neighbouring rules", "state table: entries"):
        assert checks[name]["outcome"] == "skipped", checks[name]
        assert "root" in checks[name]["advice"]


def test_a_service_that_nobody_answers_for_is_told_of(namespace: str, tmp_path: Path) -> None:
    config = tmp_path / "netwatch.toml"
    config.write_text(
        f'state_dir = "{tmp_path}"\n[firewall]\nnamespace = "{namespace}"\n'
        '[[service]]\nname = "there"\naddress = "127.0.0.1"\nport = 2525\n'
        '[[service]]\nname = "closed"\naddress = "127.0.0.1"\nport = 2526\n'
        '[[service]]\nname = "ghost"\naddress = "203.0.113.99"\nport = 25\n'
    )
    subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
    with entered(namespace):
        listener = socket.create_server(("127.0.0.1", 2525))
    with listener:
        found = {check.name: check for check in site.checks(load_config(config)) if check.name.endswith(": answer")}
    assert found["service there: answer"].outcome is Outcome.OK
    assert "Connection refused" in found["service closed: answer"].found
    assert "Network is unreachable" in found["service ghost: answer"].found
    assert "netwatch status" in found["service ghost: answer"].advice
