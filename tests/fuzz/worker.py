"""The process that may die: makes inputs, writes each to a file, and gives it to the target, until it is stopped.

It tells its progress on standard output, a line before each input, so that the supervisor knows which input it was if no more lines come.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.fuzz.corpus import WRITTEN_SEEDS, seeds
from tests.fuzz.mutate import mutant
from tests.fuzz.target import Outcome


def memory_mib() -> int:
    """The most memory that this program has had; the figure of getrusage would begin with that of its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def load(target: str) -> Callable[[Path], Outcome]:
    module, _, function = target.partition(":")
    loaded: Callable[[Path], Outcome] = getattr(importlib.import_module(module), function)
    return loaded


def main(target: str, input_path: str, seed: int, first: int, growth_mib: int, corpus: str) -> None:
    """Run inputs ``first``, ``first`` + 1, … of a seed."""
    examine, path = load(target), Path(input_path)
    known = seeds(Path(corpus) if corpus else None)
    for sound in known[:WRITTEN_SEEDS]:  # compiles all kernels, which takes longer than a hang, and more memory than any input may
        path.write_bytes(sound.content)
        examine(path)
    usual_mib = memory_mib()
    refused = packets = 0
    for number in range(first, sys.maxsize):
        path.write_bytes(mutant(known, Random(f"{seed}/{number}")))
        print(number, refused, packets, flush=True)
        outcome = examine(path)
        refused += outcome.refused
        packets += outcome.packets
        assert memory_mib() < usual_mib + growth_mib, f"memory grew to {memory_mib()} MiB, usual are {usual_mib} MiB"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])
