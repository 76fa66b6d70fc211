"""The walk over a ring block: what the kernel's layout says, and nothing outside of the block whatever it says."""

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.collect.ring_block import walk_block
from netwatch.model.packet import FRAME, Direction
from tests.collect.live_frames import frame

BLOCK_BYTES = 4096
FIRST = 48
PLACE = 82
VLAN_VALID = 1 << 4


def header(data: bytes, *, step: int, status: int = 0, vlan: int = 0, packet_type: int = 0, captured: int | None = None) -> bytes:
    """A tpacket3_hdr with its link address and the packet's bytes, up to the next one."""
    length = len(data) if captured is None else captured
    fixed = struct.pack("=6I2H2I2H8x", step, 17, 5, length, len(data), status, PLACE, PLACE + 14, 0, vlan, 0x8100, 0)
    address = struct.pack("=HHiHBB8x", 17, 0, 1, 1, packet_type, 6)
    return ((fixed + address).ljust(PLACE, b"\0") + data).ljust(step, b"\0")


def block(*packets: bytes, count: int | None = None) -> np.ndarray:
    """A block whose descriptor counts these packets."""
    descriptor = struct.pack("=6IQ4I", 1, 0, 1, len(packets) if count is None else count, FIRST, 0, 0, 0, 0, 0, 0)
    return np.frombuffer((descriptor + b"".join(packets)).ljust(BLOCK_BYTES, b"\0"), np.uint8).copy()


def walk(data: np.ndarray, room: int = 64) -> np.ndarray:
    frames = np.zeros(room, FRAME)
    return frames[: walk_block(data, 1, 3, frames)]


def test_rows_hold_what_the_headers_say() -> None:
    one, other = frame(1), frame(2, payload=9)
    rows = walk(block(header(one, step=168), header(other, step=0, status=VLAN_VALID, vlan=0x6000 | 7, packet_type=4)))
    first, second = rows
    assert (first["offset"], first["captured_len"], first["wire_len"]) == (FIRST + PLACE, len(one), len(one))
    assert (first["ts_ns"], first["interface"], first["link_type"], first["vlan"]) == (17_000_000_005, 3, 1, 0)
    assert (second["vlan"], second["wire_len"], second["direction"]) == (7, len(other) + 4, Direction.EGRESS)


def test_direction_is_unknown_for_packets_of_other_hosts() -> None:
    rows = walk(block(header(frame(1), step=168, packet_type=3), header(frame(2), step=0, packet_type=2)))
    assert rows["direction"].tolist() == [Direction.UNKNOWN, Direction.INGRESS]


def test_the_walk_ends_where_a_header_points_outside() -> None:
    assert len(walk(block(header(frame(1), step=168), header(frame(2), step=0, captured=BLOCK_BYTES)))) == 1
    assert len(walk(block(header(frame(1), step=BLOCK_BYTES - FIRST), count=2))) == 1
    assert len(walk(block(header(frame(1), step=0), count=2))) == 1


def test_more_packets_than_rows_end_the_walk() -> None:
    assert len(walk(block(*[header(frame(number), step=168) for number in range(5)]), room=3)) == 3


@settings(deadline=None)  # the first call may compile
@given(st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=BLOCK_BYTES // 4), st.integers(0, 200))
def test_no_block_makes_a_row_outside_of_it(words: list[int], small: int) -> None:
    data = np.zeros(BLOCK_BYTES // 4, np.uint32)
    data[: len(words)] = words
    data[3], data[4] = 1 + small % 40, small  # else hardly any walk would begin
    rows = walk(data.view(np.uint8))
    ends = rows["offset"] + rows["captured_len"].astype(np.int64)
    assert (rows["offset"] >= 0).all()
    assert (ends <= BLOCK_BYTES).all()
