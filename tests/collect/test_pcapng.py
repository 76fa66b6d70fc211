"""pcapng: sections, interfaces, clocks, the three kinds of packet block, and blocks that contradict themselves."""

from pathlib import Path

import pytest

from netwatch.collect.pcapng import MAX_INTERFACES
from netwatch.collect.pcapng_blocks import MAX_BLOCK_BYTES
from netwatch.collect.recognise import ByteOrder
from netwatch.collect.walk import MAX_TS_NS
from netwatch.errors import CaptureError
from tests.collect.reading import read_bytes
from tests.collect.writer import Pcapng

ORDERS: list[ByteOrder] = ["little", "big"]


@pytest.mark.parametrize("order", ORDERS)
def test_reads_the_three_kinds_of_packet_block(tmp_path: Path, order: ByteOrder) -> None:
    write = Pcapng(order)
    content = (
        write.section()
        + write.interface(link=113)
        + write.enhanced(b"abcde", time=1_000_001, wire_len=77)
        + write.obsolete(b"fg", time=1_000_002)
        + write.simple(b"hij")
    )
    capture, frames = read_bytes(tmp_path, content)
    assert frames == [
        (1_000_001_000, b"abcde", 77, 113, 0),
        (1_000_002_000, b"fg", 2, 113, 0),
        (1_000_002_000, b"hij", 3, 113, 0),
    ]
    assert (capture.errors, capture.truncated, capture.link_types) == ({}, False, ["linux_sll"])


def test_each_section_has_its_byte_order_and_its_interfaces(tmp_path: Path) -> None:
    first, second = Pcapng("little"), Pcapng("big")
    content = (
        first.section(length=9999)
        + first.interface(link=1)
        + first.interface(link=101)
        + first.enhanced(b"a", interface=1)
        + second.section()
        + second.interface(link=276)
        + second.enhanced(b"b", interface=0)
        + first.section()
        + first.interface(link=1)
        + first.enhanced(b"c", interface=0)
    )
    capture, frames = read_bytes(tmp_path, content)
    assert [(frame.data, frame.link_type, frame.interface) for frame in frames] == [(b"a", 101, 1), (b"b", 276, 2), (b"c", 1, 3)]
    assert capture.link_types == ["ethernet", "raw", "linux_sll2"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("resolution", "count", "ns"),
    [
        (None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (0, 1_700_000_000, 1_700_000_000_000_000_000),
        (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (10, 12_345_678_901, 1_234_567_890),
        (28, 10**19, 1),
        (29, (1 << 64) - 1, 0),
        (127, (1 << 64) - 1, 0),
        (0x80 | 0, 1_700_000_000, 1_700_000_000_000_000_000),
        (0x80 | 1, 3, 1_500_000_000),
        (0x80 | 32, (5 << 32) + (1 << 31) + 1, 5_500_000_000),
        (0x80 | 34, (1 << 64) - 1, 1_073_741_823_999_999_999),
        (0x80 | 60, (1 << 60) + (1 << 59), 1_500_000_000),
        (0x80 | 63, (1 << 64) - 1, 1_999_999_999),
        (0x80 | 64, (1 << 64) - 1, 999_999_999),
        (0x80 | 90, (1 << 64) - 1, 14),
        (0x80 | 127, (1 << 64) - 1, 0),
    ],
)
def test_times_are_in_the_unit_of_the_interface(tmp_path: Path, order: ByteOrder, resolution: int | None, count: int, ns: int) -> None:
    write = Pcapng(order)
    capture, frames = read_bytes(tmp_path, write.section() + write.interface(resolution=resolution) + write.enhanced(time=count))
    assert frames[0].ts_ns == ns
    assert not capture.errors


@pytest.mark.parametrize(("offset_s", "count", "ns"), [(100, 5_000_000, 105 * 10**9), (-3, 5_000_000, 2 * 10**9)])
def test_the_offset_of_the_interface_is_added(tmp_path: Path, offset_s: int, count: int, ns: int) -> None:
    write = Pcapng()
    _, frames = read_bytes(tmp_path, write.section() + write.interface(offset_s=offset_s) + write.enhanced(time=count))
    assert frames[0].ts_ns == ns


@pytest.mark.parametrize(
    ("resolution", "offset_s", "count", "ns"),
    [
        (6, None, (1 << 64) - 1, MAX_TS_NS),
        (0, None, 4_611_686_019, MAX_TS_NS),
        (0x80, None, 1 << 40, MAX_TS_NS),
        (6, -10, 9_999_999, 0),
        (6, -(1 << 63), 9_999_999, MAX_TS_NS),
        (6, (1 << 63) - 1, 0, MAX_TS_NS),
        (6, 4_611_686_018, 999_999, MAX_TS_NS),
    ],
)
def test_times_out_of_range_are_counted_and_clamped(tmp_path: Path, resolution: int, offset_s: int | None, count: int, ns: int) -> None:
    write = Pcapng()
    content = write.section() + write.interface(resolution=resolution, offset_s=offset_s) + write.enhanced(time=count)
    capture, frames = read_bytes(tmp_path, content)
    assert frames[0].ts_ns == ns
    assert capture.errors == {"bad_timestamp": 1}
    assert not capture.truncated


def test_packets_without_a_time_take_their_predecessor_s(tmp_path: Path) -> None:
    write = Pcapng()
    content = (
        write.section()
        + write.interface(snaplen=4)
        + write.simple(b"abcd", wire_len=60)
        + write.simple(b"efgh")
        + write.enhanced(b"i", time=2_000_000)
        + write.simple(b"j")
        + write.enhanced(b"k", time=1_000_000)
        + write.simple(b"l")
    )
    capture, frames = read_bytes(tmp_path, content)
    assert [frame.ts_ns // 10**9 for frame in frames] == [2, 2, 2, 2, 1, 1]
    assert (frames[0].data, frames[0].wire_len) == (b"abcd", 60)
    assert (capture.first_s, capture.last_s) == (1.0, 2.0)


def test_a_capture_of_simple_packets_alone_has_no_times(tmp_path: Path) -> None:
    write = Pcapng()
    capture, frames = read_bytes(tmp_path, write.section() + write.interface() + write.simple(b"a"))
    assert (frames[0].ts_ns, capture.first_s, capture.last_s) == (0, None, None)


@pytest.mark.parametrize("kind", [4, 5, 0xA, 0xBAD, 0x40000BAD, 0x80000001, 0])
def test_other_blocks_are_passed_over(tmp_path: Path, kind: int) -> None:
    write = Pcapng()
    content = write.section() + write.block(kind, b"x" * 20) + write.interface() + write.block(kind, b"") + write.enhanced()
    capture, frames = read_bytes(tmp_path, content)
    assert (len(frames), capture.errors) == (1, {})


@pytest.mark.parametrize("chunk_bytes", [1 << 16, 1 << 24])
def test_a_block_longer_than_memory_should_hold_is_passed_over(tmp_path: Path, chunk_bytes: int) -> None:
    write = Pcapng()
    content = write.section() + write.interface() + write.block(0xBAD, bytes(MAX_BLOCK_BYTES + 4)) + write.enhanced()
    capture, frames = read_bytes(tmp_path, content, chunk_bytes=chunk_bytes)
    assert (len(frames), capture.errors) == (1, {})


def test_a_cut_within_a_block_that_is_passed_over_is_told(tmp_path: Path) -> None:
    write = Pcapng()
    content = write.section() + write.interface() + write.enhanced() + write.block(0xBAD, bytes(MAX_BLOCK_BYTES + 4))[:-1]
    capture, frames = read_bytes(tmp_path, content)
    assert (len(frames), capture.errors, capture.truncated) == (1, {"cut_file": 1}, True)


def test_options_of_packets_are_passed_over(tmp_path: Path) -> None:
    write = Pcapng()
    content = write.section() + write.interface() + write.enhanced(b"abc", options=write.options((1, b"a comment"), (2, bytes(4))))
    _, frames = read_bytes(tmp_path, content)
    assert frames[0].data == b"abc"


def test_a_packet_longer_than_its_block_is_counted_and_the_next_is_read(tmp_path: Path) -> None:
    write = Pcapng()
    content = (
        write.section() + write.interface() + write.enhanced(b"abcd", captured_len=5) + write.enhanced(b"ok") + write.block(6, bytes(16))
    )
    capture, frames = read_bytes(tmp_path, content)
    assert [frame.data for frame in frames] == [b"ok"]
    assert (capture.errors, capture.truncated) == ({"bad_record_length": 2}, False)


def test_a_packet_of_an_interface_that_was_never_described_is_counted(tmp_path: Path) -> None:
    write = Pcapng()
    content = (
        write.section() + write.simple(b"none yet") + write.interface() + write.enhanced(interface=1) + write.enhanced(interface=0xFFFFFFFF)
    )
    capture, frames = read_bytes(tmp_path, content)
    assert (frames, capture.errors) == ([], {"unknown_interface": 3})


@pytest.mark.parametrize(
    "broken",
    [
        Pcapng().block(6, bytes(20), total=30),
        Pcapng().block(6, bytes(20), total=8),
        Pcapng().block(6, bytes(20), trailer=28),
        Pcapng().block(6, bytes(20), total=MAX_BLOCK_BYTES + 4),
        Pcapng().block(1, bytes(4)),
        Pcapng().section()[:4] + bytes(4) + Pcapng().section()[8:],
        Pcapng().section()[:-4] + bytes(4),
    ],
)
def test_a_broken_block_length_ends_the_file_with_one_error(tmp_path: Path, broken: bytes) -> None:
    write = Pcapng()
    content = write.section() + write.interface() + write.enhanced() + broken + write.enhanced()
    capture, frames = read_bytes(tmp_path, content)
    assert (len(frames), capture.errors, capture.truncated) == (1, {"bad_block_length": 1}, True)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        (Pcapng().section(version=(2, 0)), "unknown_section_version"),
        (Pcapng().block(0x0A0D0D0A, b"\0" * 16), "bad_section_header"),
    ],
)
def test_a_later_section_that_cannot_be_read_ends_the_file(tmp_path: Path, section: bytes, reason: str) -> None:
    write = Pcapng()
    capture, frames = read_bytes(tmp_path, write.section() + write.interface() + write.enhanced() + section + write.enhanced())
    assert (len(frames), capture.errors, capture.truncated) == (1, {reason: 1}, True)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        (Pcapng().section(version=(9, 0)), "is a pcapng file of an unknown version"),
        (Pcapng().section()[:-4] + bytes(4), "is a pcapng file with a damaged section header"),
    ],
)
def test_a_first_section_that_cannot_be_read_is_refused(tmp_path: Path, section: bytes, sentence: str) -> None:
    with pytest.raises(CaptureError, match=sentence):
        read_bytes(tmp_path, section)


@pytest.mark.parametrize(
    "options",
    [
        Pcapng().pack("HH", 9, 2) + bytes(4),  # a resolution of two bytes
        Pcapng().pack("HH", 14, 4) + bytes(4),  # an offset of four
        Pcapng().pack("HH", 2, 400) + b"eth0",  # longer than the block
    ],
)
def test_broken_interface_options_are_counted_and_the_interface_is_used(tmp_path: Path, options: bytes) -> None:
    write = Pcapng()
    interface = write.block(1, write.pack("HHI", 1, 0, 0) + options)
    capture, frames = read_bytes(tmp_path, write.section() + interface + write.enhanced(time=3_000_000))
    assert [frame.ts_ns for frame in frames] == [3 * 10**9]
    assert capture.errors == {"bad_interface_option": 1}


def test_interfaces_are_bounded_and_those_beyond_are_counted(tmp_path: Path) -> None:
    write = Pcapng()
    content = (
        write.section()
        + write.interface() * (MAX_INTERFACES + 2)
        + write.enhanced(b"last", interface=MAX_INTERFACES - 1)
        + write.enhanced(b"beyond", interface=MAX_INTERFACES)
        + write.section()
        + write.interface(link=101)
        + write.enhanced(b"next section")
    )
    capture, frames = read_bytes(tmp_path, content)
    assert [(frame.data, frame.interface) for frame in frames] == [(b"last", MAX_INTERFACES - 1), (b"next section", MAX_INTERFACES)]
    assert capture.errors == {"too_many_interfaces": 2, "unknown_interface": 1}
