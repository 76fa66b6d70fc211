"""What a sink must not forget over a restart: open pages, so that nobody is paged twice, and messages that did not get through yet.

One small file a sink, written beside the old one and put in its place: a crash leaves the one or the other. A file that cannot be read is
put aside and said: a page too many is better than a netwatch that does not start.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from netwatch.export.alerts.desk import DeskState
from netwatch.export.alerts.page import Notice


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    desk: DeskState = DeskState()
    waiting: dict[str, tuple[Notice, ...]] = {}  # by channel


class Memory:
    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / "alerts" / f"{name}.json"
        self.problem = ""
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """There is something to write."""
        self._changed.set()

    async def keep(self, now: Callable[[], Remembered]) -> None:
        """Write down what there is after each change, in a thread, until cancelled. Then what is being written is finished first: a thread
        cannot be cancelled, and would put what was before in the place of what its owner writes at the end."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            writing = asyncio.create_task(asyncio.to_thread(self.save, now()))
            try:
                await asyncio.shield(writing)
            except asyncio.CancelledError:
                await writing
                raise

    def load(self) -> Remembered:
        """What was written last; nothing if there is none."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Remembered)
        except FileNotFoundError:
            return Remembered()
        except (OSError, msgspec.DecodeError) as error:
            aside = self._path.with_suffix(".unreadable")
            self.problem = f"{self._path}: cannot be read and is put aside as {aside.name}: {error}"
            with contextlib.suppress(OSError):
                self._path.replace(aside)
            return Remembered()

    def save(self, remembered: Remembered) -> None:
        """Write it to disk; a disk that is full or gone is said in ``problem`` and does not stop anything."""
        beside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(msgspec.json.encode(remembered))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._path)
        except OSError as error:
            self.problem = f"{self._path}: open pages cannot be written down: {error.strerror}"
        else:
            self.problem = ""
