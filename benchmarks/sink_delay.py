"""Is anything detected later while sinks are dead? ``python -m benchmarks.sink_delay``, as root.

Two netwatches watch the same firewall under the same load at the same time. One writes to a database that takes everything; all sinks of
the other are dead, each in another way: nobody listens, or somebody listens and never answers. Both note each second their own figure for
the delay of detection, from the end of a window by the packets' clock to its judgement. When in a second a process was started decides
about some milliseconds of that, so they are started anew for each round, in turns.
"""

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.watcher import watcher
from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from netwatch.kernel.namespace import entered
from netwatch.lab import plan
from netwatch.lab.clients import Load
from netwatch.lab.plan import Role
from netwatch.lab.world import World
from tests.export.servers import VictoriaMetrics, started

LIMIT = 20_000
CLIENTS_PER_S = 50.0
STARTED_S = 6.0
SILENT_PORT = 8999
ITSELF = """\
[[sink]]
type = "jsonl"
path = "{folder}/self.jsonl"
events = ["self"]
"""
GOOD = """\
[[sink]]
type = "influxdb"
url = "http://127.0.0.1:8428"
org = "noc"
bucket = "netwatch"
"""
NOBODY, SILENT = "http://127.0.0.1:1", f"http://127.0.0.1:{SILENT_PORT}"
DEAD = f"""\
[[sink]]
type = "influxdb"
url = "{NOBODY}"
org = "noc"
bucket = "netwatch"
[[sink]]
type = "influxdb1"
url = "{SILENT}"
database = "netwatch"
[[sink]]
type = "alertmanager"
url = "{NOBODY}"
[[sink]]
type = "webhook"
url = "{SILENT}"
events = ["incident", "finding", "window", "self"]
[[sink]]
type = "syslog"
transport = "tcp"
address = "127.0.0.1:1"
events = ["incident", "finding", "window", "self"]
"""
SINKS = {"good": GOOD, "dead": DEAD}


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=20.0, help="of a round")
    chosen = parser.parse_args(words)
    warm_up(replay_settings())
    delays_s: dict[str, list[float]] = {"good": [], "dead": []}
    for number in range(chosen.rounds):
        order = ("good", "dead") if number % 2 else ("dead", "good")
        with tempfile.TemporaryDirectory() as name, World(limit=LIMIT) as world, entered(world.namespace(Role.FIREWALL)):
            silent = socket.create_server(("127.0.0.1", SILENT_PORT))  # the kernel accepts, nobody answers
            with silent, started(VictoriaMetrics(world.namespace(Role.FIREWALL), Path(name) / "vm")):
                for which, found in watched(world, Path(name), chosen.seconds, order).items():
                    delays_s[which] += found
    told(delays_s)


def watched(world: World, folder: Path, seconds: float, order: Sequence[str]) -> dict[str, list[float]]:
    """By netwatch, its delays of detection, one each second."""
    service = world.start_module(Role.SERVER, "service", str(plan.SERVICE_PORT), str(plan.SINK_PORT))
    assert service.stdout is not None
    service.stdout.readline()
    for name in order:
        own = folder / name
        own.mkdir()
        command = watcher(own, plan.OUTSIDE, ITSELF.format(folder=own) + SINKS[name])
        world.start(Role.FIREWALL, *command, output=subprocess.DEVNULL)
    load = Load(per_s=CLIENTS_PER_S, seconds=seconds + STARTED_S, start_at_s=time.time())
    words = (sys.executable, "-m", "netwatch.lab.clients", msgspec.json.encode(load).decode())
    world.start(Role.CLIENT, *words, output=subprocess.DEVNULL)
    begin_s = time.time() + STARTED_S
    time.sleep(seconds + STARTED_S)
    delays_s = {}
    for name in order:
        events = [msgspec.json.decode(line) for line in (folder / name / "self.jsonl").read_bytes().splitlines()]
        delays_s[name] = [event["detection_delay_s"] for event in events if event["time_s"] >= begin_s]
        ill = {stage["stage"] for stage in events[-1]["stages"] if stage["stage"].startswith("sink") and not stage["healthy"]}
        print(f"{name}: {len(delays_s[name])} seconds; sinks that do not work at the end: {', '.join(sorted(ill)) or 'none'}")
    return delays_s


def told(delays_s: dict[str, list[float]]) -> None:
    print("| sinks | median ms | 95 % ms | worst ms |\n|---|---|---|---|")
    rows = {}
    for name, found in delays_s.items():
        rows[name] = (statistics.median(found), statistics.quantiles(found, n=20)[-1], max(found))
        print(f"| {name} | {' | '.join(f'{value * 1000:.1f}' for value in rows[name])} |")
    print(f"| dead / good | {' | '.join(f'{dead / good:.2f}' for dead, good in zip(rows['dead'], rows['good'], strict=True))} |")


if __name__ == "__main__":
    main(sys.argv[1:])
