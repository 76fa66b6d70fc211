"""A capture file as a stream of blocks of frames, whatever its container, compression or damage.

Each block is a buffer of its own: nothing here touches it once it was handed out, as long as its reader holds any of it, so it may be
decoded in another thread. Only a record that is not whole yet is copied, to the front of the next block. Memory therefore does
not depend on the size of the file.
"""

from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np

from netwatch.collect.compressed import CUT, TRAILING_GARBAGE
from netwatch.collect.content import open_content
from netwatch.collect.pcap_header import read_pcap_header
from netwatch.collect.pcapng_blocks import check_first_section
from netwatch.collect.recognise import HEAD_BYTES, Format
from netwatch.collect.stream import STANDARD_INPUT, DamagedStream
from netwatch.collect.walk import Outcome, Walker
from netwatch.errors import CaptureError
from netwatch.model.buffers import Buffers
from netwatch.model.packet import FRAME, FrameBlock

CHUNK_BYTES = 2 << 20
"""Bytes of a block. Larger ones fall out of the caches between reading and decoding, smaller ones cost more calls per packet."""

MAX_FRAMES = 1 << 16
"""Rows of a block: 2 MiB of them, and 7 MiB of the packet rows that they become."""

MIN_RECORD_BYTES = 16
"""An empty packet in pcap, and an empty simple packet block in pcapng."""


MOST_OPEN = 16
"""Captures that are kept open beside one another: each holds some 11 MB while it is read, and one of the files that a process may open."""


def open_captures(paths: Sequence[str]) -> list["Capture"]:
    """Open captures; of many, each is checked and then rests until its time has come.

    Raises:
        CaptureError: one of them cannot be opened.
    """
    captures = []
    for path in paths:
        captures.append(open_capture(path))
        if len(paths) > MOST_OPEN:
            captures[-1].rest()
    return captures


def open_capture(path: str, *, chunk_bytes: int = CHUNK_BYTES) -> "Capture":
    """Open a capture, or standard input for ``-``; ``CaptureError`` says why it cannot be."""
    return Capture(path, chunk_bytes)


class Capture:
    """One capture. Its attributes tell what was read so far; ``blocks`` reads it, once."""

    def __init__(self, path: str, chunk_bytes: int) -> None:
        self.path = path
        self.packets = 0
        self.bytes = 0  # on the wire
        self.first_s: float | None = None  # earliest time; None while no packet has one
        self.last_s: float | None = None  # latest
        self.truncated = False  # something of it is missing: cut, damaged, or not readable further
        self.errors: dict[str, int] = {}  # by reason
        self.link_types: list[str] = []  # names, in the order in which the capture declares them
        self.begins_ns: int | None = None  # time of its first packet, known of a capture that rests
        self._resting = False
        self._chunk_bytes = chunk_bytes
        self._file, self._stream, form = open_content(path)
        try:
            self._walker = self._new_walker(form)
        except CaptureError:
            self.close()
            raise
        self._buffers, self._frames = Buffers(), Buffers()
        self._rest = np.empty(0, np.uint8)  # bytes that were read and not walked yet
        self._at = 0 if self._walker is None else self._walker.header_bytes  # where to go on in them, or behind them
        self._wants_bytes = True
        self._ended = False  # no more bytes come
        self._damage: str | None = None  # if so, because of this
        self._finished = False

    def _new_walker(self, form: Format) -> Walker | None:
        """What finds the packets; ``None`` if the file ends within its header. Kernels are imported once there is something to walk."""
        head = self._stream.peek(HEAD_BYTES)
        if form is Format.PCAPNG:
            check_first_section(self.path, head)
            from netwatch.collect.pcapng import PcapngWalker

            walker = PcapngWalker(self.link_types, self.errors)
            walker.look_ahead(head)
            return walker
        header = read_pcap_header(self.path, head)
        if header is None:
            return None
        from netwatch.collect.pcap import PcapWalker

        return PcapWalker(header, self.link_types, self.errors)

    @property
    def bytes_read(self) -> int:
        """Of the file as it lies on disk, compressed or not."""
        return 0 if self._resting else self._file.position

    @property
    def bytes_total(self) -> int | None:
        """Size of the file as it lies on disk; ``None`` for a pipe."""
        return self._file.size

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rest(self) -> None:
        """Note when it begins and close its file until ``blocks`` are asked for. What cannot be opened twice, a pipe, stays open."""
        if self._file.size is None or self.path == STANDARD_INPUT:
            return
        with Capture(self.path, HEAD_BYTES) as scout:
            block = scout._next_block()
        self.begins_ns = int(block.frames["ts_ns"][0]) if block is not None else None
        self.close()
        self._stream, self._resting = self._file, True  # a decompressor holds megabytes

    def _wake(self) -> None:
        self._resting = False
        self._file, self._stream, form = open_content(self.path)
        self.link_types.clear()
        self._walker = self._new_walker(form)

    def blocks(self) -> Iterator[FrameBlock]:
        """All whole packets in the order of the file, none of the blocks empty. The file is closed when they end or are given up."""
        try:
            if self._resting:
                self._wake()
            # A generator keeps its variables while it waits; with the block in none of them its memory is the reader's alone.
            yield from iter(self._next_block, None)
        finally:
            self.close()
            self._rest = np.empty(0, np.uint8)

    def _next_block(self) -> FrameBlock | None:
        while not self._finished:
            if self._walker is None:
                self._finish(self._stream.damage)
                break
            if self._wants_bytes:
                self._refill()
            room = min(MAX_FRAMES, max(0, len(self._rest) - self._at) // MIN_RECORD_BYTES + 1)
            frames = self._frames.rows(room, FRAME)
            rows, self._at, outcome = self._walker.walk(self._rest, self._at, frames)
            block = FrameBlock(self._rest, frames[:rows])
            self._account(self._walker, rows)
            match outcome:
                case Outcome.FULL:
                    self._wants_bytes = False
                case Outcome.STOPPED:
                    self.truncated = self._finished = True
                case _:
                    self._keep_rest()
            if rows:
                return block
        return None

    def _refill(self) -> None:
        """Put new bytes behind those that are left."""
        filled = len(self._rest)
        data = self._buffers.octets(filled + self._chunk_bytes)
        data[:filled] = self._rest
        view = data.data
        while filled < len(data) and not self._ended:
            try:
                got = self._stream.read_some(view[filled:])
            except DamagedStream as damage:
                self._damage = damage.reason
                got = 0
            self._ended = not got
            filled += got
        self._rest = data[:filled]

    def _keep_rest(self) -> None:
        """Let go of what was walked; at the end of the bytes, nothing may be left."""
        walked = self._at
        self._at = max(0, walked - len(self._rest))
        self._rest = self._rest[walked:].copy()
        self._wants_bytes = True
        if self._ended:
            self._finish(self._damage)

    def _finish(self, damage: str | None) -> None:
        """Count why the capture ends here, once, whether its stream is damaged, it ends within a record, or both."""
        self._finished = True
        cut = self._walker is None or len(self._rest) > 0 or self._at > 0
        if damage is not None or cut:
            reason = damage or CUT
            self.errors[reason] = self.errors.get(reason, 0) + 1
            self.truncated = cut or reason != TRAILING_GARBAGE

    def _account(self, walker: Walker, rows: int) -> None:
        self.packets += rows
        self.bytes = walker.wire_bytes
        if span_s := walker.span_s:
            self.first_s, self.last_s = span_s
        walker.publish_errors()
