"""``netwatch run`` where it cannot work: one sentence that says what is missing, exit code 1, and an untouched firewall. And where it can,
although the configuration or the machine is not as it should be."""

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from netwatch.kernel.namespace import entered
from netwatch.lab.scenario import ONE_NETWORK
from netwatch.measure.normal import WARM_WINDOWS
from netwatch.store.lock import Lock
from tests.cli.commands import NETWATCH
from tests.conftest import missing
from tests.daemon.edge import edge
from tests.enforce.conftest import namespace
from tests.lab.conftest import drill_machine

__all__ = ["drill_machine", "namespace"]  # fixtures

pytestmark = pytest.mark.namespace

NO_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all")


@pytest.fixture
def config(namespace: str, tmp_path: Path) -> Path:
    file = tmp_path / "netwatch.toml"
    firewall = '[firewall]\nname = "edge-1"\ndriver = "nftables"\n[[capture]]\ninterface = "lo"\n[mitigate]\nmode = "enforce"\n'
    file.write_text(f'state_dir = "{tmp_path}"\n{firewall}')
    subprocess.run(["ip", "-n", namespace, "link", "set", "lo", "up"], check=True)
    return file


def run(namespace: str, config: Path, *prefix: str) -> str:
    """The sentence that it ends with."""
    command = ["ip", "netns", "exec", namespace, *prefix, str(NETWATCH), "run", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    listed = subprocess.run(["ip", "netns", "exec", namespace, "nft", "list", "tables"], capture_output=True, text=True, check=True)
    assert listed.stdout == ""
    return done.stderr.splitlines()[-1]


def test_a_second_netwatch_on_the_same_firewall_is_refused(namespace: str, config: Path) -> None:
    with Lock(config.parent, "edge-1"):
        said = run(namespace, config)
    assert "another netwatch" in said
    assert "give this one another firewall.name or state_dir" in said


def test_without_its_capabilities_it_names_the_one_that_is_missing(namespace: str, config: Path) -> None:
    if shutil.which("setpriv") is None:
        missing("setpriv is not installed")
    assert "CAP_NET_" in run(namespace, config, *NO_CAPABILITIES)


def test_without_nftables_it_says_what_to_install(namespace: str, config: Path) -> None:
    """Library and program are hidden in a mount namespace of the command's own."""
    if shutil.which("unshare") is None:
        missing("unshare is not installed")
    files = [*Path("/usr/lib").glob("*/libnftables.so.1*"), Path(shutil.which("nft") or "/usr/sbin/nft")]
    hidden = " ".join(f"'{path.resolve()}'" for path in files)
    hide = f'for file in {hidden}; do mount --bind /dev/null "$file"; done; exec "$@"'
    assert "install nftables" in run(namespace, config, "unshare", "--mount", "sh", "-c", hide, "sh")


def test_an_interface_that_is_not_there_is_named(namespace: str, config: Path) -> None:
    config.write_text(config.read_text().replace('interface = "lo"', 'interface = "eth77"'))
    assert "eth77" in run(namespace, config)


# --- where it runs, and something is not as it should be ---

GHOST, LIVE = "203.0.113.99", "203.0.113.53"
EACH_SECOND = 20
"""Sessions of the live service."""


class Link:
    """A firewall's interface ``outside`` that a test may take away, the other end of its cable, and a netwatch that watches it."""

    def __init__(self, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self.events_file = folder / "events.jsonl"
        self.config = folder / "netwatch.toml"
        self.config.write_text(
            f'state_dir = "{folder}"\n[firewall]\nname = "edge-1"\ndriver = "nftables"\n[[capture]]\ninterface = "outside"\n'
            f'[[service]]\nname = "ghost"\naddress = "{GHOST}"\nport = 25\n[[service]]\nname = "live"\naddress = "{LIVE}"\nport = 25\n'
            '[mitigate]\nmode = "enforce"\n'
        )
        self._port = 40_000
        self.plug()

    def plug(self) -> None:
        self._ip("link", "add", "outside", "type", "veth", "peer", "name", "wire")
        self._ip("link", "set", "wire", "up")
        self._ip("link", "set", "outside", "up")

    def unplug(self) -> None:
        self._ip("link", "del", "outside")

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", "-n", self.namespace, *words], check=True)

    @contextmanager
    def watched(self) -> Iterator[subprocess.Popen[str]]:
        command = [
            "ip",
            "netns",
            "exec",
            self.namespace,
            str(NETWATCH),
            "run",
            "--config",
            str(self.config),
            "--events",
            str(self.events_file),
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
            try:
                self.wait(lambda: len(self.events("window")) > 2)
                yield daemon
            finally:
                daemon.terminate()
                said = daemon.communicate(timeout=20)[1]
            assert daemon.returncode == 0, said
            assert "Traceback" not in said

    def busy(self, seconds: int, *, answered: bool = True) -> None:
        """Clients that ask the live service each second, on the wire."""
        for _ in range(seconds):
            self._sessions(self._port, 3 if answered else 1)
            self._port += EACH_SECOND
            time.sleep(1)

    def _sessions(self, first: int, packets: int) -> None:
        """The first packets of some sessions."""
        with entered(self.namespace), closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as wire:
            wire.bind(("wire", 0))
            for port in range(first, first + EACH_SECOND):
                client, server = {"src": "198.51.100.7", "dst": LIVE}, {"src": LIVE, "dst": "198.51.100.7"}
                frames = (
                    IP(**client) / TCP(sport=port, dport=25, flags="S", seq=1),
                    IP(**server) / TCP(sport=25, dport=port, flags="SA", seq=8, ack=2),
                    IP(**client) / TCP(sport=port, dport=25, flags="A", seq=2, ack=9),
                )
                for frame in frames[:packets]:
                    wire.send(bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / frame))

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        if not self.events_file.exists():
            return []
        whole = [line for line in self.events_file.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [event for event in map(json.loads, whole) if event["type"] in kinds]

    def told(self, part: str) -> list[str]:
        return [event["text"] for event in self.events("error") if event["part"] == part]

    def seen(self) -> int:
        """Packets toward the live service so far."""
        rows = [row for event in self.events("window") for row in event["window"]["services"]]
        return sum(row["packets_in"] for row in rows if row["service"]["name"] == "live")

    def asked_in_vain(self) -> bool:
        """It was found that the service is asked and does not answer; that nobody asks is another finding."""
        found = [event["finding"] for event in self.events("finding") if event["finding"]["mode"] == "service-silent"]
        return any(one["name"] == "attempts_per_s" and one["value"] >= EACH_SECOND for finding in found for one in finding["evidence"])

    def ask(self, *words: str) -> str:
        command = ["ip", "netns", "exec", self.namespace, str(NETWATCH), *words, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    def wait(self, until: Callable[[], object], within_s: float = 60.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not until():
            assert time.monotonic() < deadline_s, "waited in vain"
            time.sleep(0.1)


@pytest.fixture
def link(namespace: str, tmp_path: Path) -> Link:
    warm_up(replay_settings())
    return Link(namespace, tmp_path)


def test_an_interface_that_goes_away_is_said_and_when_it_is_back_detection_goes_on(link: Link) -> None:
    with link.watched():
        link.busy(WARM_WINDOWS + 2)
        link.wait(lambda: link.seen() >= 2 * EACH_SECOND)
        link.unplug()
        link.wait(lambda: any("outside is lost" in text for text in link.told("capture")))
        assert "trouble   capture: outside: it is gone" in link.ask("status")
        windows = len(link.events("window"))
        link.wait(lambda: len(link.events("window")) > windows + 2)

        link.plug()
        link.wait(lambda: any("outside is back" in text for text in link.told("capture")))
        before = link.seen()
        link.busy(1)
        link.wait(lambda: link.seen() >= before + 2 * EACH_SECOND)
        assert "trouble" not in link.ask("status")
        link.busy(6, answered=False)
        link.wait(link.asked_in_vain)


def test_a_service_that_does_not_exist_is_said_to_be_unseen_and_is_no_incident(link: Link) -> None:
    with link.watched():
        assert "unseen    live" in link.ask("status")
        link.busy(4)
        status = link.ask("status")
        assert f"unseen    ghost: no packet of {GHOST}:25/tcp yet" in status
        assert "unseen    live" not in status
        assert link.events("incident.opened", "plan.proposed") == []


@pytest.mark.usefixtures("drill_machine")
def test_an_attacker_who_is_never_blocked_is_left_alone_and_the_guard_says_so(tmp_path: Path) -> None:
    warm_up(replay_settings())
    with edge(tmp_path) as one:
        one.configure(more=f'never_block = ["{ONE_NETWORK}"]')
        one.clients(30)
        one.start()
        one.flood(8, sources=ONE_NETWORK)
        one.wait(lambda: any("guard never-block" in event["text"] for event in one.events("plan.rejected")))
        one.wait(lambda: any("this needs a person" in event["text"] for event in one.events("plan.rejected")))
        said = [event["text"] for event in one.events("plan.rejected")]
        assert all(f"of the excess comes from prefixes such as {ONE_NETWORK}" in text for text in said if "guard" in text), said
        time.sleep(3)
        assert one.events("change.applied") == []
        assert one.armed() == []
        one.signal(signal.SIGTERM)
        assert one.ended(10) == 0
