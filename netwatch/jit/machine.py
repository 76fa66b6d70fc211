"""Running object code without numba: linked by our own few lines (linking.py) where they can, else by LLVM's loader.

The code may need nothing but functions of the C library: a symbol that LLVM cannot resolve would end the process, so each is looked up
before. The machine that code was made for is part of its name in the cache: processor, its features, and the versions of all that had a
part in it.
"""

import ctypes
import hashlib
import importlib.util
import os
import pickle
import struct
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numpy as np

from netwatch.jit.linking import Linked, UnlinkableError
from netwatch.jit.stored import Entry, Value

# Functions of C99 without state that kernels may call: what compilers make of copies and of arithmetic. Anything else is numba's own.
MEMORY = {"malloc", "free", "memcpy", "memmove", "memset", "memcmp"}
C_FUNCTIONS = frozenset(MEMORY | {"exp", "log", "log1p", "log2", "pow", "sqrt", "floor", "ceil"})
MODEL = ("vendor_id", "cpu family", "model", "stepping", "flags", "CPU ", "Features")  # lines of /proc/cpuinfo, of x86 and of ARM
WORD_BYTES = 8  # the first word of what comes out is the address of numba's description of an exception
EXCEPTION = struct.Struct("@PiPPi")  # pickled class, arguments and place; its length; the rest is for arguments known only at run time
NO_ERROR = (0, -2)  # numba's RETCODE_OK and RETCODE_NONE


@cache
def machine() -> str:
    """A digest of the processor and of the versions that code depends on: code of another machine is never found."""
    spec = importlib.util.find_spec("numba")
    version = Path(spec.origin).with_name("_version.py").read_bytes() if spec and spec.origin else b""
    parts = (
        sys.version,
        sys.implementation.cache_tag,
        os.uname().machine,
        np.__version__,
        llvmlite.__version__,
        _processor(),
        version.hex(),
    )
    return hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()


def _processor() -> str:
    """The kernel's description of the first processor, of which LLVM finds the same out: its model and what it can do."""
    with open("/proc/cpuinfo") as file:  # noqa: PTH123  # quicker, and at each start
        lines = file.read().partition("\n\n")[0].splitlines()
    return "\n".join(line for line in lines if line.startswith(MODEL))


@cache
def _engine() -> Any:
    """LLVM's loader, one for all kernels; it lives as long as the process."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), target)


@cache
def _c_libraries() -> Sequence[ctypes.CDLL]:
    return ctypes.CDLL(None), ctypes.CDLL("libm.so.6")


def _address(symbol: str) -> int:
    """Where a function of the C library is.

    Raises:
        LookupError: it is none that kernels may call, or this system has none of the name.
    """
    if symbol in C_FUNCTIONS:
        for library in _c_libraries():
            if function := getattr(library, symbol, None):
                return ctypes.cast(function, ctypes.c_void_p).value or 0
    raise LookupError(symbol)


def _load(entry: Entry) -> tuple[int, int, Any]:
    """Bring code into memory: where its entry lies, where that which forgets an array, and what must live as long."""
    forget = f"{entry.name}_forget"
    try:
        linked = Linked(entry.code, _address)
        return linked.address(entry.name), linked.address(forget), linked
    except UnlinkableError:
        import llvmlite.binding as llvm

        engine = _engine()
        for symbol in entry.needs:
            llvm.add_symbol(symbol, _address(symbol))
        engine.add_object_file(llvm.ObjectFileRef.from_data(entry.code))
        engine.finalize_object()
        return engine.get_function_address(entry.name), engine.get_function_address(forget), engine


class Loaded:
    """An entry in memory, ready to be called."""

    def __init__(self, entry: Entry, packing: str) -> None:
        """
        Raises:
            LookupError: the code needs a function that is not there.
        """
        run, forget, self._memory = _load(entry)
        self.pack = struct.Struct(packing).pack
        # CFUNCTYPE gives up the interpreter lock during the call, as the kernels are allowed to.
        self.run = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(run)
        self._forget = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(forget)
        self._returns, self._returns_tuple = entry.returns, entry.returns_tuple
        self._unpack = struct.Struct("=8x" + "".join(value.letter * max(1, words(value)) for value in entry.returns)).unpack
        self._out = ctypes.c_char * (WORD_BYTES + sum(WORD_BYTES * words(value) for value in entry.returns))
        self._plain = not any(value.dtype for value in entry.returns)

    def call(self, slots: Sequence[Any]) -> Any:
        """Run with what ``take_apart`` made of the arguments, which the caller holds until the end.

        Raises:
            struct.error: a number is too large for its type.
            Exception: whatever the kernel raises.
        """
        out = self._out()
        status = self.run(self.pack(*slots), out)
        if status not in NO_ERROR:
            raise raised(status, out)
        if not self._returns:
            return None
        results = self._unpack(out)
        if not self._plain:
            results = self._with_arrays(results)
        return results if self._returns_tuple else results[0]

    def _with_arrays(self, words_out: Sequence[Any]) -> tuple[Any, ...]:
        """Copy the arrays that the kernel has allocated, and give their memory back."""
        results, at = [], 0
        for value in self._returns:
            if value.dtype:
                owner, data, *shape = words_out[at : at + words(value)]
                results.append(_copied(owner, data, shape, np.dtype(value.dtype)))
                self._forget(owner)
            else:
                results.append(words_out[at])
            at += words(value)
        return tuple(results)


def words(value: Value) -> int:
    """How many words of the output a value takes: of an array its owner, data and shape."""
    return 2 + value.dimensions if value.dtype else 1


def _copied(owner: int, data: int, shape: Sequence[int], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    if not owner:
        raise RuntimeError("the kernel returned an argument or a part of one: let the caller take it")
    size_bytes = dtype.itemsize * int(np.prod(shape, dtype=np.int64))
    held = (ctypes.c_char * size_bytes).from_address(data)
    return np.ndarray(tuple(shape), dtype, memoryview(held)).copy()


def raised(status: int, out: Any) -> BaseException:
    """The exception that numba's description stands for."""
    if status < 0:
        return SystemError(f"a kernel ended with status {status}")
    address = int.from_bytes(out[:WORD_BYTES], sys.byteorder)
    pickled, length, *_ = EXCEPTION.unpack(ctypes.string_at(address, EXCEPTION.size))
    kind, arguments, place = pickle.loads(ctypes.string_at(pickled, length))
    error: BaseException = kind(*arguments)
    if place is not None:
        function, file, line = place
        error.add_note(f"in the kernel {function}, {file}:{line}")
    return error
