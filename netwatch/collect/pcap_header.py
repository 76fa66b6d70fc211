"""The file header of classic pcap (draft-ietf-opsawg-pcap section 4), and relatives that carry the same magic number.

Two old record formats were written under the ordinary magic: Nokia's IPSO firewalls add 4 bytes to each record header, libpcap with the
SS990417 patch (Red Hat 6.1) adds 8. Read as pcap they give one packet and then nonsense, so they are told apart by walking a few records.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from netwatch.collect.recognise import CONVERT, PCAP_NS, ByteOrder, pcap_byte_order
from netwatch.errors import CaptureError

HEADER_BYTES = 24
RECORD_HEADER_BYTES = 16
MAX_CAPTURED_BYTES = 1 << 20
"""Longest record that is believed: four times libpcap's largest snapshot length (262,144), twice the longest BIG TCP frame (512 KiB)."""

RELATIVES = ((20, "of a Nokia IPSO firewall"), (24, "with the record headers of libpcap's SS990417 patch"))
RECORDS_TRIED, FEWEST_PLAUSIBLE = 8, 3
EARLIEST_S = 631_152_000
"""1990-01-01, before which these formats were not written; records made of zeros do not pass for plausible."""

CLOSE_S = 366 * 86_400
"""Records of one file that are further apart than a year are not plausible when layouts are compared."""


class SwappedLengths(IntEnum):
    """Whether the captured length comes after the wire length: always before version 2.3, sometimes in it (libpcap, sf-pcap.c)."""

    NEVER = 0
    IF_CAPTURED_IS_LONGER = 1
    ALWAYS = 2


class RecordHeader(NamedTuple):
    seconds: int
    fraction: int
    captured: int
    wire: int


class PcapHeader(NamedTuple):
    order: ByteOrder
    nanoseconds: bool
    link_type: int  # as written, without the bits that tell the length of the frame check sequence
    swapped_lengths: int  # SwappedLengths

    @property
    def units_per_s(self) -> int:
        return 1_000_000_000 if self.nanoseconds else 1_000_000


LINK_TYPE_MASK = 0x03FF_FFFF
"""Above it lie the frame check sequence's length in 16-bit words (bits 28-31) and whether that is given (bit 26)."""


def read_pcap_header(path: str, head: bytes) -> PcapHeader | None:
    """The header at the beginning of ``head``; ``None`` if the file ends within it."""
    order = pcap_byte_order(head)
    assert order is not None, "the caller recognised a pcap file"
    if len(head) < HEADER_BYTES:
        return None
    magic, major, minor, _zone, _accuracy, _snaplen, link = struct.unpack_from(f"{'<' if order == 'little' else '>'}IHHIIII", head)
    if major != 2 or minor > 4:
        raise CaptureError(f"{path}: is a pcap file of version {major}.{minor}; versions 2.0 to 2.4 are read: {CONVERT}")
    swapped = SwappedLengths.ALWAYS if minor < 3 else SwappedLengths.IF_CAPTURED_IS_LONGER if minor == 3 else SwappedLengths.NEVER
    header = PcapHeader(order, magic == PCAP_NS, link & LINK_TYPE_MASK, swapped)
    if relative := _relative(head, header):
        raise CaptureError(f"{path}: is a pcap file {relative}: {CONVERT}")
    return header


def _relative(head: bytes, header: PcapHeader) -> str | None:
    """Which relative the first records are of, if as pcap they are impossible and as that they are plausible."""
    as_pcap = _first_records(head, header, RECORD_HEADER_BYTES)
    if all(record.fraction < header.units_per_s and record.captured <= MAX_CAPTURED_BYTES for record in as_pcap[:2]):
        return None
    for record_header_bytes, what in RELATIVES:
        records = _first_records(head, header, record_header_bytes)
        if len(records) >= FEWEST_PLAUSIBLE and all(_is_plausible(record, records[0], header) for record in records):
            return what
    return None


def _is_plausible(record: RecordHeader, first: RecordHeader, header: PcapHeader) -> bool:
    near = record.seconds >= EARLIEST_S and abs(record.seconds - first.seconds) <= CLOSE_S
    return near and record.fraction < header.units_per_s and 0 < record.captured <= min(record.wire, MAX_CAPTURED_BYTES)


def _first_records(head: bytes, header: PcapHeader, record_header_bytes: int) -> list[RecordHeader]:
    """The headers of the first records, as far as ``head`` holds them and each leads to the next."""
    layout = struct.Struct("<IIII" if header.order == "little" else ">IIII")
    at = HEADER_BYTES
    records: list[RecordHeader] = []
    while len(records) < RECORDS_TRIED and at + layout.size <= len(head):
        records.append(RecordHeader(*layout.unpack_from(head, at)))
        at += record_header_bytes + records[-1].captured
    return records
