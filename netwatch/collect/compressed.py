"""Captures compressed with gzip, xz or zstd, decompressed as they are read, in bounded steps.

A few bytes can stand for gigabytes, so no step asks for more than ``STEP_BYTES`` and the windows of the formats are limited. Files made
by appending (``cat a.gz b.gz``, rotated logs) hold several members, streams or frames; all are read. The input may stop anywhere: what
could be decompressed is handed out first, then the end is told as damage.
"""

import lzma
import zlib
from abc import abstractmethod
from typing import IO, cast

from netwatch.collect.recognise import GZIP, Format
from netwatch.collect.stream import DamagedStream, Stream
from netwatch.collect.zstd_frames import FrameTracker

INPUT_BYTES = 16_384
STEP_BYTES = 65_536
WINDOW_LIMIT_BYTES = 128 * 1024 * 1024
"""Largest window of zstd and memory of xz that is accepted: zstd's own default limit; ``xz -9`` needs 65 MiB."""

ZSTD_BLOCK_BYTES = 131_072
"""No block of zstd is longer once decompressed (RFC 8878 section 3.1.1.2.4)."""

GZIP_WBITS = 31
"""zlib: a 32 KiB window within a gzip header and trailer (zlib.h, inflateInit2)."""

CUT = "cut_file"
BAD_DATA = "bad_compressed_data"
TRAILING_GARBAGE = "trailing_garbage"


class _Input:
    """What a decompressor is fed with, piece by piece. Damage in it is an end like any other until all before it was decompressed."""

    def __init__(self, source: Stream) -> None:
        self._source = source
        self._space = memoryview(bytearray(INPUT_BYTES))
        self.held = b""
        self.damage: DamagedStream | None = None

    def refill(self) -> bool:
        """Replace what is held, which was used up; false at the end."""
        try:
            got = self._source.read_some(self._space)
        except DamagedStream as damage:
            self.damage = damage
            got = 0
        self.held = bytes(self._space[:got])
        return got > 0


class CompressedStream(Stream):
    """A decompressor in front of another stream."""

    def __init__(self, source: Stream) -> None:
        super().__init__()
        self._input = _Input(source)

    def _ends_within(self) -> DamagedStream:
        return self._input.damage or DamagedStream(CUT)

    def _begins_another(self, beginning: bytes) -> bool:
        """After the end of a member: is there one more? Zero bytes are padding; anything else is counted and left."""
        while True:
            self._input.held = self._input.held.lstrip(b"\0")
            if self._input.held:
                if self._input.held.startswith(beginning):
                    return True
                raise DamagedStream(TRAILING_GARBAGE)
            if not self._input.refill():
                if self._input.damage is not None:
                    raise self._input.damage
                return False

    def _read_some(self, view: memoryview) -> int:
        output = self._decompress(min(len(view), STEP_BYTES))
        view[: len(output)] = output
        return len(output)

    @abstractmethod
    def _decompress(self, limit: int) -> bytes:
        """At least one and at most ``limit`` bytes; none at the end."""


class GzipStream(CompressedStream):
    def __init__(self, source: Stream) -> None:
        super().__init__(source)
        self._member = zlib.decompressobj(GZIP_WBITS)

    def _decompress(self, limit: int) -> bytes:
        while True:
            if self._member.eof:
                if not self._begins_another(GZIP[:1]):
                    return b""
                self._member = zlib.decompressobj(GZIP_WBITS)
            at_end = not self._input.held and not self._input.refill()
            output = self._inflate(limit)
            if output:
                return output
            if at_end and not self._member.eof:
                raise self._ends_within()

    def _inflate(self, limit: int) -> bytes:
        """One step. zlib drops a step's output when it then finds an error, so a failed step is taken again with less and less input."""
        before = self._member.copy()
        size = len(self._input.held)
        while True:
            try:
                output = self._member.decompress(self._input.held[:size], limit)
            except zlib.error as error:
                size //= 2
                if not size:
                    raise DamagedStream(BAD_DATA) from error
                self._member = before.copy()
            else:
                left = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
                self._input.held = left + self._input.held[size:]
                return output


class XzStream(CompressedStream):
    def __init__(self, source: Stream) -> None:
        super().__init__(source)
        self._member = self._new_member()

    @staticmethod
    def _new_member() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=WINDOW_LIMIT_BYTES)

    def _decompress(self, limit: int) -> bytes:
        while True:
            if self._member.eof:
                self._input.held = self._member.unused_data or self._input.held
                if not self._begins_another(b"\xfd"):
                    return b""
                self._member = self._new_member()
            at_end = self._member.needs_input and not self._input.held and not self._input.refill()
            try:
                output = self._member.decompress(self._input.held, limit)
            except (lzma.LZMAError, EOFError) as error:
                raise DamagedStream(BAD_DATA) from error
            self._input.held = b""
            if output:
                return output
            if at_end and not self._member.eof:
                raise self._ends_within()


class _ZstdBlocks:
    """What the zstd library reads from: one block at a time, since it drops a step's output when there is an error behind it.

    It is an object of its own because the library's reader cannot be collected if it is part of a circle of references.
    """

    def __init__(self, feed: _Input) -> None:
        self._input = feed
        self.tracker = FrameTracker()

    def read(self, _size: int) -> bytes:
        if self.tracker.is_garbage or (not self._input.held and not self._input.refill()):
            return b""
        taken = self.tracker.accept(self._input.held)
        piece, self._input.held = self._input.held[:taken], self._input.held[taken:]
        return piece


class ZstdStream(CompressedStream):
    """The library does not tell a cut stream from a whole one, so the frames are followed on their way into it."""

    def __init__(self, source: Stream) -> None:
        import zstandard  # most captures are not zstd; a plain start should not pay for it

        super().__init__(source)
        self._errors = zstandard.ZstdError
        blocks = _ZstdBlocks(self._input)
        self._tracker = blocks.tracker
        self._output = b""
        decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT_BYTES)
        reads_from = cast(IO[bytes], blocks)
        self._reader = decompressor.stream_reader(reads_from, read_size=INPUT_BYTES, read_across_frames=True, closefd=False)

    def _decompress(self, limit: int) -> bytes:
        if not self._output:
            try:
                self._output = self._reader.read1(ZSTD_BLOCK_BYTES)
            except self._errors as error:
                raise DamagedStream(BAD_DATA) from error
        if not self._output:
            if self._tracker.is_garbage:
                raise DamagedStream(TRAILING_GARBAGE)
            if self._input.damage is not None or not self._tracker.between_frames:
                raise self._ends_within()
        output, self._output = self._output[:limit], self._output[limit:]
        return output


def decompressed(source: Stream, form: Format) -> Stream:
    """The stream that a compressed one holds."""
    match form:
        case Format.GZIP:
            return GzipStream(source)
        case Format.XZ:
            return XzStream(source)
        case Format.ZSTD:
            return ZstdStream(source)
        case _:
            raise AssertionError(f"{form} is not compressed")
