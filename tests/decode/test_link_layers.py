"""The first header of a frame, for every link type."""

import struct

import pytest

from netwatch.model.packet import DecodeStatus, Direction, Layer
from tests.decode.bytes_of import MACS, UDP4, UDP6, ethernet
from tests.decode.one import decode_one, status_of

SNAP_IPV4 = bytes.fromhex("aaaa030000000800")
WIRELESS_ADDRESSES = bytes(2) + MACS + bytes(8)
NFLOG_BEFORE_PAYLOAD = struct.pack("<HHI", 8, 1, 0) + struct.pack("<HH5s3x", 9, 10, b"log: ")


def sll(packet_type: int, protocol: int) -> bytes:
    return struct.pack(">HHH8sH", packet_type, 1, 6, MACS[:8], protocol)


def sll2(packet_type: int, protocol: int) -> bytes:
    return struct.pack(">HHIHBB8s", protocol, 0, 1, 1, packet_type, 6, MACS[:8])


@pytest.mark.parametrize(
    ("link_type", "header", "packet"),
    [
        pytest.param(0, struct.pack("<I", 2), UDP4, id="NULL of a little-endian host"),
        pytest.param(0, struct.pack(">I", 2), UDP4, id="NULL of a big-endian host"),
        pytest.param(0, struct.pack("<I", 10), UDP6, id="NULL with Linux' number of IPv6"),
        pytest.param(0, struct.pack("<I", 24), UDP6, id="NULL with the BSDs' number of IPv6"),
        pytest.param(0, struct.pack("<I", 28), UDP6, id="NULL with FreeBSD's number of IPv6"),
        pytest.param(0, struct.pack(">I", 30), UDP6, id="NULL with Darwin's number of IPv6"),
        pytest.param(108, struct.pack(">I", 2), UDP4, id="LOOP"),
        pytest.param(1, ethernet(0x0800), UDP4, id="Ethernet"),
        pytest.param(1, ethernet(0x86DD), UDP6, id="Ethernet, IPv6"),
        pytest.param(9, b"\xff\x03\x00\x21", UDP4, id="PPP"),
        pytest.param(9, b"\x00\x57", UDP6, id="PPP without address and control"),
        pytest.param(9, b"\xff\x03\x21", UDP4, id="PPP with a compressed protocol"),
        pytest.param(50, b"\xff\x03\x00\x21", UDP4, id="PPP in HDLC"),
        pytest.param(50, b"\x0f\x00\x08\x00", UDP4, id="Cisco HDLC announced as PPP in HDLC"),
        pytest.param(51, b"\x11\x00\x00\x01\x00\x30\x00\x21", UDP4, id="PPPoE without Ethernet"),
        pytest.param(12, b"", UDP4, id="raw IP of BSD"),
        pytest.param(14, b"", UDP6, id="raw IP of OpenBSD"),
        pytest.param(101, b"", UDP4, id="raw IP"),
        pytest.param(101, b"", UDP6, id="raw IP, IPv6"),
        pytest.param(100, SNAP_IPV4, UDP4, id="ATM with LLC"),
        pytest.param(104, b"\x0f\x00\x86\xdd", UDP6, id="Cisco HDLC"),
        pytest.param(105, b"\x08\x01" + WIRELESS_ADDRESSES + SNAP_IPV4, UDP4, id="802.11 data"),
        pytest.param(105, b"\x88\x03" + WIRELESS_ADDRESSES + bytes(8) + SNAP_IPV4, UDP4, id="802.11 QoS data between stations"),
        pytest.param(127, b"\x00\x00\x08\x00" + bytes(4) + b"\x08\x02" + WIRELESS_ADDRESSES + SNAP_IPV4, UDP4, id="radiotap"),
        pytest.param(109, struct.pack("<III", 2, 0, 0), UDP4, id="ENC"),
        pytest.param(113, sll(0, 0x0800), UDP4, id="SLL"),
        pytest.param(113, sll(0, 0x8100) + b"\x00\x05\x86\xdd", UDP6, id="SLL with a VLAN tag"),
        pytest.param(117, b"\x3d\x02" + bytes(62), UDP4, id="PFLOG, its length rounded up"),
        pytest.param(138, bytes(16) + b"\x08\x00", UDP4, id="IP over FireWire"),
        pytest.param(166, b"\x01\xff\x03\x00\x21", UDP4, id="PPP of pppd"),
        pytest.param(204, b"\x00\xff\x03\x00\x57", UDP6, id="PPP with direction"),
        pytest.param(228, b"", UDP4, id="IPv4"),
        pytest.param(229, b"", UDP6, id="IPv6"),
        pytest.param(239, b"\x02\x00\x00\x1e" + NFLOG_BEFORE_PAYLOAD + struct.pack("<HH", 42, 9), UDP4, id="NFLOG of a little-endian host"),
        pytest.param(
            239, b"\x0a\x00\x00\x1e" + struct.pack(">HHI", 8, 1, 0) + struct.pack(">HH", 62, 9), UDP6, id="NFLOG of a big-endian host"
        ),
        pytest.param(240, bytes(4) + ethernet(0x0800), UDP4, id="netANALYZER"),
        pytest.param(258, struct.pack("<III", 108, 1, 1) + bytes(96) + ethernet(0x0800), UDP4, id="PKTAP with Ethernet"),
        pytest.param(258, struct.pack("<III", 108, 1, 12) + bytes(96), UDP6, id="PKTAP with raw IP"),
        pytest.param(276, sll2(0, 0x86DD), UDP6, id="SLL2"),
    ],
)
def test_ip_is_found_behind_the_header_of_the_link(link_type: int, header: bytes, packet: bytes) -> None:
    row = decode_one(header + packet, link_type=link_type)
    assert row["status"] == DecodeStatus.OK
    assert row["layers"] == (Layer.IPV4 if packet is UDP4 else Layer.IPV6) | Layer.TRANSPORT
    assert (row["sport"], row["dport"], row["payload_len"]) == (1000, 2000, 10)


@pytest.mark.parametrize(
    ("link_type", "frame"),
    [
        pytest.param(0, struct.pack("<I", 7) + UDP4, id="NULL with another family"),
        pytest.param(1, ethernet(0x0806, bytes(28)), id="ARP"),
        pytest.param(1, ethernet(1501, UDP4), id="a type that is neither length nor EtherType"),
        pytest.param(9, b"\xff\x03\xc0\x21" + UDP4, id="PPP link control"),
        pytest.param(105, b"\x80\x00" + bytes(60), id="802.11 beacon"),
        pytest.param(105, b"\x08\x41" + WIRELESS_ADDRESSES + SNAP_IPV4 + UDP4, id="802.11 encrypted"),
        pytest.param(105, b"\x48\x01" + WIRELESS_ADDRESSES, id="802.11 without data"),
        pytest.param(113, sll(0, 0x0001) + UDP4, id="SLL with Novell's raw 802.3"),
        pytest.param(239, b"\x02\x00\x00\x1e" + NFLOG_BEFORE_PAYLOAD * 32, id="NFLOG without a payload"),
    ],
)
def test_what_is_not_ip_is_no_error(link_type: int, frame: bytes) -> None:
    assert status_of(frame, link_type=link_type) == DecodeStatus.NOT_IP


def test_a_link_type_that_nobody_knows_is_said() -> None:
    assert status_of(UDP4, link_type=250) == DecodeStatus.UNKNOWN_LINK_TYPE


@pytest.mark.parametrize(
    ("link_type", "frame", "direction"),
    [
        (113, sll(0, 0x0800) + UDP4, Direction.INGRESS),
        (113, sll(4, 0x0800) + UDP4, Direction.EGRESS),
        (113, sll(3, 0x0800) + UDP4, Direction.UNKNOWN),
        (276, sll2(4, 0x0800) + UDP4, Direction.EGRESS),
        (204, b"\x00\xff\x03\x00\x21" + UDP4, Direction.INGRESS),
        (204, b"\x01\xff\x03\x00\x21" + UDP4, Direction.EGRESS),
    ],
)
def test_the_direction_is_taken_from_the_header_of_the_link(link_type: int, frame: bytes, direction: Direction) -> None:
    assert decode_one(frame, link_type=link_type)["direction"] == direction
