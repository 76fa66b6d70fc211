"""A state table of a million entries, read and added up: ``python -m benchmarks.dump [--entries N] [--rounds N] [--write]``, as root.

The table lies in a namespace and is filled through ``conntrack -R``. Three things are compared, each in a process of its own, in turns: to
receive the kernel's messages and look at none of them, which is the least that any reader needs; netwatch's survey, which adds them up by
state, service, source prefix and idle age; and ``conntrack -L`` into nothing. The limit of the machine's tables is raised meanwhile.
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
import numpy as np

from benchmarks import measure
from benchmarks.report import machine, put_into_readme
from netwatch.collect.table_dump import ANY_FAMILY, GET_ENTRIES, survey_table
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.kernel.netlink import CHUNK, DONE, DUMP, HEADER, Netlink, message
from netwatch.lab import plan
from netwatch.lab.plan import Role
from netwatch.lab.world import World
from netwatch.measure.services import ServiceDirectory
from netwatch.model.idle_age import possible_timeouts
from netwatch.model.service import Service
from netwatch.model.session import Timeouts

MORE = 1.1
"""Of the entries, so that the table is not full."""

FILL = "-I -p tcp -s 10.{a}.{b}.{c} -d {server} --sport {port} --dport {smtp} -t {left_s} --state {state} -u {status}\n"
STATES = (("ESTABLISHED", "SEEN_REPLY,ASSURED", 431_500), ("TIME_WAIT", "SEEN_REPLY,ASSURED", 3000), ("SYN_RECV", "SEEN_REPLY", 3000))
END_BYTES = 20
"""Of the message that ends a dump: its header and an error number."""


class Reading(msgspec.Struct, frozen=True):
    """What one reader of the table used."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    entries: int


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help="put the table into benchmarks/README.md")
    parser.add_argument("--reader", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--namespaces", nargs=2, help=argparse.SUPPRESS)
    chosen = parser.parse_args(words)
    if chosen.reader:
        print(msgspec.json.encode(read_by(READERS[chosen.reader], *chosen.namespaces)).decode())
        return
    with World(limit=round(MORE * chosen.entries)) as world:
        filled_s = fill(world, chosen.entries)
        rounds = [all_readers(world, number) for number in range(chosen.rounds + 1)][1:]  # in the first, kernels are compiled
    text = told(chosen.entries, filled_s, rounds)
    print(text)
    if chosen.write:
        put_into_readme("dump", text)


def fill(world: World, entries: int) -> float:
    """Seconds that it took."""
    began_s = time.monotonic()
    command = ["ip", "netns", "exec", world.namespace(Role.FIREWALL), "conntrack", "-R", "-"]
    filling = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    assert filling.stdin is not None
    for number in range(entries):
        state, status, left_s = STATES[number % len(STATES)]
        host, port = divmod(number, 50_000)
        a, b, c = host, port >> 8, 1 + (port & 0xFF) % 250
        where = {"a": a, "b": b, "c": c, "server": plan.SERVER, "port": 1024 + port, "smtp": plan.SERVICE_PORT}
        filling.stdin.write(FILL.format(**where, left_s=left_s, state=state, status=status))
    filling.stdin.close()
    filling.wait()
    if (held := int(world.within(Role.FIREWALL, "conntrack", "-C"))) < 0.999 * entries:
        raise RuntimeError(f"only {held:,} of {entries:,} entries could be made")
    return time.monotonic() - began_s


def all_readers(world: World, number: int) -> dict[str, Reading]:
    """Each reader once, beginning with another one each round."""
    names = [*READERS, CONNTRACK]
    found = {}
    for name in (*names[number % len(names) :], *names[: number % len(names)]):
        found[name] = listed(world) if name == CONNTRACK else of_a_process(name, world)
    return found


def of_a_process(name: str, world: World) -> Reading:
    namespaces = (world.namespace(Role.FIREWALL), world.namespace(Role.CLIENT))  # the client's table is empty
    words = (sys.executable, "-m", "benchmarks.dump", "--reader", name, "--namespaces", *namespaces)
    return msgspec.json.decode(subprocess.run(words, check=True, capture_output=True).stdout, type=Reading)


def read_by(reader: Callable[[str], int], namespace: str, empty: str) -> Reading:
    """In this process, once its kernels are loaded as they are in a running netwatch."""
    reader(empty)
    before_s, began_s = time.process_time(), time.monotonic()
    entries = reader(namespace)
    wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - before_s
    peak_kb = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    return Reading(wall_s, cpu_s, peak_kb / 1024, entries)


def receive_only(namespace: str) -> int:
    """Nothing but the bytes; 0 stands for entries that nobody counted."""
    buffer = np.empty(CHUNK, np.uint8)
    room = memoryview(buffer)  # type: ignore[arg-type]  # numpy does not say that its arrays are buffers
    with Netlink(namespace) as asked:
        asked.send(message(GET_ENTRIES, DUMP, ANY_FAMILY))
        while True:
            got = asked.receive_into(room)
            if HEADER.unpack_from(room, got - END_BYTES)[1] == DONE:
                return 0


def survey(namespace: str) -> int:
    """As a running netwatch does it."""
    directory = ServiceDirectory([Service("smtp", plan.SERVER, plan.SERVICE_PORT, "tcp")], learn=False)
    possible = possible_timeouts([Timeouts()])
    return survey_table(
        EntryDecoder(), possible, namespace=namespace, classify=directory.classify, groups=directory.capacity + 1
    ).whole.entries


def listed(world: World) -> Reading:
    """``conntrack -L`` into nothing."""
    command = ["ip", "netns", "exec", world.namespace(Role.FIREWALL), "conntrack", "-L"]
    with tempfile.TemporaryDirectory() as folder:
        found = measure.run(command, Path(folder))
    return Reading(found.wall_s, found.cpu_s, found.peak_mib, 0)


READERS: dict[str, Callable[[str], int]] = {"receive": receive_only, "survey": survey}
CONNTRACK = "conntrack -L"
DOES = {
    "receive": ("the bytes alone", "receives the messages and looks at none"),
    "survey": ("netwatch's survey", "adds them up by state, service, prefix and idle age"),
    CONNTRACK: ("conntrack -L", "prints them into nothing"),
}


def told(entries: int, filled_s: float, rounds: Sequence[dict[str, Reading]]) -> str:
    lines = [
        f"Medians of {len(rounds)} rounds; {entries:,} entries, filled in {filled_s:.0f} s; ratios are of the same round. {machine()}.",
        "",
        "| reader | what it does | wall s | of the bytes alone | CPU s | of the bytes alone | peak MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, (title, does) in DOES.items():
        wall_s, cpu_s = (statistics.median(getattr(one[name], field) for one in rounds) for field in ("wall_s", "cpu_s"))
        wall_ratio = statistics.median(one[name].wall_s / one["receive"].wall_s for one in rounds)
        cpu_ratio = statistics.median(one[name].cpu_s / one["receive"].cpu_s for one in rounds)
        peak_mib = max(one[name].peak_mib for one in rounds)
        lines.append(f"| {title} | {does} | {wall_s:.2f} | {wall_ratio:.2f}x | {cpu_s:.2f} | {cpu_ratio:.2f}x | {peak_mib:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
