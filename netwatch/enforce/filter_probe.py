"""Whether this kernel deletes by a filter only what the filter matches, tried in a network namespace made for it and gone afterwards.

Never on a live table: before Linux 6.8 a deletion without a tuple ignores the filter and flushes everything. And on kernels up to 6.18 at
least, the comparison of IPv6 addresses in the filter is the wrong way round (``!ipv6_addr_cmp`` in ``ctnetlink_filter_match_tuple``): it
deletes the entries of all addresses but the one named. So each family is tried by itself, with entries that must go beside entries that
must stay.
"""

import errno
import os
import struct
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from netwatch.enforce.ctnetlink import (
    AF_INET,
    AF_INET6,
    ASSURED,
    CT_GET,
    CT_NEW,
    DESTINATION_PORT,
    PROTOCOL_NUMBER,
    STATUS,
    TUPLE_IP,
    TUPLE_ORIGINAL,
    TUPLE_PROTOCOL,
    Filter,
    StateTable,
)
from netwatch.errors import EnforceError, FirewallRefusedError
from netwatch.kernel.namespace import in_fresh_namespace
from netwatch.kernel.netlink import ACK, CREATE, EXCLUSIVE, KernelRefusalError, Netlink, attribute, message, nested
from netwatch.model.service import Protocol
from netwatch.model.session import TcpState

Address = IPv4Address | IPv6Address

TUPLE_REPLY, PROTOCOL_INFO, TIMEOUT = 2, 4, 7
INFO_TCP, INFO_TCP_STATE = 1, 1
SOURCE_PORT = 2
SEEN_REPLY, CONFIRMED = 2, 8
LIFE_S = 60
FAMILIES = {4: AF_INET, 6: AF_INET6}
CLIENTS: dict[int, Address] = {4: ip_address("198.51.100.7"), 6: ip_address("2001:db8:c::7")}
SERVERS: dict[int, tuple[Address, Address]] = {
    4: (ip_address("203.0.113.25"), ip_address("203.0.113.26")),
    6: (ip_address("2001:db8:5::25"), ip_address("2001:db8:5::26")),
}


class FilterDeletion(msgspec.Struct, frozen=True):
    """For which families one message may delete the unassured entries of an address and port."""

    ipv4: bool = False
    ipv6: bool = False
    reason: str = ""  # why one is missing

    def serves(self, family: int) -> bool:
        return self.ipv4 if family == AF_INET else self.ipv6 if family == AF_INET6 else False


NO_FILTER_DELETION = FilterDeletion(reason="it was not tried")


class Conversation(msgspec.Struct, frozen=True):
    """A TCP entry to be put into a table."""

    client: Address
    server: Address
    port: int
    client_port: int = 4000
    state: TcpState = TcpState.SYN_SENT
    assured: bool = False
    life_s: int = LIFE_S

    @property
    def family(self) -> int:
        return FAMILIES[self.server.version]

    def tuple(self, kind: int) -> bytes:
        """CTA_TUPLE_ORIG, or CTA_TUPLE_REPLY the other way round."""
        source, destination, sport, dport = self.client, self.server, self.client_port, self.port
        if kind == TUPLE_REPLY:
            source, destination, sport, dport = destination, source, dport, sport
        first = 1 if self.server.version == 4 else 3
        ports = (attribute(SOURCE_PORT, struct.pack(">H", sport)), attribute(DESTINATION_PORT, struct.pack(">H", dport)))
        return nested(
            kind,
            nested(TUPLE_IP, attribute(first, source.packed), attribute(first + 1, destination.packed)),
            nested(TUPLE_PROTOCOL, attribute(PROTOCOL_NUMBER, bytes([Protocol.TCP])), *ports),
        )

    def insertion(self) -> bytes:
        status = CONFIRMED | (SEEN_REPLY | ASSURED if self.assured else 0)
        body = (
            self.tuple(TUPLE_ORIGINAL)
            + self.tuple(TUPLE_REPLY)
            + attribute(TIMEOUT, struct.pack(">I", self.life_s))
            + attribute(STATUS, struct.pack(">I", status))
            + nested(PROTOCOL_INFO, nested(INFO_TCP, attribute(INFO_TCP_STATE, bytes([self.state]))))
        )
        return message(CT_NEW, CREATE | EXCLUSIVE | ACK, self.family, body)

    def in_table(self, netlink: Netlink) -> bool:
        try:
            return bool(list(netlink.ask(message(CT_GET, 0, self.family, self.tuple(TUPLE_ORIGINAL)))))
        except KernelRefusalError as error:
            if error.number == errno.ENOENT:
                return False
            raise


def can_filter_delete(delete_matching: Callable[[StateTable, Filter], object] = StateTable.delete_matching) -> FilterDeletion:
    """Try it, for each family.

    Where no namespace can be made, or the kernel has no state table there, the answer is that it cannot.
    """
    try:
        return in_fresh_namespace(partial(_tried, delete_matching))
    except EnforceError as error:
        return FilterDeletion(reason=str(error))


def _tried(delete_matching: Callable[[StateTable, Filter], object]) -> FilterDeletion:
    works = {version: _family_works(version, delete_matching) for version in FAMILIES}
    broken = [f"IPv{version}" for version, good in works.items() if not good]
    reason = f"kernel {os.uname().release} does not honour the filter of a deletion for {' and '.join(broken)}" if broken else ""
    return FilterDeletion(works[4], works[6], reason)


def _family_works(version: int, delete_matching: Callable[[StateTable, Filter], object]) -> bool:
    client, (server, other) = CLIENTS[version], SERVERS[version]
    goes = Conversation(client, server, 25)
    stays = (
        Conversation(client, server, 25, client_port=4001, state=TcpState.ESTABLISHED, assured=True),
        Conversation(client, server, 26),
        Conversation(client, other, 25),
    )
    with Netlink(None) as netlink:
        for conversation in (goes, *stays):
            list(netlink.ask(conversation.insertion()))
        protocol = int(Protocol.TCP)
        try:
            delete_matching(StateTable(), Filter(family=FAMILIES[version], destination=server, protocol=protocol, port=25, unassured=True))
        except FirewallRefusedError:
            return False
        return not goes.in_table(netlink) and all(conversation.in_table(netlink) for conversation in stays)
