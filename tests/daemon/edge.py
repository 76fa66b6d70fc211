"""A firewall under attack with a netwatch on it that a test may kill, stop, fill the disk of, or talk to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from netwatch.lab import plan
from netwatch.lab.clients import Load
from netwatch.lab.generator import Attack, Kind
from netwatch.lab.plan import Role
from netwatch.lab.world import World

PATIENCE_S = 60.0
SETS = ("synproxy4", "synproxy6", "strict4", "notrack4", "blk4", "short4")


class Edge:
    """The world of a drill, step by step."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.state_dir = folder / "state"
        self.events_file = folder / "events.jsonl"
        self.config = folder / "netwatch.toml"
        self.daemon: subprocess.Popen[str] | None = None

    def configure(self, *, mode: str = "enforce", more: str = "") -> None:
        self.config.write_text(
            f'state_dir = "{self.state_dir}"\n[firewall]\nname = "edge"\ndriver = "nftables"\n'
            f'[[service]]\nname = "smtp"\naddress = "{plan.SERVER}"\nport = {plan.SERVICE_PORT}\n'
            f'[[capture]]\ninterface = "{plan.OUTSIDE}"\n[mitigate]\nmode = "{mode}"\nmax_life_s = 12\n{more}\n'
        )

    def start(self) -> None:
        """Start netwatch, and wait until it judges windows."""
        before = len(self.events("window"))
        words = (sys.executable, "-m", "netwatch", "run", "--config", str(self.config), "--events", str(self.events_file))
        self.daemon = self.world.start(Role.FIREWALL, *words, output=subprocess.DEVNULL)
        self.wait(lambda: len(self.events("window")) > before + 3)

    def ask(self, *words: str) -> str:
        """A command of netwatch's, beside the daemon."""
        command = (sys.executable, "-m", "netwatch", *words, "--config", str(self.config))
        done = subprocess.run(
            ["ip", "netns", "exec", self.world.namespace(Role.FIREWALL), *command], capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout + done.stderr

    def stop(self) -> None:
        """End netwatch well."""
        self.signal(signal.SIGTERM)
        assert self.ended(10) == 0

    def signal(self, number: signal.Signals) -> None:
        assert self.daemon is not None
        os.kill(self.daemon.pid, number)

    def ended(self, within_s: float) -> int:
        assert self.daemon is not None
        return self.daemon.wait(within_s)

    def clients(self, seconds: float, per_s: float = 30.0) -> None:
        self._module(Role.CLIENT, "clients", Load(per_s=per_s, seconds=seconds, start_at_s=time.time()))

    def flood(self, seconds: float, per_s: float = 20_000.0, *, sources: str = plan.ATTACK_SOURCES) -> subprocess.Popen[str]:
        attack = Attack(
            kind=Kind.SYN, sources=sources, per_s=per_s, count=int(per_s * seconds), seconds=seconds + 1, start_at_s=time.time() + 1
        )
        return self._module(Role.ATTACKER, "generator", attack)

    def _module(self, role: Role, name: str, words: msgspec.Struct) -> subprocess.Popen[str]:
        return self.world.start(
            role, sys.executable, "-m", f"netwatch.lab.{name}", msgspec.json.encode(words).decode(), output=subprocess.DEVNULL
        )

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        if not self.events_file.exists():
            return []
        whole = [line for line in self.events_file.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return [event for event in map(json.loads, whole) if event["type"] in kinds]

    def armed(self) -> list[str]:
        """Elements in force in netwatch's table, none where there is no table."""
        if "inet netwatch" not in self.world.within(Role.FIREWALL, "nft", "list", "tables"):
            return []
        listed = (self.world.within(Role.FIREWALL, "nft", "list", "set", "inet", "netwatch", name) for name in SETS)
        return [text.partition("elements = ")[2] for text in listed if "elements = " in text]

    def wait(self, until: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        deadline_s = time.monotonic() + within_s
        while not until():
            assert time.monotonic() < deadline_s, "waited in vain"
            assert self.daemon is None or self.daemon.poll() in (None, -signal.SIGKILL, 0), (
                f"netwatch ended by itself: {self.daemon.returncode}"
            )
            time.sleep(0.1)


@contextmanager
def edge(folder: Path, sysctls: Sequence[tuple[str, str]] = ()) -> Iterator[Edge]:
    """The world with a mail service behind the firewall; everything is gone afterwards."""
    with World(limit=10_000, sysctls=dict(sysctls)) as world:
        service = world.start_module(Role.SERVER, "service", str(plan.SERVICE_PORT), str(plan.SINK_PORT))
        assert service.stdout is not None
        assert service.stdout.readline().strip() == "ready"
        yield Edge(world, folder)
