"""What is fuzzed: a capture is read and decoded, and everything that must hold of the rows is checked."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from netwatch.collect import open_capture
from netwatch.collect.recognise import Format, recognise
from netwatch.decode import Decoder
from netwatch.errors import CaptureError
from netwatch.model.packet import DecodeStatus, FrameBlock, PacketBlock
from tests.collect.reading import frames_of
from tests.collect.twin import Twin

TWIN_LIMIT_BYTES = 30_000
"""Longer inputs are not given to the slow reader."""

CHUNKS_BYTES = (700, 5000, 2 << 20)
TINY_CHUNK_BYTES = 64
"""Of short inputs, so that most records lie across blocks."""


class Outcome(NamedTuple):
    refused: bool
    packets: int


def check_rows(block: FrameBlock, decoded: PacketBlock) -> None:
    """One packet row a frame, with its time and lengths, a known status, and quoted headers that exist."""
    frames, packets = block.frames, decoded.packets
    assert len(packets) == len(frames)
    for column in ("ts_ns", "captured_len", "wire_len", "interface"):
        assert np.array_equal(packets[column], frames[column]), column
    assert packets["status"].max(initial=0) <= max(DecodeStatus)
    assert packets["quoted"].min(initial=-1) >= -1
    quoted = packets["quoted"][packets["quoted"] >= 0]
    assert np.array_equal(quoted, np.arange(len(decoded.quoted)))
    assert packets["window_scale"].max(initial=0) <= 14


def examine(path: Path) -> Outcome:
    """Read and decode one input, whatever it is. Raises for anything but a refusal of the whole file."""
    content = path.read_bytes()
    chunk_bytes = TINY_CHUNK_BYTES if len(content) < 2000 else CHUNKS_BYTES[len(content) % len(CHUNKS_BYTES)]
    try:
        capture = open_capture(str(path), chunk_bytes=chunk_bytes)
    except CaptureError:
        return Outcome(refused=True, packets=0)
    outer, inner = Decoder(), Decoder(inner=True)
    for block in capture.blocks():
        check_rows(block, outer.decode(block))
        check_rows(block, inner.decode(block))
    assert outer.traffic.packets == inner.traffic.packets == capture.packets
    assert outer.traffic.bytes == capture.bytes
    if len(content) <= TWIN_LIMIT_BYTES and recognise(content) in (Format.PCAP, Format.PCAPNG):
        _compare_with_slow_reader(path, content, chunk_bytes)
    return Outcome(refused=False, packets=capture.packets)


def _compare_with_slow_reader(path: Path, content: bytes, chunk_bytes: int) -> None:
    capture = open_capture(str(path), chunk_bytes=chunk_bytes)
    expected = Twin(content)
    assert frames_of(capture) == expected.frames
    assert (capture.errors, capture.truncated) == (expected.errors, expected.truncated)
