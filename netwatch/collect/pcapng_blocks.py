"""The blocks of pcapng that describe others: section headers and interface descriptions (draft-ietf-opsawg-pcapng section 4).

Each section has a byte order of its own and numbers its interfaces from 0. An interface says which unit and origin its times have.
"""

import struct
from collections.abc import Iterator
from enum import Enum, IntEnum
from typing import NamedTuple

import numpy as np

from netwatch.collect.recognise import ByteOrder, section_byte_order
from netwatch.errors import CaptureError

MIN_BLOCK_BYTES = 12
MAX_BLOCK_BYTES = 2 << 20
"""Longest block that is held whole: a packet of 1 MiB with as many bytes of options."""

SECTION_HEADER_BYTES = 28
VERSION_END = 16
MAJOR_VERSION = 1
INTERFACE_HEADER_BYTES = 20

INTERFACE = np.dtype(
    [
        ("factor", np.uint64),  # of MULTIPLY and DIVIDE
        ("offset_ns", np.int64),  # added to every time
        ("snaplen", np.uint32),  # 0 no limit
        ("link_type", np.uint16),
        ("number", np.uint16),  # of the interface within the whole capture
        ("unit", np.uint8),  # Unit
        ("shift", np.uint8),  # of BINARY: a unit is 2 ** -shift seconds
        ("_pad", np.uint16),
        ("_pad2", np.uint32),
    ]
)
"""What the walk needs to know of an interface."""


class Unit(IntEnum):
    """How a count of an interface's units becomes nanoseconds."""

    MULTIPLY = 0
    DIVIDE = 1
    BINARY = 2
    UNUSABLE = 3  # the offset lies beyond what 64 bits of nanoseconds hold


class Option(IntEnum):
    """Codes of the options of an interface that matter here (section 4.2)."""

    BROKEN = -1  # not of the format: the list runs over its block
    END = 0
    TSRESOL = 9
    TSOFFSET = 14


class Section(NamedTuple):
    order: ByteOrder
    length: int  # of the header block


class InterfaceDescription(NamedTuple):
    link_type: int
    snaplen: int
    resolution: int  # if_tsresol as written
    offset_s: int  # if_tsoffset
    options_broken: bool


class SectionFault(Enum):
    """Why there is no section to go on with; the value is what is counted."""

    NEEDS_MORE = "needs_more"
    BAD_HEADER = "bad_section_header"
    BAD_LENGTH = "bad_block_length"
    UNKNOWN_VERSION = "unknown_section_version"


def read_section(header: memoryview) -> Section | SectionFault:
    """The section that begins with ``header``, which may be more or less than its header block."""
    if len(header) < MIN_BLOCK_BYTES:
        return SectionFault.NEEDS_MORE
    order = section_byte_order(header)
    if order is None:
        return SectionFault.BAD_HEADER
    length = int.from_bytes(header[4:8], order)
    if length < SECTION_HEADER_BYTES or length % 4 or length > MAX_BLOCK_BYTES:
        return SectionFault.BAD_LENGTH
    if len(header) >= VERSION_END and int.from_bytes(header[12:14], order) != MAJOR_VERSION:
        return SectionFault.UNKNOWN_VERSION
    if len(header) < length:
        return SectionFault.NEEDS_MORE
    if int.from_bytes(header[length - 4 : length], order) != length:
        return SectionFault.BAD_LENGTH
    return Section(order, length)


def check_first_section(path: str, head: bytes) -> None:
    """Refuse a file whose very first section cannot be read; as much of it as ``head`` holds."""
    match read_section(memoryview(head)):
        case SectionFault.UNKNOWN_VERSION:
            raise CaptureError(f"{path}: is a pcapng file of an unknown version; version 1 is read")
        case SectionFault.BAD_HEADER | SectionFault.BAD_LENGTH:
            raise CaptureError(f"{path}: is a pcapng file with a damaged section header; nothing in it can be read")


def read_interface(block: bytes, order: ByteOrder) -> InterfaceDescription:
    """The description that a whole block holds. Options that do not fit leave the values they would have changed as they are."""
    sign = "<" if order == "little" else ">"
    link_type, snaplen = struct.unpack_from(f"{sign}H2xI", block, 8)
    resolution, offset_s, broken = 6, 0, False
    for code, value in _options(block[16:-4], sign):
        match code, len(value):
            case (Option.BROKEN, _):
                broken = True
            case (Option.TSRESOL, 1):
                resolution = value[0]
            case (Option.TSOFFSET, 8):
                (offset_s,) = struct.unpack(f"{sign}q", value)
            case (Option.TSRESOL | Option.TSOFFSET, _):
                broken = True
    return InterfaceDescription(link_type, snaplen, resolution, offset_s, broken)


def _options(field: bytes, sign: str) -> Iterator[tuple[int, bytes]]:
    """Code and value of each option; a last one of ``BROKEN`` if the list runs over its block."""
    at = 0
    while at + 4 <= len(field):
        code, length = struct.unpack_from(f"{sign}HH", field, at)
        if code == Option.END:
            return
        if at + 4 + length > len(field):
            yield Option.BROKEN, b""
            return
        yield code, field[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4


def interface_row(description: InterfaceDescription, link_type: int, number: int) -> np.void:
    """The interface as the walk takes it. Resolution: 10 ** -n seconds, or with the top bit set 2 ** -n (section 4.2, if_tsresol)."""
    row: np.void = np.zeros(1, INTERFACE)[0]
    row["link_type"], row["number"], row["snaplen"] = link_type, number, description.snaplen
    exponent = description.resolution & 0x7F
    if description.resolution & 0x80:
        row["unit"], row["shift"] = Unit.BINARY, exponent
    elif exponent <= 9:
        row["unit"], row["factor"] = Unit.MULTIPLY, 10 ** (9 - exponent)
    elif exponent <= 9 + 19:
        row["unit"], row["factor"] = Unit.DIVIDE, 10 ** (exponent - 9)
    else:
        # All that 64 bits can count of such units is less than a nanosecond; so it is of 2 ** -127 s.
        row["unit"], row["shift"] = Unit.BINARY, 127
    offset_ns = description.offset_s * 1_000_000_000
    if -(1 << 63) <= offset_ns < 1 << 63:
        row["offset_ns"] = offset_ns
    else:
        row["unit"] = Unit.UNUSABLE
    return row
