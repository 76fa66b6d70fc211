"""A file of blocks: written once from the front, read from the front, deleted whole.

When the disk of netwatch itself is full, a segment lives in memory until there is room again: metrics are wanted most when something is
wrong.
"""

import os
from pathlib import Path
from typing import NamedTuple, Self

from netwatch.export.influx.block import HEADER, Block, block_of, read_head


class Piece(NamedTuple):
    """A block that was read, and where the next one begins. None: it was damaged."""

    block: Block | None
    lines: int
    end: int


class Segment:
    """One file, or its stand-in in memory."""

    def __init__(self, path: Path, *, in_memory: bool = False) -> None:
        self.path = path
        self.in_memory = in_memory
        self.bytes = 0
        self.lines = 0
        self.acknowledged_lines = 0  # of these, the server said that it has them
        self.acknowledged_s: float | None = None  # when it said so of the last
        self._memory = bytearray()
        self._file: int | None = None
        self._synced_bytes = 0

    @classmethod
    def create(cls, path: Path, *, in_memory: bool = False) -> Self:
        """A new, empty segment.

        Raises:
            OSError: the file cannot be made.
        """
        segment = cls(path, in_memory=in_memory)
        if not in_memory:
            segment._make_file()
        return segment

    def _make_file(self) -> None:
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)  # or a power loss takes the name away and leaves the bytes
        finally:
            os.close(folder)

    def move_to_disk(self) -> None:
        """Put on disk what is in memory.

        Raises:
            OSError: there is no room yet; it stays in memory, and nothing of it is on disk.
        """
        try:
            self._make_file()
            self._write(self._memory)
            self.sync()
        except OSError:
            self.finish()
            self.path.unlink(missing_ok=True)
            raise
        self.in_memory = False
        self._memory = bytearray()

    @classmethod
    def found(cls, path: Path) -> Self:
        """A segment of a netwatch that is gone: its whole blocks count, what comes after them was cut by the crash.

        Raises:
            OSError: the file cannot be read.
        """
        segment = cls(path)
        size = path.stat().st_size
        with path.open("rb") as file:
            while (head := read_head(file.read(HEADER.size))) is not None:
                end = segment.bytes + HEADER.size + head.payload_bytes
                if end > size:
                    break
                segment.bytes, segment.lines = end, segment.lines + head.lines
                file.seek(end)
        return segment

    def append(self, packed: bytes, lines: int) -> None:
        """Write a block.

        Raises:
            OSError: it was not written; the segment is as before and takes no more.
        """
        if self.in_memory:
            self._memory += packed
        else:
            try:
                self._write(packed)
            except OSError:
                assert self._file is not None
                os.ftruncate(self._file, self.bytes)
                self.finish()
                raise
        self.bytes += len(packed)
        self.lines += lines

    def _write(self, packed: bytes | bytearray) -> None:
        assert self._file is not None, "a finished segment was written to"
        rest = memoryview(packed)
        while rest:
            rest = rest[os.write(self._file, rest) :]

    def sync(self) -> None:
        """Have what was written survive a power loss. May take as long as the disk likes, while another thread reads.

        Raises:
            OSError: the disk failed.
        """
        if self._file is not None and self._synced_bytes < self.bytes:
            written = self.bytes
            os.fsync(self._file)
            self._synced_bytes = written

    def finish(self) -> None:
        """Nothing more will be appended."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def read(self, offset: int) -> Piece | None:
        """The block that begins at an offset; None at the end.

        Raises:
            OSError: the file is gone, or the disk failed.
        """
        if offset >= self.bytes:
            return None
        if self.in_memory:
            raw = bytes(self._memory[offset:])
            return self._piece(offset, raw[: HEADER.size], raw[HEADER.size :])
        with self.path.open("rb") as file:
            file.seek(offset)
            raw = file.read(HEADER.size)
            head = read_head(raw)
            return self._piece(offset, raw, file.read(head.payload_bytes) if head else b"")

    def _piece(self, offset: int, raw_head: bytes, payload: bytes) -> Piece:
        head = read_head(raw_head)
        if head is None:  # from here on nothing can be found again
            return Piece(None, 0, self.bytes)
        block = block_of(head, payload[: head.payload_bytes])
        return Piece(block, head.lines, offset + HEADER.size + head.payload_bytes)

    def delete(self) -> None:
        """Forget it.

        Raises:
            OSError: the file cannot be removed.
        """
        self.finish()
        self._memory.clear()
        if not self.in_memory:
            self.path.unlink(missing_ok=True)
