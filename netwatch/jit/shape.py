"""What a call of a kernel looks like: the arguments, with every tuple taken apart, as a key to look code up by and as numbers to pass.

Machine code is made for exact types: a kernel has one entry for each combination of them that it is called with. Of an array these are its
record, its number of dimensions, and whether it is contiguous, aligned and writeable. What is passed of it is the address of the array
object: the entry reads data, shape and strides from it (``npy_intp`` fields of ``PyArrayObject``, numpy's stable binary interface).
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np

C_CONTIGUOUS, F_CONTIGUOUS, ALIGNED, WRITEABLE = 0x1, 0x2, 0x100, 0x400
FLAGS = C_CONTIGUOUS | F_CONTIGUOUS | ALIGNED | WRITEABLE

# How a number is packed into the eight bytes of its slot (struct's letters); the entry narrows it to the type that numba infers.
SIGNED, UNSIGNED, REAL, TRUTH = "q", "Q", "d", "?7x"
NUMBERS: dict[type, str] = {
    bool: TRUTH,
    int: SIGNED,
    float: REAL,
    np.bool_: TRUTH,
    **dict.fromkeys((np.int8, np.int16, np.int32, np.int64), SIGNED),
    **dict.fromkeys((np.uint8, np.uint16, np.uint32, np.uint64), UNSIGNED),
    np.float32: REAL,
    np.float64: REAL,
}

Key = tuple[Any, ...]


class UnknownShapeError(Exception):
    """An argument is of a kind that only numba knows how to pass."""


def take_apart(arguments: Iterable[Any], kinds: list[Any], slots: list[Any]) -> None:
    """Append what decides which code is called to ``kinds``, and what is passed to it to ``slots``.

    Raises:
        UnknownShapeError: see there.
    """
    for argument in arguments:
        kind = type(argument)
        if kind is np.ndarray:
            flags = argument.flags.num & FLAGS
            # An array of one row is contiguous both ways, of two only one: numba calls both C, and it is the same code.
            kinds += argument.dtype, argument.ndim, flags & ~F_CONTIGUOUS if flags & C_CONTIGUOUS else flags
            slots.append(id(argument))
        elif kind in NUMBERS:
            kinds.append(kind)
            slots.append(argument)
        elif issubclass(kind, tuple):
            kinds += kind, len(argument)
            take_apart(argument, kinds, slots)
        else:
            raise UnknownShapeError(kind)


@cache
def _described(part: Any) -> str:
    match part:
        case type():
            fields = ",".join(getattr(part, "_fields", ()))
            return f"{part.__module__}.{part.__qualname__}({fields})"
        case _:
            return repr(part)


def described(kinds: Key) -> str:
    """The key as text that means the same in every process."""
    return ";".join(map(_described, kinds))


def packing(kinds: Key) -> str:
    """The format (of ``struct``) by which the slots are packed: an address for every array, a number for every number."""
    letters, parts = "=", iter(kinds)
    for part in parts:
        if isinstance(part, np.dtype):
            letters += UNSIGNED
            next(parts), next(parts)
        elif part in NUMBERS:
            letters += NUMBERS[part]
        else:
            next(parts)
    return letters
