"""Bytes in order, from a file, a pipe or a decompressor: what was already looked at comes again, and damage comes last.

A capture that is cut or damaged still holds its first packets. So a stream hands out all it has before it says what is wrong with it.
"""

import errno
import os
import resource
import select
import stat
import sys
from abc import ABC, abstractmethod
from io import FileIO
from pathlib import Path

from netwatch.errors import CaptureError

STANDARD_INPUT = "-"


class DamagedStream(Exception):  # noqa: N818  (an event of the stream; it never reaches a user as an exception)
    """Nothing more can be read; ``reason`` is the name under which it is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stream(ABC):
    """A source of bytes that can be looked at before it is read."""

    def __init__(self) -> None:
        self._ahead = b""
        self._damage: DamagedStream | None = None

    @abstractmethod
    def _read_some(self, view: memoryview) -> int:
        """Fill the beginning of ``view``; 0 at the end. Raises ``DamagedStream`` after the last good byte was handed out."""

    @property
    def damage(self) -> str | None:
        """What ended the stream, as far as looking ahead has shown it."""
        return None if self._damage is None else self._damage.reason

    def peek(self, count: int) -> bytes:
        """The next ``count`` bytes, or as many as there are, without taking them."""
        space = memoryview(bytearray(count))
        while len(self._ahead) < count and self._damage is None:
            try:
                got = self._read_some(space[: count - len(self._ahead)])
            except DamagedStream as damage:
                self._damage = damage
                break
            if not got:
                break
            self._ahead += bytes(space[:got])
        return self._ahead[:count]

    def read_some(self, view: memoryview) -> int:
        """Fill the beginning of ``view`` with what is at hand; 0 at the end."""
        if self._ahead:
            got = min(len(view), len(self._ahead))
            view[:got] = self._ahead[:got]
            self._ahead = self._ahead[got:]
            return got
        if self._damage is not None:
            raise self._damage
        return self._read_some(view)


class FileStream(Stream):
    """A regular file, a named pipe or standard input. ``position`` and ``size`` tell how far the reading is."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.position = 0
        self._file = _open(path)
        status = os.fstat(self._file.fileno())
        self.size = status.st_size if stat.S_ISREG(status.st_mode) else None

    def _read_some(self, view: memoryview) -> int:
        try:
            while (got := self._file.readinto(view)) is None:
                select.select([self._file], [], [])  # another program made the pipe non-blocking: wait for it
        except OSError as error:
            raise DamagedStream("read_error") from error
        self.position += got
        return got

    def close(self) -> None:
        self._file.close()

    def __del__(self) -> None:
        """A capture that was opened and then not read is no mistake to warn of."""
        if file := getattr(self, "_file", None):
            file.close()


def _open(path: str) -> FileIO:
    """Open for reading, with a sentence for each reason why that fails."""
    if path == STANDARD_INPUT:
        if sys.stdin is not None and sys.stdin.isatty():
            raise CaptureError("-: standard input is a terminal; pipe a capture into it")
        try:
            return FileIO(0, closefd=False)
        except OSError as error:
            raise CaptureError("-: standard input is closed; pipe a capture into it") from error
    try:
        if Path(path).is_dir():
            raise CaptureError(f"{path}: is a directory, not a capture; name the files in it")
        return FileIO(path)
    except FileNotFoundError as error:
        raise CaptureError(f"{path}: no such file") from error
    except PermissionError as error:
        raise CaptureError(f"{path}: no permission to read it; run as a user who may, or change its mode") from error
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == errno.EMFILE:
            raise CaptureError(f"{path}: {_too_many()}") from error
        raise CaptureError(f"{path}: cannot be opened: {getattr(error, 'strerror', None) or error}") from error


def _too_many() -> str:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"cannot be opened beside the others: so many captures overlap in time, and only {allowed:,} files may be open at once; "
        "raise that with `ulimit -n`, or merge captures first"
    )
