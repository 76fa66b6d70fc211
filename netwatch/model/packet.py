"""Frames as they lie in a block of bytes, and packets as columns: one structured numpy row each.

Rows are structured arrays, not objects: a row costs 112 bytes and no allocation, and numba walks them at memory speed.
Fields are ordered by size so that every field is naturally aligned. IPv4 addresses are mapped into IPv6 (``::ffff:a.b.c.d``, RFC 4291
section 2.5.5.2) and split into two 64-bit halves in host order, so that one key serves both families.
"""

from collections.abc import Sequence
from enum import IntEnum, IntFlag

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.model.rows import joined

Rows = NDArray[np.void]
"""A one-dimensional structured array; which dtype is said where it is used."""

IPV4_MAPPED = 0xFFFF_0000_0000
"""Low half of an IPv4-mapped address before the 32 address bits are added; its high half is zero."""

FRAME = np.dtype(
    [
        ("offset", np.int64),  # first byte of the frame in the block's bytes
        ("ts_ns", np.int64),  # since the epoch
        ("captured_len", np.uint32),  # bytes present in the block
        ("wire_len", np.uint32),  # bytes the frame had on the wire
        ("link_type", np.uint16),  # LINKTYPE_* of the tcpdump registry
        ("interface", np.uint16),  # number of the capture's interface
        ("vlan", np.uint16),  # 802.1Q tag that the kernel reports beside the bytes; 0 none
        ("direction", np.uint8),  # Direction
        ("_pad", np.uint8),
    ]
)
"""Index of one frame within a ``FrameBlock``: 32 bytes."""

PACKET = np.dtype(
    [
        ("ts_ns", np.int64),
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("hash", np.uint64),  # of the 5-tuple, the same in both directions; computed once, used by every table
        ("seq", np.uint32),
        ("ack", np.uint32),
        ("sack_edge", np.uint32),  # highest right edge of the SACK blocks (RFC 2018); valid if TcpOption.SACK is set
        ("wire_len", np.uint32),
        ("payload_len", np.uint32),  # of the transport, by the IP header's lengths (not by what was captured)
        ("captured_len", np.uint32),
        ("fragment_id", np.uint32),  # IPv4 identification, IPv6 fragment identification
        ("quoted", np.int32),  # row in the block's ``quoted`` for an ICMP error, else -1
        ("sport", np.uint16),
        ("dport", np.uint16),
        ("window", np.uint16),  # unscaled, as in the header
        ("tcp_flags", np.uint16),  # TcpFlag
        ("fragment_offset", np.uint16),  # in bytes
        ("mss", np.uint16),  # of the option, 0 none
        ("vlan", np.uint16),  # outermost VLAN id, 0 none
        ("icmp_id", np.uint16),  # of echo and its like
        ("interface", np.uint16),
        ("layers", np.uint16),  # Layer
        ("protocol", np.uint8),  # IP protocol number
        ("status", np.uint8),  # DecodeStatus
        ("ttl", np.uint8),  # or hop limit
        ("window_scale", np.uint8),  # shift of the option, capped at 14 (RFC 7323 section 2.3); valid if TcpOption.WINDOW_SCALE is set
        ("tcp_options", np.uint8),  # TcpOption
        ("icmp_type", np.uint8),
        ("icmp_code", np.uint8),
        ("direction", np.uint8),  # Direction
        ("transport_header_len", np.uint8),  # bytes, options included; 0 where there is none or it is unknown
        ("_pad1", np.uint8),
        ("_pad", np.uint16),
    ]
)

QUOTED = np.dtype(
    [
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("hash", np.uint64),
        ("sport", np.uint16),
        ("dport", np.uint16),
        ("icmp_id", np.uint16),
        ("protocol", np.uint8),
        ("icmp_type", np.uint8),
    ]
)
"""The header that an ICMP error quotes: the packet that the error is about, in that packet's own direction."""


class Direction(IntEnum):
    UNKNOWN = 0
    INGRESS = 1
    EGRESS = 2


class TcpFlag(IntFlag):
    FIN = 0x01
    SYN = 0x02
    RST = 0x04
    PSH = 0x08
    ACK = 0x10
    URG = 0x20
    ECE = 0x40
    CWR = 0x80


class TcpOption(IntFlag):
    MSS = 0x01
    WINDOW_SCALE = 0x02
    SACK_PERMITTED = 0x04
    SACK = 0x08
    TIMESTAMP = 0x10


class Layer(IntFlag):
    """What the decoder found in a packet."""

    IPV4 = 0x0001
    IPV6 = 0x0002
    TRANSPORT = 0x0004  # ports, type or flags are valid
    FRAGMENT = 0x0008  # any fragment of a datagram
    FIRST_FRAGMENT = 0x0010
    MORE_FRAGMENTS = 0x0020
    TUNNEL = 0x0040  # the packet carries, or (with inner decoding) was carried in, a tunnel
    REASSEMBLED = 0x0080  # set by reassembly: completes a datagram; the row now describes the whole of it
    HELD = 0x0100  # set by reassembly: waits for the rest; the tracker never sees it
    ICMP_ERROR = 0x0200
    ATOMIC_FRAGMENT = 0x0400  # IPv6: a fragment header on a whole packet (RFC 6946); counted as a fragment, needs no reassembly


class DecodeStatus(IntEnum):
    """Why a packet could not be decoded further; every reason is counted by its name in lower case."""

    OK = 0
    NOT_IP = 1  # ARP, LLDP, STP …: no error
    UNKNOWN_LINK_TYPE = 2
    CUT_LINK_HEADER = 3
    CUT_IP_HEADER = 4
    BAD_IP_HEADER = 5  # wrong version or header length below the minimum
    BAD_IP_LENGTH = 6  # total length below the header length
    CUT_EXTENSION_HEADER = 7
    TOO_MANY_LAYERS = 8
    CUT_TRANSPORT_HEADER = 9
    BAD_TCP_OFFSET = 10
    BAD_TRANSPORT_LENGTH = 11
    CUT_TUNNEL_HEADER = 12


class TrafficCounts(msgspec.Struct):
    """What the wire held. ``flows`` is filled by the flow table, all else by the decoder."""

    packets: int = 0
    bytes: int = 0  # on the wire
    non_ip: int = 0
    ipv4: int = 0
    ipv6: int = 0
    tcp: int = 0
    udp: int = 0
    icmp: int = 0  # ICMP and ICMPv6
    other: int = 0  # IP packets of any other protocol, non-first fragments included with their protocol's count
    fragments: int = 0
    tcp_syn: int = 0  # SYN without ACK
    tcp_synack: int = 0
    tcp_fin: int = 0
    tcp_rst: int = 0
    flows: int = 0


class FrameBlock(msgspec.Struct, frozen=True):
    """Bytes as they came from a file or a ring, with the place of every whole frame in them."""

    data: NDArray[np.uint8]  # shape (n,)
    frames: Rows  # FRAME, shape (packets,)


class PacketBlock(msgspec.Struct, frozen=True):
    """A decoded block: it holds no reference to the bytes it came from."""

    packets: Rows  # PACKET, shape (n,), in the order of the source
    quoted: Rows  # QUOTED


def empty_packets(count: int = 0) -> Rows:
    """Return ``count`` zeroed rows of ``PACKET``."""
    return np.zeros(count, PACKET)


def concatenate(blocks: Sequence[PacketBlock]) -> PacketBlock:
    """Join blocks into one, keeping each error's reference to the header it quotes."""
    packets = joined([block.packets for block in blocks]) if blocks else empty_packets()
    base, row = 0, 0
    for block in blocks if any(len(block.quoted) for block in blocks) else ():
        part = packets["quoted"][row : row + len(block.packets)]
        part[part >= 0] += base
        base += len(block.quoted)
        row += len(block.packets)
    quoted = np.concatenate([block.quoted for block in blocks]) if blocks else np.zeros(0, QUOTED)
    return PacketBlock(packets, quoted)
