"""More captures than a process may have open: each is opened when its time has come and closed when it is over."""

import resource
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from netwatch.collect import expand, open_captures
from netwatch.decode import Decoder
from netwatch.errors import CaptureError
from netwatch.reading import decoded

CAPTURES = 1500
FILES_ALLOWED = 200
FRAME = bytes.fromhex("020000000002 020000000001 0800 45000014 00010000 40000000 0a000001 0a000002")


def write(path: Path, *at_s: int) -> None:
    records = (struct.pack("<IIII", at, 0, len(FRAME), len(FRAME)) + FRAME for at in at_s)
    path.write_bytes(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + b"".join(records))


@contextmanager
def few_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_ALLOWED, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_folder_of_rotated_captures_is_merged_whatever_their_names_say(tmp_path: Path) -> None:
    order = np.random.default_rng(5).permutation(CAPTURES).tolist()
    for name, number in enumerate(order):
        write(tmp_path / f"edge.pcap.{name}", 1000 + 10 * number, 1012 + 10 * number)  # each reaches into the next
    with few_files():
        captures = open_captures(expand([str(tmp_path)]))
        assert sum(capture.bytes_read for capture in captures) == 0
        times = np.concatenate([block.packets["ts_ns"] for block in decoded(captures, Decoder())])
    assert len(times) == 2 * CAPTURES
    assert (np.diff(times) >= 0).all()
    assert sum(capture.packets for capture in captures) == 2 * CAPTURES
    assert {tuple(capture.link_types) for capture in captures} == {("ethernet",)}
    assert all(capture.bytes_read == capture.bytes_total for capture in captures)


def test_captures_that_all_overlap_are_refused_with_a_way_out(tmp_path: Path) -> None:
    for number in range(FILES_ALLOWED + 20):
        write(tmp_path / f"{number}.pcap", 1000, 2000 + number)
    with few_files(), pytest.raises(CaptureError, match=r"only 200 files may be open at once; raise that with `ulimit -n`, or merge"):
        list(decoded(open_captures(expand([str(tmp_path)])), Decoder()))


def test_what_is_no_capture_is_said_before_anything_is_read(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path / f"{number:02}.pcap", 1000 + number)
    wrong = tmp_path / "notes.txt"
    wrong.write_text("nothing of the kind\n" * 10)
    with pytest.raises(CaptureError, match=r"notes\.txt"):
        open_captures([*(str(tmp_path / f"{number:02}.pcap") for number in range(40)), str(wrong)])
