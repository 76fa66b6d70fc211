"""What a packet carries when it is a tunnel: GRE, IP in IP, Ethernet in IP, VXLAN, Geneve, GTP-U, L2TP and MPLS.

A UDP tunnel is known by its destination port (the source port is drawn for load sharing) and by the fixed bits of its header, so that a
stray packet to such a port is no tunnel. ``inside`` returns the kind of what is carried, as ``shims`` does: ``NOT_IP`` for what is no
tunnel or carries no IP, and the carrier stays the packet's innermost header.
"""

from netwatch.decode.octets import Octets, Row, read_8, read_16
from netwatch.decode.shims import CISCO_METADATA, ETHERNET, IP_BY_VERSION, IPV4, IPV6, MPLS, NOT_IP, PPP
from netwatch.decode.transport import UDP
from netwatch.jit import inlined
from netwatch.model.packet import DecodeStatus
from netwatch.model.service import Protocol

CUT_TUNNEL = -int(DecodeStatus.CUT_TUNNEL_HEADER)

IPV4_IN_IP, IPV6_IN_IP, ETHERNET_IN_IP, MPLS_IN_IP, ETHERNET_BEHIND_IP = 4, 41, 97, 137, 143  # 97: RFC 3378, 143: RFC 8986
GRE = int(Protocol.GRE)
GRE_CHECKSUM, GRE_ROUTING, GRE_KEY, GRE_SEQUENCE, GRE_ACKNOWLEDGEMENT = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080  # RFC 2784, 2890, 2637
ERSPAN_2, ERSPAN_3, WCCP = 0x88BE, 0x22EB, 0x883E
ERSPAN_2_HEADER, ERSPAN_3_HEADER, ERSPAN_3_PLATFORM = 8, 12, 8
VXLAN_PORT, GENEVE_PORT, GTP_PORT, MPLS_PORT = 4789, 6081, 2152, 6635  # RFC 7348, RFC 8926, 3GPP TS 29.281, RFC 7510
L2TP_PORT, L2TP_CONTROL, L2TP_LENGTH, L2TP_SEQUENCE, L2TP_OFFSET = 1701, 0x8000, 0x4000, 0x0800, 0x0200
VXLAN_HAS_NETWORK = 0x08
GTP_VERSION_1, GTP_USER_DATA = 0x30, 0xFF
GTP_EXTENSIONS = 4  # followed at most


@inlined
def gre(data: Octets, at: int, end: int) -> tuple[int, int]:
    """Step over a GRE header: version 0 with optional checksum, key and sequence number, or version 1 as PPTP uses it."""
    if end - at < 4:
        return CUT_TUNNEL, at
    flags, kind = read_16(data, at), read_16(data, at + 2)
    version = flags & 7
    if version > 1 or flags & GRE_ROUTING:
        return NOT_IP, at
    has_checksum, has_key, has_sequence = flags & GRE_CHECKSUM, flags & GRE_KEY, flags & GRE_SEQUENCE
    at += 4 + (4 if has_checksum else 0) + (4 if has_key else 0) + (4 if has_sequence else 0)
    if version == 1:
        return PPP, at + (4 if flags & GRE_ACKNOWLEDGEMENT else 0)
    if kind == ERSPAN_2:
        return ETHERNET, at + (ERSPAN_2_HEADER if has_sequence else 0)  # type I has neither
    if kind == ERSPAN_3:
        if end - at < ERSPAN_3_HEADER:
            return CUT_TUNNEL, at
        return ETHERNET, at + ERSPAN_3_HEADER + (ERSPAN_3_PLATFORM if read_8(data, at + 11) & 1 else 0)
    if kind == CISCO_METADATA:
        if end - at < 4:
            return CUT_TUNNEL, at
        return read_16(data, at), at + 4 + 4 * read_8(data, at + 3)  # here the EtherType comes first
    if kind == WCCP:
        if end - at < 1:
            return CUT_TUNNEL, at
        return IPV4, at if read_8(data, at) >> 4 == 4 else at + 4
    return kind, at


@inlined
def gtp(data: Octets, at: int, end: int) -> tuple[int, int]:
    """Step over a GTP-U version 1 header with its optional fields and extension headers; only user data carries a packet."""
    if end - at < 8:
        return CUT_TUNNEL, at
    flags = read_8(data, at)
    if flags & 0xF0 != GTP_VERSION_1 or read_8(data, at + 1) != GTP_USER_DATA:
        return NOT_IP, at
    if not flags & 7:
        return IP_BY_VERSION, at + 8
    at += 12
    for _ in range(GTP_EXTENSIONS):
        if end - at < 0:
            return CUT_TUNNEL, at
        if read_8(data, at - 1) == 0:
            return IP_BY_VERSION, at
        if end - at < 1:
            return CUT_TUNNEL, at
        at += max(read_8(data, at), 1) * 4
    return NOT_IP, at


@inlined
def l2tp(data: Octets, at: int, end: int) -> tuple[int, int]:
    """Step over the header of an L2TP version 2 data message (RFC 2661 section 3.1); control messages carry no packet."""
    if end - at < 6:
        return CUT_TUNNEL, at
    flags = read_16(data, at)
    if flags & L2TP_CONTROL or flags & 0x0F != 2:
        return NOT_IP, at
    at += 6 + (2 if flags & L2TP_LENGTH else 0) + (4 if flags & L2TP_SEQUENCE else 0)
    if flags & L2TP_OFFSET:
        if end - at < 2:
            return CUT_TUNNEL, at
        at += 2 + read_16(data, at)
    return PPP, at


@inlined
def over_udp(data: Octets, at: int, end: int, port: int) -> tuple[int, int]:
    """Step over a UDP tunnel's header, by destination port."""
    if port == GTP_PORT:
        return gtp(data, at, end)
    if port == L2TP_PORT:
        return l2tp(data, at, end)
    if port == MPLS_PORT:
        return MPLS, at
    if end - at < 8:
        return CUT_TUNNEL, at
    if port == VXLAN_PORT:
        return (ETHERNET if read_8(data, at) & VXLAN_HAS_NETWORK else NOT_IP), at + 8
    version_and_options = read_8(data, at)
    return (read_16(data, at + 2) if version_and_options >> 6 == 0 else NOT_IP), at + 8 + (version_and_options & 0x3F) * 4


@inlined
def inside(data: Octets, at: int, end: int, protocol: int, row: Row) -> tuple[int, int]:
    """Return the kind of what the packet whose transport begins at ``at`` carries, and where that begins."""
    if protocol == UDP:
        if row.dport in (VXLAN_PORT, GENEVE_PORT, GTP_PORT, MPLS_PORT, L2TP_PORT):
            return over_udp(data, at + 8, end, row.dport)
        return NOT_IP, at
    if protocol == GRE:
        return gre(data, at, end)
    if protocol == IPV4_IN_IP:
        return IPV4, at
    if protocol == IPV6_IN_IP:
        return IPV6, at
    if protocol == MPLS_IN_IP:
        return MPLS, at
    if protocol == ETHERNET_IN_IP:
        return ETHERNET, at + 2
    return (ETHERNET if protocol == ETHERNET_BEHIND_IP else NOT_IP), at
