"""Classic pcap: byte orders, time units, link types, old versions, and records that cannot be."""

from pathlib import Path

import pytest

from netwatch.collect.capture import MAX_FRAMES
from netwatch.collect.pcap_header import MAX_CAPTURED_BYTES
from netwatch.collect.recognise import ByteOrder
from netwatch.errors import CaptureError
from tests.collect.reading import read_bytes
from tests.collect.writer import MICROSECONDS, NANOSECONDS, Packet, pcap, pcap_header, pcap_record


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize(("magic", "fraction"), [(MICROSECONDS, 123_456), (NANOSECONDS, 123_456_000)])
def test_reads_both_byte_orders_and_both_time_units(tmp_path: Path, order: ByteOrder, magic: int, fraction: int) -> None:
    content = pcap(Packet(b"abc", 1_700_000_001, fraction, wire_len=1500), order=order, magic=magic)
    capture, frames = read_bytes(tmp_path, content)
    assert frames == [(1_700_000_001_123_456_000, b"abc", 1500, 1, 0)]
    assert (capture.errors, capture.truncated, capture.link_types) == ({}, False, ["ethernet"])


def test_tells_packets_wire_bytes_span_and_progress(tmp_path: Path) -> None:
    content = pcap(Packet(seconds=30, wire_len=60), Packet(seconds=10, wire_len=100), Packet(seconds=20, fraction=500_000, wire_len=40))
    capture, _ = read_bytes(tmp_path, content)
    assert (capture.packets, capture.bytes) == (3, 200)
    assert (capture.first_s, capture.last_s) == (10.0, 30.0)
    assert (capture.bytes_read, capture.bytes_total) == (len(content), len(content))


def test_a_capture_without_packets_has_no_times(tmp_path: Path) -> None:
    capture, frames = read_bytes(tmp_path, pcap())
    assert (frames, capture.first_s, capture.last_s, capture.errors, capture.truncated) == ([], None, None, {}, False)


def test_seconds_are_unsigned(tmp_path: Path) -> None:
    _, frames = read_bytes(tmp_path, pcap(Packet(seconds=0xFFFFFFFF)))
    assert frames[0].ts_ns == 4_294_967_295 * 10**9


@pytest.mark.parametrize("fraction", [1_000_000, 0x80000000, 0xFFFFFFFF])
def test_a_fraction_of_a_second_or_more_is_counted_and_kept_within_its_second(tmp_path: Path, fraction: int) -> None:
    capture, frames = read_bytes(tmp_path, pcap(Packet(seconds=5, fraction=fraction), Packet(seconds=6)))
    assert [frame.ts_ns for frame in frames] == [5_999_999_000, 6_000_000_000]
    assert capture.errors == {"bad_timestamp": 1}
    assert not capture.truncated


@pytest.mark.parametrize(
    ("written", "number", "name"),
    [
        (1, 1, "ethernet"),
        (0x2400_0001, 1, "ethernet"),  # the four bytes of an Ethernet frame check sequence are at the end of each frame
        (0xF400_0071, 113, "linux_sll"),
        (12, 101, "raw"),
        (14, 101, "raw"),
        (101, 101, "raw"),
        (276, 276, "linux_sll2"),
        (9999, 9999, "link_type_9999"),
        (0x0224_0002, 65535, "link_type_35913730"),
    ],
)
def test_link_types_are_numbered_and_named(tmp_path: Path, written: int, number: int, name: str) -> None:
    capture, frames = read_bytes(tmp_path, pcap(Packet(), link=written))
    assert (frames[0].link_type, capture.link_types) == (number, [name])


@pytest.mark.parametrize(
    ("version", "captured_first"),
    [((2, 2), False), ((2, 3), True), ((2, 4), True)],
)
def test_old_versions_write_the_wire_length_first(tmp_path: Path, version: tuple[int, int], captured_first: bool) -> None:
    packet = Packet(captured_len=14, wire_len=90) if captured_first else Packet(captured_len=90, wire_len=14)
    _, frames = read_bytes(tmp_path, pcap_header(version=version) + pcap_record(packet))
    assert (frames[0].data, frames[0].wire_len) == (b"\x02" * 14, 90)


def test_version_2_3_is_read_whichever_length_comes_first(tmp_path: Path) -> None:
    records = pcap_record(Packet(wire_len=90)) + pcap_record(Packet(captured_len=90, wire_len=14))
    _, frames = read_bytes(tmp_path, pcap_header(version=(2, 3)) + records)
    assert [frame.wire_len for frame in frames] == [90, 90]


@pytest.mark.parametrize("version", [(1, 0), (2, 5), (3, 0), (0, 0)])
def test_refuses_an_unknown_version(tmp_path: Path, version: tuple[int, int]) -> None:
    with pytest.raises(CaptureError, match=rf"is a pcap file of version {version[0]}\.{version[1]}; versions 2\.0 to 2\.4 are read"):
        read_bytes(tmp_path, pcap_header(version=version))


def test_an_impossible_length_ends_the_file_with_one_error(tmp_path: Path) -> None:
    content = pcap(Packet(), Packet(), Packet(captured_len=MAX_CAPTURED_BYTES + 1), Packet())
    capture, frames = read_bytes(tmp_path, content)
    assert len(frames) == 2
    assert (capture.errors, capture.truncated) == ({"bad_record_length": 1}, True)


def test_the_longest_record_that_is_believed_is_read(tmp_path: Path) -> None:
    data = bytes(range(256)) * (MAX_CAPTURED_BYTES // 256)
    capture, frames = read_bytes(tmp_path, pcap(Packet(), Packet(data), Packet()), chunk_bytes=65_536)
    assert [len(frame.data) for frame in frames] == [14, MAX_CAPTURED_BYTES, 14]
    assert frames[1].data == data
    assert not capture.errors


def test_a_length_beyond_the_end_of_the_file_is_a_cut(tmp_path: Path) -> None:
    capture, frames = read_bytes(tmp_path, pcap(Packet(), Packet(captured_len=15)))
    assert len(frames) == 1
    assert (capture.errors, capture.truncated) == ({"cut_file": 1}, True)


def test_many_small_packets_come_in_blocks_of_bounded_rows(tmp_path: Path) -> None:
    count = 2 * MAX_FRAMES + 3
    content = pcap_header() + pcap_record(Packet(b"")) * count
    capture, frames = read_bytes(tmp_path, content)
    assert len(frames) == count
    assert not capture.errors


def test_blocks_have_at_most_the_promised_rows(tmp_path: Path) -> None:
    from netwatch.collect import open_capture

    path = tmp_path / "small.pcap"
    path.write_bytes(pcap_header() + pcap_record(Packet(b"")) * (MAX_FRAMES + 1))
    assert [len(block.frames) for block in open_capture(str(path)).blocks()] == [MAX_FRAMES, 1]


def test_a_block_keeps_its_bytes_while_the_next_is_read(tmp_path: Path) -> None:
    from netwatch.collect import open_capture

    path = tmp_path / "held.pcap"
    path.write_bytes(pcap(*(Packet(bytes([number]) * 100) for number in range(200))))
    blocks = list(open_capture(str(path), chunk_bytes=1000).blocks())
    assert len(blocks) > 10
    seen = [block.data[row["offset"] : row["offset"] + row["captured_len"]].tobytes() for block in blocks for row in block.frames]
    assert seen == [bytes([number]) * 100 for number in range(200)]
