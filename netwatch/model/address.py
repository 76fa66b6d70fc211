"""Addresses as rows hold them, two 64-bit halves with IPv4 mapped into IPv6, and as people write them."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from netwatch.model.packet import IPV4_MAPPED

IPV4_MAPPED_BITS = 96
"""Bits in front of the IPv4 address in its mapped form (RFC 4291 section 2.5.5.2)."""

HALF_MASK = (1 << 64) - 1


def halves(address: str) -> tuple[int, int]:
    """High and low 64 bits of an address; ``ValueError`` says what is wrong with one that is none."""
    parsed = ip_address(address)
    number = int(parsed) if isinstance(parsed, IPv6Address) else IPV4_MAPPED | int(parsed)
    return number >> 64, number & HALF_MASK


def address_text(hi: int, lo: int) -> str:
    """``198.51.100.7`` or ``2001:db8::7``."""
    if hi == 0 and lo >> 32 == IPV4_MAPPED >> 32:
        return str(IPv4Address(lo & 0xFFFF_FFFF))
    return str(IPv6Address(hi << 64 | lo))


def prefix_halves(prefix: str) -> tuple[int, int, int, int, int]:
    """Network and mask of a prefix (or single address) as halves, and its length in bits of the mapped form.

    Bits of the host part are allowed: ``203.0.113.7/24`` is the network that the address lies in.
    """
    network = ip_network(prefix, strict=False)
    if isinstance(network, IPv6Network):
        number, length = int(network.network_address), network.prefixlen
    else:
        number, length = IPV4_MAPPED | int(network.network_address), IPV4_MAPPED_BITS + network.prefixlen
    mask = ((1 << length) - 1) << (128 - length)
    return number >> 64, number & HALF_MASK, mask >> 64, mask & HALF_MASK, length
