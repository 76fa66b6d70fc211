"""Packets to bytes: Ethernet, IPv4 and IPv6, TCP and UDP headers with valid lengths and checksums, in a classic pcap file.

Payload is zeros, as in a capture made anonymous; only its length matters to a state table. Frames are cut to 96 bytes, which keeps all
headers and their options, while the record says the true length on the wire.
"""

import struct
from collections.abc import Iterable
from typing import NamedTuple

SNAPLEN = 96
LINKTYPE_ETHERNET = 1
MAGIC_MICROSECONDS = 0xA1B2C3D4
MINIMUM_FRAME = 60  # IEEE 802.3 without the frame check sequence: shorter ones are padded on the wire

TCP, UDP = 6, 17
FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000
HOP_LIMIT = 57

FIREWALL_MAC = bytes.fromhex("02005e000001")
ROUTER_MAC = bytes.fromhex("02005e000002")


class Endpoint(NamedTuple):
    address: bytes  # 4 or 16, network order
    port: int


class Fragment(NamedTuple):
    """The part of an IPv4 datagram that one packet carries."""

    ident: int
    offset: int  # in bytes, a multiple of 8
    more: bool
    datagram_payload: int  # UDP payload of the whole datagram


class Packet(NamedTuple):
    at_us: int
    source: Endpoint
    target: Endpoint
    protocol: int
    inbound: bool  # toward the site
    payload: int = 0  # bytes after the transport header (after the IP header in a later fragment)
    flags: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 0
    options: bytes = b""
    fragment: Fragment | None = None


def checksum(data: bytes) -> int:
    """RFC 1071's ones' complement sum; ``data`` has an even length."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def transport(packet: Packet) -> bytes:
    """The transport header; the zeros of the payload add nothing to its checksum."""
    ends = packet.source.address + packet.target.address
    ports = struct.pack("!HH", packet.source.port, packet.target.port)
    if packet.protocol == UDP:
        length = 8 + (packet.fragment.datagram_payload if packet.fragment else packet.payload)
        pseudo = ends + struct.pack("!HH", UDP, length)
        return ports + struct.pack("!HH", length, checksum(pseudo + ports + struct.pack("!H", length)) or 0xFFFF)
    offset = (20 + len(packet.options)) // 4
    head = ports + struct.pack("!IIBBH", packet.seq, packet.ack, offset << 4, packet.flags, packet.window)
    pseudo = ends + struct.pack("!HH", TCP, 4 * offset + packet.payload)
    return head + struct.pack("!HH", checksum(pseudo + head + packet.options), 0) + packet.options


def ip_header(packet: Packet, length: int) -> bytes:
    if len(packet.source.address) == 16:
        return struct.pack("!IHBB", 0x60000000, length, packet.protocol, HOP_LIMIT) + packet.source.address + packet.target.address
    ident, place = 0, DONT_FRAGMENT  # an atomic datagram needs no identification (RFC 6864)
    if packet.fragment:
        ident, place = packet.fragment.ident, packet.fragment.offset // 8 | (MORE_FRAGMENTS if packet.fragment.more else 0)
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, ident, place, HOP_LIMIT, packet.protocol)
    ends = packet.source.address + packet.target.address
    return head + struct.pack("!H", checksum(head + ends)) + ends


def record(packet: Packet) -> bytes:
    """One packet record: time, captured and true length, and the frame's first bytes."""
    later_fragment = packet.fragment is not None and packet.fragment.offset > 0
    header = b"" if later_fragment else transport(packet)
    macs = FIREWALL_MAC + ROUTER_MAC if packet.inbound else ROUTER_MAC + FIREWALL_MAC
    ethertype = b"\x86\xdd" if len(packet.source.address) == 16 else b"\x08\x00"
    heads = macs + ethertype + ip_header(packet, len(header) + packet.payload) + header
    wire_len = max(len(heads) + packet.payload, MINIMUM_FRAME)
    frame = heads.ljust(min(wire_len, SNAPLEN), b"\0")[:SNAPLEN]
    return struct.pack("<IIII", *divmod(packet.at_us, 1_000_000), len(frame), wire_len) + frame


def pcap(packets: Iterable[Packet]) -> bytes:
    head = struct.pack("<IHHiIII", MAGIC_MICROSECONDS, 2, 4, 0, 0, SNAPLEN, LINKTYPE_ETHERNET)
    return head + b"".join(record(packet) for packet in packets)
