"""Killed at any moment while it writes, the journal opens again and holds every intent that was acknowledged, in order and whole."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netwatch.model.change import PlanState
from netwatch.store.journal import Journal
from tests.conftest import ROOT

ROUNDS = 12


def killed_after(path: Path, first: int, seconds: float) -> list[int]:
    """The intents that a writer had acknowledged when it was killed so long after its first."""
    command = [sys.executable, "-m", "tests.store.writer", str(path), str(first)]
    writer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    acknowledged = writer.stdout.readline()
    time.sleep(seconds)
    writer.kill()
    acknowledged += writer.communicate()[0]
    *whole, _ = acknowledged.split(b"\n")
    return [int(line) for line in whole]


@pytest.mark.parametrize("seed", range(2))
def test_every_acknowledged_intent_survives_and_nothing_is_half_written(tmp_path: Path, seed: int) -> None:
    numbers = random.Random(seed)
    path = tmp_path / "edge-1.journal"
    expected: list[int] = []
    for _ in range(ROUNDS // 2):
        first = expected[-1] + 2 if expected else 1
        expected += killed_after(path, first, numbers.uniform(0.0, 0.05))
        with Journal.open(path, now_s=1e6) as journal:
            found = journal.unfinished()
        kept = [int(plan.id.rpartition(".")[2]) for plan, _ in found]
        assert kept == sorted(kept)
        assert set(expected) <= set(kept)
        assert len(set(kept) - set(expected)) <= ROUNDS  # at most one a round was durable and not yet acknowledged
        for plan, receipt in found:
            assert plan.state is (PlanState.JOURNALLED if receipt is None else PlanState.APPLIED)
