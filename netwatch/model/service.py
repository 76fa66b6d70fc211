"""A service: what is protected, and for which health is judged."""

from enum import IntEnum
from functools import cached_property

import msgspec


class Protocol(IntEnum):
    ICMP = 1
    TCP = 6
    UDP = 17
    GRE = 47
    ESP = 50
    AH = 51
    ICMPV6 = 58
    SCTP = 132


class Service(msgspec.Struct, frozen=True, dict=True):  # with a __dict__, where what is cached lies
    """An address or prefix, a port and a protocol."""

    name: str
    address: str  # "203.0.113.25", "2001:db8::25" or a prefix "203.0.113.0/24"
    port: int
    protocol: str  # "tcp" or "udp"
    learned: bool = False  # found in the traffic, not configured
    mss: int = 0  # bytes; what its SYN-ACKs announce mostly, 0 if none was seen

    @cached_property
    def label(self) -> str:
        """``203.0.113.25:25/tcp``, with brackets around IPv6."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}/{self.protocol}"
