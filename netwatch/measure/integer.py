"""Whole numbers inside kernels."""

from typing import Any

import numpy as np

from netwatch.jit import inlined


@inlined
def signed(value: Any) -> int:
    """A field as a number to reckon with: numba makes a float of a signed and an unsigned 64-bit integer."""
    return np.int64(value)  # type: ignore[return-value]  # inside a kernel this is what int means
