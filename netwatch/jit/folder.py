"""Where the machine code of kernels is kept: a folder for each module, named after a digest of all that its kernels can inline.

numba's own cache notices a change in the file of a kernel, not in a helper that lives in another. So the digest covers the source of the
module, the sources of all that it imports, directly or not, and those of this package. Any change there starts a new folder; the oldest are
removed. Where no folder can be written nothing is kept.
The imports are found by their text: a parser would take longer than everything else at start. Even so, reading all sources takes
longer than loading the kernels, so their digest is remembered (remembered.py) until one of them changes.
"""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from netwatch.jit.remembered import State, recall, remember, state

KEPT_CACHES = 6

_FROM = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_IMPORT = re.compile(r"^[ \t]*import[ \t]+([^\n]*)", re.MULTILINE)


def imported_names(source: str) -> set[str]:
    """The dotted names that a source may import; of ``from a import b`` also ``a.b``, which may be a module."""
    names = {name for listed in _IMPORT.findall(source) for name in re.findall(r"[\w.]+", listed)}
    for module, listed in _FROM.findall(source):
        names.add(module)
        names.update(f"{module}.{name}" for name in re.findall(r"\w+", listed))
    return names


class _Source(NamedTuple):
    state: State | None  # from before it was read: what is written to it meanwhile changes it once more
    digest: bytes
    imports: frozenset[str]


class _Folder(NamedTuple):
    state: State | None  # from before it was listed
    names: frozenset[str]


@cache
def _read(path: Path) -> _Source:
    before = state(str(path))
    content = path.read_bytes()
    return _Source(before, hashlib.blake2b(content, digest_size=16).digest(), frozenset(imported_names(content.decode())))


@cache
def _listed(folder: str) -> _Folder:
    """What lies in a folder: one question for all the names that are looked for there."""
    before = state(folder)
    try:
        return _Folder(before, frozenset(os.listdir(folder)))  # noqa: PTH208  # pathlib takes longer than the system
    except OSError:
        return _Folder(before, frozenset())


@cache
def _source(root: Path, module: str) -> Path | None:
    folder, _, name = f"{root}/{module.replace('.', '/')}".rpartition("/")
    if f"{name}.py" in _listed(folder).names:
        return Path(folder, f"{name}.py")
    if name in _listed(folder).names and "__init__.py" in _listed(f"{folder}/{name}").names:
        return Path(folder, name, "__init__.py")
    return None


def sources(module: str, root: Path) -> list[Path]:
    """The source files below ``root`` that ``module`` consists of: its own and those that it imports of its top-level package and ours."""
    packages = {module.partition(".")[0], "netwatch"}
    found: dict[str, Path | None] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or name.partition(".")[0] not in packages:
            continue
        found[name] = path = _source(root, name)
        if path is not None:
            waiting += _read(path).imports
    return sorted(path for path in found.values() if path is not None)


def _digest(module: str, root: Path) -> tuple[str, dict[str, State | None]]:
    """The digest, and the states of all that was read for it: sources, and the folders, where another source may appear."""
    digest = hashlib.blake2b(digest_size=8)
    states: dict[str, State | None] = {}
    for path in [*sources(module, root), *sorted(Path(__file__).parent.glob("*.py"))]:
        source, folder = _read(path), str(path.parent)
        digest.update(path.name.encode() + b"\0" + source.digest)
        states |= {str(path): source.state, folder: _listed(folder).state}
    return digest.hexdigest(), states


def _candidate_roots() -> Iterator[Path]:
    if chosen := os.environ.get("NETWATCH_CACHE_DIR"):
        yield Path(chosen)
    if systemd := os.environ.get("CACHE_DIRECTORY"):
        yield Path(systemd.split(":")[0])
    if cache_home := os.environ.get("XDG_CACHE_HOME"):
        yield Path(cache_home) / "netwatch"
    home = os.environ.get("HOME")
    if home and Path(home).is_dir():
        yield Path(home) / ".cache" / "netwatch"
    import tempfile  # seldom needed, and not quickly imported

    # Machine code loaded from a folder that another user could have made would run that user's code: the folder must be ours.
    yield Path(tempfile.gettempdir()) / f"netwatch-{os.getuid()}"


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & 0o022 and os.access(folder, os.W_OK)


def _prune(root: Path, current: Path) -> None:
    """Keep the newest caches; another process may be removing the same ones, so a missing folder is no error."""
    others = [entry for entry in root.iterdir() if entry.is_dir() and entry != current]
    for entry in _all_but_newest(others):
        shutil.rmtree(entry, ignore_errors=True)
    for file in _all_but_newest(root.glob("*.sources")):
        file.unlink(missing_ok=True)


def _all_but_newest(entries: Iterable[Path]) -> Sequence[Path]:
    return sorted(entries, key=lambda path: path.stat().st_mtime)[: -(KEPT_CACHES - 1)]


@cache
def cache_folder(module: str) -> Path | None:
    """The folder of a module's kernels, made if need be; ``None`` where nothing can be written or the module is no file of its name."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None:
        return None
    path, parts = Path(file).resolve(), module.split(".")
    if list(path.with_suffix("").parts[-len(parts) :]) != parts:
        return None
    name = f"{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}.sources"  # each checkout remembers its own
    for root in _candidate_roots():
        kept = root / "kernels" / module.removeprefix("netwatch.")
        if (known := recall(kept / name)) is not None and _usable(kept / known):
            return kept / known
        digest, states = _digest(module, path.parents[len(parts) - 1])
        folder = kept / digest
        if _usable(folder):
            remember(kept / name, digest, states)
            _prune(kept, folder)
            return folder
    return None
