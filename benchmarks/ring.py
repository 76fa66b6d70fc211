"""One link at the highest rate that the lab's generator reaches: who loses packets, and what does each cost?

``python -m benchmarks.ring [--rounds N] [--seconds N] [--write]``, as root; `apt install softflowd argus-server argus-client fastnetmon`.

netwatch with all of its detectors, softflowd, argus and FastNetMon take turns on the same veth pair under the same load. Seen and lost are
each program's own numbers: netwatch's windows and its rings' losses, ``softflowctl statistics``, the packets in argus' records. FastNetMon
counts packets a second, and tells nobody what it has lost. There are two loads: each packet a session of its own, which is the worst for
whoever keeps state, and the packets of 64,000 sessions.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.fastnetmon import fastnetmon_command
from benchmarks.report import machine, put_into_readme
from benchmarks.watcher import EVENTS, watcher
from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from netwatch.lab import plan
from netwatch.lab.drill import used
from netwatch.lab.generator import Attack, Kind, Sent

LINK, TAP = "outside", "inside"
READY_S = 5.0
READY_WITHIN_S = 120.0
"""Kernels may have to be compiled."""

SETTLED_S = 3.0
"""After the load: windows are closed, queues are read."""

COUNT = 1 << 40
DNS = f"""\
[[service]]
name = "dns"
address = "{plan.SERVER}"
port = {plan.SINK_PORT}
protocol = "udp"
"""
RULES = "table inet edge { chain input { type filter hook input priority 0; ct state established accept; }; }"
LOADS = {
    "each packet a session": Attack(kind=Kind.SYN, count=COUNT, seconds=0.0, interface=LINK),
    "64,000 sessions": Attack(kind=Kind.UDP, count=COUNT, seconds=0.0, interface=LINK, sources="198.18.0.7/32", port=plan.SINK_PORT),
}


@dataclass(frozen=True)
class Receiver:
    """A program that watches a link."""

    name: str
    command: Callable[[Path], Sequence[str]]
    seen: Callable[[Path, Sequence[str]], tuple[int, int | None] | None]
    """Packets seen, and those that it says it lost; after the load with the prefix of commands that run beside it."""

    after_its_end: bool = False
    ready: Callable[[Path], bool] = lambda _: True


@dataclass(frozen=True)
class Watched:
    """One run."""

    sent: int
    per_s: float
    seen: int | None
    lost: int | None
    cpu_s: float

    @property
    def lost_share(self) -> float | None:
        return None if self.seen is None else max(0.0, 1.0 - self.seen / self.sent)

    @property
    def cpu_ns(self) -> float:
        """Of a processor, for each packet sent."""
        return self.cpu_s / self.sent * 1e9


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    chosen = parser.parse_args(words)
    warm_up(replay_settings())
    present = [one for one in RECEIVERS if one.name == "netwatch" or shutil.which(one.name)]
    lines = [
        f"Medians of {chosen.rounds} rounds of {chosen.seconds:g} s. {machine()}.",
        "",
        "| load | program | sent, packets/s | lost, median (worst) | by its own count | ns of a processor a packet | netwatch costs |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(lines))
    for name, load in LOADS.items():
        runs: dict[str, list[Watched]] = {one.name: [] for one in present}
        for number in range(chosen.rounds):
            turn = number % len(present)
            for one in (*present[turn:], *present[:turn]):
                runs[one.name].append(run(one, msgspec.structs.replace(load, seconds=chosen.seconds, seed=number + 1)))
        ours_ns = statistics.median(one.cpu_ns for one in runs["netwatch"])
        for program, watched in runs.items():
            lines.append(row(name, program, watched, ours_ns))
            print(lines[-1], flush=True)
    if chosen.write:
        put_into_readme("ring", "\n".join(lines))


def row(load: str, program: str, runs: Sequence[Watched], ours_ns: float) -> str:
    shares = [share for one in runs if (share := one.lost_share) is not None]
    told = [one.lost for one in runs if one.lost is not None]
    cpu_ns = statistics.median(one.cpu_ns for one in runs)
    cells = (
        load,
        program,
        f"{statistics.median(one.per_s for one in runs):,.0f}",
        f"{statistics.median(shares):.2%} ({max(shares):.2%})" if shares else "not told",
        f"{sum(told):,}" if told else "not told",
        f"{cpu_ns:.0f}",
        "-" if program == "netwatch" else f"{ours_ns / cpu_ns:.2f}x as much",
    )
    return "| " + " | ".join(cells) + " |"


def run(receiver: Receiver, load: Attack) -> Watched:
    """One program under one load."""
    with tempfile.TemporaryDirectory() as name, link() as (sender, tap):
        folder = Path(name)
        beside = ("ip", "netns", "exec", tap)
        watching = subprocess.Popen([*beside, *receiver.command(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(READY_S)
            end_s = time.monotonic() + READY_WITHIN_S
            while not receiver.ready(folder) and watching.poll() is None and time.monotonic() < end_s:
                time.sleep(0.5)
            if watching.poll() is not None:
                raise RuntimeError(f"{receiver.name} ended at once, with exit status {watching.returncode}")
            before_s, _ = used(watching.pid)
            words = ("ip", "netns", "exec", sender, sys.executable, "-m", "netwatch.lab.generator", msgspec.json.encode(load).decode())
            sent = msgspec.json.decode(subprocess.run(words, check=True, capture_output=True).stdout, type=Sent)
            time.sleep(SETTLED_S)
            after_s, _ = used(watching.pid)
            seen = None if receiver.after_its_end else receiver.seen(folder, beside)
        finally:
            watching.terminate()
            try:
                watching.wait(10)
            except subprocess.TimeoutExpired:
                watching.kill()
                watching.wait()
        if receiver.after_its_end:
            seen = receiver.seen(folder, beside)
    packets, lost = seen if seen is not None else (None, None)
    return Watched(sent.packets, sent.per_s, packets, lost, after_s - before_s)


@contextmanager
def link() -> Iterator[tuple[str, str]]:
    """A veth pair between two namespaces; their names."""
    sender, tap = (f"nw-{os.getpid()}-{end}" for end in ("sender", "tap"))
    made: list[str] = []
    try:
        for name in (sender, tap):
            subprocess.run(["ip", "netns", "add", name], check=True)
            made.append(name)
            subprocess.run(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"], check=True)
        subprocess.run(["ip", "-n", sender, "link", "add", LINK, "type", "veth", "peer", "name", TAP, "netns", tap], check=True)
        for name, interface in ((sender, LINK), (tap, TAP), (tap, "lo")):
            subprocess.run(["ip", "-n", name, "link", "set", interface, "up"], check=True)
        subprocess.run(["ip", "netns", "exec", tap, "nft", RULES], check=True)
        yield sender, tap
    finally:
        for name in made:
            subprocess.run(["ip", "netns", "del", name], check=False)


def netwatch_command(folder: Path) -> Sequence[str]:
    return watcher(folder, TAP, DNS)


def netwatch_ready(folder: Path) -> bool:
    """It closes windows."""
    events = folder / EVENTS
    return events.exists() and b'"type":"window"' in events.read_bytes()


def netwatch_seen(folder: Path, _: Sequence[str]) -> tuple[int, int]:
    seen = lost = 0
    for line in (folder / EVENTS).read_bytes().splitlines():
        if b'"type":"window"' in line:
            window = msgspec.json.decode(line)["window"]
            seen += window["firewall"].get("packets", 0)
            lost += window.get("lost_packets", 0)
    return seen, lost


def softflowd_command(folder: Path) -> Sequence[str]:
    control = ("-c", str(folder / "control"), "-p", str(folder / "pid"))
    return (_found("softflowd"), "-i", TAP, "-d", "-m", "1000000", "-v", "9", "-n", "127.0.0.1:9995", *control)


def softflowd_seen(folder: Path, beside: Sequence[str]) -> tuple[int, int | None] | None:
    words = (*beside, _found("softflowctl"), "-c", str(folder / "control"), "statistics")
    told = subprocess.run(words, check=False, capture_output=True, text=True).stdout
    seen, dropped = re.search(r"Packets processed: (\d+)", told), re.search(r"dropped by libpcap: (\d+)", told)
    return (int(seen[1]), int(dropped[1]) if dropped else None) if seen else None


def argus_command(folder: Path) -> Sequence[str]:
    return (_found("argus"), "-X", "-i", TAP, "-w", str(folder / "records"), "-M", "1")


def argus_seen(folder: Path, _: Sequence[str]) -> tuple[int, None] | None:
    told = subprocess.run(("racount", "-r", str(folder / "records")), check=False, capture_output=True, text=True).stdout
    sums = [line.split() for line in told.splitlines() if line.split()[:1] == ["sum"]]
    return (int(sums[-1][2]), None) if sums else None


def _found(program: str) -> str:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin") or program


RECEIVERS = (
    Receiver("netwatch", netwatch_command, netwatch_seen, ready=netwatch_ready),
    Receiver("softflowd", softflowd_command, softflowd_seen),
    Receiver("argus", argus_command, argus_seen, after_its_end=True),
    Receiver(
        "fastnetmon",
        lambda folder: fastnetmon_command(folder, TAP, protected="203.0.113.0/24", also={"enable_ban": "off"}),
        lambda *_: None,
    ),
)


if __name__ == "__main__":
    main(sys.argv[1:])
