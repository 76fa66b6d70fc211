"""A kernel gives the same by machine code from the cache as by numba, and whatever is wrong with the cache costs time only."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netwatch.jit import Kernel, folder, machine, stored
from netwatch.jit.shape import take_apart
from tests.conftest import ROOT
from tests.jit import kernels

USE = """
import sys
from tests.jit.kernels import add_up, divide, own_arrays
import numpy as np
print(divide(17, 5), [part.tolist() for part in own_arrays(3)[1:]], "numba" in sys.modules)
"""


def use(cache: Path, program: str = USE, **environment: str) -> str:
    around = {**os.environ, "NETWATCH_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT), **environment}
    ran = subprocess.run([sys.executable, "-c", program], env=around, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


RESULT = "3 [[0, 1, 2], [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]]"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    assert use(cache) == f"{RESULT} True"
    return cache


def entries(cache: Path) -> list[Path]:
    return sorted(cache.rglob("*.kernel"))


def test_kernels_from_the_cache_run_without_numba(filled: Path) -> None:
    assert len(entries(filled)) == 2
    assert use(filled) == f"{RESULT} False"


def arguments(step: int) -> tuple[Any, ...]:
    rows = np.zeros(12, kernels.ROW)
    rows["small"], rows["wide"], rows["parts"] = 200, np.arange(-6, 6), 60_000
    table = np.arange(40, dtype=np.int64).reshape(4, 10)[:, ::step]
    pair = kernels.Pair(np.arange(7)[::step], np.ones(3))
    return rows[::step], table, pair, 0.25, True, np.uint64(2**63)


def test_arrays_of_no_row_of_one_and_of_many_run_the_same_code() -> None:
    """Else the second prefix of an attack would have kernels compiled in the middle of it."""

    def key(array: np.ndarray) -> list[Any]:
        kinds: list[Any] = []
        take_apart((array,), kinds, [])
        return kinds

    table = np.zeros((4, 6), np.uint64)
    assert key(table[:0]) == key(table[:1]) == key(table)
    assert key(table) != key(table[:, ::2])
    assert key(table) != key(table.T)


@pytest.mark.parametrize("step", [1, 2, -1])
def test_both_ways_give_the_same_for_whole_arrays_and_for_parts(step: int) -> None:
    kernel = kernels.add_up
    assert isinstance(kernel, Kernel)
    by_entry, by_numba = arguments(step), arguments(step)
    assert kernel(*by_entry) == kernel.dispatcher(*by_numba)
    for ours, theirs in zip(by_entry[:2], by_numba[:2], strict=True):
        assert np.array_equal(ours, theirs)
    assert any(loaded is not None for loaded in kernel._loaded.values())


def test_a_kernel_raises_what_numba_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        kernels.divide(1, 0)
    assert all(loaded is not None for loaded in kernels.divide._loaded.values())  # type: ignore[attr-defined]


def test_what_an_entry_cannot_return_or_take_goes_numbas_way() -> None:
    assert kernels.text_of(3) == "odd"
    assert kernels.divide(2**63, 2) == kernels.divide.dispatcher(2**63, 2)  # type: ignore[attr-defined]
    assert kernels.divide(number=9, by=2) == 4
    assert list(kernels.text_of._loaded.values()) == [None]  # type: ignore[attr-defined]


def test_a_read_only_array_is_not_written_to() -> None:
    rows, table, *rest = arguments(1)
    table.flags.writeable = False
    with pytest.raises(Exception, match=r"(?i)read-?only|setitem|modify"):
        kernels.add_up(rows, table, *rest)


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda content: content[:-1], lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:]]
)
def test_a_damaged_entry_is_compiled_again(damage: Callable[[bytes], bytes], tmp_path: Path, filled: Path) -> None:
    for path in entries(filled):
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(damage(content))
        assert stored.read_entry(path) is not None
        assert stored.read_entry(tmp_path / path.name) is None


def test_damage_costs_a_process_only_time(filled: Path) -> None:
    for path in entries(filled):
        path.write_bytes(path.read_bytes()[:-7])
    assert use(filled) == f"{RESULT} True"
    assert use(filled) == f"{RESULT} False"


def test_code_of_another_processor_is_not_found(filled: Path) -> None:
    other = "import netwatch.jit.machine as m; m._processor = lambda: 'another'\n"
    assert use(filled, other + USE) == f"{RESULT} True"


def test_checks_of_bounds_go_numbas_way(filled: Path, tmp_path: Path) -> None:
    assert use(tmp_path, NUMBA_BOUNDSCHECK="1") == f"{RESULT} True"
    assert entries(tmp_path) == []


def test_without_the_loader_numba_runs_the_kernels(filled: Path) -> None:
    broken = "import sys; sys.modules['netwatch.jit.machine'] = None\n"
    assert use(filled, broken + USE) == f"{RESULT} True"


def test_code_from_the_cache_needs_no_llvm(filled: Path) -> None:
    assert use(filled, USE + "print('llvmlite.binding' in sys.modules)").endswith("False")


def test_llvms_loader_does_what_ours_cannot(filled: Path) -> None:
    unlinkable = "import netwatch.jit.linking as l; l.WHOLE_ADDRESS = -1\n"
    loaded = use(filled, unlinkable + USE + "print('llvmlite.binding' in sys.modules)").split("\n")
    assert loaded == [f"{RESULT} False", "True"]


def test_two_processes_may_fill_the_cache_at_once(tmp_path: Path) -> None:
    around = {**os.environ, "NETWATCH_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen([sys.executable, "-c", USE], env=around, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate()[0].strip() for process in both] == [f"{RESULT} True"] * 2
    assert use(tmp_path) == f"{RESULT} False"
    assert all(stored.read_entry(path) is not None for path in tmp_path.rglob("*kernel*") if path.is_file() and path.suffix == ".kernel")


def test_code_that_needs_more_than_the_c_library_is_refused() -> None:
    with pytest.raises(LookupError, match="PyErr_SetString"):
        machine._address("PyErr_SetString")


def test_the_digest_covers_what_a_kernel_imports_and_nothing_else() -> None:
    covered = {str(path.relative_to(ROOT)) for path in folder.sources("netwatch.decode.kernel", ROOT)}
    assert {"netwatch/decode/kernel.py", "netwatch/decode/octets.py", "netwatch/model/packet.py", "netwatch/model/tuple_hash.py"} <= covered
    assert not {"netwatch/model/incident.py", "netwatch/decode/decoder.py", "netwatch/config.py"} & covered
