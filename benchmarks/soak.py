"""Does a running netwatch grow? ``python -m benchmarks.soak [--minutes N] [--write]``, as root.

In a namespace of its own, the shipped scenarios, attacks and benign ones, are sent over a link again and again while netwatch watches it;
its memory and its share of a processor are noted. The link is idle before the load and after it: with empty tables and with full ones.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.report import machine, put_into_readme
from netwatch.lab.drill import used

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
EVERY_S = 30.0
STARTED_S = 10.0
IDLE_S = 60.0
SHOWN = 15
"""Lines of the curve that the README shows; all of it is printed."""

PACKETS_PER_S = 4000
CONFIGURATION = """\
state_dir = "{folder}/state"
[firewall]
name = "soak"
driver = "dry-run"
[[service]]
name = "mail"
address = "203.0.113.25"
port = 25
[[capture]]
interface = "inside"
[mitigate]
mode = "enforce"
"""


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--write", action="store_true", help="put the curve into benchmarks/README.md")
    chosen = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as name, link() as namespace:
        folder = Path(name)
        captures = unpacked(folder)
        configuration = folder / "netwatch.toml"
        configuration.write_text(CONFIGURATION.format(folder=folder))
        inside = ("ip", "netns", "exec", namespace)
        watch = subprocess.Popen(
            [*inside, sys.executable, "-m", "netwatch", "run", "--config", str(configuration)], stderr=subprocess.DEVNULL
        )
        try:
            time.sleep(STARTED_S)
            idle_before = idle(watch.pid)
            points = list(load(watch.pid, inside, captures, chosen.minutes * 60))
            idle_after = idle(watch.pid)
        finally:
            watch.terminate()
            watch.wait(10)
    text = told(points, idle_before, idle_after)
    print(f"\n{text}")
    if chosen.write:
        put_into_readme("soak", text)


class Point(NamedTuple):
    """What a netwatch used."""

    at_s: float  # since the load began
    resident_mib: float
    core_ratio: float  # of one processor, over the time since the point before


def told(points: Sequence[Point], idle_before: Point, idle_after: Point) -> str:
    """The curve, its slope, and what an idle link costs."""
    at_s, resident_mib = (np.array([point[column] for point in points]) for column in (0, 1))
    settled = at_s >= at_s[-1] / 3
    slope = float(np.polyfit(at_s[settled] / 60, resident_mib[settled], 1)[0]) if settled.sum() > 2 else 0.0
    shown = points[:: -(-len(points) // SHOWN)]
    return "\n".join(
        (
            "| minute | MiB resident | of a core |",
            "|---|---|---|",
            f"| idle, before the load | {idle_before.resident_mib:.0f} | {idle_before.core_ratio:.1%} |",
            *(f"| {point.at_s / 60:.1f} | {point.resident_mib:.0f} | {point.core_ratio:.1%} |" for point in shown),
            f"| idle, after it | {idle_after.resident_mib:.0f} | {idle_after.core_ratio:.1%} |",
            "",
            f"At most {resident_mib.max():.0f} MiB; a straight line through the last two thirds of {at_s[-1] / 60:.0f} minutes rises by "
            f"{slope:+.2f} MiB a minute. {machine()}.",
        )
    )


def idle(pid: int) -> Point:
    """What it takes while nothing comes."""
    before_s, _ = used(pid)
    time.sleep(IDLE_S)
    return Point(0.0, resident_mib(pid), (used(pid)[0] - before_s) / IDLE_S)


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def load(pid: int, inside: Sequence[str], captures: Sequence[Path], seconds: float) -> Iterator[Point]:
    """Send the captures in turn; yield what is used meanwhile."""
    began_s = time.monotonic()
    due_s, cpu_before_s = EVERY_S, used(pid)[0]
    print("   s   MiB   core")
    for capture in itertools.cycle(captures):
        now_s = time.monotonic() - began_s
        if now_s >= seconds:
            return
        if now_s >= due_s:
            cpu_s = used(pid)[0]
            point = Point(now_s, resident_mib(pid), (cpu_s - cpu_before_s) / (now_s - due_s + EVERY_S))
            print(f"{point.at_s:4.0f}  {point.resident_mib:4.0f}  {point.core_ratio:5.1%}", flush=True)
            yield point
            due_s, cpu_before_s = now_s + EVERY_S, cpu_s
        command = [*inside, "tcpreplay", "-q", "-i", "outside", "--pps", str(PACKETS_PER_S), "--limit", "20000", str(capture)]
        subprocess.run(command, capture_output=True, check=False, timeout=60)


def unpacked(folder: Path) -> list[Path]:
    found = []
    for packed in sorted(CAPTURES.glob("*/*.pcap.zst")):
        target = folder / f"{packed.parent.name}-{packed.name.removesuffix('.zst')}"
        subprocess.run(["zstd", "-dqf", str(packed), "-o", str(target)], check=True)
        found.append(target)
    return found


@contextmanager
def link() -> Iterator[str]:
    """Two ends of a link in a namespace."""
    name = f"nw-{os.getpid()}-soak"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for words in ("link set lo up", "link add outside type veth peer name inside", "link set outside up", "link set inside up"):
            subprocess.run(["ip", "-n", name, *words.split()], check=True)
        rules = "table inet edge { chain input { type filter hook input priority 0; ct state established accept; }; }"
        subprocess.run(["ip", "netns", "exec", name, "nft", rules], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
