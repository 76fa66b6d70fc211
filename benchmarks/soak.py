"""Does a running netwatch grow? ``python -m benchmarks.soak [--minutes N]``, as root.

In a namespace of its own, the shipped scenarios, attacks and benign ones, are sent over a link again and again while netwatch watches it;
its memory and its share of a processor are noted. Then the link is left idle.
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

import numpy as np

from netwatch.lab.drill import used

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
EVERY_S = 30.0
IDLE_S = 30.0
PACKETS_PER_S = 4000
RUN = "from netwatch.cli.app import main; main()"
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
    minutes: float = parser.parse_args(words).minutes
    with tempfile.TemporaryDirectory() as name, link() as namespace:
        folder = Path(name)
        captures = unpacked(folder)
        configuration = folder / "netwatch.toml"
        configuration.write_text(CONFIGURATION.format(folder=folder))
        inside = ("ip", "netns", "exec", namespace)
        watch = subprocess.Popen([*inside, sys.executable, "-c", RUN, "run", "--config", str(configuration)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(5)
            points = list(load(watch.pid, inside, captures, minutes * 60))
            idle_before_s, _ = used(watch.pid)
            time.sleep(IDLE_S)
            idle_s, _ = used(watch.pid)
        finally:
            watch.terminate()
            watch.wait(10)
    at_s, mebibytes = np.array(points).T
    settled = at_s > at_s[-1] / 3
    slope = float(np.polyfit(at_s[settled] / 60, mebibytes[settled], 1)[0]) if settled.sum() > 2 else 0.0
    print(f"\nmemory: {mebibytes.max():.0f} MiB at most; over the last two thirds {slope:+.3f} MiB a minute")
    print(f"idle: {(idle_s - idle_before_s) / IDLE_S:.2%} of a core")


def load(pid: int, inside: Sequence[str], captures: Sequence[Path], seconds: float) -> Iterator[tuple[float, float]]:
    """Send the captures in turn; yield when, and the resident memory in MiB then."""
    began_s = time.monotonic()
    due_s, cpu_before_s = EVERY_S, used(pid)[0]
    print("   s   MiB   core")
    for capture in itertools.cycle(captures):
        now_s = time.monotonic() - began_s
        if now_s >= seconds:
            return
        if now_s >= due_s:
            cpu_s = used(pid)[0]
            resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
            print(f"{now_s:4.0f}  {resident:4.0f}  {(cpu_s - cpu_before_s) / EVERY_S:5.1%}", flush=True)
            yield now_s, resident
            due_s, cpu_before_s = due_s + EVERY_S, cpu_s
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
