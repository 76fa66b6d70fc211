"""A compiled entry as a file: the object code and what is needed to call it, with a checksum over both.

Written under a name of its own and then renamed, so that of two processes that fill the cache at once each reads a whole file.
"""

import hashlib
import os
import struct
import tempfile
from pathlib import Path

import msgspec

MAGIC = b"netwatch kernel 1\n"
CHECKSUM_BYTES = 16

_SECTION_HEADERS = struct.Struct("<40xQ10xHH")  # of the ELF header: where the section headers are, the size of one, how many
_SECTION = struct.Struct("<4xI16xQQI12xQ")  # type, offset, size, link, size of an entry
_SYMBOL = struct.Struct("<IBBHQQ")  # name, info, other, section, value, size
SYMBOL_TABLE, UNDEFINED = 2, 0


class Value(msgspec.Struct, frozen=True):
    """One value that a kernel returns: a number, packed as ``letter`` (of ``struct``), or with ``dtype`` an array that it has allocated."""

    letter: str
    dtype: str = ""
    dimensions: int = 0


class Entry(msgspec.Struct, frozen=True):
    """A function ``int name(const void *slots, void *out)`` in object code."""

    name: str
    needs: tuple[str, ...]
    returns: tuple[Value, ...]
    returns_tuple: bool
    code: bytes = b""


def undefined_symbols(code: bytes) -> tuple[str, ...]:
    """The names that an ELF object of 64 bits, little-endian, leaves for others to define (System V ABI, chapter 4)."""
    begin, size, count = _SECTION_HEADERS.unpack_from(code)
    sections = [_SECTION.unpack_from(code, begin + number * size) for number in range(count)]
    names = set()
    for kind, offset, length, link, _ in sections:
        if kind != SYMBOL_TABLE:
            continue
        strings = sections[link][1]
        for name, _, _, section, _, _ in _SYMBOL.iter_unpack(code[offset : offset + length]):
            if section == UNDEFINED and name:
                begin = strings + name
                names.add(code[begin : code.index(b"\0", begin)].decode())
    return tuple(sorted(names))


def _checksum(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=CHECKSUM_BYTES).digest()


def write_entry(path: Path, entry: Entry) -> None:
    """Keep an entry for other processes. That it cannot be written, for want of space, costs them time and nothing else."""
    content = msgspec.msgpack.encode(entry)
    try:
        handle, written = tempfile.mkstemp(prefix=path.name, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(MAGIC + _checksum(content) + content)
            Path(written).replace(path)
        except OSError:
            Path(written).unlink()
            raise
    except OSError:
        return


def read_entry(path: Path) -> Entry | None:
    """The entry kept in a file; ``None`` if there is none or it is damaged, and must be compiled again."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    begin = len(MAGIC) + CHECKSUM_BYTES
    if content[: len(MAGIC)] != MAGIC or content[len(MAGIC) : begin] != _checksum(content[begin:]):
        return None
    try:
        return msgspec.msgpack.decode(content[begin:], type=Entry)
    except msgspec.DecodeError:
        return None
