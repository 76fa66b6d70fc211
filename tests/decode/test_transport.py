"""Transport headers, whole, cut and malformed, and what ICMP errors quote."""

import numpy as np
import pytest

from netwatch.model.packet import DecodeStatus, Layer, TcpFlag, TcpOption
from tests.builders import halves, tuple_hash_slowly
from tests.decode.bytes_of import DST, DST6, SRC, SRC6, ethernet, icmp, ipv4, ipv6, tcp, udp
from tests.decode.one import decode_block, decode_one, status_of
from tests.decode.slow_reader import frame

SYN_OPTIONS = bytes.fromhex("020405b40402080a000000010000000001030307")


def tcp_row(**segment: object) -> np.void:
    return decode_one(ipv4(tcp(**segment), protocol=6), link_type=101)  # type: ignore[arg-type]  # the keywords are those of tcp()


def sack(*edges: int) -> bytes:
    blocks = b"".join(edge.to_bytes(4, "big") for edge in edges)
    return b"\x01\x01\x05" + bytes([2 + len(blocks)]) + blocks


def test_a_syn_tells_its_options() -> None:
    row = tcp_row(options=SYN_OPTIONS)
    assert (row["tcp_flags"], row["seq"], row["ack"], row["window"]) == (TcpFlag.SYN, 7, 9, 512)
    assert (row["mss"], row["window_scale"], row["transport_header_len"]) == (1460, 7, 40)
    assert row["tcp_options"] == TcpOption.MSS | TcpOption.WINDOW_SCALE | TcpOption.SACK_PERMITTED | TcpOption.TIMESTAMP


@pytest.mark.parametrize(
    ("edges", "highest"),
    [((1, 50), 50), ((1, 50, 60, 90, 55, 58), 90), ((1, 2**32 - 5, 6, 20), 20), ((6, 20, 1, 2**32 - 5), 20)],
)
def test_the_highest_sack_edge_is_the_furthest_in_sequence_space(edges: tuple[int, ...], highest: int) -> None:
    row = tcp_row(flags=0x10, options=sack(*edges))
    assert (row["tcp_options"], row["sack_edge"]) == (TcpOption.SACK, highest)


@pytest.mark.parametrize(("missing", "found"), [(0, 90), (4, 50), (8, 50), (9, None), (16, None)])
def test_a_snaplen_within_sack_blocks_leaves_the_whole_ones(missing: int, found: int | None) -> None:
    whole = ipv4(tcp(flags=0x10, options=sack(1, 50, 60, 90)), protocol=6)
    row = decode_one(whole[: len(whole) - missing], link_type=101, wire_len=len(whole))
    assert (row["tcp_options"], row["sack_edge"]) == ((TcpOption.SACK, found) if found else (0, 0))


def test_a_window_scale_above_14_is_taken_as_14() -> None:
    assert tcp_row(options=b"\x03\x03\xff\x00")["window_scale"] == 14


@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param(b"\x02\x04\x05\xb4\x03\x00\x01\x01", TcpOption.MSS, id="a length of 0"),
        pytest.param(b"\x02\x04\x05\xb4\x03\x01\x01\x01", TcpOption.MSS, id="a length of 1"),
        pytest.param(b"\x04\x02\x08\x0a\x00\x00\x00\x01", TcpOption.SACK_PERMITTED, id="a length beyond the header"),
        pytest.param(b"\x02\x03\x05\x04\x02\x01\x01\x01", TcpOption.SACK_PERMITTED, id="an MSS of the wrong length"),
        pytest.param(b"\x00\x02\x04\x05", TcpOption(0), id="options behind the end"),
        pytest.param(b"\x01\x01\x01\x02", TcpOption(0), id="a kind without a length"),
        pytest.param(b"\x05\x02\x04\x02", TcpOption.SACK_PERMITTED, id="SACK without a block"),
        pytest.param(b"\xfe\x04\xab\xcd\x04\x02\x00\x00", TcpOption.SACK_PERMITTED, id="an unknown kind"),
    ],
)
def test_malformed_options_end_the_list_and_harm_nothing(options: bytes, found: TcpOption) -> None:
    row = tcp_row(options=options)
    assert (row["status"], row["tcp_options"]) == (DecodeStatus.OK, found)


@pytest.mark.parametrize("captured", range(16, 40))
def test_a_snaplen_within_the_tcp_header_leaves_what_is_there(captured: int) -> None:
    whole = ipv4(tcp(b"z" * 100, options=SYN_OPTIONS), protocol=6)
    row = decode_one(whole[: 20 + captured], link_type=101, wire_len=len(whole))
    assert (row["status"], row["tcp_flags"], row["seq"], row["window"]) == (DecodeStatus.OK, TcpFlag.SYN, 7, 512)
    assert (row["payload_len"], row["mss"]) == (100, 1460 if captured >= 24 else 0)


@pytest.mark.parametrize("captured", range(16))
def test_less_than_a_window_of_the_tcp_header_is_cut_but_ports_are_kept(captured: int) -> None:
    whole = ipv4(tcp(b"z" * 100), protocol=6)
    row = decode_one(whole[: 20 + captured], link_type=101, wire_len=len(whole))
    assert row["status"] == DecodeStatus.CUT_TRANSPORT_HEADER
    assert not row["layers"] & Layer.TRANSPORT
    assert (row["sport"], row["dport"]) == ((1000, 25) if captured >= 4 else (0, 0))
    assert row["seq"] == (7 if captured >= 8 else 0)


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        pytest.param(ipv4(tcp(offset=4), protocol=6), DecodeStatus.BAD_TCP_OFFSET, id="TCP header below 20 bytes"),
        pytest.param(ipv4(tcp(offset=15), protocol=6), DecodeStatus.BAD_TCP_OFFSET, id="TCP header beyond the packet"),
        pytest.param(ipv4(tcp()[:14], protocol=6), DecodeStatus.BAD_TRANSPORT_LENGTH, id="IP length that cuts into TCP"),
        pytest.param(
            ipv4(tcp(offset=9), protocol=6, fragment=0x2000), DecodeStatus.CUT_TRANSPORT_HEADER, id="TCP options in the next fragment"
        ),
        pytest.param(ipv4(udp(length=7)), DecodeStatus.BAD_TRANSPORT_LENGTH, id="UDP length below the header"),
        pytest.param(ipv4(udp(length=0)), DecodeStatus.BAD_TRANSPORT_LENGTH, id="UDP length of 0 in a small packet"),
        pytest.param(ipv4(udp(length=100)), DecodeStatus.BAD_TRANSPORT_LENGTH, id="UDP length beyond the packet"),
        pytest.param(ipv4(udp(length=100), fragment=0x2000), DecodeStatus.OK, id="UDP length of the whole datagram in its first fragment"),
        pytest.param(ipv4(udp()[:6]), DecodeStatus.BAD_TRANSPORT_LENGTH, id="IP length that cuts into UDP"),
        pytest.param(ipv4(b"\x08", protocol=1), DecodeStatus.BAD_TRANSPORT_LENGTH, id="ICMP of one byte"),
        pytest.param(ipv4(icmp(8)[:6], protocol=1), DecodeStatus.BAD_TRANSPORT_LENGTH, id="ICMP of six bytes"),
        pytest.param(ipv4(bytes(10), protocol=132), DecodeStatus.BAD_TRANSPORT_LENGTH, id="SCTP of ten bytes"),
        pytest.param(ipv4(bytes(3), protocol=33), DecodeStatus.BAD_TRANSPORT_LENGTH, id="DCCP of three bytes"),
    ],
)
def test_lengths_that_contradict_each_other_are_counted(packet: bytes, status: DecodeStatus) -> None:
    assert status_of(packet, link_type=101) == status


def test_bytes_behind_the_ip_packet_are_not_read_as_its_transport() -> None:
    row = decode_one(ethernet(0x0800, ipv4(tcp()[:14], protocol=6) + b"\xff" * 30))
    assert (row["tcp_flags"], row["window"]) == (0, 0)


@pytest.mark.parametrize(("protocol", "header"), [(132, 12), (33, 12), (136, 8)])
def test_the_other_transports_with_ports_have_ports(protocol: int, header: int) -> None:
    row = decode_one(ipv4(udp(bytes(30), length=3), protocol=protocol), link_type=101)
    assert (row["status"], row["sport"], row["dport"]) == (DecodeStatus.OK, 1000, 2000)
    assert (row["payload_len"], row["transport_header_len"]) == (38 - header, header)


@pytest.mark.parametrize("protocol", [2, 50, 88, 89, 103, 112, 253])
def test_protocols_without_ports_have_none(protocol: int) -> None:
    row = decode_one(ipv4(bytes(range(1, 31)), protocol=protocol), link_type=101)
    assert (row["status"], row["sport"], row["dport"], row["payload_len"]) == (DecodeStatus.OK, 0, 0, 30)
    assert row["hash"] == tuple_hash_slowly(halves(SRC), halves(DST), 0, 0, protocol)


@pytest.mark.parametrize(("kind", "identifier"), [(8, 513), (0, 513), (13, 513), (17, 513), (9, 0)])
def test_an_echo_and_its_like_have_an_identifier(kind: int, identifier: int) -> None:
    row = decode_one(ipv4(icmp(kind, identifier=513, rest=bytes(8)), protocol=1), link_type=101)
    assert (row["icmp_type"], row["icmp_id"], row["payload_len"]) == (kind, identifier, 8)
    assert not row["layers"] & Layer.ICMP_ERROR


QUOTED_4 = ipv4(tcp(sport=4000, dport=25), protocol=6, src=DST, dst="203.0.113.9")
QUOTED_6 = ipv6(udp(bytes(20), sport=4000, dport=53), src=DST6, dst="2001:db8::9")


@pytest.mark.parametrize("kind", [3, 4, 5, 11, 12])
@pytest.mark.parametrize("size", [28, 40])
def test_an_icmp_error_quotes_the_packet_it_is_about(kind: int, size: int) -> None:
    block = decode_block(frame(ipv4(icmp(kind, 1, QUOTED_4[:size]), protocol=1), link_type=101))
    assert block.packets["quoted"][0] == 0
    assert block.packets["layers"][0] & Layer.ICMP_ERROR
    assert block.packets["sport"][0] == 0, "the ports are the quoted packet's, not the error's"
    quote = block.quoted[0]
    assert (quote["sport"], quote["dport"], quote["protocol"]) == (4000, 25, 6)
    assert (quote["src_hi"], quote["src_lo"], quote["dst_lo"]) == (*halves(DST), halves("203.0.113.9")[1])
    assert quote["hash"] == tuple_hash_slowly(halves(DST), halves("203.0.113.9"), 4000, 25, 6)


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_an_icmpv6_error_quotes_too(kind: int) -> None:
    block = decode_block(frame(ipv6(icmp(kind, 0, QUOTED_6), following=58), link_type=101))
    quote = block.quoted[0]
    assert (quote["src_hi"], quote["src_lo"]) == halves(DST6)
    assert (quote["sport"], quote["dport"], quote["protocol"]) == (4000, 53, 17)


def test_a_quoted_echo_keeps_its_identifier_and_what_was_quoted_before_is_forgotten() -> None:
    about = ipv4(icmp(8, identifier=99), protocol=1, src=DST, dst=SRC)
    first = frame(ipv4(icmp(3, 1, QUOTED_4), protocol=1), link_type=101)
    block = decode_block(first, frame(ipv4(icmp(3, 1, about), protocol=1), link_type=101))
    assert list(block.packets["quoted"]) == [0, 1]
    quote = block.quoted[1]
    assert (quote["icmp_type"], quote["icmp_id"], quote["sport"], quote["dport"]) == (8, 99, 0, 0)


@pytest.mark.parametrize("quote", [b"", QUOTED_4[:19], QUOTED_4[:23], ipv4(b"", first=0x51), bytes(60)])
def test_an_error_that_quotes_too_little_has_no_quote(quote: bytes) -> None:
    block = decode_block(frame(ipv4(icmp(3, 1, quote), protocol=1), link_type=101))
    assert block.packets["status"][0] == DecodeStatus.OK
    assert (block.packets["quoted"][0], len(block.quoted)) == (-1, 0)


def test_neighbour_discovery_is_no_error() -> None:
    row = decode_one(ipv6(icmp(137, 0, QUOTED_6), following=58, src=SRC6), link_type=101)
    assert (row["quoted"], row["layers"] & Layer.ICMP_ERROR) == (-1, 0)
