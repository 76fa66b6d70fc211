import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from netwatch.behind import DEPTH, Behind


def test_work_is_done_in_order_and_all_of_it_before_the_end() -> None:
    done: list[int] = []
    with Behind() as behind:
        for number in range(10 * DEPTH):
            behind.do(partial(time.sleep, 0.001))
            behind.do(partial(done.append, number))
    assert done == list(range(10 * DEPTH))


def test_work_is_done_in_another_thread() -> None:
    threads: list[int] = []
    with Behind() as behind:
        behind.do(lambda: threads.append(threading.get_ident()))
    assert threads != [threading.get_ident()]


def fill(done: list[int], first: Callable[[], object]) -> None:
    with Behind() as behind:
        behind.do(first)
        for number in range(10 * DEPTH):
            behind.do(partial(done.append, number))


def test_what_fails_is_raised_and_nothing_is_done_after_it() -> None:
    done: list[int] = []
    with pytest.raises(ZeroDivisionError):
        fill(done, lambda: 1 // 0)
    assert not done


def test_an_error_in_front_ends_the_work_behind() -> None:
    behind = Behind()
    with pytest.raises(KeyError), behind:
        raise KeyError
    assert not behind._thread.is_alive()
