"""The fuzzer itself: its inputs repeat, its supervisor notices what it must, and a short run of it finds nothing."""

import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.conftest import ROOT
from tests.fuzz.corpus import WRITTEN_SEEDS, seeds
from tests.fuzz.mutate import mutant
from tests.fuzz.supervise import Plan, run
from tests.fuzz.target import examine


def test_the_same_seed_gives_the_same_inputs_and_another_gives_others() -> None:
    def inputs(seed: int) -> list[bytes]:
        return [mutant(seeds(None), Random(f"{seed}/{number}")) for number in range(50)]

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)
    assert len(set(inputs(1))) > 45


def test_sound_captures_are_read_and_decoded_without_a_complaint(tmp_path: Path) -> None:
    assert len(seeds(None)) == WRITTEN_SEEDS
    for seed in seeds(None):
        path = tmp_path / seed.name
        path.write_bytes(seed.content)
        assert examine(path).packets >= 3


def test_a_few_hundred_mutants_break_nothing(tmp_path: Path) -> None:
    known, path, refused, packets = seeds(None), tmp_path / "mutant", 0, 0
    for number in range(400):
        path.write_bytes(mutant(known, Random(f"test/{number}")))
        outcome = examine(path)
        refused += outcome.refused
        packets += outcome.packets
    assert refused < 300
    assert packets > 400


@pytest.mark.shared
def test_a_few_hundred_mutants_of_real_captures_break_nothing(tmp_path: Path, shared_captures: Path) -> None:
    known, path, packets = seeds(shared_captures / "decode"), tmp_path / "mutant", 0
    assert len(known) > 50
    for number in range(400):
        path.write_bytes(mutant(known, Random(f"real/{number}")))
        packets += examine(path).packets
    assert packets > 1000


@pytest.mark.parametrize(
    ("fake", "kind", "said"),
    [
        ("crashes", "crash", "Fatal Python error: Aborted"),
        ("hangs", "hang", ""),
        ("swells", "error", "AssertionError: memory grew to"),
        ("reads_past_the_end", "error", "IndexError"),
    ],
)
def test_the_supervisor_keeps_the_input_that_broke_the_target(tmp_path: Path, fake: str, kind: str, said: str) -> None:
    hang_s = 2 if kind == "hang" else 60
    plan = Plan(seed=3, duration_s=120, findings=tmp_path, target=f"tests.fuzz.fakes:{fake}", hang_s=hang_s, most_findings=1)
    (finding,) = run(plan).findings
    assert finding.kind == kind
    assert said in finding.said
    assert finding.reproducer.read_bytes() == mutant(seeds(None), Random(f"3/{finding.number}"))
    assert finding.reproducer.with_suffix(".txt").read_text().startswith(f"seed 3, input {finding.number}, ")


@pytest.mark.slow
def test_a_short_run_from_the_command_line_tells_what_it_did(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--minutes", "0.05", "--seed", "9", "--findings", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, list(tmp_path.iterdir())) == (0, []), done.stdout + done.stderr
    assert done.stdout.endswith("0 findings\n")
    assert int(done.stdout.split()[0]) > 0
