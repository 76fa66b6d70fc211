"""Source prefixes as one 64-bit key: /24 of IPv4 and /48 of IPv6, what one customer or one abuser usually holds."""

from ipaddress import IPv4Network, IPv6Network

import numpy as np

from netwatch.jit import inlined
from netwatch.model.packet import IPV4_MAPPED
from netwatch.model.tuple_hash import mix

IPV4_LENGTH, IPV6_LENGTH = 24, 48
IPV4_SHIFT = np.uint64(32 - IPV4_LENGTH)
IPV6_SHIFT = np.uint64(64 - IPV6_LENGTH)
IPV4_BITS = np.uint64(32)
MAPPED_TOP = np.uint64(IPV4_MAPPED >> 32)
MAPPED_KEY = IPV4_MAPPED >> 32 << IPV4_LENGTH
GROUP_SHIFT = np.uint64(48)


@inlined
def prefix_key(hi: np.uint64, lo: np.uint64) -> np.uint64:
    """The key of the prefix that an address lies in. Keys of the two families do not meet: real IPv6 prefixes are larger numbers."""
    if hi == 0 and lo >> IPV4_BITS == MAPPED_TOP:
        return lo >> IPV4_SHIFT
    return hi >> IPV6_SHIFT


@inlined
def prefix_hash(hi: np.uint64, lo: np.uint64, group: int) -> np.uint64:
    """64 bits of a source prefix and a service, for tables that keep something for each pair."""
    return mix(prefix_key(hi, lo) ^ (np.uint64(group) << GROUP_SHIFT))


def prefix_text(key: int) -> str:
    """``198.51.100.0/24`` or ``2001:db8:1::/48``."""
    if key >> IPV4_LENGTH == MAPPED_KEY >> IPV4_LENGTH:
        return str(IPv4Network(((key - MAPPED_KEY) << (32 - IPV4_LENGTH), IPV4_LENGTH)))
    return str(IPv6Network((key << (128 - IPV6_LENGTH), IPV6_LENGTH)))
