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


class CompressedStream(Stream):
    """A decompressor in front of another stream."""

    def __init__(self, source: Stream) -> None:
        super().__init__()
        self._source = source
        self._space = memoryview(bytearray(INPUT_BYTES))
        self._input = b""
        self._source_damage: DamagedStream | None = None

    def _more_input(self) -> bool:
        """Take the next input; damage in front of it is an end like any other until what is at hand was decompressed."""
        try:
            got = self._source.read_some(self._space)
        except DamagedStream as damage:
            self._source_damage = damage
            got = 0
        self._input = bytes(self._space[:got])
        return got > 0

    def _ends_within(self) -> DamagedStream:
        return self._source_damage or DamagedStream(CUT)

    def _begins_another(self, beginning: bytes) -> bool:
        """After the end of a member: is there one more? Zero bytes are padding; anything else is counted and left."""
        while True:
            self._input = self._input.lstrip(b"\0")
            if self._input:
                if beginning.startswith(self._input[: len(beginning)]):
                    return True
                raise DamagedStream(TRAILING_GARBAGE)
            if not self._more_input():
                if self._source_damage is not None:
                    raise self._source_damage
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
            at_end = not self._input and not self._more_input()
            output = self._inflate(limit)
            if output:
                return output
            if at_end and not self._member.eof:
                raise self._ends_within()

    def _inflate(self, limit: int) -> bytes:
        """One step. zlib drops a step's output when it then finds an error, so a failed step is taken again with less and less input."""
        before = self._member.copy()
        size = len(self._input)
        while True:
            try:
                output = self._member.decompress(self._input[:size], limit)
            except zlib.error as error:
                size //= 2
                if not size:
                    raise DamagedStream(BAD_DATA) from error
                self._member = before.copy()
            else:
                left = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
                self._input = left + self._input[size:]
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
                self._input = self._member.unused_data or self._input
                if not self._begins_another(b"\xfd"):
                    return b""
                self._member = self._new_member()
            at_end = self._member.needs_input and not self._input and not self._more_input()
            try:
                output = self._member.decompress(self._input, limit)
            except (lzma.LZMAError, EOFError) as error:
                raise DamagedStream(BAD_DATA) from error
            self._input = b""
            if output:
                return output
            if at_end and not self._member.eof:
                raise self._ends_within()


class ZstdStream(CompressedStream):
    """The library does not tell a cut stream from a whole one, and drops a step's output with an error behind it.

    So the frames are followed on their way into it, and it gets one block at a time.
    """

    def __init__(self, source: Stream) -> None:
        import zstandard  # most captures are not zstd; a plain start should not pay for it

        super().__init__(source)
        self._errors = zstandard.ZstdError
        self._tracker = FrameTracker()
        self._output = b""
        decompressor = zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT_BYTES)
        reads_from = cast(IO[bytes], self)
        self._reader = decompressor.stream_reader(reads_from, read_size=INPUT_BYTES, read_across_frames=True, closefd=False)

    def read(self, _size: int) -> bytes:
        """What the library calls for its input."""
        if self._tracker.is_garbage or (not self._input and not self._more_input()):
            return b""
        taken = self._tracker.accept(self._input)
        piece, self._input = self._input[:taken], self._input[taken:]
        return piece

    def _decompress(self, limit: int) -> bytes:
        if not self._output:
            try:
                self._output = self._reader.read1(ZSTD_BLOCK_BYTES)
            except self._errors as error:
                raise DamagedStream(BAD_DATA) from error
        if not self._output:
            if self._tracker.is_garbage:
                raise DamagedStream(TRAILING_GARBAGE)
            if self._source_damage is not None or not self._tracker.between_frames:
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
