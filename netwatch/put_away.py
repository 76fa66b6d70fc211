"""Packets put away for a rehearsal: what a session table asks of a packet, column by column, in about a third of the room.

A row of ``PACKET`` takes 112 bytes, and whoever keeps a row keeps the block it lies in. A session table reads half of its fields, and in
a flood most of those are the same in all packets of a block: half of an IPv4-mapped address, the header's length, the options. Such a
column is one value. What is put away comes out as rows again, with zeros in the fields that no session table reads.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.model.packet import PACKET, QUOTED, PacketBlock, Rows

Column = NDArray[np.unsignedinteger]

TIME = "ts_ns"
PARTS = (
    (TIME, np.uint64, "ts_ns", 0),
    ("src_hi", np.uint64, "src_hi", 0),
    ("src_lo", np.uint32, "src_lo", 0),
    ("src_lo_rest", np.uint32, "src_lo", 4),  # the same in all IPv4 addresses
    ("dst_hi", np.uint64, "dst_hi", 0),
    ("dst_lo", np.uint32, "dst_lo", 0),
    ("dst_lo_rest", np.uint32, "dst_lo", 4),
    ("hash", np.uint64, "hash", 0),
    ("seq", np.uint32, "seq", 0),
    ("ack", np.uint32, "ack", 0),
    ("sack_edge", np.uint32, "sack_edge", 0),
    ("payload_len", np.uint32, "payload_len", 0),
    ("quoted", np.uint32, "quoted", 0),
    ("sport", np.uint16, "sport", 0),
    ("dport", np.uint16, "dport", 0),
    ("window", np.uint16, "window", 0),
    ("tcp_flags", np.uint16, "tcp_flags", 0),
    ("icmp_id", np.uint16, "icmp_id", 0),
    ("layers", np.uint16, "layers", 0),
    ("protocol", np.uint8, "protocol", 0),
    ("status", np.uint8, "status", 0),
    ("window_scale", np.uint8, "window_scale", 0),
    ("tcp_options", np.uint8, "tcp_options", 0),
    ("icmp_type", np.uint8, "icmp_type", 0),
    ("icmp_code", np.uint8, "icmp_code", 0),
    ("transport_header_len", np.uint8, "transport_header_len", 0),
)
"""Column, its type, and where it lies: a field of ``PACKET`` and an offset in it. ``tests`` hold them against the kernels."""


def _offset(field: str) -> int:
    assert PACKET.fields is not None
    return PACKET.fields[field][1]


READ = np.dtype(
    {
        "names": [name for name, *_ in PARTS],
        "formats": [kind for _, kind, *_ in PARTS],
        "offsets": [_offset(field) + inside for *_, field, inside in PARTS],
        "itemsize": PACKET.itemsize,
    }
)
"""A row of ``PACKET``, looked at as the columns that are kept."""

NO_QUOTED = np.zeros(0, QUOTED)
NOTHING_QUOTED = 0xFFFF_FFFF
"""-1 in a column without sign."""


class PutAway(msgspec.Struct, frozen=True):
    """Some packets; a column of one value stands for all of them."""

    count: int
    begin_ns: int  # time stamps are counted from here where they fit in 32 bits
    columns: tuple[Column, ...]
    quoted: Rows

    @property
    def nbytes(self) -> int:
        return sum(column.nbytes for column in self.columns) + self.quoted.nbytes


def put_away(block: PacketBlock) -> PutAway:
    """Keep what a session table reads; nothing of the block's own memory is held, but for the headers that errors quote."""
    rows = block.packets.view(READ)
    if not len(rows):
        return PutAway(0, 0, (), NO_QUOTED)
    columns = {name: rows[name].copy() for name, *_ in PARTS}
    begin_ns = int(columns[TIME].min())
    since = columns[TIME] - np.uint64(begin_ns)
    if since.max() <= np.iinfo(np.uint32).max:
        columns[TIME] = since.astype(np.uint32)
    else:
        begin_ns = 0
    quotes = bool((columns["quoted"] != NOTHING_QUOTED).any())
    kept = tuple(column[:1].copy() if (column == column[0]).all() else column for column in columns.values())
    return PutAway(len(rows), begin_ns, kept, block.quoted if quotes else NO_QUOTED)


def taken_out(kept: PutAway) -> PacketBlock:
    """The packets as rows."""
    packets = np.zeros(kept.count, PACKET)
    rows = packets.view(READ)
    for (name, *_), column in zip(PARTS, kept.columns, strict=False):
        rows[name] = column
    if kept.count:
        rows[TIME] += np.uint64(kept.begin_ns)
    return PacketBlock(packets, kept.quoted)
