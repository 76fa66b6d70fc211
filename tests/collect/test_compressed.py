"""gzip, xz and zstd: several members, cuts, damage, bombs and nesting."""

import gzip
import lzma
import random
import struct
import zlib
from pathlib import Path

import pytest
import zstandard

from netwatch.collect import open_capture
from netwatch.errors import CaptureError
from tests.collect.packing import PACKERS, unpack_as_far_as_possible
from tests.collect.reading import frames_of, read_bytes
from tests.collect.twin import Twin
from tests.collect.writer import Packet, Pcapng, pcap

KINDS = sorted(PACKERS)


def _capture(packets: int) -> bytes:
    noise = random.Random(packets)
    return pcap(*(Packet(noise.randbytes(noise.randrange(80)), 1_700_000_000 + number) for number in range(packets)))


@pytest.mark.parametrize("kind", KINDS)
def test_reads_a_compressed_capture_as_the_plain_one(tmp_path: Path, kind: str) -> None:
    content = _capture(5000)
    capture, frames = read_bytes(tmp_path, PACKERS[kind](content))
    assert frames == Twin(content).frames
    assert (capture.errors, capture.truncated) == ({}, False)
    assert capture.bytes_read == capture.bytes_total


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first_bytes", [0, 1, 24, 1001])
def test_reads_several_members_in_one_file(tmp_path: Path, kind: str, first_bytes: int) -> None:
    content, pack = _capture(100), PACKERS[kind]
    packed = pack(content[:first_bytes]) + pack(b"") + pack(content[first_bytes:])
    capture, frames = read_bytes(tmp_path, packed)
    assert (frames, capture.errors) == (Twin(content).frames, {})


def test_passes_over_skippable_zstd_frames(tmp_path: Path) -> None:
    content = _capture(50)
    skippable = struct.pack("<II", 0x184D2A53, 30_000) + bytes(30_000)
    pack = PACKERS["zstd"]
    capture, frames = read_bytes(tmp_path, skippable + pack(content[:500]) + skippable + pack(content[500:]) + skippable)
    assert (frames, capture.errors) == (Twin(content).frames, {})


def test_reads_zstd_frames_of_every_header_form(tmp_path: Path) -> None:
    content = _capture(2000)
    for parameters in ({"write_checksum": False}, {"write_content_size": False}, {"window_log": 12}, {"window_log": 27}):
        compression = zstandard.ZstdCompressionParameters(**parameters)
        packed = zstandard.ZstdCompressor(compression_params=compression).compress(content) * 2
        capture, frames = read_bytes(tmp_path, packed[: len(packed) // 2])
        assert (frames, capture.errors) == (Twin(content).frames, {}), parameters


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_zero_bytes_behind_the_last_member_are_padding(tmp_path: Path, kind: str) -> None:
    content = _capture(10)
    capture, frames = read_bytes(tmp_path, PACKERS[kind](content) + bytes(40_000))
    assert (len(frames), capture.errors) == (10, {})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("garbage", [b"x", b"\x1e garbage", b"garbage" * 5000])
def test_garbage_behind_the_last_member_is_counted_and_nothing_is_missing(tmp_path: Path, kind: str, garbage: bytes) -> None:
    content = _capture(10)
    capture, frames = read_bytes(tmp_path, PACKERS[kind](content) + garbage)
    assert (frames, capture.errors, capture.truncated) == (Twin(content).frames, {"trailing_garbage": 1}, False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_compressed_capture_gives_all_that_is_left_and_one_error(tmp_path: Path, kind: str) -> None:
    content = _capture(4000)
    packed = PACKERS[kind](content)
    path = tmp_path / "cut"
    places = sorted({len(packed) - back for back in (1, 2, 4, 5, 8, 9, 12, 30)} | {len(packed) * tenths // 10 for tenths in range(1, 10)})
    for place in places:
        path.write_bytes(packed[:place])
        left = unpack_as_far_as_possible(kind, packed[:place])
        if not left:
            with pytest.raises(CaptureError, match=f"is a {kind} file that is cut before the first byte of its content"):
                open_capture(str(path))
            continue
        capture = open_capture(str(path))
        assert frames_of(capture) == Twin(left).frames, place
        assert (capture.errors, capture.truncated) == ({"cut_file": 1}, True), place


def test_a_wrong_gzip_checksum_loses_no_packet(tmp_path: Path) -> None:
    content = _capture(3000)
    packed = bytearray(gzip.compress(content))
    packed[-6] ^= 0xFF
    capture, frames = read_bytes(tmp_path, bytes(packed))
    assert (frames, capture.errors, capture.truncated) == (Twin(content).frames, {"bad_compressed_data": 1}, True)


@pytest.mark.parametrize("kind", KINDS)
def test_damage_within_a_compressed_capture_is_one_error_behind_what_came_before(tmp_path: Path, kind: str) -> None:
    content, pack = _capture(20_000), PACKERS[kind]
    half = 500_000
    packed = pack(content[:half]) + pack(content[half:])[:5] + b"\xff" * 5000
    capture, frames = read_bytes(tmp_path, packed)
    assert frames == Twin(content[:half]).frames
    assert capture.truncated
    assert sum(capture.errors.values()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_record_in_a_whole_compressed_file_is_one_error(tmp_path: Path, kind: str) -> None:
    content = _capture(100)[:-1]
    capture, frames = read_bytes(tmp_path, PACKERS[kind](content))
    assert (len(frames), capture.errors, capture.truncated) == (99, {"cut_file": 1}, True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_compressed_file_of_nothing_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(CaptureError, match=rf"is a {kind} file of nothing \(0 bytes\)"):
        read_bytes(tmp_path, PACKERS[kind](b""))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_only_begins_like_a_compressed_one_is_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(CaptureError, match=f"is a {kind} file that cannot be decompressed; test it with `{kind} -t`"):
        read_bytes(tmp_path, PACKERS[kind](b"")[: 6 if kind == "xz" else 4] + b"\xee" * 100)


@pytest.mark.parametrize("kind", KINDS)
def test_compressed_text_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    with pytest.raises(CaptureError, match=f"is a {kind} file of no capture: it begins with 68 65 6c 6c 6f"):
        read_bytes(tmp_path, PACKERS[kind](b"hello"))


def test_compression_within_compression_is_read_to_a_limit(tmp_path: Path) -> None:
    content = _capture(10)
    packed = content
    for kind in ("xz", "zstd", "gzip"):
        packed = PACKERS[kind](packed)
    _, frames = read_bytes(tmp_path, packed)
    assert len(frames) == 10
    with pytest.raises(CaptureError, match="is compressed more than 3 times over; unpack it first"):
        read_bytes(tmp_path, gzip.compress(packed))


def test_a_cut_in_the_outer_of_two_compressions_gives_what_is_left(tmp_path: Path) -> None:
    content = _capture(4000)
    packed = gzip.compress(gzip.compress(content), mtime=0)[:-4000]
    left = unpack_as_far_as_possible("gzip", unpack_as_far_as_possible("gzip", packed))
    capture, frames = read_bytes(tmp_path, packed)
    assert len(frames) > 1000
    assert (frames, capture.errors) == (Twin(left).frames, {"cut_file": 1})


def test_xz_that_wants_too_much_memory_is_refused(tmp_path: Path) -> None:
    """The block header says how large the dictionary is, and the decoder would allocate it before the first byte."""
    packed = lzma.compress(_capture(5), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 4096}])
    block_header = bytearray(packed[12:20])
    assert block_header[2:5] == b"\x21\x01\x00"  # LZMA2, one byte of properties, a dictionary of 4 KiB (.xz format, section 5.3.1)
    block_header[4] = 34  # 512 MiB
    greedy = packed[:12] + bytes(block_header) + zlib.crc32(block_header).to_bytes(4, "little") + packed[24:]
    with pytest.raises(CaptureError, match="is a xz file that cannot be decompressed"):
        read_bytes(tmp_path, greedy)


def test_zstd_that_wants_too_large_a_window_is_refused(tmp_path: Path) -> None:
    magic, descriptor, window_of_2_gib = struct.pack("<I", 0xFD2FB528), b"\x00", bytes([21 << 3])
    raw_block = ((24 << 3) | 1).to_bytes(3, "little") + pcap()
    with pytest.raises(CaptureError, match="is a zstd file that cannot be decompressed"):
        read_bytes(tmp_path, magic + descriptor + window_of_2_gib + raw_block)


def test_compressed_pcapng_is_read(tmp_path: Path) -> None:
    write = Pcapng("big")
    content = write.section() + write.interface() + write.enhanced(b"abc")
    for pack in PACKERS.values():
        _, frames = read_bytes(tmp_path, pack(content))
        assert [frame.data for frame in frames] == [b"abc"]
