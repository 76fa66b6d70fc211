"""Runs programs side by side and measures each by what the kernel charges it: time on the clock, time on the processors, peak memory.

Machines are shared and their speed wanders, so programs are run in rounds, each round in another order, and only what happened in the same
rounds is compared: ratios of medians, never a single time. Peak memory is what the kernel saw of the process, which includes this one as
it was when it started the other: it must stay small.
"""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.programs import Program

LONGEST_RUN_S = 600


@dataclass(frozen=True)
class Run:
    """One run of one program."""

    wall_s: float
    cpu_s: float
    peak_mib: float


@dataclass(frozen=True)
class Summary:
    """Medians of a program's runs, and the packets that it was given."""

    program: Program
    packets: int
    wall_s: float
    cpu_s: float
    peak_mib: float

    @property
    def million_packets_per_s(self) -> float:
        return self.packets / self.wall_s / 1e6


def run(command: Sequence[str], folder: Path) -> Run:
    """Run a command in ``folder`` to its end.

    Raises:
        RuntimeError: it failed, or took longer than ``LONGEST_RUN_S``.
    """
    with (folder / "errors").open("wb") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
        signal.signal(signal.SIGALRM, lambda *_: process.kill())
        signal.alarm(LONGEST_RUN_S)
        _, status, usage = os.wait4(process.pid, 0)
        signal.alarm(0)
        wall_s = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (folder / "errors").read_text(errors="replace").strip().splitlines()[-1:] or ["nothing said"]
        raise RuntimeError(f"{Path(command[0]).name}: exit code {process.returncode}: {said[0]}")
    return Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def warm(path: Path) -> None:
    """Bring a file into the page cache."""
    with path.open("rb") as file:
        while file.read(1 << 22):
            pass


def compare(programs: Sequence[Program], rounds: int, folder: Path) -> list[Summary]:
    """Run every program once a round, beginning with another each time; a program that fails is left out, with its reason on stderr.

    A round before the first is not counted: in it kernels are compiled and files come into the page cache.
    """
    runs: dict[str, list[Run]] = {program.name: [] for program in programs}
    failed: set[str] = set()
    for number in range(rounds + 1):
        turn = number % len(programs)
        for program in (*programs[turn:], *programs[:turn]):
            if program.name in failed:
                continue
            warm(program.capture)
            try:
                measured = run(program.command, folder)
                if number > 0:
                    runs[program.name].append(measured)
            except (RuntimeError, OSError) as error:
                failed.add(program.name)
                sys.stderr.write(f"{program.name}: left out: {error}\n")
        sys.stderr.write(f"round {number} of {rounds}\n")
    return [
        Summary(
            program,
            program.packets,
            statistics.median(item.wall_s for item in runs[program.name]),
            statistics.median(item.cpu_s for item in runs[program.name]),
            statistics.median(item.peak_mib for item in runs[program.name]),
        )
        for program in programs
        if program.name not in failed
    ]
