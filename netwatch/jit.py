"""The one place that imports numba: the ``njit`` of all kernels, and where their machine code is cached.

A kernel compiled afresh costs seconds, from the cache milliseconds. numba's own cache does not notice a change in a helper that lives in
another file, and fails at import where neither the package nor HOME can be written. So the kernels of a package have a folder named after a
digest of all that they may inline: the package itself, the model and this file. Any change there starts a new folder, the oldest are
removed, and where no folder can be written the kernels are compiled in memory.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numba
import numpy as np
from numba.core import event

KEPT_CACHES = 6
PACKAGE = Path(__file__).resolve().parent

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _digest(package: str) -> str:
    """Of everything a kernel of ``package`` can inline: stages import only their own files and the model's."""
    digest = hashlib.blake2b(Path(__file__).read_bytes(), digest_size=8)
    for folder in sorted({"model", package}):
        for source in sorted((PACKAGE / folder).glob("*.py")):
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


@cache
def cache_folder(package: str) -> Path | None:
    """The folder that holds the machine code of a package's kernels, made if need be; ``None`` where nothing can be written."""
    for root in _candidate_roots():
        folder = root / "kernels" / package / _digest(package)
        if _usable(folder):
            _prune(folder.parent, folder)
            return folder
    return None


def njit(kernel: Kernel) -> Kernel:
    """Compile a kernel that releases the interpreter lock, cached on disk where a folder can be written."""
    folder = cache_folder(kernel.__module__.removeprefix("netwatch.").split(".")[0])
    numba.config.CACHE_DIR = str(folder or "")  # read by the next line, once for each kernel
    compiled: Kernel = numba.njit(cache=folder is not None, nogil=True)(kernel)
    return compiled


def inlined(helper: Kernel) -> Kernel:
    """Compile a helper that is always inlined into its callers, so that it costs no call on the hot path. It must not allocate.

    Without numba's runtime (``_nrt``) the arrays that pass through are not reference-counted at each helper, which is what a kernel of many
    helpers otherwise spends most of its time on.
    """
    compiled: Kernel = numba.njit(inline="never", forceinline=True, nogil=True, no_cfunc_wrapper=True, _nrt=False)(helper)
    return compiled


def called(helper: Kernel) -> Kernel:
    """Compile a helper that kernels call: what is rare and large need not be copied to every place. It must not allocate either."""
    compiled: Kernel = numba.njit(inline="never", nogil=True, no_cfunc_wrapper=True, _nrt=False)(helper)
    return compiled


if TYPE_CHECKING:

    def wide(value: Any) -> int:
        """Widen a number of a row to 64 bits with sign: in compiled code an unsigned one and a signed one add up to a float."""

else:
    wide = np.int64


def tell_of_compiling(tell: Callable[[], None]) -> None:
    """Call ``tell`` once, if a kernel has to be compiled because no cache holds it: the first run takes much longer than the others."""

    class Told(event.Listener):  # type: ignore[misc]  # numba has no types
        told = False

        def on_start(self, event: Any) -> None:
            if not self.told:
                self.told = True
                tell()

        def on_end(self, event: Any) -> None:
            """Nothing to say: the next kernel follows."""

    event.register("numba:compile", Told())
