"""Rows that are moved as bytes are the same rows."""

import numpy as np
import pytest

from netwatch.model.entry import ENTRY
from netwatch.model.flow import FLOW
from netwatch.model.packet import PACKET
from netwatch.model.rows import as_bytes, chosen, copied, joined
from netwatch.track.session_entry import ENTRY as SESSION


def drawn(dtype: np.dtype[np.void], count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, count * dtype.itemsize, np.uint8).view(dtype)


EVERY_TYPE = pytest.mark.parametrize("dtype", [PACKET, FLOW, ENTRY, SESSION], ids=["packet", "flow", "entry", "session"])


@EVERY_TYPE
def test_copies_and_joins_are_those_of_numpy(dtype: np.dtype[np.void]) -> None:
    rows = drawn(dtype, 50)
    parts = [rows[:7], rows[7:7], rows[10:40:3]]
    assert copied(rows[3:20]).tobytes() == rows[3:20].tobytes()
    assert joined(parts).tobytes() == np.concatenate(parts).tobytes()
    assert joined(parts).dtype == dtype
    places = np.array([41, 3, 3])
    assert chosen(rows, places).tobytes() == rows[places].tobytes()


@EVERY_TYPE
def test_a_copy_is_one_and_bytes_are_none(dtype: np.dtype[np.void]) -> None:
    rows = drawn(dtype, 4)
    before = rows.tobytes()
    copied(rows).view(np.uint8)[:] = 0
    assert rows.tobytes() == before
    as_bytes(rows)[:2] = as_bytes(rows)[2:]
    assert rows.tobytes() == before[len(before) // 2 :] * 2
