import threading
from collections.abc import Iterator

import pytest

from netwatch.collect.prefetch import DEPTH, Ahead


def test_items_come_in_order() -> None:
    with Ahead(iter(range(100))) as items:
        assert list(items) == list(range(100))


def test_the_error_of_the_source_reaches_the_consumer() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    with Ahead(source()) as items, pytest.raises(ValueError, match="broken"):
        list(items)


def test_the_source_is_never_far_ahead() -> None:
    fetched = []

    def source() -> Iterator[int]:
        for number in range(50):
            fetched.append(number)
            yield number

    with Ahead(source()) as items:
        for number in items:
            assert len(fetched) <= number + DEPTH + 3


def test_leaving_early_ends_the_thread() -> None:
    before = threading.active_count()
    with Ahead(iter(range(10**9))) as items:
        assert next(items) == 0
    assert threading.active_count() == before
