"""Transport headers: TCP (RFC 9293) with its options, UDP, ICMP, and the ports of the rest.

A snaplen that cuts into a header is normal: what is there is used. TCP counts as decoded from 16 captured bytes on (all but checksum and
urgent pointer), the same rule as tshark's. ``length`` is what the IP header leaves for the transport, ``have`` how much of it was captured.
Header and payload lengths always add up to ``length``, whatever the header claims: reassembly needs to know how far a first fragment
reaches.
"""

from netwatch.decode.octets import Octets, Row, read_8, read_16, read_32
from netwatch.jit import inlined
from netwatch.model.packet import DecodeStatus, Layer, TcpOption
from netwatch.model.service import Protocol

OK = int(DecodeStatus.OK)
CUT_TRANSPORT_HEADER, BAD_TCP_OFFSET = int(DecodeStatus.CUT_TRANSPORT_HEADER), int(DecodeStatus.BAD_TCP_OFFSET)
BAD_TRANSPORT_LENGTH = int(DecodeStatus.BAD_TRANSPORT_LENGTH)
LAYER_TRANSPORT, LAYER_MORE, LAYER_ICMP_ERROR = int(Layer.TRANSPORT), int(Layer.MORE_FRAGMENTS), int(Layer.ICMP_ERROR)

TCP, UDP, ICMP, ICMPV6, SCTP = int(Protocol.TCP), int(Protocol.UDP), int(Protocol.ICMP), int(Protocol.ICMPV6), int(Protocol.SCTP)
DCCP, UDP_LITE = 33, 136  # RFC 4340, RFC 3828
TCP_HEADER, UDP_HEADER, ICMP_HEADER = 20, 8, 8
TCP_USABLE = 16

OPTION_MSS, OPTION_WINDOW_SCALE, OPTION_SACK_PERMITTED, OPTION_SACK, OPTION_TIMESTAMP = 2, 3, 4, 5, 8
LARGEST_WINDOW_SCALE = 14  # RFC 7323 section 2.3
FLAG_MSS, FLAG_WINDOW_SCALE, FLAG_SACK_PERMITTED = int(TcpOption.MSS), int(TcpOption.WINDOW_SCALE), int(TcpOption.SACK_PERMITTED)
FLAG_SACK, FLAG_TIMESTAMP = int(TcpOption.SACK), int(TcpOption.TIMESTAMP)
PADDED_TIMESTAMP = 0x0101080A
"""Two NOPs, then kind 8 and length 10: the whole of the options of nearly every segment that is no SYN (RFC 7323 appendix A)."""

ICMP_ERRORS = (3, 4, 5, 11, 12)  # unreachable, source quench, redirect, time exceeded, parameter problem
ICMP_WITH_ID = (0, 8, 13, 14, 15, 16, 17, 18)  # echo, timestamp, information and mask, each with its reply
ICMPV6_WITH_ID = (128, 129)
FIRST_ICMPV6_INFORMATION = 128  # RFC 4443 section 2.1: types below are errors


@inlined
def highest_edge(data: Octets, at: int, end: int) -> int:
    """Return the highest right edge of SACK blocks in sequence space (RFC 2018 section 3), which wraps at 2**32."""
    highest = read_32(data, at + 4)
    at += 8
    while end - at >= 8:
        edge = read_32(data, at + 4)
        if 0 < (edge - highest) & 0xFFFF_FFFF < 0x8000_0000:
            highest = edge
        at += 8
    return highest


@inlined
def tcp_options(data: Octets, at: int, end: int, header_end: int, row: Row) -> None:
    """Note the options that state tracking needs; the first that is malformed ends the list, as in Linux.

    The snaplen may cut the list at ``end``, before the header does: long ones end in SACK blocks, of which those that are there are used.
    """
    if header_end - at == 12 and end >= header_end and read_32(data, at) == PADDED_TIMESTAMP:
        row.tcp_options = FLAG_TIMESTAMP
        return
    found = 0
    while end - at >= 1:
        kind = read_8(data, at)
        if kind == 1:
            at += 1
            continue
        if kind == 0 or end - at < 2:
            break
        length = read_8(data, at + 1)
        if length < 2 or length > header_end - at:
            break
        have = min(length, end - at)
        if kind == OPTION_MSS and length == 4 and have == 4:
            row.mss = read_16(data, at + 2)
            found |= FLAG_MSS
        elif kind == OPTION_WINDOW_SCALE and length == 3 and have == 3:
            row.window_scale = min(read_8(data, at + 2), LARGEST_WINDOW_SCALE)
            found |= FLAG_WINDOW_SCALE
        elif kind == OPTION_SACK_PERMITTED and length == 2:
            found |= FLAG_SACK_PERMITTED
        elif kind == OPTION_SACK and have >= 10:
            row.sack_edge = highest_edge(data, at + 2, at + have)
            found |= FLAG_SACK
        elif kind == OPTION_TIMESTAMP and length == 10:
            found |= FLAG_TIMESTAMP
        at += length
    row.tcp_options = found


@inlined
def split(length: int, header: int, row: Row) -> None:
    """Note how much of the transport's bytes are header and how much payload."""
    row.transport_header_len = min(header, length)
    row.payload_len = length - min(header, length)


@inlined
def tcp(data: Octets, at: int, end: int, length: int, row: Row) -> int:
    """Read a TCP header."""
    have = end - at
    if have >= 8:
        row.seq = read_32(data, at + 4)
    if have < TCP_USABLE:
        return BAD_TRANSPORT_LENGTH if length < TCP_HEADER and not row.layers & LAYER_MORE else CUT_TRANSPORT_HEADER
    acknowledged, offset_and_flags, window = read_32(data, at + 8), read_16(data, at + 12), read_16(data, at + 14)
    header = (offset_and_flags >> 12) * 4
    row.ack, row.window = acknowledged, window
    if header < TCP_HEADER:
        return BAD_TCP_OFFSET
    row.tcp_flags = offset_and_flags & 0xFF
    row.layers |= LAYER_TRANSPORT
    split(length, header, row)
    if header > TCP_HEADER and have > TCP_HEADER:
        tcp_options(data, at + TCP_HEADER, min(end, at + header), at + header, row)
    if header <= length:
        return OK
    return CUT_TRANSPORT_HEADER if row.layers & LAYER_MORE else BAD_TCP_OFFSET


@inlined
def udp(data: Octets, at: int, end: int, length: int, row: Row) -> int:
    """Read a UDP header. Its own length must hold the header and fit in the packet; 0 is a jumbogram's (RFC 2675 section 4)."""
    row.layers |= LAYER_TRANSPORT
    if length < UDP_HEADER:
        return BAD_TRANSPORT_LENGTH
    if end - at >= 6 and not row.layers & LAYER_MORE:
        claimed = read_16(data, at + 4)
        if (claimed < UDP_HEADER and not (claimed == 0 and length > 0xFFFF)) or claimed > length:
            return BAD_TRANSPORT_LENGTH
    return OK


@inlined
def icmp(data: Octets, at: int, end: int, length: int, protocol: int, row: Row) -> int:
    """Read an ICMP or ICMPv6 header; which packet an error is about is read by ``quotes``."""
    have = end - at
    if have < 2:
        return BAD_TRANSPORT_LENGTH if length < 2 else CUT_TRANSPORT_HEADER
    kind = read_8(data, at)
    row.icmp_type, row.icmp_code = kind, read_8(data, at + 1)
    row.layers |= LAYER_TRANSPORT
    if protocol == ICMP:
        is_error, has_id = kind in ICMP_ERRORS, kind in ICMP_WITH_ID
    else:
        is_error, has_id = kind < FIRST_ICMPV6_INFORMATION, kind in ICMPV6_WITH_ID
    if is_error:
        row.layers |= LAYER_ICMP_ERROR
    if has_id and have >= 6:
        row.icmp_id = read_16(data, at + 4)
    return OK if length >= ICMP_HEADER or (protocol == ICMPV6 and length >= 4) else BAD_TRANSPORT_LENGTH


@inlined
def smallest_header(protocol: int) -> int:
    """Return the bytes of a protocol's header without options, 0 for what we do not read."""
    if protocol == TCP:
        return TCP_HEADER
    if protocol in (SCTP, DCCP):
        return 12
    return 8 if protocol in (UDP, UDP_LITE, ICMP, ICMPV6) else 0


@inlined
def with_ports(protocol: int) -> bool:
    """Whether the transport begins with two ports."""
    return protocol in (TCP, UDP, SCTP, UDP_LITE, DCCP)


@inlined
def transport(data: Octets, at: int, end: int, wire_end: int, protocol: int, row: Row) -> int:
    """Read the transport header at ``at`` into the row and return the status."""
    length, have = wire_end - at, end - at
    split(length, smallest_header(protocol), row)
    if with_ports(protocol):
        if have < 4:
            return BAD_TRANSPORT_LENGTH if length < 4 else CUT_TRANSPORT_HEADER
        row.sport, row.dport = read_16(data, at), read_16(data, at + 2)
        if protocol == TCP:
            return tcp(data, at, end, length, row)
        if protocol == UDP:
            return udp(data, at, end, length, row)
        row.layers |= LAYER_TRANSPORT
        return OK if length >= smallest_header(protocol) else BAD_TRANSPORT_LENGTH
    if protocol in (ICMP, ICMPV6):
        return icmp(data, at, end, length, protocol, row)
    row.layers |= LAYER_TRANSPORT
    return OK
