"""IPv4 and IPv6 headers: lengths, fragments and extension headers."""

import struct

import pytest

from netwatch.decode.network import EXTENSIONS
from netwatch.model.packet import DecodeStatus, Layer
from tests.decode.bytes_of import UDP4, UDP6, ethernet, extension, fragment_header, ipv4, ipv6, tcp, udp
from tests.decode.one import decode_one, status_of

UDP = udp(b"x" * 10)
JUMBO = struct.pack(">BBBBI", 17, 0, 0xC2, 4, 70_000)


def test_ethernet_padding_is_no_payload() -> None:
    assert decode_one(ethernet(0x0800, ipv4(tcp(), protocol=6) + bytes(6)))["payload_len"] == 0


def test_lengths_are_those_of_the_wire_not_of_the_snaplen() -> None:
    whole = ethernet(0x0800, ipv4(tcp(b"y" * 900), protocol=6))
    row = decode_one(whole[:60], wire_len=len(whole))
    assert (row["status"], row["payload_len"], row["captured_len"], row["wire_len"]) == (DecodeStatus.OK, 900, 60, 954)


@pytest.mark.parametrize("packet", [ipv4(tcp(b"y" * 3000), protocol=6, total=0), ipv6(tcp(b"y" * 3000), following=6, payload=0)])
def test_a_length_of_zero_means_the_length_of_the_frame(packet: bytes) -> None:
    row = decode_one(packet, link_type=101)
    assert (row["status"], row["payload_len"]) == (DecodeStatus.OK, 3000)


def test_a_jumbogram_takes_its_length_from_the_option() -> None:
    packet = ipv6(JUMBO + udp(length=0), following=0, payload=0)
    row = decode_one(packet, link_type=101, wire_len=40 + 70_000 + 100)
    assert (row["status"], row["payload_len"]) == (DecodeStatus.OK, 70_000 - 8 - 8)


@pytest.mark.parametrize("packet", [ipv4(UDP, total=5000), ipv6(UDP, payload=5000)])
def test_a_packet_that_claims_more_than_the_frame_had_is_not_believed(packet: bytes) -> None:
    row = decode_one(packet, link_type=101)
    assert (row["status"], row["payload_len"]) == (DecodeStatus.OK, 10)


def test_options_of_ipv4_are_stepped_over() -> None:
    row = decode_one(ipv4(b"\x94\x04\x00\x00" + UDP, first=0x46), link_type=101)
    assert (row["status"], row["sport"], row["payload_len"]) == (DecodeStatus.OK, 1000, 10)


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        pytest.param(ipv4(UDP, first=0x55), DecodeStatus.BAD_IP_HEADER, id="version 5"),
        pytest.param(ipv4(UDP, first=0x44), DecodeStatus.BAD_IP_HEADER, id="header of 16 bytes"),
        pytest.param(ipv4(UDP, total=19), DecodeStatus.BAD_IP_LENGTH, id="total below the header"),
        pytest.param(ipv4(b"", first=0x4F), DecodeStatus.CUT_IP_HEADER, id="options that are not there"),
        pytest.param(UDP4[:19], DecodeStatus.CUT_IP_HEADER, id="half a header"),
        pytest.param(b"", DecodeStatus.CUT_LINK_HEADER, id="nothing"),
    ],
)
def test_a_header_that_cannot_be_is_counted_and_leaves_no_addresses(packet: bytes, status: DecodeStatus) -> None:
    row = decode_one(ethernet(0x0800, packet) if packet else b"")
    assert (row["status"], row["layers"], row["src_lo"], row["hash"]) == (status, 0, 0, 0)


def test_version_4_announced_as_ipv6_is_a_bad_header() -> None:
    assert status_of(ethernet(0x86DD, ipv4(bytes(40)))) == DecodeStatus.BAD_IP_HEADER


def test_version_6_announced_as_ipv4_is_read_as_what_it_is() -> None:
    assert decode_one(ethernet(0x0800, UDP6))["layers"] == Layer.IPV6 | Layer.TRANSPORT


@pytest.mark.parametrize(
    ("field", "layers", "offset"),
    [
        (0x2000, Layer.TRANSPORT | Layer.FRAGMENT | Layer.FIRST_FRAGMENT | Layer.MORE_FRAGMENTS, 0),
        (0x2003, Layer.FRAGMENT | Layer.MORE_FRAGMENTS, 24),
        (0x1FFF, Layer.FRAGMENT, 65528),
        (0x4000, Layer.TRANSPORT, 0),
    ],
)
def test_fragments_of_ipv4(field: int, layers: Layer, offset: int) -> None:
    row = decode_one(ipv4(UDP, fragment=field), link_type=101)
    assert (row["status"], row["layers"], row["fragment_offset"]) == (DecodeStatus.OK, layers | Layer.IPV4, offset)
    assert row["fragment_id"] == 0x1234
    assert (row["sport"], row["payload_len"]) == ((1000, 10) if layers & Layer.TRANSPORT else (0, 18))


@pytest.mark.parametrize(
    ("offset", "more", "layers"),
    [
        (0, True, Layer.TRANSPORT | Layer.FRAGMENT | Layer.FIRST_FRAGMENT | Layer.MORE_FRAGMENTS),
        (16, True, Layer.FRAGMENT | Layer.MORE_FRAGMENTS),
        (16, False, Layer.FRAGMENT),
        (0, False, Layer.TRANSPORT | Layer.ATOMIC_FRAGMENT),
    ],
)
def test_fragments_of_ipv6(offset: int, more: bool, layers: Layer) -> None:
    rest = extension(44) + fragment_header(17, offset=offset, more=more) + UDP
    row = decode_one(ipv6(rest, following=60), link_type=101)
    assert (row["status"], row["layers"], row["fragment_offset"]) == (DecodeStatus.OK, layers | Layer.IPV6, offset)
    assert (row["fragment_id"], row["protocol"]) == (77, 17)


@pytest.mark.parametrize("kind", [0, 43, 60, 135, 139, 140])
def test_extension_headers_are_stepped_over(kind: int) -> None:
    row = decode_one(ipv6(extension(kind, size=16) + extension(17, size=24) + UDP, following=kind), link_type=101)
    assert (row["status"], row["protocol"], row["sport"], row["payload_len"]) == (DecodeStatus.OK, 17, 1000, 10)


@pytest.mark.parametrize("packet", [ipv4(b"\x11\x04" + bytes(22) + UDP, protocol=51), ipv6(b"\x11\x04" + bytes(22) + UDP, following=51)])
def test_an_authentication_header_is_stepped_over(packet: bytes) -> None:
    row = decode_one(packet, link_type=101)
    assert (row["status"], row["protocol"], row["sport"]) == (DecodeStatus.OK, 17, 1000)


def test_no_next_header_is_a_whole_packet() -> None:
    row = decode_one(ipv6(extension(59), following=60), link_type=101)
    assert (row["status"], row["protocol"], row["payload_len"]) == (DecodeStatus.OK, 59, 0)


@pytest.mark.parametrize("headers", [EXTENSIONS, EXTENSIONS + 1])
def test_extension_headers_are_followed_to_a_bound(headers: int) -> None:
    packet = ipv6(extension(60) * (headers - 1) + extension(17) + UDP, following=60)
    status = DecodeStatus.OK if headers == EXTENSIONS else DecodeStatus.TOO_MANY_LAYERS
    assert status_of(packet, link_type=101) == status


@pytest.mark.parametrize("cut", [41, 47, 48, 55])
def test_an_extension_header_that_is_cut_leaves_the_addresses(cut: int) -> None:
    packet = ipv6(extension(60) + extension(17) + UDP, following=0)
    row = decode_one(packet[:cut], link_type=101, wire_len=len(packet))
    assert (row["status"], row["layers"]) == (DecodeStatus.CUT_EXTENSION_HEADER, Layer.IPV6)
    assert row["dst_lo"] == 2


def test_an_extension_header_may_not_reach_beyond_the_packet() -> None:
    packet = ipv6(extension(17, size=64) + UDP, following=0, payload=40)
    assert status_of(packet, link_type=101) == DecodeStatus.CUT_EXTENSION_HEADER
