"""``kill -9`` of netwatch at random moments of a mitigation: what becomes of the firewall, and of those who only want to deliver mail.

``python -m benchmarks.kills [--times N] [--write]``, as root. Each time a flood fills a small table, netwatch ends its impact, and dies at
a random moment from the incident's opening on. Then nobody is there but the kernel. The same flood without any netwatch is what clients
must at least be left with; it is run first.

No shipped playbook changes a sysctl. So that the guardian is tried too, a process beside netwatch holds one by the same driver, and is
killed with it.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from benchmarks.report import machine, put_into_readme
from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from netwatch.lab.clients import Attempt, Load
from netwatch.lab.generator import Attack, Kind
from netwatch.lab.plan import Role
from netwatch.lab.world import World
from netwatch.store.journal import Journal, journal_path
from tests.daemon.edge import Edge, edge

LIFE_S = 12.0
"""``max_life_s`` of the edge's configuration: no element lives longer."""

SYSCTL, HELD = "net.netfilter.nf_conntrack_udp_timeout", "7"
SYSCTL_BACK_S = 5.0
HOLDER = f"""
import sys, time
from pathlib import Path
from netwatch.enforce.sysctl import Sysctls
Sysctls(Path(sys.argv[1])).hold("{SYSCTL}={HELD}", life_s=60.0)
print("held", flush=True)
time.sleep(600)
"""

CLIENTS_PER_S, FLOOD_PER_S, FLOOD_S = 40.0, 20_000.0, 25.0
AHEAD_S = 2.0
KILLED_WITHIN_S = 10.0
"""Of the incident's opening: before the change, at it, while it is verified, and long after."""

BEGIN_S = 2.0
"""The table is full by then; what clients are left with is counted from then on."""

CHANCE = 0.1
"""By so much the share of attempts that come about differs between two floods that nobody does anything about."""

HEADER = (
    "| kill | s after the incident's opening | in force then | s until nothing is | s until the sysctl is back | clients from the kill on "
    "| without netwatch | next start |\n|---|---|---|---|---|---|---|---|"
)


class Killed(msgspec.Struct, frozen=True, kw_only=True):
    """One kill and what was seen after it."""

    after_s: float  # the incident was opened
    armed: tuple[str, ...]  # elements in force when it died
    gone_s: float  # after the kill nothing of netwatch's was in force any more
    sysctl_s: float
    share: float  # of the clients' attempts from the kill to the flood's end that came about
    alone: float  # the same, of a flood without netwatch
    next_start: str  # what the next netwatch made of what it found

    @property
    def problems(self) -> tuple[str, ...]:
        """What must not be, in words."""
        found = []
        if self.gone_s > LIFE_S:
            found.append(f"in force for {self.gone_s:.1f} s after the kill")
        if self.sysctl_s > SYSCTL_BACK_S:
            found.append(f"a sysctl was back only after {self.sysctl_s:.1f} s")
        if self.share < self.alone - CHANCE:
            found.append(f"clients had {self.share:.0%}, without netwatch {self.alone:.0%}")
        return tuple(found)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    chosen = parser.parse_args(words)
    warm_up(replay_settings())
    alone = _share_alone()
    lines, problems = [HEADER], []
    print(HEADER)
    for number in range(1, chosen.times + 1):
        killed = kill(random.uniform(0.0, KILLED_WITHIN_S), alone)
        problems += [f"kill {number}: {problem}" for problem in killed.problems]
        lines.append(_row(number, killed))
        print(lines[-1], flush=True)
    lines += [
        "",
        *(problems or [f"No element lived for more than {LIFE_S:.0f} s after a kill, and every journal opened."]),
        "",
        f"{machine()}.",
    ]
    print("\n".join(lines[-4:]))
    if chosen.write:
        put_into_readme("kills", "\n".join(lines))
    return 1 if problems else 0


def kill(after_s: float, alone: float) -> Killed:
    """One flood, one netwatch, and its end so long after the incident's opening."""
    with tempfile.TemporaryDirectory(prefix="netwatch-kill-") as name, edge(Path(name)) as one, ThreadPoolExecutor(1) as readers:
        one.configure()
        one.start()
        holder = _hold(one)
        attempts = readers.submit(_clients(one.world).communicate)
        flood_ends_s = _flood(one.world)
        one.wait(lambda: one.events("incident.opened"))
        time.sleep(after_s)
        armed = tuple(one.armed())
        killed_at_s = time.time()
        one.signal(signal.SIGKILL)
        holder.send_signal(signal.SIGKILL)
        one.ended(5)
        sysctl_s = _until(lambda: _sysctl(one.world) != HELD) - killed_at_s
        gone_s = _until(lambda: not one.armed()) - killed_at_s
        tried = msgspec.json.decode("[" + ",".join(attempts.result()[0].splitlines()) + "]", type=list[Attempt])
        return Killed(
            after_s=after_s,
            armed=armed,
            gone_s=gone_s,
            sysctl_s=sysctl_s,
            share=_share(tried, killed_at_s, flood_ends_s),
            alone=alone,
            next_start=_next_start(one),
        )


def _share_alone() -> float:
    """What a flood leaves of the clients' attempts where nobody does anything."""
    with tempfile.TemporaryDirectory() as name, edge(Path(name)) as one:
        clients = _clients(one.world)
        ends_s = _flood(one.world)
        tried = msgspec.json.decode("[" + ",".join(clients.communicate()[0].splitlines()) + "]", type=list[Attempt])
        return _share(tried, ends_s - FLOOD_S + BEGIN_S, ends_s)


def _clients(world: World) -> "subprocess.Popen[str]":
    load = Load(per_s=CLIENTS_PER_S, seconds=FLOOD_S + 2 * AHEAD_S, start_at_s=time.time() + AHEAD_S)
    return world.start_module(Role.CLIENT, "clients", msgspec.json.encode(load).decode())


def _flood(world: World) -> float:
    """Begin it; when it will be over."""
    begins_s = time.time() + 2 * AHEAD_S
    count = int(FLOOD_PER_S * FLOOD_S)
    attack = Attack(kind=Kind.SYN, per_s=FLOOD_PER_S, count=count, seconds=FLOOD_S, start_at_s=begins_s)
    world.start_module(Role.ATTACKER, "generator", msgspec.json.encode(attack).decode())
    return begins_s + FLOOD_S


def _share(tried: Sequence[Attempt], begin_s: float, end_s: float) -> float:
    within = [one.ok for one in tried if begin_s <= one.began_s < end_s]
    return sum(within) / len(within) if within else 1.0


def _hold(one: Edge) -> "subprocess.Popen[str]":
    """A process that holds a sysctl of the firewall, as netwatch would."""
    words = (sys.executable, "-c", HOLDER, str(one.folder / "held.json"))
    holder = one.world.start(Role.FIREWALL, *words)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert _sysctl(one.world) == HELD
    return holder


def _sysctl(world: World) -> str:
    return world.within(Role.FIREWALL, "sysctl", "-n", SYSCTL).strip()


def _until(condition: Callable[[], bool], within_s: float = 90.0) -> float:
    """When it came true, since the epoch."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"not within {within_s:.0f} s")
        time.sleep(0.05)
    return time.time()


def _next_start(one: Edge) -> str:
    """Open the journal of the one that was killed, start another, end it well, and say what it made of what was left."""
    with Journal.read(journal_path(one.state_dir, "edge")) as journal:
        left = len(journal.unfinished())
    before = len(one.events("change.expired", "change.undone", "plan.failed"))
    one.start()
    settled = len(one.events("change.expired", "change.undone", "plan.failed")) - before
    one.signal(signal.SIGTERM)
    if one.ended(10) != 0 or one.armed():
        raise SystemExit("the next netwatch did not end well")
    return f"{settled} of {left} unfinished settled"


def _row(number: int, killed: Killed) -> str:
    cells = (
        str(number),
        f"{killed.after_s:.1f}",
        "a synproxy" if killed.armed else "nothing",
        f"{killed.gone_s:.1f}",
        f"{killed.sysctl_s:.1f}",
        f"{killed.share:.0%}",
        f"{killed.alone:.0%}",
        killed.next_start,
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
