"""The state table of one network namespace: read it, and delete entries one by one or by a filter inside the kernel.

A deletion names the entry's original tuple, copied byte for byte from the dump so that it fits every protocol, and its number (CTA_ID), so
that a later session of the same tuple is not hit (unless the kernel gave it the very memory of the first). Hundreds go in one ``sendto``;
only the last asks to be acknowledged, and the kernel answers by itself each one that fails. An entry that has gone meanwhile is no failure.

A deletion without a tuple is a flush: of what the filter matches since Linux 6.8, of everything before. No message without either is ever
built here, and a filter is sent only where ``filter_probe`` has seen the kernel honour it. Numbers: nfnetlink_conntrack.h.
"""

import errno
import os
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.errors import EnforceError, FirewallRefusedError
from netwatch.kernel.netlink import (
    ACK,
    CHUNK,
    DUMP,
    ERROR,
    REQUEST,
    KernelRefusalError,
    Netlink,
    attribute,
    error_number,
    message,
    messages,
    nested,
)
from netwatch.model.entry import ENTRY
from netwatch.model.packet import Rows
from netwatch.model.rows import as_bytes

AF_UNSPEC, AF_INET, AF_INET6 = 0, 2, 10
CT_NEW, CT_GET, CT_DELETE, CT_GET_STATS = 0x100, 0x101, 0x102, 0x105
TUPLE_ORIGINAL, STATUS, ID, ZONE, FILTER, STATUS_MASK = 1, 3, 12, 18, 25, 26
TUPLE_IP, TUPLE_PROTOCOL = 1, 2
IP_DESTINATION = {4: 2, 6: 4}
PROTOCOL_NUMBER, DESTINATION_PORT = 1, 3
FILTER_ORIGINAL = 1
MATCH_DESTINATION, MATCH_PROTOCOL, MATCH_DESTINATION_PORT = 2, 8, 32
ASSURED = 4
GLOBAL_ENTRIES = 1

BLOCK = 1 << 20
"""Bytes of a dump that are looked at together: some 4,000 entries. More would only cost memory."""

SMALLEST_ENTRY = 56
"""Bytes of the smallest message of an entry: headers, two addresses and a protocol."""

BATCH = 512
"""Deletions in one ``sendto``: 40 kB of messages, well below the send buffer, and too few to hold others up for long (about 1 ms)."""


UNREAD_BYTES = 4 << 20
"""Of answers: each refused deletion of a batch is answered, at about 1 kB of kernel memory."""


class DecodesEntries(Protocol):
    """``netwatch.decode.ctnetlink.EntryDecoder``; stages do not know each other, so it is handed in."""

    def decode(self, block: NDArray[np.uint8]) -> Rows: ...

    @property
    def done(self) -> bool: ...

    @property
    def error_number(self) -> int: ...


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel compares by itself. Addresses match exactly, not by prefix."""

    family: int = AF_UNSPEC  # must be one of the others where a tuple is compared
    destination: IPv4Address | IPv6Address | None = None
    protocol: int | None = None
    port: int | None = None  # of the destination
    unassured: bool = False

    def attributes(self) -> bytes:
        """The filter as attributes of a request; empty if it matches everything."""
        parts, flags, tuple_parts = [], 0, []
        if self.destination is not None:
            flags |= MATCH_DESTINATION
            tuple_parts.append(nested(TUPLE_IP, attribute(IP_DESTINATION[self.destination.version], self.destination.packed)))
        if self.protocol is not None:
            flags |= MATCH_PROTOCOL
            numbers = [attribute(PROTOCOL_NUMBER, bytes([self.protocol]))]
            if self.port is not None:
                flags |= MATCH_DESTINATION_PORT
                numbers.append(attribute(DESTINATION_PORT, struct.pack(">H", self.port)))
            tuple_parts.append(nested(TUPLE_PROTOCOL, *numbers))
        if flags:
            parts += [nested(TUPLE_ORIGINAL, *tuple_parts), nested(FILTER, attribute(FILTER_ORIGINAL, struct.pack("=I", flags)))]
        if self.unassured:
            parts += [attribute(STATUS, bytes(4)), attribute(STATUS_MASK, struct.pack(">I", ASSURED))]
        return b"".join(parts)


class Deleted(msgspec.Struct, kw_only=True):
    """What became of the deletions sent."""

    sent: int = 0
    gone: int = 0  # were deleted or replaced by somebody else meanwhile
    failed: int = 0
    reason: str = ""  # of the last that failed, in the kernel's words

    @property
    def deleted(self) -> int:
        return self.sent - self.gone - self.failed


class StateTable:
    """The kernel's state table. Nothing is open between two calls: a socket costs some 20 µs, and none keeps answers of before."""

    def __init__(self, namespace: str | None = None) -> None:
        self.namespace = namespace

    def dump(self, decoder: DecodesEntries, wanted: Filter) -> Iterator[tuple[NDArray[np.uint8], Rows]]:
        """Entries (``ENTRY``) as the kernel shows them, with the bytes they were read from. The next block overwrites both.

        ``wanted`` only spares work: kernels before 5.8 know less of it and show more, so whoever deletes looks at the rows again.

        Raises:
            EnforceError: the kernel ended the dump with an error.
        """
        buffer = np.empty(BLOCK, np.uint8)
        room = memoryview(buffer)  # type: ignore[arg-type]  # numpy does not say that its arrays are buffers
        with Netlink(self.namespace) as reading:
            reading.send(message(CT_GET, DUMP, wanted.family, wanted.attributes()))
            entries = np.empty(BLOCK // SMALLEST_ENTRY, ENTRY)
            filled = count = 0
            while True:
                received = reading.receive_into(room[filled : filled + CHUNK])
                rows = decoder.decode(buffer[filled : filled + received])
                rows["tuple_at"] += filled
                as_bytes(entries)[count : count + len(rows)] = as_bytes(rows)
                count += len(rows)
                filled += received
                if decoder.error_number:
                    raise EnforceError(f"the state table cannot be read: {os.strerror(decoder.error_number)}")
                if decoder.done or filled + CHUNK > BLOCK:
                    yield buffer, entries[:count]
                    filled = count = 0
                if decoder.done:
                    return

    def count(self) -> int:
        """Entries of the namespace; a deleted one counts on as long as a packet that waits somewhere refers to it."""
        with Netlink(self.namespace) as asking:
            (answer,) = asking.ask(message(CT_GET_STATS, 0, AF_UNSPEC))
        return int.from_bytes(answer.attributes[GLOBAL_ENTRIES], "big")

    def delete(self, block: NDArray[np.uint8], rows: Rows) -> Deleted:
        """Delete the entries of ``rows``, which were read from ``block``."""
        outcome = Deleted()
        layouts = rows["tuple_len"] * 2 + (rows["zone"] > 0)
        with Netlink(self.namespace, unread_bytes=UNREAD_BYTES) as deleting:
            for layout in np.unique(layouts):
                alike = rows[layouts == layout]
                for first in range(0, len(alike), BATCH):
                    self._delete_batch(deleting, block, alike[first : first + BATCH], outcome)
        return outcome

    def _delete_batch(self, deleting: Netlink, block: NDArray[np.uint8], rows: Rows, outcome: Deleted) -> None:
        data = deletions(block, rows)
        outcome.sent += len(rows)
        deleting.send(memoryview(data.reshape(-1)))  # type: ignore[arg-type]  # numpy arrays are buffers
        # The kernel has worked through the batch when ``send`` returns, so all answers are there, the last one's at the end.
        while True:
            for kind, sequence, value in messages(deleting.receive()):
                if kind != ERROR:
                    continue
                match error_number(value):
                    case 0:
                        pass
                    case errno.ENOENT:
                        outcome.gone += 1
                    case number:
                        outcome.failed += 1
                        outcome.reason = os.strerror(number)
                if sequence == len(rows):
                    return

    def delete_matching(self, wanted: Filter) -> None:
        """Delete all that a filter matches, in one message. How many they were the kernel does not say.

        Raises:
            FirewallRefusedError: the kernel does not take the filter.
        """
        body = wanted.attributes()
        if not body:
            raise EnforceError("a deletion without a filter would empty the state table")
        try:
            with Netlink(self.namespace) as deleting:
                list(deleting.ask(message(CT_DELETE, ACK, wanted.family, body)))
        except KernelRefusalError as error:
            raise FirewallRefusedError(f"the kernel does not delete by a filter: {os.strerror(error.number)}") from error


def deletions(block: NDArray[np.uint8], rows: Rows) -> NDArray[np.uint8]:
    """One message a row, numbered from 1. All rows have tuples of the same length, and all a zone or none. The last asks for an answer.

    Kernels built without zones refuse the attribute, so only those who have one get it.
    """
    tuple_len = int(rows["tuple_len"][0])
    tuples = block[rows["tuple_at"].astype(np.int64)[:, None] + np.arange(tuple_len)]
    if not (tuples[:, 2] == TUPLE_ORIGINAL).all():
        raise EnforceError("a deletion without a tuple would empty the state table")
    zone = [("zone_length", "<u2"), ("zone_type", "<u2"), ("zone", ">u2"), ("zone_pad", "<u2")] if rows["zone"][0] else []
    out = np.zeros(
        len(rows),
        [
            *(("length", "<u4"), ("type", "<u2"), ("flags", "<u2"), ("sequence", "<u4"), ("port", "<u4")),
            *(("family", "u1"), ("version", "u1"), ("resource", ">u2")),
            ("tuple", "u1", (tuple_len + -tuple_len % 4,)),
            *(("id_length", "<u2"), ("id_type", "<u2"), ("id", ">u4")),
            *zone,
        ],
    )
    out["length"], out["type"], out["flags"] = out.itemsize, CT_DELETE, REQUEST
    out["flags"][-1] |= ACK
    out["sequence"] = np.arange(1, len(rows) + 1)
    out["family"] = rows["family"]
    out["tuple"][:, :tuple_len] = tuples
    out["id_length"], out["id_type"], out["id"] = 8, ID, rows["id"]
    if zone:
        out["zone_length"], out["zone_type"], out["zone"] = 6, ZONE, rows["zone"]
    return out.view(np.uint8)
