"""Dumps of a state table: every attribute by its type, and whatever the bytes, nothing is read beyond them and all is counted."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.decode.netlink import MessageStatus
from netwatch.model.address import address_text
from netwatch.model.entry import NO_TIMEOUT, EntryStatus
from netwatch.model.packet import Rows
from netwatch.model.session import SessionState, TcpState
from tests.decode.bytes_of import ethernet, ipv4, tcp
from tests.decode.ctnetlink_messages import (
    DONE,
    BadAttributeError,
    attribute,
    entry,
    message,
    nested,
    original,
    slow_entry,
)
from tests.decode.one import decode_one

WHOLE = [
    entry(counted=(4, 300), zone=7),
    entry("2001:db8::7", "2001:db8:5::25", counted=(1, 80)),
    entry(protocol=17, status=8, left_s=29),
    entry(protocol=1, status=10, left_s=20),
    entry(protocol=47, status=14, left_s=170),
    entry(state=None, status=0x400E, left_s=None),
]
NUMBERS = ("timeout_s", "status", "mark", "id", "zone", "sport", "dport", "protocol", "state", "family", "accounted", "tuple_len")
COUNTS = ("original_bytes", "reply_bytes", "original_packets", "reply_packets")


def decoded(*messages: bytes, decoder: EntryDecoder | None = None) -> Rows:
    return (decoder or EntryDecoder()).decode(np.frombuffer(b"".join(messages), np.uint8))


def test_an_entry_becomes_a_row() -> None:
    (row,) = decoded(entry("192.0.2.7", "203.0.113.25", counted=(4, 300), zone=7, left_s=431_990))
    assert address_text(int(row["src_hi"]), int(row["src_lo"])) == "192.0.2.7"
    assert address_text(int(row["dst_hi"]), int(row["dst_lo"])) == "203.0.113.25"
    assert (row["sport"], row["dport"], row["protocol"], row["state"]) == (1000, 25, 6, TcpState.ESTABLISHED)
    assert (row["timeout_s"], row["id"], row["mark"], row["zone"], row["family"]) == (431_990, 77, 5, 7, 2)
    assert row["status"] == EntryStatus.SEEN_REPLY | EntryStatus.ASSURED | EntryStatus.CONFIRMED
    assert (row["accounted"], row["original_packets"], row["original_bytes"], row["reply_bytes"]) == (1, 4, 300, 100)


def test_the_hash_is_that_of_the_sessions_packets() -> None:
    packet = decode_one(ethernet(0x0800, ipv4(tcp(), protocol=6, src="192.0.2.7", dst="203.0.113.25")))
    (row,) = decoded(entry("192.0.2.7", "203.0.113.25"))
    assert row["hash"] == packet["hash"]


@pytest.mark.parametrize(
    ("protocol", "status", "state"),
    [
        (17, EntryStatus(0), SessionState.UDP_UNREPLIED),
        (17, EntryStatus.SEEN_REPLY, SessionState.UDP_REPLIED),
        (17, EntryStatus.SEEN_REPLY | EntryStatus.ASSURED, SessionState.UDP_STREAM),
        (136, EntryStatus(0), SessionState.UDP_UNREPLIED),
        (1, EntryStatus.SEEN_REPLY, SessionState.ICMP),
        (58, EntryStatus(0), SessionState.ICMP),
        (47, EntryStatus(0), SessionState.OTHER_UNREPLIED),
        (132, EntryStatus.SEEN_REPLY, SessionState.OTHER),
    ],
)
def test_other_protocols_states_are_told_by_their_status(protocol: int, status: EntryStatus, state: SessionState) -> None:
    (row,) = decoded(entry(protocol=protocol, status=int(status)))
    assert row["state"] == state


def test_a_flow_in_a_flowtable_is_established_and_has_no_time_left() -> None:
    (row,) = decoded(entry(state=None, left_s=None, status=int(EntryStatus.ASSURED | EntryStatus.OFFLOAD)))
    assert (row["state"], row["timeout_s"]) == (TcpState.ESTABLISHED, NO_TIMEOUT)


def test_the_original_tuple_can_be_found_again_in_the_block() -> None:
    block = entry(number=1) + entry("2001:db8::7", "2001:db8:5::25", number=2)
    first, second = decoded(block)
    assert block[first["tuple_at"] : first["tuple_at"] + first["tuple_len"]] == original("192.0.2.7", "203.0.113.25")
    assert block[second["tuple_at"] : second["tuple_at"] + second["tuple_len"]] == original("2001:db8::7", "2001:db8:5::25")


def test_a_dump_ends_with_done_in_the_same_block_or_the_next() -> None:
    decoder = EntryDecoder()
    assert len(decoded(entry(), decoder=decoder)) == 1
    assert not decoder.done
    assert len(decoded(entry(), DONE, decoder=decoder)) == 1
    assert decoder.done
    assert len(decoded(DONE, decoder=decoder)) == 0
    assert decoder.done
    assert (decoder.entries, decoder.errors, decoder.error_number) == (2, {}, 0)


def test_the_kernels_refusal_is_told_by_its_number() -> None:
    decoder = EntryDecoder()
    decoded(message(2, struct.pack("<i", -95) + bytes(16)), decoder=decoder)
    assert decoder.done
    assert decoder.error_number == 95


def damaged(body: bytes) -> bytes:
    return message(0x100, struct.pack(">BBH", 2, 0, 0) + body)


TUPLE = original("192.0.2.7", "203.0.113.25")
REST = attribute(3, bytes(4)) + attribute(12, bytes(4))


WITHOUT_A_ROW = [
    (entry()[:-1], "cut_message"),
    (b"\x10\x00\x00\x00\x00\x01", "cut_message"),
    (struct.pack("<IHHII", 8, 0x100, 0, 0, 0), "cut_message"),
    (entry(kind=0x102), "other_message"),
    (message(0x300, bytes(20)), "other_message"),
    (damaged(TUPLE + REST + b"\x03\x00"), "bad_attribute"),
    (damaged(TUPLE + REST + struct.pack("<HH", 3, 7)), "bad_attribute"),
    (damaged(TUPLE + REST + struct.pack("<HH", 99, 7)), "bad_attribute"),
    (damaged(TUPLE + REST + attribute(7, b"\x00")), "bad_attribute"),
    (damaged(TUPLE + REST + attribute(18, bytes(4))), "bad_attribute"),
    (damaged(TUPLE + REST + nested(4, nested(1, attribute(1, b"\x0a")))), "bad_attribute"),
    (damaged(TUPLE + REST + nested(9, attribute(2, bytes(4)))), "bad_attribute"),
    (damaged(nested(1, nested(1, attribute(1, bytes(3)))) + REST), "bad_attribute"),
    (damaged(nested(1, nested(2, attribute(1, bytes(2)))) + REST), "bad_attribute"),
    (damaged(nested(1, nested(2, attribute(2, bytes(4)))) + REST), "bad_attribute"),
    (message(0x100, b"\x02"), "incomplete"),
    (damaged(TUPLE + attribute(3, bytes(4))), "incomplete"),
    (damaged(TUPLE + attribute(12, bytes(4))), "incomplete"),
    (damaged(REST), "incomplete"),
    (damaged(original("2001:db8::7", "2001:db8::8") + REST), "incomplete"),
    (damaged(TUPLE + REST), "incomplete"),  # TCP without a state
]


@pytest.mark.parametrize(("wrong", "reason"), WITHOUT_A_ROW, ids=lambda value: value if isinstance(value, str) else "")
def test_each_reason_for_no_row_is_counted_and_the_next_entry_is_read(wrong: bytes, reason: str) -> None:
    decoder = EntryDecoder()
    lost = reason == "cut_message"
    rows = decoded(entry(number=1), wrong, *(() if lost else (entry(number=2),)), decoder=decoder)
    assert rows["id"].tolist() == ([1] if lost else [1, 2])
    assert decoder.errors == {reason: 1}


def test_every_reason_has_a_test() -> None:
    assert {reason for _, reason in WITHOUT_A_ROW} == {status.name.lower() for status in MessageStatus if status is not MessageStatus.OK}


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(WHOLE), min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 800), st.sampled_from([0, 1, 2, 3, 4, 7, 8, 12, 20, 0x80, 0xFF])), max_size=8),
    st.integers(0, 800),
)
def test_forged_and_cut_messages_give_what_a_slow_reader_says(whole: list[bytes], forged: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(b"".join(whole))
    for place, value in forged:
        if place < len(data):
            data[place] = value
    compare(bytes(data[: max(cut, 1)]))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_counted(data: bytes) -> None:
    compare(data)


def compare(data: bytes) -> None:
    """The kernel against the slow reader, message by message."""
    decoder = EntryDecoder()
    rows = list(decoded(data, decoder=decoder)) if data else []
    at, counted = 0, dict.fromkeys(MessageStatus, 0)
    while at < len(data):
        length = struct.unpack_from("<I", data, at)[0] if len(data) - at >= 16 else 0
        if not 16 <= length <= len(data) - at:
            counted[MessageStatus.CUT_MESSAGE] += 1
            break
        kind = struct.unpack_from("<H", data, at + 4)[0]
        if kind == 0x100:
            try:
                expected = slow_entry(data[at + 16 : at + length])
                status = MessageStatus.OK if expected else MessageStatus.INCOMPLETE
            except BadAttributeError:
                expected, status = None, MessageStatus.BAD_ATTRIBUTE
            counted[status] += 1
            if expected:
                same(rows.pop(0), expected, at + 16)
        elif kind not in (2, 3):
            counted[MessageStatus.OTHER_MESSAGE] += 1
        at += (length + 3) // 4 * 4
    assert rows == []
    assert decoder.errors == {status.name.lower(): count for status, count in counted.items() if status and count}


def same(row: np.void, expected: dict[str, int], base: int) -> None:
    assert (int(row["src_hi"]) << 64 | int(row["src_lo"])) == expected["src"]
    assert (int(row["dst_hi"]) << 64 | int(row["dst_lo"])) == expected["dst"]
    assert int(row["tuple_at"]) == base + expected["tuple_at"]
    for name in (*NUMBERS, *COUNTS):
        assert int(row[name]) == expected.get(name, 0), name


RUNNER = """
import random
from tests.decode.test_ctnetlink import WHOLE, compare
draw = random.Random(7)
for number in range(3000):
    data = bytearray(b"".join(draw.choices(WHOLE, k=2)) if number % 4 else draw.randbytes(draw.randrange(200)))
    for _ in range(draw.randrange(6)):
        if data:
            data[draw.randrange(len(data))] = draw.choice([0, 1, 2, 4, 8, 0x80, 0xFF, draw.randrange(256)])
    compare(bytes(data[: draw.randrange(len(data) + 1)]) if number % 3 else bytes(data))
print("within bounds")
"""


@pytest.mark.slow
def test_nothing_is_read_beyond_a_block(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NETWATCH_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(root)}
    ran = subprocess.run([sys.executable, "-c", RUNNER], env=environment, cwd=root, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "within bounds", ran.stderr[-2000:]
