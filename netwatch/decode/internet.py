"""One IP packet: its header, and the transport header if this packet holds the beginning of it."""

import numpy as np

from netwatch.decode.network import LAYER_FRAGMENT, Ip, ipv4, ipv6
from netwatch.decode.octets import Octets, Row, read_8
from netwatch.decode.shims import IPV4
from netwatch.decode.transport import OK, transport
from netwatch.jit import inlined
from netwatch.model.tuple_hash import tuple_hash


@inlined
def internet(data: Octets, at: int, end: int, wire_end: int, kind: int, row: Row) -> Ip:
    """Read an IP packet into the row; return the status, and the transport's protocol, place and ends.

    An EtherType of IPv4 over a header of version 6 is read as what it is, as tshark does.
    """
    if kind == IPV4 and not (end - at >= 1 and read_8(data, at) >> 4 == 6):
        status, protocol, at, end, wire_end = ipv4(data, at, end, wire_end, row)
    else:
        status, protocol, at, end, wire_end = ipv6(data, at, end, wire_end, row)
    if status != OK:
        return status, protocol, at, end, wire_end
    if row.layers & LAYER_FRAGMENT and row.fragment_offset:
        row.payload_len = max(wire_end - at, 0)
    else:
        status = transport(data, at, end, wire_end, protocol, row)
    return status, protocol, at, end, wire_end


@inlined
def hash_of(row: Row, seed: np.uint64) -> np.uint64:
    """Return the hash of the row's 5-tuple."""
    return tuple_hash(row.src_hi, row.src_lo, row.dst_hi, row.dst_lo, row.sport, row.dport, row.protocol, seed)
