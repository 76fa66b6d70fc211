"""One entry of the state table: the attributes of its message, down to the three levels that they are nested in."""

import numpy as np

from netwatch.decode.netlink import ATTRIBUTE_HEADER, CUT, MESSAGE_HEADER, NO_MORE, MessageStatus, aligned, attribute
from netwatch.decode.octets import Octets, Row, read_8, read_16, read_32, read_unsigned_32, read_unsigned_64
from netwatch.jit import inlined
from netwatch.model.entry import NO_TIMEOUT, EntryStatus
from netwatch.model.packet import IPV4_MAPPED
from netwatch.model.service import Protocol
from netwatch.model.session import SessionState, TcpState
from netwatch.model.tuple_hash import tuple_hash

OK, BAD_ATTRIBUTE, INCOMPLETE = int(MessageStatus.OK), int(MessageStatus.BAD_ATTRIBUTE), int(MessageStatus.INCOMPLETE)
GENERIC_HEADER = 4
"""struct nfgenmsg: family, version, resource."""

AF_INET, AF_INET6 = 2, 10
TUPLE_ORIGINAL, STATUS, PROTOCOL_INFO, TIMEOUT, MARK, ORIGINAL_COUNTERS, REPLY_COUNTERS, ID, ZONE = 1, 3, 4, 7, 8, 9, 10, 12, 18
TUPLE_IP, TUPLE_PROTOCOL = 1, 2
IPV4_SOURCE, IPV4_DESTINATION, IPV6_SOURCE, IPV6_DESTINATION = 1, 2, 3, 4
PROTOCOL_NUMBER, SOURCE_PORT, DESTINATION_PORT = 1, 2, 3
COUNTED_PACKETS, COUNTED_BYTES = 1, 2
INFO_TCP, INFO_TCP_STATE = 1, 1

TCP, UDP, UDP_LITE, ICMP, ICMPV6 = int(Protocol.TCP), int(Protocol.UDP), 136, int(Protocol.ICMP), int(Protocol.ICMPV6)
GRE = int(Protocol.GRE)
LAST_TCP_STATE, ESTABLISHED, UNKNOWN_STATE = int(max(TcpState)), int(TcpState.ESTABLISHED), 255
UDP_UNREPLIED, UDP_REPLIED, UDP_STREAM = int(SessionState.UDP_UNREPLIED), int(SessionState.UDP_REPLIED), int(SessionState.UDP_STREAM)
ICMP_STATE, OTHER_UNREPLIED, OTHER = int(SessionState.ICMP), int(SessionState.OTHER_UNREPLIED), int(SessionState.OTHER)
SEEN_REPLY, ASSURED = int(EntryStatus.SEEN_REPLY), int(EntryStatus.ASSURED)
OFFLOADED = int(EntryStatus.OFFLOAD | EntryStatus.HW_OFFLOAD)
MAPPED = np.uint64(IPV4_MAPPED)

HAS_SOURCE, HAS_DESTINATION, HAS_PROTOCOL, HAS_ID, HAS_STATUS = 1, 2, 4, 8, 16
WHOLE = HAS_SOURCE | HAS_DESTINATION | HAS_PROTOCOL | HAS_ID | HAS_STATUS


@inlined
def addresses(data: Octets, at: int, end: int, row: Row) -> int:
    """Read CTA_TUPLE_IP; return what was found, or CUT."""
    found = 0
    while True:
        kind, after = attribute(data, at, end)
        if kind < 0:
            return found if kind == NO_MORE else CUT
        value, length = at + ATTRIBUTE_HEADER, after - at - ATTRIBUTE_HEADER
        if length != (4 if kind <= IPV4_DESTINATION else 16):
            return CUT
        if row.family == AF_INET and kind == IPV4_SOURCE:
            row.src_lo = MAPPED | read_unsigned_32(data, value)
            found |= HAS_SOURCE
        elif row.family == AF_INET and kind == IPV4_DESTINATION:
            row.dst_lo = MAPPED | read_unsigned_32(data, value)
            found |= HAS_DESTINATION
        elif row.family == AF_INET6 and kind == IPV6_SOURCE:
            row.src_hi, row.src_lo = read_unsigned_64(data, value), read_unsigned_64(data, value + 8)
            found |= HAS_SOURCE
        elif row.family == AF_INET6 and kind == IPV6_DESTINATION:
            row.dst_hi, row.dst_lo = read_unsigned_64(data, value), read_unsigned_64(data, value + 8)
            found |= HAS_DESTINATION
        at = at + aligned(after - at)


@inlined
def ports(data: Octets, at: int, end: int, row: Row) -> int:
    """Read CTA_TUPLE_PROTO; return what was found, or CUT. ICMP's type, code and identifier are of no use here."""
    found = 0
    while True:
        kind, after = attribute(data, at, end)
        if kind < 0:
            return found if kind == NO_MORE else CUT
        value, length = at + ATTRIBUTE_HEADER, after - at - ATTRIBUTE_HEADER
        if kind == PROTOCOL_NUMBER:
            if length != 1:
                return CUT
            row.protocol = read_8(data, value)
            found |= HAS_PROTOCOL
        elif kind in (SOURCE_PORT, DESTINATION_PORT):
            if length != 2:
                return CUT
            if kind == SOURCE_PORT:
                row.sport = read_16(data, value)
            else:
                row.dport = read_16(data, value)
        at = at + aligned(after - at)


@inlined
def original_tuple(data: Octets, at: int, end: int, row: Row) -> int:
    """Read CTA_TUPLE_ORIG; return what was found, or CUT."""
    found = 0
    while True:
        kind, after = attribute(data, at, end)
        if kind < 0:
            return found if kind == NO_MORE else CUT
        value = at + ATTRIBUTE_HEADER
        part = 0
        if kind == TUPLE_IP:
            part = addresses(data, value, after, row)
        elif kind == TUPLE_PROTOCOL:
            part = ports(data, value, after, row)
        if part == CUT:
            return CUT
        found |= part
        at = at + aligned(after - at)


@inlined
def tcp_state(data: Octets, at: int, end: int) -> int:
    """Return the state inside CTA_PROTOINFO, or CUT; UNKNOWN_STATE for other protocols."""
    kind, after = attribute(data, at, end)
    if kind != INFO_TCP:
        return CUT if kind == CUT else UNKNOWN_STATE
    at, end = at + ATTRIBUTE_HEADER, after
    while True:
        kind, after = attribute(data, at, end)
        if kind < 0:
            return UNKNOWN_STATE if kind == NO_MORE else CUT
        if kind == INFO_TCP_STATE:
            value = at + ATTRIBUTE_HEADER
            return read_8(data, value) if after - value == 1 and read_8(data, value) <= LAST_TCP_STATE else CUT
        at = at + aligned(after - at)


@inlined
def counters(data: Octets, at: int, end: int) -> tuple[int, np.uint64, np.uint64]:
    """Return packets and bytes of one direction, after OK or CUT."""
    packets = octets = np.uint64(0)
    while True:
        kind, after = attribute(data, at, end)
        if kind < 0:
            return (OK if kind == NO_MORE else CUT), packets, octets
        value = at + ATTRIBUTE_HEADER
        if kind in (COUNTED_PACKETS, COUNTED_BYTES):
            if after - value != 8:
                return CUT, packets, octets
            if kind == COUNTED_PACKETS:
                packets = read_unsigned_64(data, value)
            else:
                octets = read_unsigned_64(data, value)
        at = at + aligned(after - at)


@inlined
def session_state(protocol: int, state: int, status: int) -> int:
    """Return the ``SessionState``. The kernel shows no TCP state for a flow that a flowtable took over: only established ones are."""
    if protocol == TCP:
        if state != UNKNOWN_STATE:
            return state
        return ESTABLISHED if status & OFFLOADED else UNKNOWN_STATE
    if protocol in (UDP, UDP_LITE):
        if not status & SEEN_REPLY:
            return UDP_UNREPLIED
        return UDP_STREAM if status & ASSURED else UDP_REPLIED
    if protocol in (ICMP, ICMPV6):
        return ICMP_STATE
    return OTHER if status & SEEN_REPLY else OTHER_UNREPLIED


@inlined
def begin(data: Octets, at: int, row: Row) -> None:
    """Zero all that attributes may leave out."""
    row.src_hi = row.src_lo = row.dst_hi = row.dst_lo = np.uint64(0)
    row.original_bytes = row.reply_bytes = row.original_packets = row.reply_packets = np.uint64(0)
    row.status = row.mark = row.id = row.tuple_at = row.tuple_len = row.zone = row.sport = row.dport = row.protocol = row.accounted = 0
    row.timeout_s = NO_TIMEOUT
    row.family = read_8(data, at + MESSAGE_HEADER)


@inlined
def small_attribute(data: Octets, kind: int, value: int, length: int, row: Row) -> int:
    """Read an attribute that holds one number; return what was found, or CUT."""
    if kind == ZONE:
        if length != 2:
            return CUT
        row.zone = read_16(data, value)
        return 0
    if length != 4:
        return CUT
    number = read_32(data, value)
    if kind == STATUS:
        row.status = number
        return HAS_STATUS
    if kind == ID:
        row.id = number
        return HAS_ID
    if kind == TIMEOUT:
        row.timeout_s = number
    else:
        row.mark = number
    return 0


@inlined
def read_entry(data: Octets, at: int, end: int, row: Row, seed: np.uint64) -> int:
    """Read the entry whose message begins at ``at`` into its row; return the status of the message."""
    if end - at < MESSAGE_HEADER + GENERIC_HEADER:
        return INCOMPLETE
    begin(data, at, row)
    at += MESSAGE_HEADER + GENERIC_HEADER
    found, state = 0, UNKNOWN_STATE
    while True:
        kind, after = attribute(data, at, end)
        if kind == NO_MORE:
            break
        if kind == CUT:
            return BAD_ATTRIBUTE
        value, part = at + ATTRIBUTE_HEADER, 0
        if kind == TUPLE_ORIGINAL:
            part = original_tuple(data, value, after, row)
            row.tuple_at, row.tuple_len = at, after - at
        elif kind in (STATUS, TIMEOUT, MARK, ID, ZONE):
            part = small_attribute(data, kind, value, after - value, row)
        elif kind == PROTOCOL_INFO:
            state = tcp_state(data, value, after)
            part = CUT if state == CUT else 0
        elif kind == ORIGINAL_COUNTERS:
            part, row.original_packets, row.original_bytes = counters(data, value, after)
            row.accounted = 1
        elif kind == REPLY_COUNTERS:
            part, row.reply_packets, row.reply_bytes = counters(data, value, after)
        if part == CUT:
            return BAD_ATTRIBUTE
        found |= part
        at = at + aligned(after - at)
    row.state = session_state(row.protocol, state, row.status)
    if found != WHOLE or row.state == UNKNOWN_STATE:
        return INCOMPLETE
    if row.protocol == GRE:
        row.sport = row.dport = 0  # the kernel shows its keys as ports; a packet's row has none
    row.hash = tuple_hash(row.src_hi, row.src_lo, row.dst_hi, row.dst_lo, row.sport, row.dport, row.protocol, seed)
    return OK
