"""A compiled entry as a file: the object code and what is needed to call it, with a checksum over both; so is whatever else is kept.

Written under a name of its own and then renamed, so that of two processes that fill the cache at once each reads a whole file.
"""

import hashlib
import os
import struct
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


def write_kept(path: Path, content: bytes) -> None:
    """Keep something for other processes. That it cannot be written, for want of space, costs them time and nothing else."""
    import tempfile  # not quickly imported, and most starts write nothing

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


def read_kept(path: Path) -> bytes | None:
    """What a file keeps; ``None`` if there is none, it is damaged, or another user could have written it."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # quicker, and often at each start
            status = os.fstat(file.fileno())
            content = file.read()
    except OSError:
        return None
    begin = len(MAGIC) + CHECKSUM_BYTES
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        return None
    if content[: len(MAGIC)] != MAGIC or content[len(MAGIC) : begin] != _checksum(content[begin:]):
        return None
    return content[begin:]


def write_entry(path: Path, entry: Entry) -> None:
    """Keep an entry for other processes."""
    write_kept(path, msgspec.msgpack.encode(entry))


def read_entry(path: Path) -> Entry | None:
    """The entry kept in a file; ``None`` if there is none or it is damaged, and must be compiled again."""
    content = read_kept(path)
    if content is None:
        return None
    try:
        return msgspec.msgpack.decode(content, type=Entry)
    except msgspec.DecodeError:
        return None
