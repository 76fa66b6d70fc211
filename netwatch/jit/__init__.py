"""The compiler of kernels: ``njit`` and its kin, the one door to numba, which is opened only when something has to be compiled.

::

    kernel(arguments) ─► shape ─► in memory? ─► in the cache? ─► compile: entry + kernel ─► cache
                                       └──────────────┴── machine: load, call ──┘

Importing numba and letting it load its own cache takes longer than a replay of a small capture. So a call first looks (shape.py) for
machine code of ours in the cache (folder.py, stored.py), which only has to be linked (machine.py, linking.py). Only if there is none
numba is imported, to compile it (compiling.py). A kernel that cannot run without numba, and every call with ``NUMBA_…`` in the environment
(bounds checks, debugging), goes numba's usual way.
"""

import functools
import hashlib
import os
import struct
import threading
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from netwatch.jit.folder import cache_folder
from netwatch.jit.shape import Key, UnknownShapeError, described, packing, take_apart

if TYPE_CHECKING:
    from netwatch.jit.machine import Loaded

Function = TypeVar("Function", bound=Callable[..., Any])

_tellers: list[Callable[[], None]] = []
_compiling = threading.RLock()


@cache
def _numba() -> Any:
    """numba, imported when first needed, which knows our kernels and helpers as its own."""
    import numba
    from numba.core import event
    from numba.extending import typeof_impl

    class Listener(event.Listener):  # type: ignore[misc]  # numba has no types
        def on_start(self, event: Any) -> None:
            _tell()

        def on_end(self, event: Any) -> None:
            """Nothing to say: the next kernel follows."""

    from netwatch.jit.fetching import register

    register(prefetch)
    typeof_impl.register(Helper)(lambda helper, _: numba.types.Dispatcher(helper.dispatcher))
    event.register("numba:compile", Listener())
    return numba


class Helper:
    """A function that kernels call. From Python it can be called too, which compiles it."""

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        functools.update_wrapper(self, function)
        self.function, self._options = function, options

    @cached_property
    def dispatcher(self) -> Any:
        """numba's form of it."""
        return _numba().njit(nogil=True, **self._options)(self.function)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.dispatcher(*arguments, **named)


class Kernel(Helper):
    """A function that Python calls, by machine code from the cache if that can be."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._loaded: dict[Key, Loaded | None] = {}

    @cached_property
    def dispatcher(self) -> Any:
        numba, folder = _numba(), cache_folder(self.function.__module__)
        numba.config.CACHE_DIR = str(folder or "")  # read by the next line, once for each kernel
        return numba.njit(cache=folder is not None, nogil=True)(self.function)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        kinds: list[Any] = []
        slots: list[Any] = []
        if not named:
            try:
                take_apart(arguments, kinds, slots)
                key = tuple(kinds)
                try:
                    loaded = self._loaded[key]
                except KeyError:
                    loaded = self._load(key, arguments)
                if loaded is not None:
                    return loaded.call(slots)
            except (UnknownShapeError, struct.error):  # only numba knows how to pass it, or with another type that the value tells
                pass
        return self.dispatcher(*arguments, **named)

    def _load(self, key: Key, arguments: tuple[Any, ...]) -> "Loaded | None":
        with _compiling:
            if key not in self._loaded:
                self._loaded[key] = self._found(key, arguments)
            return self._loaded[key]

    def _found(self, key: Key, arguments: tuple[Any, ...]) -> "Loaded | None":
        """The entry from the cache, or compiled and put there; ``None`` if numba has to run the kernel."""
        if len(arguments) != self.function.__code__.co_argcount or _goes_numbas_way():
            return None
        folder = cache_folder(self.function.__module__)
        if folder is None or self.function.__closure__ or self.function.__qualname__ != self.function.__name__:
            return None
        try:
            from netwatch.jit.machine import Loaded, machine
            from netwatch.jit.stored import read_entry

            entry_name = _entry_name(machine(), self.function, key)
            path = Path(folder) / f"{self.function.__name__}-{entry_name[-16:]}.kernel"
            entry = read_entry(path) or self._compiled(entry_name, path, arguments)
            return None if entry is None else Loaded(entry, packing(key))
        except Exception:  # noqa: BLE001  # whatever is odd here, numba can run the kernel, or say better why not
            return None

    def _compiled(self, name: str, path: Path, arguments: tuple[Any, ...]) -> Any:
        _numba()
        _tell()
        from netwatch.jit.compiling import compile_entry
        from netwatch.jit.stored import write_entry

        entry = compile_entry(self.function, arguments, name)
        write_entry(path, entry)
        return entry


def _goes_numbas_way() -> bool:
    """Code with checks of bounds, or without optimisation, is not that of the cache."""
    return any(name.startswith("NUMBA_") for name in os.environ)


def _entry_name(machine: str, function: Callable[..., Any], key: Key) -> str:
    code = function.__code__
    parts = (machine, function.__module__, function.__name__, str(code.co_firstlineno), described(key))
    return f"kernel_{hashlib.blake2b(chr(0).join(parts).encode(), digest_size=16).hexdigest()}"


def njit(kernel: Function) -> Function:
    """Compile a kernel that releases the interpreter lock, cached on disk where a folder can be written."""
    return cast(Function, Kernel(kernel))


def inlined(helper: Function) -> Function:
    """Compile a helper that is always inlined into its callers, so that it costs no call on the hot path. It must not allocate.

    Without numba's runtime (``_nrt``) the arrays that pass through are not reference-counted at each helper, which is what a kernel of many
    helpers otherwise spends most of its time on.
    """
    return cast(Function, Helper(helper, inline="never", forceinline=True, no_cfunc_wrapper=True, _nrt=False))


def called(helper: Function) -> Function:
    """Compile a helper that kernels call: what is rare and large need not be copied to every place. It must not allocate either."""
    return cast(Function, Helper(helper, inline="never", no_cfunc_wrapper=True, _nrt=False))


if TYPE_CHECKING:

    def wide(value: Any) -> int:
        """Widen a number of a row to 64 bits with sign: in compiled code an unsigned one and a signed one add up to a float."""

else:
    wide = np.int64


def prefetch(rows: Any, row: Any, octet: int) -> None:
    """Ask the processor to fetch the cache line of ``rows[row]`` that holds this byte of the row; nothing is waited for, nothing can fail.

    The row need not exist. Outside of compiled code nothing happens.
    """


def tell_of_compiling(tell: Callable[[], None]) -> None:
    """Call ``tell`` once, if a kernel has to be compiled because no cache holds it: the first run takes much longer than the others."""
    _tellers.append(tell)


def _tell() -> None:
    while _tellers:
        _tellers.pop()()
