"""Builds packet rows as the decoder would, so that a test of a tracker or a detector starts from one readable line a packet.

::

    block = packet_block(
        tcp(0.0, "10.0.0.1", 40000, "192.0.2.25", 25, "S", seq=100, mss=1460),
        tcp(0.1, "192.0.2.25", 25, "10.0.0.1", 40000, "SA", seq=900, ack=101),
        udp(0.2, "10.0.0.1", 5353, "192.0.2.53", 53, payload=40),
    )

Hashes are computed in plain Python: the slow twin of ``netwatch.model.tuple_hash``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

import numpy as np

from netwatch.model.packet import IPV4_MAPPED, PACKET, QUOTED, DecodeStatus, Direction, Layer, PacketBlock, Rows, TcpFlag, TcpOption
from netwatch.model.service import Protocol
from netwatch.model.tuple_hash import FIXED_SEED

WORD = (1 << 64) - 1
FLAG_LETTERS = {
    "F": TcpFlag.FIN,
    "S": TcpFlag.SYN,
    "R": TcpFlag.RST,
    "P": TcpFlag.PSH,
    "A": TcpFlag.ACK,
    "U": TcpFlag.URG,
    "E": TcpFlag.ECE,
    "C": TcpFlag.CWR,
}
ETHERNET_BYTES, TCP_BYTES, UDP_BYTES, ICMP_BYTES = 14, 20, 8, 8


@dataclass(frozen=True)
class Built:
    """One packet row, and the header it quotes if it is an ICMP error."""

    row: Rows  # PACKET, shape (1,)
    quoted: Rows | None = None  # QUOTED, shape (1,)


def halves(address: str) -> tuple[int, int]:
    """High and low 64 bits of an address as the rows hold it, IPv4 mapped into IPv6."""
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        return int(parsed) >> 64, int(parsed) & WORD
    return 0, IPV4_MAPPED | int(parsed)


def mix_slowly(word: int) -> int:
    word = ((word ^ (word >> 30)) * 0xBF58_476D_1CE4_E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D0_49BB_1331_11EB) & WORD
    return word ^ (word >> 31)


def tuple_hash_slowly(src: tuple[int, int], dst: tuple[int, int], sport: int, dport: int, protocol: int, seed: int = FIXED_SEED) -> int:
    """The hash of a 5-tuple in plain Python; addresses as ``halves`` gives them."""
    source, destination = src[1] ^ (sport << 48), dst[1] ^ (dport << 48)
    if src[0] | dst[0]:
        key = mix_slowly((seed + 0xD1B5_4A32_D192_ED03) & WORD)
        source = src[1] ^ mix_slowly(src[0] ^ key ^ mix_slowly((key + sport) & WORD))
        destination = dst[1] ^ mix_slowly(dst[0] ^ key ^ mix_slowly((key + dport) & WORD))
    secret = seed ^ (protocol << 32)
    return (mix_slowly(source ^ secret) + mix_slowly(destination ^ secret)) & WORD


def flag_bits(letters: str) -> int:
    """``"SA"`` -> SYN | ACK."""
    bits = 0
    for letter in letters:
        bits |= FLAG_LETTERS[letter]
    return bits


def packet(at_s: float, src: str, dst: str, protocol: int, *, sport: int = 0, dport: int = 0, header: int = 0, **fields: int) -> Built:
    """One IP packet of any protocol; ``header`` is its transport header in bytes, ``fields`` are columns of ``PACKET``."""
    row = np.zeros(1, PACKET)
    source, destination = halves(src), halves(dst)
    is_ipv6 = bool(source[0] | destination[0])
    row["ts_ns"] = round(at_s * 1e9)
    row["src_hi"], row["src_lo"] = source
    row["dst_hi"], row["dst_lo"] = destination
    row["sport"], row["dport"], row["protocol"] = sport, dport, protocol
    row["hash"] = tuple_hash_slowly(source, destination, sport, dport, protocol)
    row["quoted"] = -1
    row["ttl"] = 64
    row["status"] = DecodeStatus.OK
    row["direction"] = Direction.UNKNOWN
    row["layers"] = (Layer.IPV6 if is_ipv6 else Layer.IPV4) | Layer.TRANSPORT
    row["transport_header_len"] = header
    row["wire_len"] = ETHERNET_BYTES + (40 if is_ipv6 else 20) + header + fields.get("payload_len", 0)
    for name, value in fields.items():
        row[name] = value
    if "captured_len" not in fields:
        row["captured_len"] = row["wire_len"]
    return Built(row)


def tcp(
    at_s: float,
    src: str,
    sport: int,
    dst: str,
    dport: int,
    flags: str = "A",
    *,
    seq: int = 0,
    ack: int = 0,
    payload: int = 0,
    window: int = 64240,
    mss: int | None = None,
    window_scale: int | None = None,
    sack_permitted: bool = False,
    sack_edge: int | None = None,
    timestamp: bool = False,
    option_bytes: int = 0,
    **fields: int,
) -> Built:
    """A TCP segment. ``flags`` are letters of FSRPAUEC; an option is present if it is given; ``option_bytes`` is their length."""
    present = {
        TcpOption.MSS: mss is not None,
        TcpOption.WINDOW_SCALE: window_scale is not None,
        TcpOption.SACK_PERMITTED: sack_permitted,
        TcpOption.SACK: sack_edge is not None,
        TcpOption.TIMESTAMP: timestamp,
    }
    columns: dict[str, int] = {
        "tcp_flags": flag_bits(flags),
        "seq": seq % 2**32,
        "ack": ack % 2**32,
        "payload_len": payload,
        "window": window,
        "mss": mss or 0,
        "window_scale": window_scale or 0,
        "sack_edge": (sack_edge or 0) % 2**32,
        "tcp_options": sum(option for option, given in present.items() if given),
    }
    return packet(at_s, src, dst, Protocol.TCP, sport=sport, dport=dport, header=TCP_BYTES + option_bytes, **(columns | fields))


def udp(at_s: float, src: str, sport: int, dst: str, dport: int, *, payload: int = 0, **fields: int) -> Built:
    """A UDP datagram."""
    columns = {"payload_len": payload} | fields
    return packet(at_s, src, dst, Protocol.UDP, sport=sport, dport=dport, header=UDP_BYTES, **columns)


def icmp_echo(at_s: float, src: str, dst: str, *, identifier: int, reply: bool = False, payload: int = 56, **fields: int) -> Built:
    """An echo request or reply, ICMP or ICMPv6 by the addresses."""
    is_ipv6 = ":" in src
    kind = (129 if reply else 128) if is_ipv6 else (0 if reply else 8)
    columns = {"icmp_type": kind, "icmp_id": identifier, "payload_len": payload} | fields
    return packet(at_s, src, dst, Protocol.ICMPV6 if is_ipv6 else Protocol.ICMP, header=ICMP_BYTES, **columns)


def icmp_error(at_s: float, src: str, dst: str, about: Built, *, kind: int | None = None, code: int = 1, **fields: int) -> Built:
    """An ICMP error (unreachable by default) that quotes ``about`` as that packet was sent."""
    is_ipv6 = ":" in src
    kind = (1 if is_ipv6 else 3) if kind is None else kind
    columns = {"icmp_type": kind, "icmp_code": code, "payload_len": 28} | fields
    columns.setdefault("layers", (Layer.IPV6 if is_ipv6 else Layer.IPV4) | Layer.TRANSPORT | Layer.ICMP_ERROR)
    built = packet(at_s, src, dst, Protocol.ICMPV6 if is_ipv6 else Protocol.ICMP, header=ICMP_BYTES, **columns)
    quoted = np.zeros(1, QUOTED)
    for name in QUOTED.names or ():
        quoted[name] = about.row[name]
    return Built(built.row, quoted)


def fragment(
    at_s: float, src: str, dst: str, *, protocol: int = Protocol.UDP, identification: int, offset: int, more: bool, payload: int
) -> Built:
    """A later fragment: no ports. The first one is an ordinary packet with ``layers`` and ``fragment_id`` given."""
    layers = Layer.FRAGMENT | (Layer.MORE_FRAGMENTS if more else Layer(0)) | (Layer.IPV6 if ":" in src else Layer.IPV4)
    columns = {"fragment_id": identification, "fragment_offset": offset, "payload_len": payload, "layers": int(layers)}
    return packet(at_s, src, dst, protocol, **columns)


def packet_block(*built: Built) -> PacketBlock:
    """Put packets into one block, with the rows of ICMP errors pointing at what they quote."""
    return as_block(built)


def as_block(built: Iterable[Built]) -> PacketBlock:
    """The same for a stream of packets made by a loop."""
    listed = list(built)
    packets = np.concatenate([item.row for item in listed]) if listed else np.zeros(0, PACKET)
    quotes = [item.quoted for item in listed if item.quoted is not None]
    quoted = np.concatenate(quotes) if quotes else np.zeros(0, QUOTED)
    number = 0
    for row, item in enumerate(listed):
        if item.quoted is not None:
            packets["quoted"][row] = number
            number += 1
    return PacketBlock(packets, quoted)
