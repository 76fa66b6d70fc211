"""Tunnels: the outermost header by default, the innermost on demand."""

import struct

import pytest

from netwatch.decode import Decoder
from netwatch.model.packet import DecodeStatus, Layer
from tests.builders import halves
from tests.decode.bytes_of import ethernet, icmp, ipv4, ipv6, tcp, udp
from tests.decode.one import decode_one
from tests.decode.slow_reader import frame, frame_block

SYN = ipv4(tcp(), protocol=6, src="10.9.9.9", dst="10.8.8.8")
SYN6 = ipv6(tcp(), following=6, src="fd00::9", dst="fd00::8")
FRAME = ethernet(0x0800, SYN)
VXLAN = b"\x08\x00\x00\x00\x00\x00\x07\x00"


def gre(flags: int, kind: int, rest: bytes) -> bytes:
    return struct.pack(">HH", flags, kind) + rest


def over_udp(port: int, rest: bytes) -> bytes:
    return ipv4(udp(rest, sport=50_000, dport=port))


CARRIERS = {
    "IP in IP": ipv4(SYN, protocol=4),
    "IPv6 in IP": ipv4(SYN6, protocol=41),
    "IP in IPv6": ipv6(SYN, following=4),
    "Ethernet in IP": ipv4(b"\x30\x00" + FRAME, protocol=97),
    "Ethernet behind IPv6": ipv6(FRAME, following=143),
    "MPLS in IP": ipv4(b"\x00\x01\x01\x40" + SYN, protocol=137),
    "GRE": ipv4(gre(0, 0x0800, SYN), protocol=47),
    "GRE with checksum, key and sequence": ipv4(gre(0xB000, 0x86DD, bytes(12) + SYN6), protocol=47),
    "NVGRE": ipv4(gre(0x2000, 0x6558, bytes(4) + FRAME), protocol=47),
    "PPTP with acknowledgement": ipv4(gre(0x3081, 0x880B, bytes(12) + b"\xff\x03\x00\x21" + SYN), protocol=47),
    "PPTP with a compressed header": ipv4(gre(0x3001, 0x880B, bytes(8) + b"\x21" + SYN), protocol=47),
    "ERSPAN I": ipv4(gre(0, 0x88BE, FRAME), protocol=47),
    "ERSPAN II": ipv4(gre(0x1000, 0x88BE, bytes(4) + bytes(8) + FRAME), protocol=47),
    "ERSPAN III": ipv4(gre(0x1000, 0x22EB, bytes(4) + bytes(12) + FRAME), protocol=47),
    "ERSPAN III with platform": ipv4(gre(0x1000, 0x22EB, bytes(4) + bytes(11) + b"\x01" + bytes(8) + FRAME), protocol=47),
    "WCCP": ipv4(gre(0, 0x883E, SYN), protocol=47),
    "WCCP with a redirect header": ipv4(gre(0, 0x883E, bytes(4) + SYN), protocol=47),
    "Cisco metadata in GRE": ipv4(gre(0x2000, 0x8909, bytes(4) + b"\x08\x00\x01\x01\x00\x01\x00\x00" + SYN), protocol=47),
    "VXLAN": over_udp(4789, VXLAN + FRAME),
    "Geneve with options": over_udp(6081, b"\x02\x00\x65\x58" + bytes(4) + bytes(8) + FRAME),
    "Geneve without Ethernet": over_udp(6081, b"\x00\x00\x08\x00" + bytes(4) + SYN),
    "GTP-U": over_udp(2152, b"\x30\xff" + bytes(6) + SYN),
    "GTP-U with an extension": over_udp(2152, b"\x34\xff" + bytes(6) + bytes(3) + b"\x85" + b"\x01\x00\x00\x00" + SYN6),
    "L2TP": over_udp(1701, b"\x00\x02" + bytes(4) + b"\xff\x03\x00\x21" + SYN),
    "L2TP with all options": over_udp(1701, b"\x4a\x02" + bytes(2) + bytes(4) + bytes(4) + b"\x00\x03" + bytes(3) + b"\x00\x57" + SYN6),
    "MPLS in UDP": over_udp(6635, b"\x00\x01\x01\x40" + SYN),
    "IP in IP in GRE": ipv4(gre(0, 0x0800, ipv4(SYN, protocol=4)), protocol=47),
}
by_name = pytest.mark.parametrize("packet", CARRIERS.values(), ids=CARRIERS.keys())


@by_name
def test_the_innermost_header_is_found_on_demand(packet: bytes) -> None:
    row = decode_one(packet, link_type=101, inner=True)
    assert row["status"] == DecodeStatus.OK
    assert row["layers"] & ~(Layer.IPV4 | Layer.IPV6) == Layer.TUNNEL | Layer.TRANSPORT
    expected = halves("10.9.9.9") if row["layers"] & Layer.IPV4 else halves("fd00::9")
    assert (row["src_hi"], row["src_lo"]) == expected
    assert (row["protocol"], row["sport"], row["dport"], row["tcp_flags"], row["payload_len"]) == (6, 1000, 25, 2, 0)


@by_name
def test_the_outermost_header_is_taken_by_default(packet: bytes) -> None:
    row = decode_one(packet, link_type=101)
    assert row["status"] == DecodeStatus.OK
    assert row["layers"] & Layer.TUNNEL
    assert (row["src_hi"], row["src_lo"]) == (halves("192.0.2.1") if row["layers"] & Layer.IPV4 else halves("2001:db8::1"))
    assert row["tcp_flags"] == 0


@pytest.mark.parametrize(
    "packet",
    [
        pytest.param(over_udp(4789, bytes(8) + FRAME), id="VXLAN port without its flag"),
        pytest.param(over_udp(4789, VXLAN + ethernet(0x0806, bytes(28))), id="ARP in VXLAN"),
        pytest.param(over_udp(6081, b"\x40" + bytes(7) + SYN), id="Geneve port, another version"),
        pytest.param(over_udp(2152, b"\x30\x01" + bytes(6)), id="GTP-U echo"),
        pytest.param(over_udp(1701, b"\xc8\x02" + bytes(10)), id="L2TP control"),
        pytest.param(over_udp(2152, b"\x50\xff" + bytes(6) + SYN), id="GTP port, another version"),
        pytest.param(ipv4(gre(0, 0, b""), protocol=47), id="GRE keepalive"),
        pytest.param(ipv4(gre(0x4000, 0x0800, SYN), protocol=47), id="GRE with source routes"),
        pytest.param(ipv4(gre(2, 0x0800, SYN), protocol=47), id="GRE of an unknown version"),
    ],
)
def test_the_carrier_stays_the_innermost_header_of_what_carries_no_ip(packet: bytes) -> None:
    row = decode_one(packet, link_type=101, inner=True)
    assert (row["status"], row["protocol"]) == (DecodeStatus.OK, packet[9])
    assert (row["src_hi"], row["src_lo"]) == halves("192.0.2.1")
    assert row["sport"] == (50_000 if packet[9] == 17 else 0)


@pytest.mark.parametrize(
    ("packet", "kept", "status"),
    [
        pytest.param(over_udp(4789, VXLAN + FRAME), 32, DecodeStatus.CUT_TUNNEL_HEADER, id="within VXLAN"),
        pytest.param(over_udp(4789, VXLAN + FRAME), 40, DecodeStatus.CUT_LINK_HEADER, id="within the carried Ethernet"),
        pytest.param(over_udp(4789, VXLAN + FRAME), 60, DecodeStatus.CUT_IP_HEADER, id="within the carried IP"),
        pytest.param(ipv4(gre(0, 0x0800, SYN), protocol=47), 23, DecodeStatus.CUT_TUNNEL_HEADER, id="within GRE"),
        pytest.param(ipv4(gre(0x2000, 0x0800, bytes(4) + SYN), protocol=47), 26, DecodeStatus.CUT_IP_HEADER, id="within the key of GRE"),
        pytest.param(ipv4(gre(0x1000, 0x22EB, bytes(16) + FRAME), protocol=47), 34, DecodeStatus.CUT_TUNNEL_HEADER, id="within ERSPAN"),
        pytest.param(over_udp(1701, b"\x02\x02" + bytes(6) + SYN), 34, DecodeStatus.CUT_TUNNEL_HEADER, id="within L2TP"),
        pytest.param(
            over_udp(2152, b"\x34\xff" + bytes(6) + bytes(3) + b"\x85" + SYN), 40, DecodeStatus.CUT_TUNNEL_HEADER, id="within GTP-U"
        ),
    ],
)
def test_a_tunnel_that_is_cut_says_so_only_if_it_is_followed(packet: bytes, kept: int, status: DecodeStatus) -> None:
    followed = decode_one(packet[:kept], link_type=101, wire_len=len(packet), inner=True)
    assert (followed["status"], (followed["src_hi"], followed["src_lo"])) == (status, halves("192.0.2.1"))
    assert decode_one(packet[:kept], link_type=101, wire_len=len(packet))["status"] == DecodeStatus.OK


def test_tunnels_in_tunnels_are_followed_to_a_bound() -> None:
    packet = SYN
    for _ in range(40):
        packet = ipv4(packet, protocol=4)
    assert decode_one(packet, link_type=101)["status"] == DecodeStatus.OK
    row = decode_one(packet, link_type=101, inner=True)
    assert (row["status"], row["protocol"]) == (DecodeStatus.TOO_MANY_LAYERS, 4)


def test_a_later_fragment_of_a_carrier_is_not_taken_for_what_it_carries() -> None:
    row = decode_one(ipv4(SYN, protocol=4, fragment=0x0003), link_type=101, inner=True)
    assert (row["status"], row["protocol"], row["fragment_offset"]) == (DecodeStatus.OK, 4, 24)


def test_nothing_of_the_carrier_stays_in_the_row_of_the_innermost_header() -> None:
    carrier = over_udp(4789, VXLAN + ethernet(0x0800, ipv4(bytes(8), protocol=50)))
    row = decode_one(carrier, link_type=101, inner=True)
    assert (row["protocol"], row["sport"], row["dport"], row["payload_len"]) == (50, 0, 0, 8)


def test_counts_are_of_the_header_that_the_rows_describe() -> None:
    block = frame_block([frame(ipv4(gre(0, 0x86DD, SYN6), protocol=47), link_type=101)] * 3)
    outer, inner = Decoder(), Decoder(inner=True)
    outer.decode(block)
    inner.decode(block)
    assert (outer.traffic.ipv4, outer.traffic.ipv6, outer.traffic.other, outer.traffic.tcp_syn) == (3, 0, 3, 0)
    assert (inner.traffic.ipv4, inner.traffic.ipv6, inner.traffic.tcp, inner.traffic.tcp_syn) == (0, 3, 3, 3)


def test_an_icmp_error_within_a_tunnel_quotes_too() -> None:
    error = ipv4(icmp(3, 1, SYN), protocol=1)
    row = decode_one(over_udp(4789, VXLAN + ethernet(0x0800, error)), link_type=101, inner=True)
    assert (row["quoted"], row["icmp_type"]) == (0, 3)
