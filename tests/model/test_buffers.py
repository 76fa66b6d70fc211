import numpy as np

from netwatch.model.buffers import MOST_KEPT, Buffers
from netwatch.model.packet import PACKET


def test_memory_is_used_again_once_nobody_holds_it() -> None:
    buffers = Buffers()
    place = buffers.rows(100, PACKET).ctypes.data
    assert buffers.rows(101, PACKET).ctypes.data == place


def test_what_any_view_still_shows_is_left_alone() -> None:
    buffers = Buffers()
    sources = buffers.rows(100, PACKET)[20:30]["src_lo"]
    sources[:] = 7
    for _ in range(3 * MOST_KEPT):
        buffers.rows(100, PACKET)["src_lo"] = 9
    assert (sources == 7).all()


def test_who_keeps_blocks_makes_them_his() -> None:
    buffers = Buffers()
    kept = [buffers.rows(10, PACKET) for _ in range(5 * MOST_KEPT)]
    assert len({rows.ctypes.data for rows in kept}) == len(kept)


def test_few_rows_do_not_hold_the_memory_of_many() -> None:
    buffers = Buffers()
    buffers.octets(1 << 20)
    few = buffers.octets(1000)
    assert isinstance(few.base, np.ndarray)
    assert few.base.nbytes < 2000
