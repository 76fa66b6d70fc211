"""Compresses captures for the tests, and says what is left of a compressed file that is cut, by the libraries' own account."""

import gzip
import lzma
import zlib
from collections.abc import Callable

import zstandard

Pack = Callable[[bytes], bytes]


def pack_zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


PACKERS: dict[str, Pack] = {"gzip": lambda content: gzip.compress(content, mtime=0), "xz": lzma.compress, "zstd": pack_zstd}


def unpack_as_far_as_possible(kind: str, packed: bytes) -> bytes:
    """What the first member of a possibly cut file still yields."""
    match kind:
        case "gzip":
            return zlib.decompressobj(31).decompress(packed)
        case "xz":
            return lzma.LZMADecompressor().decompress(packed)
        case _:
            return zstandard.ZstdDecompressor().decompressobj().decompress(packed)
