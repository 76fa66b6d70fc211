"""The kernel of the reassembly model: fragments in, whole datagrams out, in place.

Rules of Linux 6: net/ipv4/inet_fragment.c (memory, duplicates and overlaps), net/ipv4/ip_fragment.c and
net/ipv6/netfilter/nf_conntrack_reasm.c (what each family refuses). The memory of an incomplete datagram is the kernel's: 200 bytes,
and for each fragment the size of its buffer, which was measured over veth on 6.18 (832, 1280 and 2304 bytes for frames up to 256, 640 and
1664).
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import called, inlined, njit, wide
from netwatch.model.packet import Layer, Rows
from netwatch.model.tuple_hash import mix
from netwatch.track.flow_age import Links
from netwatch.track.flow_row import Row
from netwatch.track.fragment_bits import DUPLICATE, NEW, Bits, add_range

DATAGRAM = np.dtype(
    [
        ("src_hi", np.uint64),
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("born_ns", np.int64),
        ("identification", np.uint32),
        ("length", np.uint32),  # highest end seen; the datagram's once LAST_IN
        ("received", np.uint32),  # bytes
        ("tail_end", np.uint32),  # end of the run that was last begun or continued at the end
        ("memory", np.uint32),
        ("bucket", np.uint32),
        ("chain", np.uint32),  # next of the bucket, row + 1; also of the free list
        ("newer", np.uint32),  # of the same family, row + 1
        ("older", np.uint32),
        ("first_block", np.uint32),  # number of the block that held the first fragment
        ("protocol", np.uint8),  # 0 for IPv6, whose key has none
        ("family", np.uint8),
        ("flags", np.uint8),
        ("_pad", np.uint8),
    ]
)
"""An incomplete datagram. Its first fragment's packet row lies beside it, in an array of ``PACKET``."""

BOOK = np.dtype(
    [
        ("now_ns", np.int64),
        ("block", np.int64),
        ("memory_held", np.int64, (2,)),  # by family: IPv4 and IPv6 have a limit each
        ("oldest", np.int64, (2,)),  # row + 1
        ("newest", np.int64, (2,)),
        ("free", np.int64),  # row + 1
        ("datagrams", np.int64),
        ("memory_limit", np.int64),
        ("timeout_ns", np.int64, (2,)),
        ("received", np.int64),
        ("completed", np.int64),
        ("duplicates", np.int64),
        ("timed_out", np.int64),
        ("memory", np.int64),
        ("overlap", np.int64),
        ("too_big", np.int64),
        ("inconsistent", np.int64),
    ]
)
"""The model's own numbers, one row."""

IPV4, IPV6 = 0, 1
FIRST_IN, LAST_IN = 1, 2
QUEUE_BYTES = 200
SMALLEST_BUFFER = 832
IPV4_HEADER = 20
LONGEST = 65535

FRAGMENT, MORE, IPV6_LAYER = int(Layer.FRAGMENT), int(Layer.MORE_FRAGMENTS), int(Layer.IPV6)
FIRST_FRAGMENT, TRANSPORT = int(Layer.FIRST_FRAGMENT), int(Layer.TRANSPORT)
HELD, REASSEMBLED = int(Layer.HELD), int(Layer.REASSEMBLED)


@inlined
def buffer_bytes(wire_len: int) -> int:
    """Kernel memory of one frame: its bytes with 64 in front and 320 behind, rounded up to what the allocator has, and the descriptor."""
    if wire_len <= 256:
        return SMALLEST_BUFFER
    size = 1024
    while size < wire_len + 384:
        size *= 2
    return size + 256


@inlined
def bucket_of(packet: Row, buckets: Links, seed: np.uint64) -> int:
    source = mix(packet.src_lo ^ mix(packet.src_hi ^ seed))
    target = mix(packet.dst_lo ^ mix(packet.dst_hi ^ seed ^ np.uint64(packet.fragment_id)))
    return wide(mix(source + (target << np.uint64(1))) & np.uint64(len(buckets) - 1))


@called
def find_datagram(packet: Row, family: int, protocol: int, bucket: int, datagrams: Rows, buckets: Links) -> int:
    """The datagram that a fragment belongs to, -1 if none of it has come."""
    row = wide(buckets[bucket]) - 1
    while row >= 0:
        datagram = datagrams[row]
        if (
            datagram.identification == packet.fragment_id
            and datagram.src_lo == packet.src_lo
            and datagram.dst_lo == packet.dst_lo
            and datagram.src_hi == packet.src_hi
            and datagram.dst_hi == packet.dst_hi
            and datagram.protocol == protocol
            and datagram.family == family
        ):
            break
        row = wide(datagram.chain) - 1
    return row


@called
def begin_datagram(
    packet: Row, family: int, protocol: int, bucket: int, book: Rows, datagrams: Rows, buckets: Links, held: Bits, starts: Bits
) -> int:
    """Make a queue for a datagram; there is a row, since the memory limit allows fewer queues than there are rows."""
    row: int = book[0].free - 1
    datagram = datagrams[row]
    book[0].free = datagram.chain
    datagram.src_hi, datagram.src_lo = packet.src_hi, packet.src_lo
    datagram.dst_hi, datagram.dst_lo = packet.dst_hi, packet.dst_lo
    datagram.born_ns = book[0].now_ns
    datagram.identification, datagram.protocol, datagram.family = packet.fragment_id, protocol, family
    datagram.length = 0
    datagram.received = 0
    datagram.tail_end = 0
    datagram.flags = 0
    datagram.memory = QUEUE_BYTES
    held[row, :] = np.uint64(0)
    starts[row, :] = np.uint64(0)
    datagram.bucket = bucket
    datagram.chain = buckets[bucket]
    buckets[bucket] = row + 1
    datagram.newer = 0
    datagram.older = book[0].newest[family]
    if datagram.older:
        datagrams[datagram.older - 1].newer = row + 1
    else:
        book[0].oldest[family] = row + 1
    book[0].newest[family] = row + 1
    book[0].memory_held[family] += QUEUE_BYTES
    book[0].datagrams += 1
    return row


@called
def end_datagram(row: int, book: Rows, datagrams: Rows, buckets: Links) -> None:
    """Forget a datagram, whole or given up."""
    datagram = datagrams[row]
    family = wide(datagram.family)
    book[0].memory_held[family] -= datagram.memory
    book[0].datagrams -= 1
    if datagram.older:
        datagrams[datagram.older - 1].newer = datagram.newer
    else:
        book[0].oldest[family] = datagram.newer
    if datagram.newer:
        datagrams[datagram.newer - 1].older = datagram.older
    else:
        book[0].newest[family] = datagram.older
    link = wide(buckets[datagram.bucket]) - 1
    if link == row:
        buckets[datagram.bucket] = datagram.chain
    else:
        while wide(datagrams[link].chain) - 1 != row:
            link = wide(datagrams[link].chain) - 1
        datagrams[link].chain = datagram.chain
    datagram.chain = book[0].free
    book[0].free = row + 1


@njit
def expire_datagrams(now_ns: int, book: Rows, datagrams: Rows, buckets: Links) -> None:
    """Give up what is incomplete for longer than the time-out, which runs from its first fragment and is not renewed."""
    book[0].now_ns = max(book[0].now_ns, now_ns)
    for family in range(2):
        while book[0].oldest[family]:
            row = book[0].oldest[family] - 1
            if book[0].now_ns - datagrams[row].born_ns < book[0].timeout_ns[family]:
                break
            end_datagram(row, book, datagrams, buckets)
            book[0].timed_out += 1


@called
def take_fragment(packet: Row, row: int, book: Rows, datagrams: Rows, buckets: Links, held: Bits, starts: Bits) -> bool:
    """Add a fragment to its datagram. ``False``: it was refused, and perhaps the datagram is gone."""
    datagram = datagrams[row]
    family = wide(datagram.family)
    offset = wide(packet.fragment_offset)
    end = offset + wide(packet.payload_len)
    if offset == 0:
        end += wide(packet.transport_header_len)
    more = packet.layers & MORE != 0
    header = IPV4_HEADER if family == IPV4 else 0
    kills = family == IPV4  # IPv6 refuses the fragment and keeps the others

    refused = False
    if header + end > LONGEST:
        book[0].too_big += 1
        refused = True
    elif more and end & 7 and family == IPV6:
        packet.layers &= ~HELD  # Linux lets it pass as it is, for the tracker to call invalid, and gives the datagram up
        book[0].inconsistent += 1
        refused = True
        kills = True
    else:
        if more:
            end &= ~7
            refused = end > datagram.length and datagram.flags & LAST_IN != 0
        else:
            refused = end < datagram.length or (datagram.flags & LAST_IN != 0 and end != datagram.length)
        if not refused:
            datagram.length = max(wide(datagram.length), end)
            if not more:
                datagram.flags |= LAST_IN
            refused = end == offset
        if refused:
            book[0].inconsistent += 1
    if not refused:
        outcome = add_range(held, starts, row, offset, end, 0 < datagram.tail_end == offset)
        if outcome == NEW:
            datagram.received += end - offset
            datagram.tail_end = max(wide(datagram.tail_end), end)
            size = buffer_bytes(wide(packet.wire_len))
            datagram.memory += size
            book[0].memory_held[family] += size
            return True
        if outcome == DUPLICATE:
            book[0].duplicates += 1
            return False
        book[0].overlap += 1
        kills = True
    if kills or datagram.received == 0:
        end_datagram(row, book, datagrams, buckets)
    return False


@called
def become_whole(packet: Row, first: Row, length: int, same_block: bool) -> None:
    """Make the completing packet's row describe the whole datagram; time, size on the wire, TTL and interface stay its own."""
    packet.hash, packet.sport, packet.dport, packet.protocol = first.hash, first.sport, first.dport, first.protocol
    packet.seq, packet.ack, packet.sack_edge, packet.window = first.seq, first.ack, first.sack_edge, first.window
    packet.tcp_flags, packet.tcp_options = first.tcp_flags, first.tcp_options
    packet.mss, packet.window_scale = first.mss, first.window_scale
    packet.icmp_type, packet.icmp_code, packet.icmp_id = first.icmp_type, first.icmp_code, first.icmp_id
    packet.status = first.status
    packet.quoted = first.quoted if same_block else -1
    packet.transport_header_len = first.transport_header_len
    packet.payload_len = length - wide(first.transport_header_len)
    packet.fragment_offset = 0
    packet.layers = (wide(first.layers) & ~(FIRST_FRAGMENT | MORE | HELD)) | FRAGMENT | REASSEMBLED


@njit
def holds_fragments(packets: Rows) -> bool:
    """Whether there is any fragment in a block; in most there is none."""
    layers = 0
    for number in range(len(packets)):
        layers |= wide(packets[number].layers)
    return layers & FRAGMENT != 0


@njit
def reassemble(
    packets: Rows,
    chosen: NDArray[np.intp],
    seed: np.uint64,
    book: Rows,
    datagrams: Rows,
    firsts: Rows,
    buckets: Links,
    held: Bits,
    starts: Bits,
) -> None:
    """Work on the packets whose positions are ``chosen``: the fragments of a block, in order."""
    for position in chosen:
        packet = packets[position]
        if packet.fragment_offset == 0 and not packet.layers & MORE:
            continue  # an atomic fragment is whole (RFC 6946)
        expire_datagrams(packet.ts_ns, book, datagrams, buckets)
        packet.layers |= HELD
        book[0].received += 1
        family = IPV6 if packet.layers & IPV6_LAYER else IPV4
        if book[0].memory_held[family] > book[0].memory_limit:
            book[0].memory += 1
            continue
        protocol = wide(packet.protocol) if family == IPV4 else 0
        bucket = bucket_of(packet, buckets, seed)
        row = find_datagram(packet, family, protocol, bucket, datagrams, buckets)
        if row < 0:
            row = begin_datagram(packet, family, protocol, bucket, book, datagrams, buckets, held, starts)
        if not take_fragment(packet, row, book, datagrams, buckets, held, starts):
            continue
        datagram = datagrams[row]
        if packet.fragment_offset == 0:
            datagram.flags |= FIRST_IN
            datagram.first_block = book[0].block
            firsts[row] = packet
        if datagram.flags & FIRST_IN:
            first = firsts[row]
            if datagram.flags & LAST_IN and datagram.received == datagram.length:
                become_whole(packet, first, wide(datagram.length), datagram.first_block == book[0].block)
                end_datagram(row, book, datagrams, buckets)
                book[0].completed += 1
            elif first.layers & TRANSPORT and packet.fragment_offset > 0:
                packet.sport, packet.dport, packet.hash = first.sport, first.dport, first.hash
                packet.layers |= TRANSPORT
    book[0].block = (book[0].block + 1) & 0xFFFF_FFFF
