"""IPv4 (RFC 791) and IPv6 (RFC 8200) headers, with extension headers, fragments and the lengths that count.

Two ends matter. ``end`` is the end of what was captured: nothing is read beyond it. ``wire_end`` is where the frame ended on the wire:
lengths are reckoned with it, since a snaplen takes bytes from the file, not from the traffic. An IP header draws both closer, which drops
Ethernet padding; one that claims more than the frame had is not believed. A total length of zero is a segment larger than 64 KiB that the
network card was to cut (TSO, BIG TCP): the frame's length is the truth.

Each function returns ``(status, protocol, at, end, wire_end)`` of what the header carries. Nothing is written to the row before the header
is known to be good, so that a row holds the last good header.
"""

import numpy as np

from netwatch.decode.octets import Octets, Row, read_8, read_16, read_32, read_unsigned_32, read_unsigned_64
from netwatch.jit import inlined
from netwatch.model.packet import IPV4_MAPPED, DecodeStatus, Layer
from netwatch.model.service import Protocol

OK = int(DecodeStatus.OK)
CUT_IP_HEADER, BAD_IP_HEADER = int(DecodeStatus.CUT_IP_HEADER), int(DecodeStatus.BAD_IP_HEADER)
BAD_IP_LENGTH, CUT_EXTENSION_HEADER = int(DecodeStatus.BAD_IP_LENGTH), int(DecodeStatus.CUT_EXTENSION_HEADER)
TOO_MANY_LAYERS = int(DecodeStatus.TOO_MANY_LAYERS)
LAYER_IPV4, LAYER_IPV6, LAYER_TUNNEL = int(Layer.IPV4), int(Layer.IPV6), int(Layer.TUNNEL)
LAYER_FRAGMENT, LAYER_FIRST, LAYER_MORE, LAYER_ATOMIC = (
    int(Layer.FRAGMENT),
    int(Layer.FIRST_FRAGMENT),
    int(Layer.MORE_FRAGMENTS),
    int(Layer.ATOMIC_FRAGMENT),
)
MAPPED = np.uint64(IPV4_MAPPED)

HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS, MOBILITY, HIP, SHIM6 = 0, 43, 44, 60, 135, 139, 140
AUTHENTICATION = int(Protocol.AH)
EXTENSIONS = 16
"""Extension headers followed, at most; hosts send one or two, and Linux refuses more than eight options headers of a kind."""

JUMBO_PAYLOAD = 0xC2  # RFC 2675 section 2

Ip = tuple[int, int, int, int, int]


@inlined
def forget_outer(row: Row) -> None:
    """Before the header within a tunnel is written, clear what its carrier left in the row."""
    row.seq = row.ack = row.sack_edge = row.payload_len = row.fragment_id = 0
    row.sport = row.dport = row.window = row.tcp_flags = row.fragment_offset = row.mss = row.icmp_id = 0
    row.window_scale = row.tcp_options = row.icmp_type = row.icmp_code = row.transport_header_len = 0


@inlined
def ipv4(data: Octets, at: int, end: int, wire_end: int, row: Row) -> Ip:
    """Read an IPv4 header. Options are stepped over, since none leads elsewhere on today's paths, and so is an authentication header."""
    if end - at < 20:
        return CUT_IP_HEADER, 0, at, end, wire_end
    first = read_8(data, at)
    header = (first & 0x0F) * 4
    if first >> 4 != 4 or header < 20:
        return BAD_IP_HEADER, 0, at, end, wire_end
    if end - at < header:
        return CUT_IP_HEADER, 0, at, end, wire_end
    total = read_16(data, at + 2)
    if total == 0:
        total = wire_end - at
    if total < header:
        return BAD_IP_LENGTH, 0, at, end, wire_end
    if row.layers:
        forget_outer(row)
    fragment, ttl, protocol = read_16(data, at + 6), read_8(data, at + 8), read_8(data, at + 9)
    layers = (row.layers & LAYER_TUNNEL) | LAYER_IPV4
    if fragment & 0x3FFF:
        layers |= LAYER_FRAGMENT
        if fragment & 0x1FFF == 0:
            layers |= LAYER_FIRST
        if fragment & 0x2000:
            layers |= LAYER_MORE
    source, destination, identification = read_unsigned_32(data, at + 12), read_unsigned_32(data, at + 16), read_16(data, at + 4)
    row.src_hi = row.dst_hi = np.uint64(0)
    row.src_lo, row.dst_lo = source | MAPPED, destination | MAPPED
    row.fragment_id, row.fragment_offset = identification, (fragment & 0x1FFF) * 8
    row.layers, row.protocol, row.ttl = layers, protocol, ttl
    end, wire_end, at = min(end, at + total), min(wire_end, at + total), at + header
    if protocol == AUTHENTICATION and not fragment & 0x1FFF and end - at >= 8:
        beyond = at + (read_8(data, at + 1) + 2) * 4
        if beyond <= end:
            row.protocol = protocol = read_8(data, at)
            at = beyond
    return OK, protocol, at, end, wire_end


@inlined
def jumbo_length(data: Octets, at: int, end: int) -> int:
    """Return the length in a jumbo payload option of the hop-by-hop header, 0 without one."""
    at += 2
    while end - at >= 6:
        option = read_8(data, at)
        if option == JUMBO_PAYLOAD:
            return read_32(data, at + 2)
        at += 1 if option == 0 else 2 + read_8(data, at + 1)
    return 0


@inlined
def is_extension(protocol: int) -> bool:
    """Whether a next-header number is one of the extension headers (RFC 7045 section 4) that can be stepped over."""
    return protocol in (HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION_OPTIONS, AUTHENTICATION, MOBILITY, HIP, SHIM6)


@inlined
def ipv6(data: Octets, at: int, end: int, wire_end: int, row: Row) -> Ip:
    """Read an IPv6 header and its extension headers up to the transport, or to the fragment header of a later fragment."""
    if end - at < 40:
        return CUT_IP_HEADER, 0, at, end, wire_end
    if read_8(data, at) >> 4 != 6:
        return BAD_IP_HEADER, 0, at, end, wire_end
    if row.layers:
        forget_outer(row)
    payload, protocol, hop_limit = read_16(data, at + 4), read_8(data, at + 6), read_8(data, at + 7)
    source_hi, source_lo = read_unsigned_64(data, at + 8), read_unsigned_64(data, at + 16)
    destination_hi, destination_lo = read_unsigned_64(data, at + 24), read_unsigned_64(data, at + 32)
    row.src_hi, row.src_lo, row.dst_hi, row.dst_lo = source_hi, source_lo, destination_hi, destination_lo
    row.layers, row.ttl = (row.layers & LAYER_TUNNEL) | LAYER_IPV6, hop_limit
    status = OK
    at += 40
    start = at
    if payload:
        end, wire_end = min(end, at + payload), min(wire_end, at + payload)
    for followed in range(EXTENSIONS + 1):
        if not is_extension(protocol):
            break
        if followed == EXTENSIONS:
            status = TOO_MANY_LAYERS
            break
        if end - at < 8:
            status = CUT_EXTENSION_HEADER
            break
        length = (read_8(data, at + 1) + 1) * 8
        if protocol == FRAGMENT:
            length = 8
            fragment = read_16(data, at + 2)
            row.fragment_id, row.fragment_offset = read_32(data, at + 4), fragment & 0xFFF8
            if fragment & 0xFFF9:
                row.layers |= LAYER_FRAGMENT | (LAYER_MORE if fragment & 1 else 0) | (LAYER_FIRST if fragment & 0xFFF8 == 0 else 0)
            else:
                row.layers |= LAYER_ATOMIC
        elif protocol == AUTHENTICATION:
            length = (read_8(data, at + 1) + 2) * 4
        if end - at < length:
            status = CUT_EXTENSION_HEADER
            break
        if protocol == HOP_BY_HOP and payload == 0:
            payload = jumbo_length(data, at, at + length)
            if payload:
                end, wire_end = min(end, start + payload), min(wire_end, start + payload)
        was_fragment = protocol == FRAGMENT
        protocol = read_8(data, at)
        at += length
        if was_fragment and row.fragment_offset:
            break
    row.protocol = protocol
    return status, protocol, at, end, wire_end
