"""The slow twin of the decoder: scapy takes the same bytes apart, layer by layer, and the row's fields are read from its layers."""

from typing import Any

from scapy.contrib.geneve import GENEVE  # noqa: F401  (teaches scapy UDP port 6081)
from scapy.contrib.mpls import MPLS  # noqa: F401  (teaches scapy EtherType 0x8847)
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
)
from scapy.layers.l2 import CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether, Loopback
from scapy.layers.ppp import PPP
from scapy.layers.sctp import SCTP
from scapy.layers.vxlan import VXLAN  # noqa: F401  (teaches scapy UDP port 4789)
from scapy.packet import NoPayload, Packet

from netwatch.model.packet import Layer, TcpOption
from tests.builders import halves

ROOTS: dict[int, type[Packet]] = {
    0: Loopback,
    1: Ether,
    9: PPP,
    113: CookedLinux,
    228: IP,
    229: IPv6,
    276: CookedLinuxV2,
}
EXTENSIONS = (IPv6ExtHdrHopByHop, IPv6ExtHdrDestOpt, IPv6ExtHdrRouting, IPv6ExtHdrFragment)
TRANSPORTS = {6: TCP, 17: UDP, 132: SCTP}
Fields = dict[str, int]


def layers_of(packet: Packet) -> list[Packet]:
    layers = []
    while not isinstance(packet, NoPayload):
        layers.append(packet)
        packet = packet.payload
    return layers


def tcp_fields(segment: Any, length: int) -> Fields:
    fields: Fields = {
        "seq": segment.seq,
        "ack": segment.ack,
        "window": segment.window,
        "tcp_flags": int(segment.flags) & 0xFF,
        "payload_len": length - 4 * segment.dataofs,
        "transport_header_len": 4 * segment.dataofs,
    }
    present = TcpOption(0)
    for kind, value in segment.options:
        match kind:
            case "MSS":
                fields["mss"] = value
                present |= TcpOption.MSS
            case "WScale":
                fields["window_scale"] = min(value, 14)
                present |= TcpOption.WINDOW_SCALE
            case "SAckOK":
                present |= TcpOption.SACK_PERMITTED
            case "SAck":
                fields["sack_edge"] = highest_in_sequence_space(list(value[1::2]))
                present |= TcpOption.SACK
            case "Timestamp":
                present |= TcpOption.TIMESTAMP
    return fields | {"tcp_options": int(present)}


def highest_in_sequence_space(edges: list[int]) -> int:
    highest = edges[0]
    for edge in edges[1:]:
        if 0 < (edge - highest) % 2**32 < 2**31:
            highest = edge
    return highest


def transport_fields(protocol: int, transport: Any, length: int) -> Fields:
    """The fields of a transport header and the ``length`` bytes from its beginning to the end of the IP packet."""
    if protocol in TRANSPORTS:
        ports = {"sport": transport.sport, "dport": transport.dport}
        if protocol == 6:
            return ports | tcp_fields(transport, length)
        header = 12 if protocol == 132 else 8
        return ports | {"payload_len": length - header, "transport_header_len": header}
    if protocol in (1, 58):
        identified = isinstance(transport, ICMP | ICMPv6EchoRequest | ICMPv6EchoReply) and transport.id is not None
        identifier = transport.id if identified else 0
        return {
            "icmp_type": transport.type,
            "icmp_code": transport.code,
            "icmp_id": identifier,
            "payload_len": length - 8,
            "transport_header_len": 8,
        }
    return {"payload_len": length}


def ip_fields(header: Any) -> Fields:
    """The fields of one IP header with the transport behind it."""
    source, destination = halves(header.src), halves(header.dst)
    fields: Fields = {"src_hi": source[0], "src_lo": source[1], "dst_hi": destination[0], "dst_lo": destination[1]}
    if isinstance(header, IP):
        fields |= {"ttl": header.ttl, "fragment_id": header.id, "fragment_offset": 8 * header.frag}
        more, layers = bool(header.flags.MF), Layer.IPV4
        protocol, transport, length = header.proto, header.payload, header.len - 4 * header.ihl
        is_fragment = more or header.frag > 0
    else:
        fields |= {"ttl": header.hlim, "fragment_id": 0, "fragment_offset": 0}
        more, is_fragment, layers = False, False, Layer.IPV6
        protocol, transport, length = header.nh, header.payload, header.plen
        while isinstance(transport, EXTENSIONS):
            if isinstance(transport, IPv6ExtHdrFragment):
                more, is_fragment = bool(transport.m), bool(transport.m or transport.offset)
                fields |= {"fragment_id": transport.id, "fragment_offset": 8 * transport.offset}
                layers |= Layer(0) if is_fragment else Layer.ATOMIC_FRAGMENT
                length -= 8
            else:
                length -= 8 * (transport.len + 1)
            protocol, transport = transport.nh, transport.payload
    if is_fragment:
        layers |= Layer.FRAGMENT
        layers |= Layer.FIRST_FRAGMENT if fields["fragment_offset"] == 0 else Layer(0)
        layers |= Layer.MORE_FRAGMENTS if more else Layer(0)
    if fields["fragment_offset"]:
        fields["payload_len"] = length
    else:
        layers |= Layer.TRANSPORT
        fields |= transport_fields(protocol, transport, length)
    return fields | {"protocol": protocol, "layers": int(layers)}


def dissect_slowly(data: bytes, *, link_type: int, inner: bool) -> Fields:
    """Every field that scapy finds for the outermost or the innermost IP header; fields that are absent are 0 in the row."""
    layers = layers_of(ROOTS[link_type](data))
    headers = [layer for layer in layers if type(layer) in (IP, IPv6)]
    tags = [layer.vlan for layer in layers[: layers.index(headers[0])] if isinstance(layer, Dot1Q | Dot1AD)]
    fields = ip_fields(headers[-1 if inner else 0])
    if len(headers) > 1:
        fields["layers"] |= Layer.TUNNEL
    return fields | {"vlan": next((tag for tag in tags if tag), 0)}
