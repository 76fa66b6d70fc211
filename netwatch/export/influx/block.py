"""The frame of a block of lines on disk: length, checksum, number of lines, then the lines compressed.

A crash may cut the newest block, a disk may damage any: the checksum tells, and nothing damaged is sent to a server that would take it.
Compressed since a site that lost its metrics server keeps days of lines; zstd costs less than the formatting did.
"""

import struct
import zlib
from typing import NamedTuple

import zstandard

HEADER = struct.Struct("<4sIII")  # magic, bytes of the payload, its CRC-32, lines
MAGIC = b"nwb1"
LARGEST = 64 << 20
"""Bytes of a block's lines; a header that says more is damaged."""


class Block(NamedTuple):
    """Some lines, each with its newline."""

    text: bytes
    lines: int


class BlockHead(NamedTuple):
    """What stands in front of a block's payload."""

    payload_bytes: int
    checksum: int
    lines: int


def pack(block: Block) -> bytes:
    """The block as it is written to disk."""
    payload = zstandard.ZstdCompressor(level=1).compress(block.text)
    return HEADER.pack(MAGIC, len(payload), zlib.crc32(payload), block.lines) + payload


def read_head(raw: bytes) -> BlockHead | None:
    """The head of a block, or None where none begins: at the end of a file, after a crash, after damage."""
    if len(raw) < HEADER.size:
        return None
    magic, payload_bytes, checksum, lines = HEADER.unpack_from(raw)
    return BlockHead(payload_bytes, checksum, lines) if magic == MAGIC and payload_bytes <= LARGEST else None


def unpack(head: BlockHead, payload: bytes) -> Block | None:
    """The lines of a block, or None if it is cut or damaged."""
    if len(payload) != head.payload_bytes or zlib.crc32(payload) != head.checksum:
        return None
    try:
        return Block(zstandard.ZstdDecompressor().decompress(payload, max_output_size=LARGEST), head.lines)
    except zstandard.ZstdError:
        return None
