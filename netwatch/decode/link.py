"""The first header of a frame, by the link type that the capture names (the LINKTYPE registry of tcpdump.org).

Each link type ends as a kind of ``shims``; what is unknown here is counted as such once a packet. Numbers of address families differ
between systems, and the pseudo-headers of NULL and NFLOG are in the byte order of the machine that captured, which the frame does not tell:
they are read in the order that makes sense.
"""

from netwatch.decode.octets import Octets, Row, read_8, read_16, read_32
from netwatch.decode.shims import CUT, ETHERNET, IP_BY_VERSION, IPV4, IPV6, LLC, NOT_IP, PPP, PPPOE_SESSION, SMALLEST_ETHERTYPE, kind_of
from netwatch.jit import inlined
from netwatch.model.packet import DecodeStatus, Direction

UNKNOWN = -int(DecodeStatus.UNKNOWN_LINK_TYPE)
UNKNOWN_DIRECTION, INGRESS, EGRESS = int(Direction.UNKNOWN), int(Direction.INGRESS), int(Direction.EGRESS)

LINK_NULL, LINK_ETHERNET, LINK_PPP, LINK_PPP_HDLC, LINK_PPP_ETHERNET = 0, 1, 9, 50, 51
LINK_RAW_OF_BSD, LINK_RAW_OF_OPENBSD, LINK_RAW = 12, 14, 101
LINK_ATM_LLC, LINK_CISCO_HDLC, LINK_LOOP, LINK_ENC, LINK_LINUX_SLL, LINK_PFLOG = 100, 104, 108, 109, 113, 117
LINK_IEEE802_11, LINK_RADIOTAP, LINK_APPLE_IP_OVER_1394 = 105, 127, 138
LINK_PPP_PPPD, LINK_PPP_WITH_DIRECTION = 166, 204
LINK_IPV4, LINK_IPV6, LINK_NFLOG, LINK_NETANALYZER, LINK_PKTAP, LINK_LINUX_SLL2 = 228, 229, 239, 240, 258, 276

FAMILY_IPV4 = 2  # the same everywhere
FAMILIES_IPV6 = (10, 24, 28, 30)  # Linux, BSDs, FreeBSD, Darwin
SLL_OUTGOING, SLL_OTHER_HOST = 4, 3
SLL_LLC = 4  # ETH_P_802_2 in the protocol field
NFLOG_PAYLOAD = 9  # NFULA_PAYLOAD
NFLOG_ATTRIBUTES = 32  # looked at; the kernel writes about a dozen
CISCO_HDLC_ADDRESSES = (0x0F, 0x8F)


@inlined
def swapped_32(word: int) -> int:
    """Turn four bytes around."""
    return ((word & 0xFF) << 24) | ((word & 0xFF00) << 8) | ((word >> 8) & 0xFF00) | (word >> 24)


@inlined
def family_kind(family: int) -> int:
    """Return the kind that an address family names, in either byte order. Some systems put an EtherType there."""
    if family > 0xFFFF:
        family = swapped_32(family)
    if family == FAMILY_IPV4:
        return IPV4
    if family in FAMILIES_IPV6:
        return IPV6
    return family if SMALLEST_ETHERTYPE <= family <= 0xFFFF else NOT_IP


@inlined
def cooked(data: Octets, at: int, end: int, is_second: bool, row: Row) -> tuple[int, int]:
    """Linux "cooked" capture, version 1 (16 bytes) or 2 (20 bytes): what ``any`` and tunnels without addresses give."""
    length = 20 if is_second else 16
    if end - at < length:
        return CUT, at
    packet_type = read_8(data, at + 10) if is_second else read_16(data, at)
    if row.direction == UNKNOWN_DIRECTION and packet_type != SLL_OTHER_HOST:
        row.direction = EGRESS if packet_type == SLL_OUTGOING else INGRESS
    protocol = read_16(data, at if is_second else at + 14)
    if protocol < SMALLEST_ETHERTYPE:
        return (LLC if protocol == SLL_LLC else NOT_IP), at + length
    return protocol, at + length


@inlined
def netfilter_log(data: Octets, at: int, end: int) -> tuple[int, int]:
    """NFLOG: attributes of (length, type), one of which is the packet from its IP header on."""
    at += 4
    for _ in range(NFLOG_ATTRIBUTES):
        if end - at < 4:
            return CUT, at
        length, kind = read_16(data, at), read_16(data, at + 2)
        if kind > 0xFF:  # the types are small numbers: little-endian
            length, kind = (length >> 8) | ((length & 0xFF) << 8), kind >> 8
        if kind == NFLOG_PAYLOAD:
            return IP_BY_VERSION, at + 4
        if length < 4:
            return CUT, at
        at += (length + 3) & ~3
    return NOT_IP, at


@inlined
def wireless(data: Octets, at: int, end: int) -> tuple[int, int]:
    """An IEEE 802.11 frame: only unencrypted data frames carry anything to see."""
    if end - at < 2:
        return CUT, at
    control, flags = read_8(data, at), read_8(data, at + 1)
    is_data, has_no_body, has_quality_of_service = control & 0x0F == 0x08, control & 0x40, control & 0x80
    if not is_data or has_no_body or flags & 0x40:
        return NOT_IP, at
    header = 24
    if flags & 3 == 3:
        header += 6  # a fourth address
    if has_quality_of_service:
        header += 2 if not flags & 0x80 else 6  # with the HT control field
    return LLC, at + header


@inlined
def with_direction(at: int, came: bool, row: Row) -> tuple[int, int]:
    """PPP behind one byte that says which way the frame went."""
    if row.direction == UNKNOWN_DIRECTION:
        row.direction = INGRESS if came else EGRESS
    return PPP, at + 1


@inlined
def link_layer(data: Octets, at: int, end: int, link_type: int, row: Row) -> tuple[int, int]:
    """Return the kind of what the frame begins with and where it begins; all kinds check again that their bytes are there."""
    if link_type == LINK_ETHERNET:
        return ETHERNET, at
    if link_type == LINK_PKTAP:
        if end - at < 12:
            return CUT, at
        link_type = swapped_32(read_32(data, at + 8))
        at += swapped_32(read_32(data, at))
        if link_type == LINK_ETHERNET:
            return ETHERNET, at
    if link_type in (LINK_RAW, LINK_RAW_OF_BSD, LINK_RAW_OF_OPENBSD):
        return IP_BY_VERSION, at
    if link_type == LINK_IPV4:
        return IPV4, at
    if link_type == LINK_IPV6:
        return IPV6, at
    if link_type in (LINK_LINUX_SLL, LINK_LINUX_SLL2):
        return cooked(data, at, end, link_type == LINK_LINUX_SLL2, row)
    if link_type == LINK_ATM_LLC:
        return LLC, at
    if link_type == LINK_PPP:
        return PPP, at
    if link_type == LINK_PPP_ETHERNET:
        return PPPOE_SESSION, at
    if link_type == LINK_IEEE802_11:
        return wireless(data, at, end)
    if link_type == LINK_NETANALYZER:
        return ETHERNET, at + 4
    if end - at < 4:
        return CUT, at
    if link_type in (LINK_NULL, LINK_LOOP):
        return family_kind(read_32(data, at)), at + 4
    if link_type == LINK_ENC:
        return family_kind(read_32(data, at)), at + 12
    if link_type == LINK_PFLOG:
        return family_kind(read_8(data, at + 1)), at + ((read_8(data, at) + 3) & ~3)
    if link_type == LINK_NFLOG:
        return netfilter_log(data, at, end)
    if link_type in (LINK_PPP_HDLC, LINK_CISCO_HDLC):
        is_cisco = link_type == LINK_CISCO_HDLC or read_8(data, at) in CISCO_HDLC_ADDRESSES
        return (kind_of(read_16(data, at + 2)), at + 4) if is_cisco else (PPP, at)
    if link_type in (LINK_PPP_PPPD, LINK_PPP_WITH_DIRECTION):
        return with_direction(at, read_8(data, at) == 0, row)
    if link_type == LINK_RADIOTAP:
        return wireless(data, at + read_8(data, at + 2) + (read_8(data, at + 3) << 8), end)
    if link_type == LINK_APPLE_IP_OVER_1394:
        return (CUT, at) if end - at < 18 else (kind_of(read_16(data, at + 16)), at + 18)
    return UNKNOWN, at
