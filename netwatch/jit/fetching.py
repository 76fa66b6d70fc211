"""``prefetch`` as numba sees it: LLVM's instruction of that name, which a processor may ignore and which can fail in no way.

A read whose value nobody needs yet still holds up all that comes behind it, once the processor has run as far ahead of it as it can
remember. A prefetch does not: it is over as soon as it is asked.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.typing.templates import infer, infer_global, make_intrinsic_template
from numba.np.arrayobj import make_array

BYTE = ir.IntType(8).as_pointer()
READ, EVERY_CACHE, DATA = (ir.Constant(ir.IntType(32), number) for number in (0, 3, 1))  # of LLVM's prefetch: rw, locality, cache type


def register(prefetch: Callable[..., None]) -> None:
    """Let kernels compile ``prefetch(rows, row, octet)`` to one instruction."""

    def define(_: Any, rows: Any, row: Any, octet: Any) -> tuple[Any, Any]:
        return types.void(rows, row, octet), generate

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        of, row_type, octet_type = signature.args
        rows, row, octet = arguments
        data = make_array(of)(context, builder, rows).data
        word = context.get_value_type(types.intp)
        row, octet = context.cast(builder, row, row_type, types.intp), context.cast(builder, octet, octet_type, types.intp)
        size = context.get_abi_sizeof(context.get_data_type(of.dtype))
        address = builder.add(builder.ptrtoint(data, word), builder.add(builder.mul(row, ir.Constant(word, size)), octet))
        asked = ir.FunctionType(ir.VoidType(), [BYTE, READ.type, READ.type, READ.type])
        instruction = builder.module.declare_intrinsic("llvm.prefetch", [BYTE], asked)
        builder.call(instruction, [builder.inttoptr(address, BYTE), READ, EVERY_CACHE, DATA])
        return context.get_dummy_value()

    template = make_intrinsic_template(prefetch, define, prefetch.__name__)
    infer(template)
    infer_global(prefetch, types.Function(template))
