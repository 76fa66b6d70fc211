"""Lines on disk between netwatch and the server, in order, bounded.

Everything goes through it, also when all is well: only what is on disk survives a crash of netwatch, and only what is kept survives a crash
of the server. VictoriaMetrics, killed, loses what it acknowledged in the last seconds; so a segment stays until ``settle_s`` after the
acknowledgement of its last line, and ``rewind`` makes all that is kept be sent again. That is harmless: a point that is written twice is
one point. The same happens after a restart of netwatch, which does not remember what was acknowledged.

One thread appends, another reads; ``report`` may be read by any.
"""

import contextlib
import fcntl
import os
import threading
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from netwatch.errors import SinkError
from netwatch.export.influx.block import Block, framed
from netwatch.export.influx.segment import Segment

SEGMENT_BYTES = 4 << 20
SEGMENT_S = 5.0
"""A segment that was wholly sent gets no more lines after this, so that it can be deleted soon."""

MEMORY_BYTES = 16 << 20
"""Of segments in memory, while the disk takes nothing."""

MEMORY_SEGMENT_BYTES = 1 << 20
DISK_AGAIN_S = 1.0
"""How soon a disk that took nothing is tried again, with all that is in memory: there a crash of netwatch would take it."""

SUFFIX = ".lines"


class Batch(NamedTuple):
    """Lines to send, and the place in the spool after them."""

    block: Block
    segment: Segment
    end: int


class Spool:
    """The segments of one sink, in a folder that belongs to it alone."""

    def __init__(self, folder: Path, *, limit_bytes: int, settle_s: float) -> None:
        self.folder = folder
        self.dropped: Counter[str] = Counter()  # lines, by reason: spool_full, damaged
        self.problem = ""  # of the disk
        self._limit_bytes = limit_bytes
        self._settle_s = settle_s
        self._lock = threading.Lock()
        self._segments: list[Segment] = []  # oldest first; the last is appended to
        self._begun_s = 0.0  # of the last
        self._refused_s = 0.0  # when the disk last took nothing
        self._finished = True  # the last takes no more; what an earlier netwatch left never does
        self._reading = 0  # place of the segment that is read
        self._offset = 0  # within it, and the lines before it
        self._passed_lines = 0
        self._next_number = 0
        self._held: int | None = None

    def open(self) -> None:
        """Take the folder, with what an earlier netwatch left in it.

        Raises:
            SinkError: it cannot be made or read, or another netwatch uses it.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._segments = [Segment.found(path) for path in sorted(self.folder.glob(f"*{SUFFIX}"))]
        except BlockingIOError as error:
            self.close()
            raise SinkError(f"{self.folder}: another netwatch uses this spool; give each its own state_dir") from error
        except OSError as error:
            self.close()
            raise SinkError(f"{self.folder}: the spool cannot be opened: {error.strerror}; check state_dir") from error
        numbers = [int(segment.path.stem) for segment in self._segments if segment.path.stem.isdigit()]
        self._next_number = max(numbers, default=-1) + 1

    def close(self) -> None:
        """Give the folder back; nothing more is read or written."""
        with self._lock:
            self._move_to_disk()
            for segment in self._segments:
                segment.finish()
            self._segments = []
            if self._held is not None:
                os.close(self._held)
                self._held = None

    def append(self, block: Block, now_s: float) -> None:
        """Keep a block. What then is too much is dropped from the old end and counted; a disk that takes nothing is told in ``problem``."""
        packed = framed(block)
        with self._lock:
            if self._held is None:
                return
            if self._segments and self._segments[-1].in_memory and now_s - self._refused_s >= DISK_AGAIN_S:
                self._move_to_disk(now_s)
            if not self._segments or self._is_done():
                self._begin(now_s)
            try:
                self._segments[-1].append(packed, block.lines)
                if not self._segments[-1].in_memory:
                    self.problem = ""
            except OSError as error:
                self._disk_refused(error, now_s)
                self._begin(now_s, in_memory=True)
                self._segments[-1].append(packed, block.lines)
            self._trim()

    def sync(self) -> None:
        """Have everything survive a power loss. The thread that appends calls it, so that the newest segment stays what it is; the one
        that reads need not wait for the disk."""
        newest = self._segments[-1] if self._segments else None
        if newest is not None:
            try:
                newest.sync()
            except OSError as error:
                self._disk_refused(error, self._refused_s)

    @property
    def unsent_lines(self) -> int:
        """Lines that wait to be sent, or to be sent again."""
        return max(0, sum(segment.lines for segment in self._segments[self._reading :]) - self._passed_lines)

    def read(self, most_lines: int) -> Batch | None:
        """The next lines to send, about as many as asked for; None if there are none. They are the next until they are acknowledged."""
        with self._lock:
            while self._reading < len(self._segments):
                segment = self._segments[self._reading]
                try:
                    if (batch := self._read_segment(segment, most_lines)) is not None:
                        return batch
                except OSError as error:  # somebody removed the file, or the disk failed
                    self.problem = f"{segment.path}: cannot be read: {error.strerror}"
                    self.dropped["unreadable"] += max(0, segment.lines - self._passed_lines)
                    segment.acknowledged_lines = segment.lines
                    self._offset, self._passed_lines = segment.bytes, segment.lines
                if self._reading == len(self._segments) - 1:
                    return None
                self._reading, self._offset, self._passed_lines = self._reading + 1, 0, 0
            return None

    def acknowledge(self, batch: Batch, now_s: float) -> None:
        """The server has it; what comes after it is the next."""
        with self._lock:
            if self._reading < len(self._segments) and self._segments[self._reading] is batch.segment:
                self._offset, self._passed_lines = batch.end, self._passed_lines + batch.block.lines
                batch.segment.acknowledged_lines = max(batch.segment.acknowledged_lines, self._passed_lines)
                batch.segment.acknowledged_s = now_s

    def settle(self, now_s: float) -> None:
        """Delete what the server has had for long enough."""
        with self._lock:
            if self._caught_up and self._segments and now_s - self._begun_s >= SEGMENT_S:
                self._reading, self._offset, self._passed_lines = len(self._segments), 0, 0
                self._finished = True
            while self._reading > 0:
                oldest = self._segments[0]
                if oldest.acknowledged_s is not None and now_s - oldest.acknowledged_s < self._settle_s:
                    break
                self._delete_oldest()

    def rewind(self) -> None:
        """The server may have forgotten what it acknowledged: everything that is kept is to be sent again."""
        with self._lock:
            self._reading = self._offset = self._passed_lines = 0

    def _read_segment(self, segment: Segment, most_lines: int) -> Batch | None:
        blocks: list[Block] = []
        lines, end = 0, self._offset
        while lines < most_lines and (piece := segment.read(end)) is not None:
            if piece.block is None:
                if blocks:
                    break
                self.dropped["damaged"] += piece.lines
                end = self._offset = piece.end
                self._passed_lines += piece.lines
                continue
            if blocks and lines + piece.lines > most_lines:
                break
            blocks.append(piece.block)
            lines, end = lines + piece.lines, piece.end
        if not blocks:
            return None
        block = blocks[0] if len(blocks) == 1 else Block.of(b"".join(one.text for one in blocks), lines)
        return Batch(block, segment, end)

    @property
    def _caught_up(self) -> bool:
        return self._reading == len(self._segments) - 1 and self._offset >= self._segments[-1].bytes

    def _is_done(self) -> bool:
        """No more blocks go into the newest segment."""
        newest = self._segments[-1]
        limit = MEMORY_SEGMENT_BYTES if newest.in_memory else min(SEGMENT_BYTES, self._limit_bytes // 8)
        return self._finished or newest.bytes >= limit

    def _begin(self, now_s: float, *, in_memory: bool = False) -> None:
        if self._segments:
            with contextlib.suppress(OSError):  # the lines are in the page cache; only a power loss could take them now
                self._segments[-1].sync()
            self._segments[-1].finish()
        path = self.folder / f"{self._next_number:016d}{SUFFIX}"
        self._next_number += 1
        try:
            segment = Segment.create(path, in_memory=in_memory)
        except OSError as error:
            self._disk_refused(error, now_s)
            segment = Segment.create(path, in_memory=True)
        self._segments.append(segment)
        self._begun_s, self._finished = now_s, False

    def _move_to_disk(self, now_s: float = 0.0) -> None:
        """What is in memory, oldest first, as far as the disk takes it."""
        for segment in self._segments:
            if segment.in_memory:
                try:
                    segment.move_to_disk()
                except OSError as error:
                    self._disk_refused(error, now_s)
                    return
                if segment is not self._segments[-1]:
                    segment.finish()

    def _disk_refused(self, error: OSError, now_s: float) -> None:
        self._refused_s = now_s
        self.problem = (
            f"{self.folder}: cannot be written: {error.strerror}; lines are kept in memory, at most {MEMORY_BYTES >> 20} MiB of them"
        )

    def _trim(self) -> None:
        """Drop the oldest until the rest is within its bounds; never the segment that is appended to."""
        while len(self._segments) > 1 and (
            sum(segment.bytes for segment in self._segments) > self._limit_bytes
            or sum(segment.bytes for segment in self._segments if segment.in_memory) > MEMORY_BYTES
        ):
            oldest = self._segments[0]
            if lost := oldest.lines - oldest.acknowledged_lines:
                self.dropped["spool_full"] += lost
            self._delete_oldest()

    def _delete_oldest(self) -> None:
        oldest = self._segments.pop(0)
        if self._reading > 0:
            self._reading -= 1
        else:
            self._offset = self._passed_lines = 0
        try:
            oldest.delete()
        except OSError as error:
            self.problem = f"{oldest.path}: cannot be removed: {error.strerror}"
