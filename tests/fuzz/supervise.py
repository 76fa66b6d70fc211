"""Starts workers, notices when one crashes, hangs or swells, and keeps the input that did it with what the worker said."""

import hashlib
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

HANG_S = 20.0
START_S = 300.0
"""Until the first input: kernels are compiled with checks of bounds, once."""

GROWTH_MIB = 200


@dataclass(frozen=True)
class Finding:
    kind: str  # "crash", "hang" or "error" (an exception, also of memory)
    number: int
    reproducer: Path
    said: str


@dataclass(frozen=True)
class Report:
    executions: int = 0
    refused: int = 0
    packets: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    seed: int
    duration_s: float
    findings: Path  # directory
    corpus: Path | None = None
    target: str = "tests.fuzz.target:examine"
    hang_s: float = HANG_S
    most_findings: int = 20


def cache_directory() -> Path:
    """Machine code with checks of bounds is not that of the usual run; numba's cache cannot tell them apart."""
    return Path(tempfile.gettempdir()) / f"netwatch-fuzz-{os.getuid()}"


def _start(plan: Plan, input_path: Path, first: int, errors: Path) -> "subprocess.Popen[bytes]":
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NETWATCH_CACHE_DIR": str(cache_directory())}
    arguments = (plan.target, str(input_path), str(plan.seed), str(first), str(GROWTH_MIB), str(plan.corpus or ""))
    with errors.open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "tests.fuzz.worker", *arguments],
            stdout=subprocess.PIPE,
            stderr=said,
            env=environment,
        )


class Supervisor:
    """Runs workers one after the other until the time is over or there is enough to look at.

    The time begins with the first input, since before it kernels may have to be compiled.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.report = Report()
        self._plan = plan
        self._input, self._errors = folder / "input", folder / "errors"
        self._deadline_s: float | None = None

    @property
    def _left_s(self) -> float:
        return self._plan.duration_s if self._deadline_s is None else max(0.0, self._deadline_s - time.monotonic())

    def run(self) -> None:
        first = 0
        while self._left_s > 0 and len(self.report.findings) < self._plan.most_findings:
            with _start(self._plan, self._input, first, self._errors) as worker:
                try:
                    last, ending = self._follow(worker)
                finally:
                    worker.kill()
            if ending == "over":
                return
            if last is None:
                raise RuntimeError(f"the worker ended before its first input:\n{self._errors.read_text(errors='replace')}")
            self.report.findings.append(self._keep(ending, last))
            first = last + 1

    def _follow(self, worker: "subprocess.Popen[bytes]") -> tuple[int | None, str]:
        """Read the worker's progress until it ends; the input it was at, and how: ``over``, ``hang``, ``crash`` or ``error``."""
        assert worker.stdout is not None
        first: int | None = None
        last: int | None = None
        earlier = self.report
        while self._left_s > 0 or last == first:
            patience_s = START_S if last is None else self._plan.hang_s
            ready, _, _ = select.select([worker.stdout], [], [], patience_s)
            if not ready:
                return last, "hang"
            line = worker.stdout.readline()
            if not line:
                return last, "crash" if worker.wait() < 0 else "error"
            last, refused, packets = map(int, line.split())
            first = last if first is None else first
            if self._deadline_s is None:
                self._deadline_s = time.monotonic() + self._plan.duration_s
            self.report = Report(earlier.executions + last - first, earlier.refused + refused, earlier.packets + packets, earlier.findings)
        return last, "over"

    def _keep(self, kind: str, number: int) -> Finding:
        content, said = self._input.read_bytes(), self._errors.read_text(errors="replace")
        name = f"{kind}-{hashlib.blake2b(content, digest_size=6).hexdigest()}"
        reproducer = self._plan.findings / f"{name}.bin"
        reproducer.write_bytes(content)
        (self._plan.findings / f"{name}.txt").write_text(f"seed {self._plan.seed}, input {number}, {len(content)} bytes\n\n{said}")
        return Finding(kind, number, reproducer, said)


def run(plan: Plan) -> Report:
    """Fuzz as planned."""
    plan.findings.mkdir(parents=True, exist_ok=True)
    cache_directory().mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="netwatch-fuzz-") as folder:
        supervisor = Supervisor(plan, Path(folder))
        supervisor.run()
        return supervisor.report
