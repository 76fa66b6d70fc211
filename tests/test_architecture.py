"""The structure holds: imports go in one direction, and the core stays pure."""

import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def test_imports_go_in_the_direction_of_the_contracts() -> None:
    checked = subprocess.run([Path(sys.executable).parent / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_only_jit_imports_numba() -> None:
    sources = (ROOT / "netwatch").rglob("*.py")
    importers = [path for path in sources if re.search(r"^\s*(import|from) numba", path.read_text(), re.MULTILINE)]
    assert {path.parent for path in importers} == {ROOT / "netwatch" / "jit"}
