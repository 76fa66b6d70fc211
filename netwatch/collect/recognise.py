"""What a file is, by its first bytes: names lie (``.pcapng`` that is classic pcap, ``.pcap`` that is gzip).

The file formats are those of draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng; gzip RFC 1952, zstd RFC 8878, xz the .xz format 1.1.
Formats that look like a capture and are not readable here are named, with the way out, since "unknown magic" helps nobody at night.
"""

from enum import Enum
from typing import Literal

ByteOrder = Literal["little", "big"]

PCAP_US, PCAP_NS = 0xA1B2C3D4, 0xA1B23C4D
SECTION_HEADER = b"\x0a\x0d\x0d\x0a"
BYTE_ORDER_MAGIC = 0x1A2B3C4D

GZIP = b"\x1f\x8b"
XZ = b"\xfd7zXZ\x00"
ZSTD = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE_REST = b"\x2a\x4d\x18"
"""Parallel compressors begin with a frame to be skipped: 0x184D2A50 … 5F in little-endian order (RFC 8878 section 3.1.2)."""

TAR_MAGIC_AT = 257
"""Offset of ``ustar`` in the first header of a tar archive (POSIX.1-2001)."""

HEAD_BYTES = 16_384
"""Bytes of a stream that are looked at before it is read: enough for two full-size records, which is what tells pcap variants apart."""

CONVERT = "convert it with `editcap -F pcap IN OUT`"
EXPORT = "export it as pcap from the program that wrote it"
UNPACK = "unpack it first"


class Format(Enum):
    PCAP = "pcap"
    PCAPNG = "pcapng"
    GZIP = "gzip"
    XZ = "xz"
    ZSTD = "zstd"
    UNKNOWN = "unknown"

    @property
    def is_compressed(self) -> bool:
        return self in (Format.GZIP, Format.XZ, Format.ZSTD)


REFUSED_PCAP_MAGICS = {
    0xA1B2CD34: ("a pcap file with the longer record headers of Alexey Kuznetsov's patched libpcap", CONVERT),
    0x1C0001AC: ("an lcap file of an IXIA hardware port", CONVERT),
    0x1C0001AB: ("an lcap file of an IXIA software port", CONVERT),
    0xA1B234CD: ("a pcap file of Francisco Mesquita's patched libpcap", EXPORT),
    0xA12B3C4D: ("a pcap file of a Navtel analyser", EXPORT),
    0xA1B2C3CB: ("a saved packet filter of libpcap, not a capture", "give the capture instead"),
}
"""Magic numbers of pcap's relatives (libpcap's savefile.c, Wireshark's libpcap.h); in the writing machine's byte order, as pcap's own."""

REFUSED_BEGINNINGS = (
    (b"snoop\x00\x00\x00", f"a snoop capture (RFC 1761): {CONVERT}"),
    (b"GMBU", f"a Microsoft Network Monitor 2 capture: {CONVERT}"),
    (b"RTSS", f"a Microsoft Network Monitor 1 capture: {CONVERT}"),
    (b"TRSNIFF data    \x1a", f"a Sniffer capture: {CONVERT}"),
    (b"XCP\x00", f"a NetXRay or Sniffer for Windows capture: {CONVERT}"),
    (b"BZh", f"compressed with bzip2: {UNPACK}"),
    (b"\x04\x22\x4d\x18", f"compressed with lz4: {UNPACK}"),
    (b"\x1f\x9d", f"compressed with compress: {UNPACK}"),
    (b"PK\x03\x04", f"a ZIP archive: {UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive: {UNPACK}"),
)


def pcap_byte_order(head: bytes) -> ByteOrder | None:
    """``little`` or ``big`` for a pcap file that is read here, of micro- or nanoseconds; else ``None``."""
    if len(head) >= 4:
        if int.from_bytes(head[:4], "little") in (PCAP_US, PCAP_NS):
            return "little"
        if int.from_bytes(head[:4], "big") in (PCAP_US, PCAP_NS):
            return "big"
    return None


def section_byte_order(header: bytes | memoryview) -> ByteOrder | None:
    """``little`` or ``big`` by the byte-order magic at offset 8 of a section header block; ``None`` if it is neither."""
    if int.from_bytes(header[8:12], "little") == BYTE_ORDER_MAGIC:
        return "little"
    if int.from_bytes(header[8:12], "big") == BYTE_ORDER_MAGIC:
        return "big"
    return None


def recognise(head: bytes) -> Format:
    """What begins with ``head``, at least one byte. A pcapng file that is cut within its first twelve still is one."""
    if pcap_byte_order(head) is not None:
        return Format.PCAP
    if head.startswith(SECTION_HEADER) and (len(head) < 12 or section_byte_order(head) is not None):
        return Format.PCAPNG
    if head.startswith(GZIP):
        return Format.GZIP
    if head.startswith(XZ):
        return Format.XZ
    if head.startswith(ZSTD) or (head[0] & 0xF0 == 0x50 and head[1:4] == ZSTD_SKIPPABLE_REST):
        return Format.ZSTD
    return Format.UNKNOWN


def why_refused(head: bytes) -> str:
    """The end of the sentence "PATH is …" for something that ``recognise`` does not know."""
    for magic in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")):
        if magic in REFUSED_PCAP_MAGICS:
            what, way_out = REFUSED_PCAP_MAGICS[magic]
            return f"{what} (magic 0x{magic:08x}): {way_out}"
    for beginning, what in REFUSED_BEGINNINGS:
        if head.startswith(beginning):
            return what
    if head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == b"ustar":
        return f"a tar archive: {UNPACK}"
    return f"no capture: it begins with {head[:8].hex(' ')}; pcap and pcapng are read, plain or compressed with gzip, zstd or xz"
