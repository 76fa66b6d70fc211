"""How soon is a SYN flood seen? netwatch and FastNetMon (Debian's) beside each other on the same link: ``python -m benchmarks.detection``.

What hurts is a matter of the state table: a SYN whose handshake nobody finishes holds an entry for 60 s, so a table of N entries is full at
N / 60 SYNs a second, in the end. The flood has 5, 2 and 1.2 times that rate. FastNetMon knows packet rates only: its threshold is the same
rate, on top of what the clients send. Neither changes anything.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks.fastnetmon import fastnetmon_command
from benchmarks.watcher import EVENTS, watcher
from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from netwatch.lab import plan
from netwatch.lab.clients import Load
from netwatch.lab.generator import Attack, Kind
from netwatch.lab.plan import Role
from netwatch.lab.world import World

LIMIT = 10_000
SYN_RECV_S = 60
HURTS_PER_S = LIMIT / SYN_RECV_S
TIMES = (5.0, 2.0, 1.2)
CLIENTS_PER_S = 20.0
CLIENT_PACKETS = 8
"""That one session sends toward the service: SYN, ACKs, QUIT, FIN."""

SETTLE_S = 12.0
WATCHED_S = 20.0
FASTNETMON = {
    "enable_ban": "on",
    "ban_for_tcp_pps": "on",
    "threshold_tcp_pps": str(round(HURTS_PER_S + CLIENTS_PER_S * CLIENT_PACKETS)),
}


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    chosen = parser.parse_args(words)
    warm_up(replay_settings())
    lines = ["| SYNs/s, times what fills the table | netwatch s, median (worst) | FastNetMon s, median (worst) |", "|---|---|---|"]
    print("\n".join(lines))
    for times in TIMES:
        runs = [run(times) for _ in range(chosen.runs)]
        ours, theirs = zip(*runs, strict=True)
        lines.append(f"| {times * HURTS_PER_S:.0f}, {times:g} | {_told(ours)} | {_told(theirs)} |")
        print(lines[-1], flush=True)
    if chosen.write:
        from benchmarks.report import put_into_readme

        put_into_readme("detection", "\n".join(lines))


def run(times: float) -> tuple[float | None, float | None]:
    """Seconds from the first SYN until netwatch, and FastNetMon, said so; None if it did not."""
    with tempfile.TemporaryDirectory() as name, World(limit=LIMIT) as world:
        folder = Path(name)
        service = world.start_module(Role.SERVER, "service", str(plan.SERVICE_PORT), str(plan.SINK_PORT))
        assert service.stdout is not None
        service.stdout.readline()
        world.start(Role.FIREWALL, *watcher(folder, plan.OUTSIDE))
        events = folder / EVENTS
        banned = _start_fastnetmon(world, folder)
        begin_s = time.time() + SETTLE_S
        load = Load(per_s=CLIENTS_PER_S, seconds=SETTLE_S + WATCHED_S, start_at_s=time.time())
        attack = Attack(
            kind=Kind.SYN,
            per_s=times * HURTS_PER_S,
            count=int(times * HURTS_PER_S * WATCHED_S),
            seconds=WATCHED_S,
            start_at_s=begin_s,
        )
        for role, module, how in ((Role.CLIENT, "clients", load), (Role.ATTACKER, "generator", attack)):
            words = (sys.executable, "-m", f"netwatch.lab.{module}", msgspec.json.encode(how).decode())
            world.start(role, *words, output=subprocess.DEVNULL)
        return _watched(begin_s, lambda: _opened_at_s(events, begin_s), lambda: _first_line(banned))


def _watched(begin_s: float, ours: Callable[[], float | None], theirs: Callable[[], float | None]) -> tuple[float | None, float | None]:
    end_s = begin_s + WATCHED_S
    while time.time() < end_s and (ours() is None or theirs() is None):
        time.sleep(0.2)
    seen, banned = ours(), theirs()
    return seen if seen is None else seen - begin_s, banned if banned is None else banned - begin_s


def _opened_at_s(events: Path, begin_s: float) -> float | None:
    """When the first incident since the flood began was told."""
    lines = events.read_bytes().splitlines() if events.exists() else []
    for line in lines:
        if b'"incident.opened"' in line and (at_s := msgspec.json.decode(line)["time_s"]) >= begin_s:
            return float(at_s)
    return None


def _first_line(file: Path) -> float | None:
    text = file.read_text().split() if file.exists() else []
    return float(text[0]) if text else None


def _start_fastnetmon(world: World, folder: Path) -> Path:
    banned, script = folder / "banned", folder / "banned.sh"
    script.write_text(f"#!/bin/sh\ncat >/dev/null &\ndate +%s.%N >>{banned}\n")
    script.chmod(0o755)
    words = fastnetmon_command(folder, plan.OUTSIDE, protected="203.0.113.0/24", also=FASTNETMON | {"notify_script_path": str(script)})
    world.start(Role.FIREWALL, *words, output=subprocess.DEVNULL)
    return banned


def _told(seconds: Sequence[float | None]) -> str:
    seen = [one for one in seconds if one is not None]
    if len(seen) < len(seconds):
        return f"seen in {len(seen)} of {len(seconds)} runs"
    return f"{statistics.median(seen):.1f} ({max(seen):.1f})"


if __name__ == "__main__":
    main(sys.argv[1:])
