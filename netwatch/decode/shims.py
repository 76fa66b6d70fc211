"""What lies between a link and an IP header, one step at a time: Ethernet, VLAN tags, LLC and SNAP, MPLS, PPPoE, PPP and rarer tags.

``next_layer`` is given what kind of bytes come next and returns the next kind and where it begins. A kind is an EtherType (IEEE 802
numbers, RFC 9542), one of the made-up kinds below, or a ``DecodeStatus`` with its sign turned when there is no next. The walk over these
steps and its bound are the kernel's.
"""

from netwatch.decode.octets import Octets, Row, read_8, read_16, read_32
from netwatch.jit import inlined
from netwatch.model.packet import DecodeStatus

IPV4, IPV6 = 0x0800, 0x86DD
VLAN, PROVIDER_VLAN, OLD_PROVIDER_VLAN = 0x8100, 0x88A8, 0x9100  # 802.1Q, 802.1ad, and its forerunner
MPLS, MPLS_MULTICAST = 0x8847, 0x8848  # RFC 5332
PPPOE_SESSION = 0x8864  # RFC 2516
PPP = 0x880B
ETHERNET = 0x6558  # "transparent Ethernet bridging": a whole Ethernet frame
PROVIDER_BACKBONE = 0x88E7  # 802.1ah: tag of 4 bytes, the customer's two MAC addresses, EtherType
E_TAG = 0x893F  # 802.1BR
VN_TAG = 0x8926
CISCO_METADATA = 0x8909  # TrustSec

LLC = 0x1_0000
IP_BY_VERSION = 0x1_0001  # IP of whatever version its first four bits say

NOT_IP = -int(DecodeStatus.NOT_IP)
CUT = -int(DecodeStatus.CUT_LINK_HEADER)
BAD_IP, CUT_IP = -int(DecodeStatus.BAD_IP_HEADER), -int(DecodeStatus.CUT_IP_HEADER)

SMALLEST_ETHERTYPE = 0x0600  # IEEE 802.3 clause 3.2.6: below, the field is a length (up to 1500) or undefined
LARGEST_LENGTH = 1500
PPP_IPV4, PPP_IPV6, PPP_MPLS, PPP_MPLS_MULTICAST = 0x0021, 0x0057, 0x0281, 0x0283  # RFC 1661 section 2, IANA PPP numbers
PPP_ADDRESS_AND_CONTROL = 0xFF03  # RFC 1662 section 3.1; may be left out
SNAP, OLD_IP_SAP, OSI_SAP = 0xAAAA, 0x0606, 0xFEFE
OUI_ETHERNET, OUI_BRIDGE_TUNNEL, OUI_BRIDGED = 0x000000, 0x0000F8, 0x0080C2  # RFC 1042; 802.1H; RFC 2684
NLPID_IPV4, NLPID_IPV6 = 0xCC, 0x8E
ISL_DESTINATIONS = (0x01000C00, 0x0C000C00)  # first four bytes of the address that marks Cisco's Inter-Switch Link
ISL_BYTES = 26


@inlined
def kind_of(value: int) -> int:
    """Return the kind that a type-or-length field announces."""
    if value >= SMALLEST_ETHERTYPE:
        return value
    return LLC if value <= LARGEST_LENGTH else NOT_IP


@inlined
def tag_bytes(kind: int) -> int:
    """Return the length of a tag that ends in the next EtherType, 0 for what is no such tag. Cisco's grows with its options."""
    if kind in (VLAN, PROVIDER_VLAN, OLD_PROVIDER_VLAN, CISCO_METADATA):
        return 4
    return 18 if kind == PROVIDER_BACKBONE else 8 if kind == E_TAG else 6 if kind == VN_TAG else 0


@inlined
def tagged(data: Octets, at: int, end: int, length: int) -> tuple[int, int]:
    """Step over a tag of ``length`` bytes whose last two are the next EtherType."""
    if end - at < length:
        return CUT, at
    return kind_of(read_16(data, at + length - 2)), at + length


@inlined
def ethernet(data: Octets, at: int, end: int) -> tuple[int, int]:
    """Step over the two addresses and the type; the frame check sequence, if captured, lies behind all lengths that count."""
    if end - at < 14:
        return CUT, at
    kind = read_16(data, at + 12)
    if kind >= SMALLEST_ETHERTYPE:
        return kind, at + 14
    if read_32(data, at) in ISL_DESTINATIONS and read_8(data, at + 4) == 0:
        return ETHERNET, at + ISL_BYTES
    return kind_of(kind), at + 14


@inlined
def logical_link(data: Octets, at: int, end: int) -> tuple[int, int]:
    """LLC (IEEE 802.2), with SNAP (RFC 1042) where it announces it; all but IP is control traffic such as STP."""
    if end - at < 3:
        return CUT, at
    saps = read_16(data, at)
    if saps == OLD_IP_SAP:
        return IPV4, at + 3
    if saps == OSI_SAP and end - at >= 4:
        network = read_8(data, at + 3)
        return (IPV4 if network == NLPID_IPV4 else IPV6 if network == NLPID_IPV6 else NOT_IP), at + 4
    if saps != SNAP:
        return NOT_IP, at
    if end - at < 8:
        return CUT, at
    organisation, kind = read_32(data, at + 2) & 0xFFFFFF, read_16(data, at + 6)
    if organisation == OUI_BRIDGED and kind in (1, 7):
        return ETHERNET, at + 8
    if organisation in (OUI_ETHERNET, OUI_BRIDGE_TUNNEL) and kind >= SMALLEST_ETHERTYPE:
        return kind, at + 8
    return NOT_IP, at


@inlined
def looks_like_ethernet(data: Octets, at: int, end: int) -> bool:
    """Whether a frame that nothing announces has a type that may lead to IP."""
    return bool(end - at >= 14 and read_16(data, at + 12) in (IPV4, IPV6, VLAN, PROVIDER_VLAN, OLD_PROVIDER_VLAN, MPLS, PPPOE_SESSION))


@inlined
def label(data: Octets, at: int, end: int) -> tuple[int, int]:
    """Step over one MPLS label; below the last, nothing says what comes, and the first four bits must tell (RFC 4928 section 3).

    4 and 6 are IP, 1 is a channel of a pseudowire's own, 0 is the control word of a pseudowire, which mostly carries Ethernet (RFC 4448).
    """
    if end - at < 4:
        return CUT, at
    below = at + 4
    if not read_8(data, at + 2) & 1:
        return MPLS, below
    if end - below < 1:
        return CUT, below
    version = read_8(data, below) >> 4
    if version == 4 or version == 6:
        return (IPV4 if version == 4 else IPV6), below
    if version == 0 and looks_like_ethernet(data, below + 4, end):
        return ETHERNET, below + 4
    if version != 1 and looks_like_ethernet(data, below, end):
        return ETHERNET, below
    return NOT_IP, below


@inlined
def point_to_point(data: Octets, at: int, end: int) -> tuple[int, int]:
    """PPP: the address and control bytes may be missing, and the protocol may be one byte if that is odd (RFC 1661 section 6.5)."""
    if end - at >= 2 and read_16(data, at) == PPP_ADDRESS_AND_CONTROL:
        at += 2
    if end - at < 1:
        return CUT, at
    protocol = read_8(data, at)
    if protocol & 1:
        at += 1
    elif end - at < 2:
        return CUT, at
    else:
        protocol = read_16(data, at)
        at += 2
    if protocol == PPP_IPV4:
        return IPV4, at
    if protocol == PPP_IPV6:
        return IPV6, at
    return (MPLS if protocol in (PPP_MPLS, PPP_MPLS_MULTICAST) else NOT_IP), at


@inlined
def next_layer(data: Octets, at: int, end: int, kind: int, row: Row) -> tuple[int, int]:
    """Take one step from ``kind`` at ``at`` towards IP; a VLAN id met on the way is noted unless an outer one was."""
    if kind == ETHERNET:
        return ethernet(data, at, end)
    length = tag_bytes(kind)
    if kind == CISCO_METADATA:
        length += 4 * read_8(data, at + 1) if end - at >= 2 else 0  # of options
    elif length == 4 and end - at >= 4 and row.vlan == 0:
        row.vlan = read_16(data, at) & 0x0FFF
    if length:
        return tagged(data, at, end, length)
    if kind in (MPLS, MPLS_MULTICAST):
        return label(data, at, end)
    if kind == LLC:
        return logical_link(data, at, end)
    if kind == PPPOE_SESSION:
        if end - at < 6:
            return CUT, at
        return (PPP if read_8(data, at + 1) == 0 else NOT_IP), at + 6
    if kind == PPP:
        return point_to_point(data, at, end)
    if kind == IP_BY_VERSION:
        if end - at < 1:
            return CUT_IP, at
        version = read_8(data, at) >> 4
        return (IPV4 if version == 4 else IPV6 if version == 6 else BAD_IP), at
    return NOT_IP, at
