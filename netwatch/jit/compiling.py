"""From a kernel and the arguments of a call to object code that runs without numba.

numba compiles the kernel as always. Beside it we lay an entry in the same LLVM module: a C function that reads each argument from its slot,
an array from the array object itself, calls the kernel by numba's own calling convention, and lays out what it returns. numba's memory for
arrays that a kernel makes (``NRT``) is replaced by ``malloc`` and ``free``, the part of it that kernels use.

What an entry cannot do (return a string, call the interpreter, keep an address of this process) is refused, and numba runs the kernel.
"""

import ctypes
import sys
from collections.abc import Callable, Iterator
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import _FunctionCompiler  # type: ignore[attr-defined]  # numba has no types
from numba.core.runtime.nrtdynmod import _meminfo_struct_type
from numba.np.arrayobj import make_array, populate_array

from netwatch.jit.machine import C_FUNCTIONS
from netwatch.jit.shape import REAL, SIGNED, TRUTH, UNSIGNED
from netwatch.jit.stored import Entry, Value, undefined_symbols

WORD, INT, BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
POINTER = BYTE.as_pointer()

# PyArrayObject_fields: after the head of every object, the data, the number of dimensions (padded to a word), their sizes, their strides.
HEAD_BYTES = object.__basicsize__
DATA, SHAPE, STRIDES = HEAD_BYTES, HEAD_BYTES + 16, HEAD_BYTES + 24

RECORD_BYTES = 64  # numba's record of a block of memory, of at most six words


class NotPortableError(Exception):
    """The kernel needs something that only a process with numba has."""


class _KernelCompiler(_FunctionCompiler):  # type: ignore[misc]  # numba has no types
    """Stops before machine code is made, so that the entry can be laid beside the kernel; as numba does for C callbacks."""

    def _customize_flags(self, flags: Any) -> Any:
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        return flags


def compile_entry(kernel: Callable[..., Any], arguments: tuple[Any, ...], name: str) -> Entry:
    """Compile ``kernel`` for such arguments, as a C function ``name``.

    Raises:
        NotPortableError: see there.
        numba.core.errors.NumbaError: numba cannot compile it.
    """
    _check_layout()
    dispatcher = numba.njit(nogil=True)(kernel)
    usual = dispatcher._compiler
    compiler = _KernelCompiler(kernel, usual.targetdescr, usual.targetoptions, usual.locals, usual.pipeline_class)
    with global_compiler_lock:
        compiled = compiler.compile(tuple(map(numba.typeof, arguments)), None)
        library, context = compiled.library, compiled.target_context
        module = library.create_ir_module(f"{name}.entry")
        returns, returns_tuple = _lay_entry(module, context, compiled, name)
        _lay_memory(module, name)
        library.add_ir_module(module)
        library.finalize()
        if library.has_dynamic_globals or library._reload_init:
            raise NotPortableError("it holds addresses of this process")
        code = _object_code(library, name)
    needs = undefined_symbols(code)
    if foreign := set(needs) - C_FUNCTIONS:
        raise NotPortableError(f"it calls {', '.join(sorted(foreign))}")
    return Entry(name, needs, returns, returns_tuple, code)


def _check_layout() -> None:
    if sys.byteorder != "little" or ctypes.sizeof(ctypes.c_void_p) != WORD.width // 8:
        raise NotPortableError("only objects of 64 bits, little-endian, are read")
    probe = np.zeros((3, 5), np.uint16)
    data, shape = (ctypes.c_ssize_t.from_address(id(probe) + offset).value for offset in (DATA, SHAPE))
    strides = ctypes.c_ssize_t.from_address(id(probe) + STRIDES).value
    read = tuple(tuple((ctypes.c_ssize_t * 2).from_address(address)) for address in (shape, strides))
    if (data, *read) != (probe.ctypes.data, probe.shape, probe.strides):
        raise NotPortableError("numpy's arrays are laid out in another way here")


def _object_code(library: Any, name: str) -> bytes:
    """The object code of a finished library in which only the entry can be seen from outside: no name can meet that of another kernel."""
    module = library._final_module.clone()
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name not in (name, f"{name}_forget"):
            value.linkage = "internal"
    passes = llvm.create_new_module_pass_manager()
    passes.add_global_dead_code_eliminate_pass()
    machine = library.codegen._tm
    passes.run(module, llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options()))
    code: bytes = machine.emit_object(module)
    return code


def _lay_entry(module: Any, context: Any, compiled: Any, name: str) -> tuple[tuple[Value, ...], bool]:
    """``int name(const void *slots, void *out)``; returns how to read ``out``."""
    function = ir.Function(module, ir.FunctionType(INT, [POINTER, POINTER]), name)
    builder = ir.IRBuilder(function.append_basic_block())
    slots_at, out_at = (builder.bitcast(argument, WORD.as_pointer()) for argument in function.args)
    description, signature = compiled.fndesc, compiled.signature

    def slots() -> Iterator[Any]:
        number = 0
        while True:
            yield builder.load(builder.gep(slots_at, [WORD(number)]))
            number += 1

    slot = slots()
    arguments = [_argument(context, builder, wanted, slot) for wanted in signature.args]
    kernel = ir.Function(module, context.call_conv.get_function_type(description.restype, description.argtypes), description.llvm_func_name)
    status, result = context.call_conv.call_function(builder, kernel, signature.return_type, signature.args, arguments, attrs=("noinline",))
    builder.store(builder.ptrtoint(status.excinfoptr, WORD), out_at)
    with builder.if_then(status.is_error):
        builder.ret(status.code)
    values = _result(context, builder, signature.return_type, result)
    for number, word in enumerate((word for _, words in values for word in words), 1):
        builder.store(word, builder.gep(out_at, [WORD(number)]))
    builder.ret(status.code)
    return tuple(value for value, _ in values), isinstance(signature.return_type, types.BaseTuple)


def _argument(context: Any, builder: Any, wanted: Any, slot: Iterator[Any]) -> Any:
    """The value that numba's code expects for a type, from the next slots."""
    match wanted:
        case types.BaseTuple():
            return context.make_tuple(builder, wanted, [_argument(context, builder, part, slot) for part in wanted])
        case types.Array():
            return _array(context, builder, wanted, next(slot))
        case types.Boolean():
            return builder.trunc(next(slot), ir.IntType(1))
        case types.Integer():
            return _cut(builder, next(slot), wanted.bitwidth)
        case types.Float():
            real = builder.bitcast(next(slot), ir.DoubleType())
            return builder.fptrunc(real, ir.FloatType()) if wanted.bitwidth == 32 else real
        case _:
            raise NotPortableError(f"an argument is {wanted}")


def _cut(builder: Any, word: Any, bits: int) -> Any:
    return word if bits == WORD.width else builder.trunc(word, ir.IntType(bits))


def _array(context: Any, builder: Any, wanted: Any, address: Any) -> Any:
    def words(offset: int) -> Any:
        return builder.inttoptr(builder.add(address, WORD(offset)), WORD.as_pointer())

    def sizes(offset: int) -> list[Any]:
        first = builder.inttoptr(builder.load(words(offset)), WORD.as_pointer())
        return [builder.load(builder.gep(first, [WORD(axis)])) for axis in range(wanted.ndim)]

    array = make_array(wanted)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(builder.load(words(DATA)), array.data.type),
        shape=sizes(SHAPE),
        strides=sizes(STRIDES),
        itemsize=context.get_abi_sizeof(context.get_data_type(wanted.dtype)),
        meminfo=None,  # the caller keeps it alive
    )
    return array._getvalue()


def _result(context: Any, builder: Any, kind: Any, result: Any) -> list[tuple[Value, list[Any]]]:
    """How each returned value is read, and its words."""
    match kind:
        case types.NoneType():
            return []
        case types.BaseTuple() if not isinstance(kind, types.BaseNamedTuple):
            parts = [_result(context, builder, part, builder.extract_value(result, number)) for number, part in enumerate(kind)]
            if any(len(part) != 1 for part in parts) or any(isinstance(part, types.BaseTuple) for part in kind):
                raise NotPortableError(f"it returns {kind}")
            return [part[0] for part in parts]
        case types.Boolean():
            return [(Value(TRUTH), [builder.zext(result, WORD)])]
        case types.Integer():
            widened = result if result.type == WORD else (builder.sext if kind.signed else builder.zext)(result, WORD)
            return [(Value(SIGNED if kind.signed else UNSIGNED), [widened])]
        case types.Float():
            real = builder.fpext(result, ir.DoubleType()) if kind.bitwidth == 32 else result
            return [(Value(REAL), [builder.bitcast(real, WORD)])]
        case types.Array(layout="C") if isinstance(kind.dtype, types.Number):
            array = make_array(kind)(context, builder, result)
            sizes = cgutils.unpack_tuple(builder, array.shape, kind.ndim)
            words = [builder.ptrtoint(part, WORD) for part in (array.meminfo, array.data)] + list(sizes)
            return [(Value(UNSIGNED, numba.np.numpy_support.as_dtype(kind.dtype).str, kind.ndim), words)]
        case _:
            raise NotPortableError(f"it returns {kind}")


def _lay_memory(module: Any, name: str) -> None:
    """What kernels need of numba's memory: blocks that begin with numba's record of them, and are freed when nobody holds them.

    The record (``MemInfo``: holders, two words for destructors, data, size) is numba's; its code increments and decrements the holders.
    """
    allocated = ir.FunctionType(POINTER, [WORD, INT])
    malloc = ir.Function(module, ir.FunctionType(POINTER, [WORD]), "malloc")
    free = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), "free")
    for symbol in ("NRT_MemInfo_alloc_aligned", "NRT_MemInfo_alloc_safe_aligned"):
        function = ir.Function(module, allocated, symbol)
        size, alignment = function.args
        builder = ir.IRBuilder(function.append_basic_block())
        alignment = builder.zext(alignment, WORD)
        before_data = builder.add(WORD(RECORD_BYTES), alignment)
        block = builder.call(malloc, [builder.add(size, before_data)])
        with builder.if_then(builder.icmp_unsigned("==", block, POINTER(None))):
            builder.ret(POINTER(None))
        data = builder.and_(builder.add(builder.ptrtoint(block, WORD), before_data), builder.neg(alignment))
        record = builder.bitcast(block, _meminfo_struct_type.as_pointer())
        for field, value in enumerate((WORD(1), POINTER(None), POINTER(None), builder.inttoptr(data, POINTER), size)):
            builder.store(value, builder.gep(record, [INT(0), INT(field)]))
        builder.ret(block)
    let_go = ir.FunctionType(ir.VoidType(), [POINTER])
    for symbol, callee in (("NRT_MemInfo_call_dtor", free), (f"{name}_forget", ir.Function(module, let_go, "NRT_decref"))):
        function = ir.Function(module, let_go, symbol)
        builder = ir.IRBuilder(function.append_basic_block())
        builder.call(callee, function.args)
        builder.ret_void()
