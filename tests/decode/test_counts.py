"""What the decoder counts: traffic by protocol, and what it could not decode, by reason."""

import numpy as np
import pytest

from netwatch.decode import Decoder
from netwatch.decode.kernel import COUNTS
from netwatch.model.packet import DecodeStatus, TrafficCounts
from tests.decode.bytes_of import UDP4, UDP6, ethernet, extension, fragment_header, icmp, ipv4, ipv6, tcp, udp
from tests.decode.slow_reader import Captured, frame, frame_block

RAW = 101


def counted(*captured: Captured, inner: bool = False) -> Decoder:
    decoder = Decoder(inner=inner)
    decoder.decode(frame_block(captured))
    return decoder


def raw(*packets: bytes) -> list[Captured]:
    return [frame(packet, link_type=RAW) for packet in packets]


def test_every_packet_is_counted_once_by_version_and_once_by_protocol() -> None:
    packets = [UDP4, UDP6, ipv4(tcp(), protocol=6), ipv4(icmp(8), protocol=1), ipv6(icmp(128), following=58), ipv4(b"", protocol=50)]
    traffic = counted(*raw(*packets), frame(ethernet(0x0806, bytes(28)))).traffic
    assert traffic == TrafficCounts(
        packets=7, bytes=sum(map(len, packets)) + 42, non_ip=1, ipv4=4, ipv6=2, tcp=1, udp=2, icmp=2, other=1, tcp_syn=1
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (0x02, (1, 0, 0, 0)),
        (0xC2, (1, 0, 0, 0)),
        (0x12, (0, 1, 0, 0)),
        (0x11, (0, 0, 1, 0)),
        (0x14, (0, 0, 0, 1)),
        (0x07, (1, 0, 1, 1)),
        (0x10, (0, 0, 0, 0)),
        (0x00, (0, 0, 0, 0)),
    ],
)
def test_tcp_flags_are_counted(flags: int, expected: tuple[int, int, int, int]) -> None:
    traffic = counted(*raw(ipv4(tcp(flags=flags), protocol=6))).traffic
    assert (traffic.tcp_syn, traffic.tcp_synack, traffic.tcp_fin, traffic.tcp_rst) == expected


def test_fragments_are_counted_with_their_protocol_and_atomic_ones_as_tshark_does() -> None:
    packets = [
        ipv4(udp(), fragment=0x2000),
        ipv4(bytes(8), fragment=0x0001),
        ipv6(fragment_header(17) + udp(), following=44),
        ipv6(fragment_header(6, offset=8) + bytes(8), following=44),
    ]
    traffic = counted(*raw(*packets)).traffic
    assert (traffic.fragments, traffic.udp, traffic.tcp, traffic.tcp_syn) == (4, 3, 1, 0)


def test_what_an_icmp_error_quotes_is_never_counted() -> None:
    traffic = counted(*raw(ipv4(icmp(3, 1, ipv4(tcp(), protocol=6)), protocol=1)), inner=True).traffic
    assert (traffic.ipv4, traffic.icmp, traffic.tcp, traffic.tcp_syn) == (1, 1, 0, 0)


def test_bytes_are_those_of_the_wire() -> None:
    assert counted(frame(UDP4, link_type=RAW, wire_len=9000)).traffic.bytes == 9000


def test_counts_go_on_from_block_to_block() -> None:
    decoder = Decoder()
    for _ in range(3):
        decoder.decode(frame_block(raw(UDP4, UDP4)))
    assert (decoder.traffic.packets, decoder.traffic.udp) == (6, 6)


def test_the_kernel_has_a_place_for_every_count_but_flows() -> None:
    assert len(TrafficCounts.__struct_fields__) - 1 == COUNTS
    assert TrafficCounts.__struct_fields__[-1] == "flows"


@pytest.mark.parametrize(
    ("status", "captured"),
    [
        (DecodeStatus.UNKNOWN_LINK_TYPE, frame(UDP4, link_type=250)),
        (DecodeStatus.CUT_LINK_HEADER, frame(ethernet(0x0800)[:10], wire_len=60)),
        (DecodeStatus.CUT_IP_HEADER, frame(UDP4[:12], link_type=RAW, wire_len=60)),
        (DecodeStatus.BAD_IP_HEADER, frame(b"\x15" + UDP4[1:], link_type=RAW)),
        (DecodeStatus.BAD_IP_LENGTH, frame(ipv4(udp(), total=12), link_type=RAW)),
        (DecodeStatus.CUT_EXTENSION_HEADER, frame(ipv6(extension(17)[:4], following=0), link_type=RAW)),
        (DecodeStatus.TOO_MANY_LAYERS, frame(ethernet(0x8100, b"\x00\x05\x81\x00" * 60))),
        (DecodeStatus.CUT_TRANSPORT_HEADER, frame(ipv4(tcp(), protocol=6)[:30], link_type=RAW, wire_len=60)),
        (DecodeStatus.BAD_TCP_OFFSET, frame(ipv4(tcp(offset=2), protocol=6), link_type=RAW)),
        (DecodeStatus.BAD_TRANSPORT_LENGTH, frame(ipv4(udp(length=3)), link_type=RAW)),
        (DecodeStatus.CUT_TUNNEL_HEADER, frame(ipv4(b"\x00", protocol=47), link_type=RAW)),
    ],
)
def test_each_reason_is_counted_by_its_name_and_the_stream_goes_on(status: DecodeStatus, captured: Captured) -> None:
    decoder = counted(captured, frame(UDP4, link_type=RAW), captured, inner=True)
    assert decoder.errors == {status.name.lower(): 2}
    assert (decoder.traffic.packets, decoder.traffic.udp >= 1) == (3, True)


def test_packets_that_are_not_ip_are_no_errors() -> None:
    assert counted(frame(ethernet(0x0806, bytes(28))), frame(UDP4, link_type=RAW)).errors == {}


def test_rows_come_in_the_order_of_the_frames_with_their_times() -> None:
    block = frame_block([frame(UDP4, link_type=RAW, ts_ns=time) for time in (30, 10, 20)])
    block.frames["interface"], block.frames["direction"] = (5, 6, 7), (1, 2, 0)
    packets = Decoder().decode(block).packets
    assert np.array_equal(packets["ts_ns"], [30, 10, 20])
    assert np.array_equal(packets["interface"], [5, 6, 7])
    assert np.array_equal(packets["direction"], [1, 2, 0])


def test_an_empty_block_gives_an_empty_block() -> None:
    block = Decoder().decode(frame_block([]))
    assert (len(block.packets), len(block.quoted)) == (0, 0)


def test_hashes_depend_on_the_seed_and_on_nothing_else() -> None:
    block = frame_block(raw(UDP4, UDP6))
    first, again, other = (Decoder(hash_seed=seed).decode(block).packets["hash"] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.any(first == other)
