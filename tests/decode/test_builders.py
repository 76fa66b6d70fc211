"""The rows that other tests build are the rows that the decoder makes of the same packets."""

import numpy as np
import pytest

from netwatch.model.packet import PacketBlock
from tests.builders import fragment, icmp_echo, icmp_error, packet, packet_block, tcp, udp
from tests.decode import bytes_of
from tests.decode.bytes_of import DST, DST6, SRC, SRC6, ethernet
from tests.decode.one import decode_block
from tests.decode.slow_reader import frame

OPTIONS = bytes.fromhex("020405b40402080a000000010000000001030307")
SYN4 = bytes_of.ipv4(bytes_of.tcp(options=OPTIONS), protocol=6)
BUILT_SYN = tcp(
    0, SRC, 1000, DST, 25, "S", seq=7, ack=9, window=512, mss=1460, window_scale=7, sack_permitted=True, timestamp=True, option_bytes=20
)
ABOUT = bytes_of.ipv4(bytes_of.udp(b"12", sport=5, dport=6), src=DST, dst=SRC)

PAIRS = {
    "TCP": (ethernet(0x0800, SYN4), packet_block(BUILT_SYN)),
    "TCP over IPv6": (
        ethernet(0x86DD, bytes_of.ipv6(bytes_of.tcp(b"abc", flags=0x18), following=6)),
        packet_block(tcp(0, SRC6, 1000, DST6, 25, "PA", seq=7, ack=9, window=512, payload=3)),
    ),
    "UDP": (ethernet(0x0800, bytes_of.UDP4), packet_block(udp(0, SRC, 1000, DST, 2000, payload=10))),
    "echo": (
        ethernet(0x0800, bytes_of.ipv4(bytes_of.icmp(8, identifier=3, rest=bytes(56)), protocol=1)),
        packet_block(icmp_echo(0, SRC, DST, identifier=3)),
    ),
    "echo reply over IPv6": (
        ethernet(0x86DD, bytes_of.ipv6(bytes_of.icmp(129, identifier=3, rest=bytes(56)), following=58)),
        packet_block(icmp_echo(0, SRC6, DST6, identifier=3, reply=True)),
    ),
    "ICMP error": (
        ethernet(0x0800, bytes_of.ipv4(bytes_of.icmp(3, 1, ABOUT[:28]), protocol=1)),
        packet_block(icmp_error(0, SRC, DST, udp(0, DST, 5, SRC, 6))),
    ),
    "later fragment": (
        ethernet(0x0800, bytes_of.ipv4(bytes(64), fragment=0x2001)),
        packet_block(fragment(0, SRC, DST, identification=0x1234, offset=8, more=True, payload=64)),
    ),
    "another protocol": (ethernet(0x0800, bytes_of.ipv4(bytes(9), protocol=50)), packet_block(packet(0, SRC, DST, 50, payload_len=9))),
}


@pytest.mark.parametrize(("data", "built"), PAIRS.values(), ids=PAIRS.keys())
def test_a_built_row_is_the_decoded_one(data: bytes, built: PacketBlock) -> None:
    decoded = decode_block(frame(data))
    names = [name for name in decoded.packets.dtype.names or () if name != "fragment_id" or built.packets["fragment_id"][0]]
    assert {name: decoded.packets[name][0] for name in names} == {name: built.packets[name][0] for name in names}
    assert np.array_equal(decoded.quoted, built.quoted)
