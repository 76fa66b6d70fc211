"""The digest of sources is remembered, and no change of them is overlooked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netwatch.jit import remembered
from netwatch.jit.stored import read_kept
from tests.conftest import ROOT

ASK = """
import sys
from netwatch.jit import folder, remembered
remembered.JUST_NOW_NS = {just_now_ns}
import {package}.kernel
reads = []
read = folder._read
folder._read = lambda path: reads.append(path) or read(path)
print(folder.cache_folder("{package}.kernel"), len(reads))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    package = tmp_path / "firm"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "kernel.py").write_text("from firm.helper import twice\n")
    (package / "helper.py").write_text("twice = 2\n")
    return package


def ask(package: Path, *, just_now_ns: int = 0) -> tuple[Path, bool]:
    """The folder that a new process finds, and whether it had to read the sources for that."""
    around = {
        **os.environ,
        "NETWATCH_CACHE_DIR": str(package.parent / "cache"),
        "PYTHONPATH": f"{ROOT}:{package.parent}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    program = ASK.format(package=package.name, just_now_ns=just_now_ns)
    ran = subprocess.run([sys.executable, "-c", program], env=around, capture_output=True, text=True, check=True)
    folder, reads = ran.stdout.split()
    return Path(folder), int(reads) > 0


def kept(package: Path) -> list[Path]:
    return list((package.parent / "cache").rglob("*.sources"))


def test_unchanged_sources_are_not_read_again(package: Path) -> None:
    folder, has_read = ask(package)
    assert has_read
    assert ask(package) == (folder, False)


def test_a_changed_helper_of_the_same_size_and_time_is_noticed(package: Path) -> None:
    before, _ = ask(package)
    helper = package / "helper.py"
    status = helper.stat()
    helper.write_text("twice = 3\n")
    os.utime(helper, ns=(status.st_atime_ns, status.st_mtime_ns))
    after, has_read = ask(package)
    assert has_read
    assert after.name != before.name


def test_a_helper_put_in_the_place_of_another_is_noticed(package: Path) -> None:
    before, _ = ask(package)
    (package / "new.py").write_text("twice = 3\n")
    (package / "new.py").replace(package / "helper.py")
    assert ask(package)[0].name != before.name


def test_a_module_that_comes_between_is_noticed(package: Path) -> None:
    before, _ = ask(package)
    (package / "helper.py").unlink()
    (package / "helper").mkdir()
    (package / "helper" / "__init__.py").write_text("twice = 2\n")
    after, has_read = ask(package)
    assert has_read
    assert after.name != before.name


def test_what_was_changed_just_now_is_not_remembered(package: Path) -> None:
    ask(package, just_now_ns=10**18)
    assert kept(package) == []


@pytest.mark.parametrize("damage", [lambda content: content[:-3], lambda content: b"", lambda content: content[:-1] + b"?"])
def test_damage_costs_only_time(package: Path, damage: object) -> None:
    assert callable(damage)
    folder, _ = ask(package)
    (file,) = kept(package)
    file.write_bytes(damage(file.read_bytes()))
    assert ask(package) == (folder, True)
    assert ask(package) == (folder, False)


def test_what_others_may_write_is_not_believed(package: Path) -> None:
    folder, _ = ask(package)
    (file,) = kept(package)
    file.chmod(0o666)
    assert read_kept(file) is None
    assert ask(package) == (folder, True)


def test_a_source_that_is_gone_is_not_remembered(tmp_path: Path) -> None:
    file = tmp_path / "x.sources"
    remembered.remember(file, "abc", {str(tmp_path / "gone.py"): None})
    assert remembered.recall(file) is None
    remembered.remember(file, "abc", {os.__file__: remembered.state(os.__file__)})
    assert remembered.recall(file) == "abc"
