"""The header that an ICMP error quotes: the beginning of the packet that caused it (RFC 792: IP header and 64 bits; RFC 4443: as much as
fits).

It tells a stateful firewall which session the error is about, and is never counted as traffic. It is read by the same functions as any
packet, into a spare row; these are compiled a second time for it, out of the way of the hot loop. The lengths in it are the original
packet's and not checked.
"""

import numpy as np

from netwatch.decode.internet import hash_of, internet
from netwatch.decode.network import LAYER_IPV4
from netwatch.decode.octets import Octets, Row, whole
from netwatch.decode.shims import IPV4
from netwatch.decode.transport import CUT_TRANSPORT_HEADER, OK
from netwatch.jit import njit

LARGEST_PACKET = 1 << 32


@njit
def read_quote(data: Octets, at: int, end: int, spare: Row, quote: Row, seed: np.uint64) -> bool:
    """Read the packet quoted at ``at`` into ``quote``; false if too little of it is there to name a session."""
    spare.layers = LAYER_IPV4  # so that what an earlier quote left is cleared
    kind = whole(IPV4)  # or version 6, which is seen
    status, _, at, end, _ = internet(data, at, end, at + LARGEST_PACKET, kind, spare)
    if status != OK and (status != CUT_TRANSPORT_HEADER or end - at < 4):
        return False
    quote.src_hi, quote.src_lo, quote.dst_hi, quote.dst_lo = spare.src_hi, spare.src_lo, spare.dst_hi, spare.dst_lo
    quote.sport, quote.dport, quote.protocol = spare.sport, spare.dport, spare.protocol
    quote.icmp_type, quote.icmp_id = spare.icmp_type, spare.icmp_id
    quote.hash = hash_of(spare, seed)
    return True
