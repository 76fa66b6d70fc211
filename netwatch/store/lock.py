"""One netwatch for each firewall: two would undo each other's changes, and both would write the journal.

The lock is the kernel's (``flock``), so it is gone with the process that held it, however it ended; a lock file that lies about means
nothing. What is written into it is only for the sentence that the second one gets to read.
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote

from netwatch.errors import StoreError


class Lock:
    """Held from ``acquire`` until ``release``, or until the process ends."""

    def __init__(self, state_dir: Path, firewall: str) -> None:
        self.path = state_dir / f"{quote(firewall, safe=' ')}.lock"
        self._firewall = firewall
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            StoreError: another netwatch has it, or the folder cannot be used.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(f"{self.path}: the lock of firewall {self._firewall} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise StoreError(f"{self.path}: the lock of firewall {self._firewall} cannot be taken: {error.strerror}") from error
            raise StoreError(
                f"another netwatch (process {holder}) already watches firewall {self._firewall} with state_dir {self.path.parent}: "
                "stop it, or give this one another firewall.name or state_dir"
            ) from error
        self._descriptor = descriptor
        with suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
