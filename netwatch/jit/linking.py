"""Object code into memory, for what kernels are: some sections, addresses of their own, and some functions of the C library.

LLVM's loader can do far more, and its library takes longer to be brought into memory than all other that a start needs. So it is left to
those processors and that code for which this one is not made (System V ABI, AMD64 supplement, chapter 4).
"""

import ctypes
import mmap
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

HEADER = struct.Struct("<18xH20xQ10xHH2x")  # processor, where the section headers are, size of one, how many
SECTION = struct.Struct("<4xIQ8xQQIIQ8x")  # type, flags, offset, size, link, info, alignment
SYMBOL = struct.Struct("<I2xHQ8x")  # name, section, value
RELOCATION = struct.Struct("<QIIq")  # where, kind, symbol, what is added
AMD64 = 62
SYMBOLS, RELOCATIONS, NO_CONTENT, UNWINDING = 2, 4, 8, 0x7000_0001  # types of sections
WRITTEN, LOADED = 1, 2  # flags of sections
UNDEFINED, ABSOLUTE = 0, 0xFFF1
WHOLE_ADDRESS, NO_RELOCATION = 1, 0  # R_X86_64_64: all there is in code that may lie anywhere (the large code model)
ADDRESS = struct.Struct("<Q")
READ_AND_RUN = mmap.PROT_READ | mmap.PROT_EXEC


class UnlinkableError(Exception):
    """Only LLVM's loader can load it."""


class _Section(NamedTuple):
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int

    @property
    def loaded(self) -> bool:
        return self.flags & LOADED != 0 and self.kind != UNWINDING  # nothing is thrown through a kernel


class Linked:
    """Object code in memory; it lies there as long as this object lives.

    Raises:
        UnlinkableError: see there.
        OSError: the system allows no new code.
    """

    def __init__(self, code: bytes, outside: Callable[[str], int]) -> None:
        """``outside`` tells the address of a function that the code leaves for others to define."""
        processor, begin, size, count = HEADER.unpack_from(code)
        if processor != AMD64 or size != SECTION.size:
            raise UnlinkableError(f"processor {processor}")
        self._code = code
        self._sections = [_Section(*SECTION.unpack_from(code, begin + number * size)) for number in range(count)]
        self._places: dict[int, int] = {}  # in the memory, by the number of the section
        read_only = self._lay_out(0, WRITTEN, wanted=0)
        written_at = -(-read_only // mmap.PAGESIZE) * mmap.PAGESIZE
        self._memory = mmap.mmap(-1, self._lay_out(written_at, WRITTEN, wanted=WRITTEN) or 1)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._fill()
        self._symbols = list(self._find_symbols(outside))
        self._relocate()
        if ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(self._base), ctypes.c_size_t(written_at), READ_AND_RUN):
            raise OSError(ctypes.get_errno(), "no new code is allowed here")

    def address(self, name: str) -> int:
        """Where a symbol lies."""
        return next(address for known, address in self._symbols if known == name)

    def _lay_out(self, at: int, mask: int, *, wanted: int) -> int:
        for number, section in enumerate(self._sections):
            if section.loaded and section.flags & mask == wanted:
                at = -(-at // max(section.alignment, 1)) * max(section.alignment, 1)
                self._places[number] = at
                at += section.size
        return at

    def _fill(self) -> None:
        for number, at in self._places.items():
            section = self._sections[number]
            if section.kind != NO_CONTENT:
                self._memory[at : at + section.size] = self._code[section.offset : section.offset + section.size]

    def _find_symbols(self, outside: Callable[[str], int]) -> Iterator[tuple[str, int]]:
        for table in self._sections:
            if table.kind != SYMBOLS:
                continue
            names = self._sections[table.link].offset
            for name_at, section, value in SYMBOL.iter_unpack(self._code[table.offset : table.offset + table.size]):
                name = self._code[names + name_at : self._code.index(b"\0", names + name_at)].decode()
                if section == UNDEFINED:
                    yield name, outside(name) if name else 0
                elif section in self._places:
                    yield name, self._base + self._places[section] + value
                else:
                    yield name, value if section == ABSOLUTE else 0

    def _relocate(self) -> None:
        for table in self._sections:
            if table.kind != RELOCATIONS or table.info not in self._places:
                continue
            at = self._places[table.info]
            for offset, kind, symbol, added in RELOCATION.iter_unpack(self._code[table.offset : table.offset + table.size]):
                name, address = self._symbols[symbol]
                if kind == NO_RELOCATION:
                    continue
                if kind != WHOLE_ADDRESS or not address:
                    raise UnlinkableError(f"relocation {kind} of {name}")
                ADDRESS.pack_into(self._memory, at + offset, (address + added) & 0xFFFF_FFFF_FFFF_FFFF)
