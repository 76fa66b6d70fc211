"""Packets made and taken apart by scapy, compared with the kernel's rows field by field."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.contrib.geneve import GENEVE
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import GRE, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether, Loopback
from scapy.layers.ppp import PPP, PPPoE
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet, Raw

from netwatch.model.packet import PACKET, DecodeStatus
from tests.builders import tuple_hash_slowly
from tests.decode.one import decode_one
from tests.decode.scapy_twin import dissect_slowly

FROM_THE_FRAME = {"ts_ns", "hash", "wire_len", "captured_len", "quoted", "interface", "direction", "status", "_pad", "_pad1"}
MAC = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}

bits = st.integers
ports = bits(1024, 4000)  # no port that scapy or we know to carry a tunnel
ipv4_addresses = st.ip_addresses(v=4).map(str)
ipv6_addresses = st.ip_addresses(v=6).map(str)


@st.composite
def tcp_segments(draw: st.DrawFn) -> Packet:
    sack = st.lists(st.tuples(bits(0, 2**32 - 1), bits(0, 2**32 - 1)), min_size=1, max_size=2)
    options: list[Any] = draw(
        st.lists(
            st.one_of(
                st.tuples(st.just("MSS"), bits(0, 65535)),
                st.tuples(st.just("WScale"), bits(0, 255)),
                st.just(("SAckOK", b"")),
                st.just(("NOP", None)),
                st.tuples(st.just("Timestamp"), st.tuples(bits(0, 2**32 - 1), bits(0, 2**32 - 1))),
                st.tuples(st.just("SAck"), sack.map(lambda blocks: tuple(edge for block in blocks for edge in block))),
            ),
            max_size=3,
            unique_by=lambda option: option[0],
        )
    )
    if sum({"MSS": 4, "WScale": 3, "SAckOK": 2, "NOP": 1, "Timestamp": 10}.get(option[0], 18) for option in options) > 40:
        options = options[:1]
    return TCP(
        sport=draw(ports),
        dport=draw(ports),
        seq=draw(bits(0, 2**32 - 1)),
        ack=draw(bits(0, 2**32 - 1)),
        window=draw(bits(0, 65535)),
        flags=draw(bits(0, 255)),
        options=options,
    )


udp_datagrams = st.builds(UDP, sport=ports, dport=ports)
sctp_packets = st.builds(SCTP, sport=ports, dport=ports)
transports = st.one_of(tcp_segments(), udp_datagrams, sctp_packets)
payloads = st.binary(max_size=40).map(Raw)


@st.composite
def ipv4_packets(draw: st.DrawFn, above: st.SearchStrategy[Packet]) -> Packet:
    header = IP(src=draw(ipv4_addresses), dst=draw(ipv4_addresses), ttl=draw(bits(1, 255)), id=draw(bits(0, 65535)))
    if draw(st.booleans()):
        header.options = [IPOption(b"\x94\x04\x00\x00")]  # router alert
    return header / draw(above)


@st.composite
def ipv6_packets(draw: st.DrawFn, above: st.SearchStrategy[Packet]) -> Packet:
    packet: Packet = IPv6(src=draw(ipv6_addresses), dst=draw(ipv6_addresses), hlim=draw(bits(1, 255)))
    if draw(st.booleans()):
        packet /= IPv6ExtHdrHopByHop(options=[PadN(optdata=bytes(draw(bits(0, 12))))])
    if draw(st.booleans()):
        packet /= IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(draw(bits(0, 12))))])
    if draw(st.booleans()):
        packet /= IPv6ExtHdrRouting(type=0, segleft=0, addresses=draw(st.lists(ipv6_addresses, max_size=2)))
    if draw(st.booleans()):
        packet /= IPv6ExtHdrFragment(offset=0, m=draw(bits(0, 1)), id=draw(bits(0, 2**32 - 1)))
    return packet / draw(above)


plain_packets = st.one_of(
    ipv4_packets(st.builds(lambda transport, payload: transport / payload, transports, payloads)),
    ipv4_packets(st.builds(lambda number, payload: ICMP(type=8, id=number) / payload, bits(0, 65535), payloads)),
    ipv6_packets(st.builds(lambda transport, payload: transport / payload, transports, payloads)),
    ipv6_packets(st.builds(lambda number, payload: ICMPv6EchoRequest(id=number) / payload, bits(0, 65535), payloads)),
)
inner_frames = plain_packets.map(lambda packet: Ether(**MAC) / packet)
carried = st.one_of(
    plain_packets,
    plain_packets.map(lambda packet: GRE() / packet),
    st.builds(
        lambda packet, key, number: GRE(key_present=1, key=key, seqnum_present=1, sequence_number=number) / packet,
        plain_packets,
        bits(0, 9),
        ports,
    ),
    st.builds(lambda frame, port: UDP(sport=port, dport=4789) / VXLAN(vni=7, flags=8) / frame, inner_frames, ports),
    st.builds(lambda frame, port: UDP(sport=port, dport=6081) / GENEVE(vni=7, proto=0x6558) / frame, inner_frames, ports),
)
tunnels = st.one_of(ipv4_packets(carried), ipv6_packets(carried))
anything = st.one_of(plain_packets, plain_packets, tunnels)


@st.composite
def framed(draw: st.DrawFn) -> tuple[int, bytes]:
    """A link type and a frame of it."""
    packet = draw(anything)
    match draw(st.sampled_from(["ethernet", "vlan", "mpls", "pppoe", "sll", "sll2", "null", "ppp", "bare"])):
        case "vlan":
            tag: Packet = Ether(**MAC)
            for outer in draw(st.lists(st.booleans(), max_size=2)):
                tag /= Dot1AD(vlan=draw(bits(0, 4095))) if outer else Dot1Q(vlan=draw(bits(0, 4095)))
            return 1, bytes(tag / Dot1Q(vlan=draw(bits(0, 4095))) / packet)
        case "mpls":
            labels: Packet = Ether(**MAC) / MPLS(label=draw(bits(16, 2**20 - 1)), s=0)
            return 1, bytes(labels / MPLS(label=draw(bits(16, 2**20 - 1)), s=1) / packet)
        case "pppoe":
            return 1, bytes(Ether(**MAC) / PPPoE() / PPP() / packet)
        case "sll":
            return 113, bytes(CookedLinux() / packet)
        case "sll2":
            return 276, bytes(CookedLinuxV2() / packet)
        case "null":
            return 0, bytes(Loopback() / packet)
        case "ppp":
            return 9, bytes(PPP() / packet)
        case "bare":
            return 229 if isinstance(packet, IPv6) else 228, bytes(packet)
        case _:
            return 1, bytes(Ether(**MAC) / packet)


@settings(deadline=None, max_examples=400)
@given(framed(), st.booleans())
def test_every_field_of_a_row_is_what_scapy_finds(made: tuple[int, bytes], inner: bool) -> None:
    link_type, data = made
    row = decode_one(data, link_type=link_type, inner=inner)
    expected = dissect_slowly(data, link_type=link_type, inner=inner)
    assert row["status"] == DecodeStatus.OK
    assert {name: int(row[name]) for name in PACKET.names or () if name not in FROM_THE_FRAME} == {
        name: expected.get(name, 0) for name in PACKET.names or () if name not in FROM_THE_FRAME
    }
    source, destination = (expected["src_hi"], expected["src_lo"]), (expected["dst_hi"], expected["dst_lo"])
    assert row["hash"] == tuple_hash_slowly(source, destination, int(row["sport"]), int(row["dport"]), expected["protocol"])
