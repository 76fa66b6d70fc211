"""Packets of several live interfaces in one order of time, although their blocks come late."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.decode import reorder
from netwatch.decode.reorder import Reordering
from netwatch.model.packet import PacketBlock
from tests.builders import as_block, icmp_error, udp

HOSTS = ("10.0.0.1", "10.0.0.2")
SECOND_NS = 1_000_000_000


def block_of(times_s: list[int], *, first: int = 0) -> PacketBlock:
    """Packets whose source port is their number; every other one is an ICMP error about a packet to that port."""
    built = []
    for number, at_s in enumerate(times_s, start=first):
        about = udp(0.0, HOSTS[1], 53, HOSTS[0], number)
        built.append(udp(at_s, HOSTS[0], number, HOSTS[1], 53) if number % 2 else icmp_error(at_s, *HOSTS, about, sport=number))
    return as_block(built)


def numbers(block: PacketBlock) -> list[int]:
    """The packets by number, each error checked to quote the packet that it was about."""
    found = block.packets["sport"].tolist()
    errors = block.packets["quoted"] >= 0
    assert errors.tolist() == [number % 2 == 0 for number in found]
    assert block.quoted["dport"][block.packets["quoted"][errors]].tolist() == [number for number in found if number % 2 == 0]
    assert len(block.quoted) == np.count_nonzero(errors), "only what is referred to is kept"
    return [int(number) for number in found]


def test_an_answer_whose_block_comes_first_is_tracked_behind_its_question() -> None:
    order = Reordering()
    order.add(block_of([11, 13], first=10))
    order.add(block_of([10, 12, 14], first=20))
    assert numbers(order.take(12 * SECOND_NS)) == [20, 10, 21]
    assert numbers(order.take(20 * SECOND_NS)) == [11, 22]
    assert numbers(order.take(20 * SECOND_NS)) == []


def test_equal_times_stay_in_the_order_in_which_they_came() -> None:
    order = Reordering()
    order.add(block_of([5, 5, 5]))
    order.add(block_of([5], first=3))
    assert numbers(order.take(5 * SECOND_NS)) == [0, 1, 2, 3]


def test_what_comes_too_late_is_handed_on_at_once() -> None:
    order = Reordering()
    order.add(block_of([5]))
    order.take(6 * SECOND_NS)
    order.add(block_of([2], first=1))
    assert numbers(order.take(6 * SECOND_NS)) == [1]


def test_a_clock_that_is_set_back_makes_nothing_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reorder, "MOST_HELD", 3)
    order = Reordering()
    order.add(block_of([100, 101, 102]))
    assert numbers(order.take(50 * SECOND_NS)) == []
    order.add(block_of([51], first=3))
    assert numbers(order.take(52 * SECOND_NS)) == [3, 0, 1, 2]


@given(st.lists(st.tuples(st.lists(st.integers(0, 30), max_size=6), st.integers(0, 30)), max_size=12))
def test_each_packet_comes_out_once_and_each_round_is_in_order(rounds: list[tuple[list[int], int]]) -> None:
    order, taken, number = Reordering(), list[int](), 0
    for times_s, until_s in rounds:
        order.add(block_of(times_s, first=number))
        number += len(times_s)
        block = order.take(until_s * SECOND_NS)
        assert (np.diff(block.packets["ts_ns"]) >= 0).all()
        assert (block.packets["ts_ns"] <= until_s * SECOND_NS).all()
        taken += numbers(block)
    taken += numbers(order.take(31 * SECOND_NS))
    assert sorted(taken) == list(range(number))
