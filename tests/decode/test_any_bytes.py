"""Whatever the bytes: nothing is read beyond them, every packet is decoded or counted, and a cut takes nothing else away."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.decode import Decoder
from netwatch.decode.link import LINK_ETHERNET, LINK_RAW
from netwatch.model.packet import DecodeStatus, Layer, PacketBlock
from tests.decode.bytes_of import UDP4, UDP6, ethernet, extension, icmp, ipv4, ipv6, tcp
from tests.decode.one import decode_block, decode_one
from tests.decode.slow_reader import Captured, frame, frame_block
from tests.decode.test_link_layers import NFLOG_BEFORE_PAYLOAD
from tests.decode.test_transport import SYN_OPTIONS
from tests.decode.test_tunnels import CARRIERS

LINK_TYPES = [0, 1, 9, 12, 14, 50, 51, 100, 101, 104, 105, 108, 109, 113, 117, 127, 138, 166, 204, 228, 229, 239, 240, 258, 276, 999]
SEEDS = [
    ethernet(0x8100, b"\x00\x05\x08\x00" + ipv4(tcp(b"data", options=SYN_OPTIONS), protocol=6)),
    ethernet(0x86DD, ipv6(extension(44) + b"\x11\x00\x00\x00\x00\x00\x00\x07" + UDP4, following=0)),
    ethernet(0x0800, ipv4(icmp(3, 1, ipv4(tcp(), protocol=6)), protocol=1)),
    ethernet(0x8847, b"\x00\x01\x01\x40" + UDP6),
    b"\x02\x00\x00\x1e" + NFLOG_BEFORE_PAYLOAD + b"\x2a\x00\x09\x00" + UDP4,
    *(ethernet(0x0800, packet) for packet in CARRIERS.values()),
]
WHOLE = ethernet(0x86DD, ipv6(extension(60) + extension(6) + tcp(b"payload", options=SYN_OPTIONS), following=0))
WHOLE_4 = ethernet(0x88A8, b"\x00\x07\x81\x00\x00\x08\x08\x00" + ipv4(tcp(b"payload", options=SYN_OPTIONS), protocol=6))


@st.composite
def hostile(draw: st.DrawFn) -> Captured:
    """Random bytes, or a good packet with some of its bytes changed, cut or not."""
    data = bytearray(draw(st.one_of(st.binary(max_size=200), st.sampled_from(SEEDS))))
    for place, value in draw(st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6)):
        if place < len(data):
            data[place] = value
    data = data[: draw(st.integers(0, len(data)))]
    return frame(bytes(data), link_type=draw(st.sampled_from(LINK_TYPES)), wire_len=draw(st.integers(0, 70_000)))


def check(decoder: Decoder, block: PacketBlock, captured: list[Captured]) -> None:
    """What holds for every block, whatever was in it."""
    rows, traffic = block.packets, decoder.traffic
    assert len(rows) == traffic.packets == len(captured)
    assert traffic.non_ip + traffic.ipv4 + traffic.ipv6 == traffic.packets
    assert traffic.tcp + traffic.udp + traffic.icmp + traffic.other == traffic.ipv4 + traffic.ipv6
    reasons = {DecodeStatus(int(status)).name.lower() for status in rows["status"] if status > DecodeStatus.NOT_IP}
    assert set(decoder.errors) == reasons
    assert sum(decoder.errors.values()) == np.count_nonzero(rows["status"] > DecodeStatus.NOT_IP)
    is_ip = (rows["layers"] & (Layer.IPV4 | Layer.IPV6)) != 0
    assert np.all(is_ip[rows["status"] == DecodeStatus.OK])
    assert not np.any(rows["layers"][~is_ip] & Layer.TRANSPORT)
    assert not np.any(rows["hash"][~is_ip])
    wire = np.array([max(packet.wire_len, len(packet.data)) for packet in captured])
    assert np.all(rows["payload_len"].astype(np.int64) + rows["transport_header_len"] <= wire)
    quoting = rows["quoted"][rows["quoted"] >= 0]
    assert np.array_equal(quoting, np.arange(len(block.quoted)))


@settings(deadline=None, max_examples=300)
@given(st.lists(hostile(), max_size=8), st.booleans())
def test_any_bytes_are_decoded_or_counted(captured: list[Captured], inner: bool) -> None:
    decoder = Decoder(inner=inner)
    check(decoder, decoder.decode(frame_block(captured)), captured)


@pytest.mark.parametrize("whole", [WHOLE, WHOLE_4], ids=["IPv6", "IPv4"])
def test_a_cut_at_any_byte_leaves_the_fields_before_it_or_counts_a_reason(whole: bytes) -> None:
    full = decode_one(whole)
    names = [name for name in full.dtype.names or () if name not in ("captured_len", "status", "layers", "hash", "payload_len")]
    for cut in range(len(whole)):
        row = decode_one(whole[:cut], wire_len=len(whole))
        differing = {name for name in names if row[name] != full[name]}
        assert all(row[name] == 0 for name in differing - {"protocol", "transport_header_len", "tcp_options"}), cut
        assert row["tcp_options"] & ~full["tcp_options"] == 0
        if row["status"] == DecodeStatus.OK:
            assert (row["layers"], row["hash"], row["payload_len"]) == (full["layers"], full["hash"], full["payload_len"])
            assert differing <= {"mss", "window_scale", "tcp_options"}, "only options may be missing"


def test_frames_that_lie_outside_of_the_block_are_cut_not_read() -> None:
    block = frame_block([frame(UDP4, link_type=LINK_RAW)] * 3)
    block.frames["offset"] = (-20, len(block.data) - 10, 2**40)
    statuses = Decoder().decode(block).packets["status"]
    assert np.all(statuses > DecodeStatus.NOT_IP)
    assert statuses[0] == DecodeStatus.CUT_LINK_HEADER


def test_a_block_may_be_writable_and_its_frames_may_have_gaps() -> None:
    block = frame_block([frame(ethernet(0x0800, UDP4), link_type=LINK_ETHERNET)] * 6)
    every_second = type(block)(block.data.copy(), block.frames[::2])
    assert np.all(Decoder().decode(every_second).packets["sport"] == 1000)


def test_a_decoded_block_holds_no_reference_to_the_bytes() -> None:
    block = frame_block([frame(UDP4, link_type=LINK_RAW)])
    writable = type(block)(block.data.copy(), block.frames)
    packets = Decoder().decode(writable).packets
    writable.data[:] = 0
    assert packets["sport"][0] == 1000
    assert not np.shares_memory(packets, writable.data)


RUNNER = """
import random
from tests.decode.test_any_bytes import LINK_TYPES, SEEDS, WHOLE, WHOLE_4, check
from tests.decode.slow_reader import frame, frame_block
from netwatch.decode import Decoder
from netwatch.model.packet import Layer
import numpy as np
draw = random.Random(7)
decoders = [Decoder(), Decoder(inner=True)]
# A kernel with bounds checks refuses what is really outside: each frame is alone in its array, so its end is the array's.
for number in range(6000):
    data = bytearray(draw.choice([*SEEDS, WHOLE, WHOLE_4]) if number % 4 else draw.randbytes(draw.randrange(80)))
    for _ in range(draw.randrange(5)):
        if data:
            data[draw.randrange(min(len(data), 90))] = draw.choice([0, 1, 4, 6, 8, 0x45, 0x60, 0xFF, draw.randrange(256)])
    cut = bytes(data[: draw.randrange(len(data) + 1)]) if number % 3 else bytes(data)
    link_type = 1 if number % 2 else draw.choice(LINK_TYPES)
    for decoder in decoders:
        decoder.decode(frame_block([frame(cut, link_type=link_type, wire_len=draw.choice([len(cut), 1500, 0]))]))
for decoder in decoders:
    assert decoder.traffic.packets == 6000 and len(decoder.errors) >= 9, decoder.errors
print("within bounds")
"""


@pytest.mark.slow
def test_nothing_is_read_beyond_a_frame(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NETWATCH_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(root)}
    ran = subprocess.run([sys.executable, "-c", RUNNER], env=environment, cwd=root, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "within bounds", ran.stderr[-2000:]


def test_bounds_checks_do_find_a_read_beyond_the_end(tmp_path: Path) -> None:
    script = (
        "from netwatch.jit import njit\nfrom netwatch.decode.octets import read_32\nimport numpy as np\nread_32(np.zeros(3, np.uint8), 0)\n"
    )
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NETWATCH_CACHE_DIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "IndexError" in ran.stderr


def test_decoding_twice_gives_the_same_rows() -> None:
    captured = [frame(seed) for seed in SEEDS]
    assert np.array_equal(decode_block(*captured).packets, decode_block(*captured).packets)
