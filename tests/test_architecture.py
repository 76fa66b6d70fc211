"""The structure holds: imports go in one direction, and the core stays pure."""

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_imports_go_in_the_direction_of_the_contracts() -> None:
    checked = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_only_jit_imports_numba() -> None:
    importers = [path for path in (ROOT / "netwatch").rglob("*.py") if "import numba" in path.read_text() or "from numba" in path.read_text()]
    assert importers == [ROOT / "netwatch" / "jit.py"]
