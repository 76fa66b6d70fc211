"""Properties of all captures: the fast reader agrees with the slow one, however the file is cut, chunked, compressed or damaged."""

import re
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader, RawPcapReader

from netwatch.errors import CaptureError
from tests.collect.packing import PACKERS, unpack_as_far_as_possible
from tests.collect.reading import read, read_bytes
from tests.collect.structures import CAPTURES, Written, pcaps
from tests.collect.twin import Twin, TwinFrame
from tests.collect.writer import Packet, Pcapng, pcap

CHUNKS = st.sampled_from([5, 64, 1000, 1 << 21])


@pytest.fixture(scope="module")
def folder() -> Path:
    """One folder for all examples of a property; each writes the same file anew."""
    return Path(tempfile.mkdtemp(prefix="netwatch-captures-"))


def _compare(folder: Path, content: bytes, chunk_bytes: int) -> tuple[list[TwinFrame], Counter[str]]:
    expected = Twin(content)
    capture, frames = read_bytes(folder, content, chunk_bytes=chunk_bytes)
    assert frames == expected.frames
    assert (capture.errors, capture.truncated) == (expected.errors, expected.truncated)
    return frames, Counter(capture.errors)


def _refusal(folder: Path, content: bytes) -> str | None:
    try:
        read_bytes(folder, content)
    except CaptureError as error:
        return str(error)
    return None


@settings(deadline=None)
@given(written=CAPTURES, chunk_bytes=CHUNKS)
def test_every_frame_is_found_whatever_the_size_of_a_block(folder: Path, written: Written, chunk_bytes: int) -> None:
    _, errors = _compare(folder, written.content, chunk_bytes)
    assert errors["cut_file"] == 0


@settings(deadline=None)
@given(written=CAPTURES, data=st.data(), chunk_bytes=CHUNKS)
def test_a_cut_anywhere_leaves_all_whole_packets_and_one_error(
    folder: Path, written: Written, data: st.DataObject, chunk_bytes: int
) -> None:
    cut = data.draw(st.integers(12, len(written.content)))
    whole_until = max((end for end in written.ends if end <= cut), default=0)
    _, errors = _compare(folder, written.content[:cut], chunk_bytes)
    assert errors["cut_file"] == int(not written.is_whole_at(cut))
    if whole_until:
        whole, whole_errors = _compare(folder, written.content[:whole_until], chunk_bytes)
        assert read_bytes(folder, written.content[:cut])[1] == whole
        assert errors - Counter({"cut_file": 1}) == whole_errors


@pytest.mark.parametrize("kind", sorted(PACKERS))
@settings(deadline=None, max_examples=40)
@given(written=CAPTURES, data=st.data())
def test_a_compressed_capture_cut_anywhere_gives_the_packets_of_what_is_left(
    folder: Path, kind: str, written: Written, data: st.DataObject
) -> None:
    packed = PACKERS[kind](written.content)
    cut = data.draw(st.integers(1, len(packed)))
    left = unpack_as_far_as_possible(kind, packed[:cut])
    try:
        capture, frames = read_bytes(folder, packed[:cut])
    except CaptureError:
        assert len(left) < 12
        return
    expected = Twin(left)
    assert frames == expected.frames
    is_cut = cut < len(packed)
    assert capture.errors.get("cut_file", 0) == int(is_cut or "cut_file" in expected.errors)
    assert capture.truncated == (is_cut or expected.truncated)


@settings(deadline=None, max_examples=300)
@given(written=CAPTURES, data=st.data(), chunk_bytes=CHUNKS)
def test_damaged_bytes_are_read_as_the_slow_reader_reads_them(
    folder: Path, written: Written, data: st.DataObject, chunk_bytes: int
) -> None:
    damaged = bytearray(written.content)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(24, max(24, len(damaged) - 1)))
        damaged[place : place + 1] = data.draw(st.binary(max_size=4))
    if (refusal := _refusal(folder, bytes(damaged))) is None:
        _compare(folder, bytes(damaged), chunk_bytes)
    else:
        assert re.search("is a pcap(ng)? file (with a damaged section header|of a Nokia|with the record headers)", refusal)


@settings(deadline=None)
@given(written=pcaps())
def test_scapy_reads_the_same_packets(folder: Path, written: Written) -> None:
    if written.content[6:8] not in (b"\4\0", b"\0\4"):
        return  # scapy does not know that old versions write the lengths the other way round
    path = folder / "scapy.pcap"
    path.write_bytes(written.content)
    _, frames = read(path)
    with RawPcapReader(str(path)) as reader:
        assert [(frame.data, frame.wire_len) for frame in frames] == [(data, meta.wirelen) for data, meta in reader]


def test_scapy_reads_the_same_pcapng_packets(tmp_path: Path) -> None:
    first, second = Pcapng("big"), Pcapng("little")
    content = first.section() + first.interface() + first.enhanced(b"abc") + first.obsolete(b"defg")
    content += second.section() + second.interface(snaplen=4) + second.enhanced(b"hijk", wire_len=9) + second.enhanced(b"l")
    path = tmp_path / "scapy.pcapng"
    path.write_bytes(content)
    _, frames = read(path)
    with RawPcapNgReader(str(path)) as reader:
        assert [frame.data for frame in frames] == [data for data, _ in reader]


def test_the_slow_reader_finds_what_was_written() -> None:
    twin = Twin(pcap(Packet(b"abc", 7, 8, wire_len=9)))
    assert (twin.frames, twin.errors) == ([TwinFrame(7_000_008_000, b"abc", 9, 1, 0)], {})
