"""Reads captures for the tests and brings what was read into a form that can be compared."""

from pathlib import Path

from netwatch.collect import Capture, open_capture
from netwatch.collect.capture import CHUNK_BYTES
from tests.collect.twin import TwinFrame


def frames_of(capture: Capture) -> list[TwinFrame]:
    """All frames of a capture with their bytes, each checked to lie within its block."""
    found: list[TwinFrame] = []
    for block in capture.blocks():
        assert len(block.frames), "a block without frames was handed out"
        for row in block.frames:
            start, end = int(row["offset"]), int(row["offset"]) + int(row["captured_len"])
            assert 0 <= start <= end <= len(block.data)
            assert (row["vlan"], row["direction"]) == (0, 0)
            data = block.data[start:end].tobytes()
            found.append(TwinFrame(int(row["ts_ns"]), data, int(row["wire_len"]), int(row["link_type"]), int(row["interface"])))
    assert capture.packets == len(found)
    assert capture.bytes == sum(frame.wire_len for frame in found)
    return found


def read(path: Path, *, chunk_bytes: int = CHUNK_BYTES) -> tuple[Capture, list[TwinFrame]]:
    """Read a capture to its end."""
    capture = open_capture(str(path), chunk_bytes=chunk_bytes)
    return capture, frames_of(capture)


def read_bytes(folder: Path, content: bytes, *, chunk_bytes: int = CHUNK_BYTES) -> tuple[Capture, list[TwinFrame]]:
    """Read a capture that is given as bytes."""
    path = folder / "capture"
    path.write_bytes(content)
    return read(path, chunk_bytes=chunk_bytes)
