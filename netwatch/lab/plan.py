"""Who lives where in a drill: roles, interfaces and addresses.

::

    clients   198.51.100.10-40, canary .99 ──┐
                                             ├─ outside (bridge) firewall inside ── server 203.0.113.25:25
    attacker  any of 198.18.0.0/15         ──┘

Only ranges that are reserved for documentation (RFC 5737, RFC 3849) and benchmarks (RFC 2544), so that nothing could be met outside even
if a packet got there. The attacker has no address at all: its frames are made by hand, and the firewall sends what goes back to its MAC
address by a permanent neighbour entry. So nothing answers there, no RST and no ICMP error, which is what "the peer vanished" means.
"""

from enum import StrEnum


class Role(StrEnum):
    """A namespace of a drill."""

    CLIENT = "client"
    ATTACKER = "attacker"
    FIREWALL = "firewall"
    SERVER = "server"


OUTSIDE, INSIDE = "outside", "inside"
"""The firewall's interfaces."""

LINK = "uplink"
"""The one interface of everybody else."""

FIREWALL_OUTSIDE, FIREWALL_OUTSIDE6 = "198.51.100.1", "2001:db8:1::1"
FIREWALL_INSIDE, FIREWALL_INSIDE6 = "203.0.113.1", "2001:db8:2::1"
CLIENTS = tuple(f"198.51.100.{host}" for host in range(10, 41))
CANARY = "198.51.100.99"
CLIENT6 = "2001:db8:1::10"
SERVER, SERVER6 = "203.0.113.25", "2001:db8:2::25"
SERVICE_PORT = 25
SINK_PORT = 53
"""UDP: what arrives is never answered."""

ATTACKER_ROUTER, ATTACKER_ROUTER6 = "198.51.100.2", "2001:db8:1::2"
ATTACK_SOURCES, ATTACK_SOURCES6 = "198.18.0.0/15", "2001:db8:bad::/48"

FIREWALL_MAC = "02:00:00:00:00:01"
ATTACKER_MAC = "02:00:00:00:00:02"
CLIENT_MAC = "02:00:00:00:00:03"
SERVER_MAC = "02:00:00:00:00:04"
INSIDE_MAC = "02:00:00:00:00:05"


def namespace_name(owner_pid: int, role: Role) -> str:
    return f"nw-{owner_pid}-{role}"
