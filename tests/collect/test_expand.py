"""Directories stand for the captures in them; what is not read is said."""

import gzip
import os
from pathlib import Path

import pytest

from netwatch.collect import expand
from netwatch.errors import CaptureError
from tests.collect.writer import Packet, Pcapng, pcap

PCAP = pcap(Packet())


def test_files_and_standard_input_stay_as_they_are_in_their_order() -> None:
    assert expand(["b.pcap", "-", "a.pcap"]) == ["b.pcap", "-", "a.pcap"]


def test_a_directory_gives_its_captures_sorted_and_found_by_content(tmp_path: Path) -> None:
    (tmp_path / "b.pcap.17").write_bytes(PCAP)
    (tmp_path / "a.log").write_bytes(Pcapng().section())
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "c").write_bytes(gzip.compress(PCAP))
    (tmp_path / "cut.pcap").write_bytes(PCAP[:10])
    expected = [str(tmp_path / name) for name in ("a.log", "b.pcap.17", "below/c", "cut.pcap")]
    assert expand(["first.pcap", str(tmp_path)]) == ["first.pcap", *expected]


def test_what_is_skipped_is_said_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "capture").write_bytes(PCAP)
    (tmp_path / "empty").touch()
    (tmp_path / "notes.txt").write_text("hello, world")
    (tmp_path / "old.snoop").write_bytes(b"snoop\0\0\0")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    said: list[str] = []
    assert expand([str(tmp_path)], on_skipped=said.append) == [str(tmp_path / "capture")]
    assert said == [
        f"{tmp_path}/dangling: cannot be read: No such file or directory",
        f"{tmp_path}/empty: is empty (0 bytes)",
        f"{tmp_path}/notes.txt: is no capture: it begins with 68 65 6c 6c 6f 2c 20 77; "
        "pcap and pcapng are read, plain or compressed with gzip, zstd or xz",
        f"{tmp_path}/old.snoop: is a snoop capture (RFC 1761): convert it with `editcap -F pcap IN OUT`",
        f"{tmp_path}/pipe: is not a regular file",
    ]


def test_a_directory_without_captures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(CaptureError, match=rf"{tmp_path}: no capture in this directory \(1 files looked at\)"):
        expand([str(tmp_path)])


def test_links_that_go_round_in_circles_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "capture").write_bytes(PCAP)
    (tmp_path / "again").symlink_to(tmp_path)
    assert expand([str(tmp_path)]) == [str(tmp_path / "capture")]


def test_standard_input_twice_is_refused() -> None:
    with pytest.raises(CaptureError, match="standard input can be read only once"):
        expand(["-", "a.pcap", "-"])
