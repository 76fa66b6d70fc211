"""The walk over a block of frames: each becomes one row, and is counted.

One loop takes a frame from its link header to its transport, and with ``inner`` on into what it carries. Every step either moves on, or
ends the frame with a reason; ``LAYERS`` bounds the steps, since nothing else bounds what a sender may pile up. The row is written in place
as each header proves good, so a packet that ends early keeps what its outer headers said.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.decode.internet import hash_of, internet
from netwatch.decode.link import link_layer
from netwatch.decode.network import LAYER_ATOMIC, LAYER_FRAGMENT, LAYER_IPV4, LAYER_IPV6, LAYER_TUNNEL
from netwatch.decode.octets import Octets, Row, whole
from netwatch.decode.quotes import read_quote
from netwatch.decode.shims import IPV4, IPV6, NOT_IP, next_layer
from netwatch.decode.transport import ICMP, ICMP_HEADER, ICMPV6, LAYER_ICMP_ERROR, OK, TCP, UDP
from netwatch.decode.tunnels import inside
from netwatch.jit import inlined, njit
from netwatch.model.packet import DecodeStatus, Rows

LAYERS = 32
"""Steps from the link header to the innermost IP header, at most: each tag, label, shim and tunnel is one."""

TOO_MANY_LAYERS, CUT_LINK_HEADER = -int(DecodeStatus.TOO_MANY_LAYERS), int(DecodeStatus.CUT_LINK_HEADER)

PACKETS, BYTES, NON_IP, WITH_IPV4, WITH_IPV6, WITH_TCP, WITH_UDP, WITH_ICMP, OTHER, FRAGMENTS, SYN, SYNACK, FIN, RST = range(14)
"""Places of the counts, in the order of ``TrafficCounts``."""

COUNTS = 14
NO_ROW = -1


@inlined
def begin(row: Row, frame: Row) -> None:
    """Write what the frame's index says, and zero all else."""
    row.src_hi = row.src_lo = row.dst_hi = row.dst_lo = row.hash = np.uint64(0)
    row.seq = row.ack = row.sack_edge = row.payload_len = row.fragment_id = 0
    row.sport = row.dport = row.window = row.tcp_flags = row.fragment_offset = row.mss = row.icmp_id = row.layers = 0
    row.protocol = row.status = row.ttl = row.window_scale = row.tcp_options = row.icmp_type = row.icmp_code = 0
    row.transport_header_len = row._pad1 = row._pad = 0
    row.quoted = NO_ROW
    row.ts_ns, row.wire_len, row.captured_len = frame.ts_ns, frame.wire_len, frame.captured_len
    row.interface, row.vlan, row.direction = frame.interface, frame.vlan & 0x0FFF, frame.direction


@inlined
def walk(data: Octets, frame: Row, row: Row, inner: bool) -> tuple[int, int, int]:
    """Decode one frame into its row; return the status, and where the transport begins and its captured bytes end."""
    at = whole(frame.offset)
    end = min(at + whole(frame.captured_len), whole(data.size))
    wire_end = max(at + whole(frame.wire_len), end)
    status = CUT_LINK_HEADER
    if at < 0:
        return status, at, at
    kind, at = link_layer(data, at, end, frame.link_type, row)
    for _ in range(LAYERS):
        if kind < 0:
            break
        if kind != IPV4 and kind != IPV6:
            kind, at = next_layer(data, at, end, kind, row)
            continue
        status, protocol, at, end, wire_end = internet(data, at, end, wire_end, kind, row)
        if status != OK or protocol == TCP or (row.layers & LAYER_FRAGMENT and row.fragment_offset):
            return status, at, end
        kind, below = inside(data, at, end, protocol, row)
        if kind != NOT_IP:
            row.layers |= LAYER_TUNNEL
        if kind == NOT_IP or not inner:
            return status, at, end
        at = below
    else:
        kind = TOO_MANY_LAYERS
    if kind == NOT_IP and row.layers:
        return OK, at, at  # a tunnel that carries something else
    return -kind, at, at


@inlined
def count(row: Row, counts: NDArray[np.int64]) -> None:
    """Add the packet to the traffic counts, by the header that its row describes."""
    counts[PACKETS] += 1
    counts[BYTES] += row.wire_len
    if not row.layers & (LAYER_IPV4 | LAYER_IPV6):
        counts[NON_IP] += 1
        return
    counts[WITH_IPV4 if row.layers & LAYER_IPV4 else WITH_IPV6] += 1
    if row.layers & (LAYER_FRAGMENT | LAYER_ATOMIC):
        counts[FRAGMENTS] += 1
    if row.protocol == TCP:
        counts[WITH_TCP] += 1
        flags = whole(row.tcp_flags)
        synchronise, acknowledge = (flags >> 1) & 1, (flags >> 4) & 1
        counts[SYN] += synchronise & ~acknowledge
        counts[SYNACK] += synchronise & acknowledge
        counts[FIN] += flags & 1
        counts[RST] += (flags >> 2) & 1
    elif row.protocol == UDP:
        counts[WITH_UDP] += 1
    elif row.protocol == ICMP or row.protocol == ICMPV6:
        counts[WITH_ICMP] += 1
    else:
        counts[OTHER] += 1


@njit
def decode_frames(
    data: Octets,
    frames: Rows,
    packets: Rows,
    quoted: Rows,
    spare: Rows,
    counts: NDArray[np.int64],
    statuses: NDArray[np.int64],
    inner: bool,
    seed: np.uint64,
) -> int:
    """Fill one row of ``packets`` for each of ``frames``, and of ``quoted`` for each ICMP error that quotes a packet; return how many."""
    quotes = 0
    for number in range(len(frames)):
        row = packets[number]
        frame = frames[number]
        begin(row, frame)
        status, at, end = walk(data, frame, row, inner)
        row.status = status
        statuses[status] += 1
        if row.layers:
            row.hash = hash_of(row, seed)
            if row.layers & LAYER_ICMP_ERROR and read_quote(data, at + ICMP_HEADER, end, spare[0], quoted[quotes], seed):
                row.quoted = quotes
                quotes += 1
        count(row, counts)
    return quotes
