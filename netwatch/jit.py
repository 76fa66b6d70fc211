"""The one place that imports numba: the ``njit`` of all kernels, and where their machine code is cached.

A kernel compiled afresh costs seconds, from the cache milliseconds. numba's own cache does not notice a change in a helper that lives in
another file, and fails at import where neither the package nor HOME can be written. So the cache has a folder named after a digest of all
kernel sources: any change starts a new one, the oldest are removed, and where no folder can be written the kernels are compiled in memory.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

KEPT_CACHES = 4
PACKAGE = Path(__file__).resolve().parent
KERNEL_PACKAGES = ("model", "collect", "decode", "track", "measure")

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _sources_digest() -> str:
    digest = hashlib.blake2b(digest_size=8)
    for name in KERNEL_PACKAGES:
        for source in sorted((PACKAGE / name).glob("*.py")):
            digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()


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
    for entry in sorted(others, key=lambda path: path.stat().st_mtime)[: -(KEPT_CACHES - 1)]:
        shutil.rmtree(entry, ignore_errors=True)


def cache_folder() -> Path | None:
    """The folder that holds this version's machine code, made if need be; ``None`` where nothing can be written."""
    digest = _sources_digest()
    for root in _candidate_roots():
        folder = root / "kernels" / digest
        if _usable(folder):
            _prune(root / "kernels", folder)
            return folder
    return None


_folder = cache_folder()
if _folder is not None:
    os.environ["NUMBA_CACHE_DIR"] = str(_folder)

import numba  # noqa: E402  (the cache folder must be chosen before numba reads the environment)


def njit(kernel: Kernel) -> Kernel:
    """Compile a kernel that releases the interpreter lock, cached on disk where a folder can be written."""
    compiled: Kernel = numba.njit(cache=_folder is not None, nogil=True)(kernel)
    return compiled


def inlined(helper: Kernel) -> Kernel:
    """Compile a helper that is always inlined into its callers, so that it costs no call on the hot path. It must not allocate.

    Without numba's runtime (``_nrt``) the arrays that pass through are not reference-counted at each helper, which is what a kernel of many
    helpers otherwise spends most of its time on: the decoder took 106 ns a packet with it, 31 ns without.
    """
    compiled: Kernel = numba.njit(inline="never", forceinline=True, nogil=True, no_cfunc_wrapper=True, _nrt=False)(helper)
    return compiled
