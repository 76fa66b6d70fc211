"""Flows as the oracles count them: conversations of the outermost IP header, reckoned from packet rows."""

import ipaddress

import numpy as np

from netwatch.model.packet import Layer, Rows
from netwatch.model.service import Protocol

NAMED = {Protocol.TCP: "tcp", Protocol.UDP: "udp", Protocol.ICMP: "icmp", Protocol.ICMPV6: "icmpv6", Protocol.GRE: "gre"}
Flow = tuple[str, tuple[str, int], tuple[str, int]]


def address(high: int, low: int) -> str:
    """An address as people write it."""
    if high == 0 and low >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(low & 0xFFFF_FFFF))
    return str(ipaddress.IPv6Address(high << 64 | low))


def flow_of(row: np.void) -> Flow:
    """Ports count for TCP and UDP alone; a later fragment, and what has no name, is of the flow ``ip4`` or ``ip6`` of its addresses."""
    layers, protocol = int(row["layers"]), int(row["protocol"])
    kind = NAMED.get(Protocol(protocol) if protocol in set(Protocol) else Protocol.ESP, "ip4" if layers & Layer.IPV4 else "ip6")
    if layers & Layer.FRAGMENT and row["fragment_offset"]:
        kind = "ip4" if layers & Layer.IPV4 else "ip6"
    ports = (int(row["sport"]), int(row["dport"])) if kind in ("tcp", "udp") else (0, 0)
    ends = (address(int(row["src_hi"]), int(row["src_lo"])), ports[0]), (address(int(row["dst_hi"]), int(row["dst_lo"])), ports[1])
    return kind, min(ends), max(ends)


def flows_of(packets: Rows) -> set[Flow]:
    """All conversations of the IP packets among the rows."""
    return {flow_of(row) for row in packets[(packets["layers"] & (Layer.IPV4 | Layer.IPV6)) != 0]}
