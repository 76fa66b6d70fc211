"""One JSON object a line, to a file or standard output.

A rotated file is noticed by itself: before each line the path is looked at, and if it is another file by now (moved away, deleted) it is
opened anew. So neither a signal nor ``copytruncate`` is needed, and a signal that a rotation sends does no harm.
"""

import os
import sys
from pathlib import Path

from netwatch.export.alerts.channel import Undelivered
from netwatch.export.alerts.record import encoded, record_of, test_record
from netwatch.export.alerts.settings import JsonLinesSettings
from netwatch.export.alerts.thread import in_thread
from netwatch.export.sink import SinkContext
from netwatch.model.event import Event

STANDARD_OUTPUT = "-"
TIMEOUT_S = 10.0
"""A disk, or the reader of a pipe, that takes longer is stuck."""


class JsonLines:
    def __init__(self, settings: JsonLinesSettings, name: str, context: SinkContext) -> None:
        self.name = name
        self._path = None if settings.path == STANDARD_OUTPUT else Path(settings.path)
        self._context = context
        self._descriptor: int | None = None

    async def deliver(self, item: Event) -> None:
        await self._write(encoded(record_of(item, self._context)) + b"\n")

    async def send_test(self, now_s: float) -> None:
        await self._write(encoded(test_record(self._context, now_s)) + b"\n")

    async def close(self) -> None:
        self._let_go()

    async def _write(self, line: bytes) -> None:
        where = str(self._path) if self._path is not None else "standard output"
        try:
            await in_thread(lambda: self._append(line), timeout_s=TIMEOUT_S, name=self.name)
        except TimeoutError as error:
            raise Undelivered("stuck", f"{where} takes nothing any more", again=False) from error
        except BrokenPipeError as error:
            raise Undelivered("broken pipe", f"nobody reads {where} any more", again=False) from error
        except OSError as error:
            raise Undelivered("write error", f"{where} cannot be written: {error.strerror}", again=True) from error

    def _append(self, line: bytes) -> None:
        if self._path is None:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
            return
        descriptor = self._current(self._path)
        written = os.write(descriptor, line)
        if written < len(line):  # the disk is full: what got there is no line
            os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
            raise OSError(28, "No space left on device")

    def _current(self, path: Path) -> int:
        """The file that the path names now."""
        if self._descriptor is not None and not _is_same(self._descriptor, path):
            self._let_go()
        if self._descriptor is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        return self._descriptor

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_same(descriptor: int, path: Path) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
