"""Merging of decoded streams by time, against a plain merge of single packets."""

import heapq
from collections.abc import Iterator, Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.decode.merge import merge_by_time
from netwatch.model.packet import PacketBlock
from tests.builders import Built, as_block, icmp_error, udp

HOSTS = ("10.0.0.1", "10.0.0.2")


def stream_of(number: int, blocks: Sequence[Sequence[int]]) -> list[PacketBlock]:
    """Blocks whose packets carry the number of their stream as source port and their place in it as destination port."""
    place, made = 0, []
    for times in blocks:
        built: list[Built] = []
        for time in times:
            about = udp(0.0, HOSTS[1], place + 1, HOSTS[0], number + 1)
            if place % 3 == 0:
                built.append(icmp_error(time, *HOSTS, about, sport=number + 1, dport=place + 1))
            else:
                built.append(udp(time, HOSTS[0], number + 1, HOSTS[1], place + 1))
            place += 1
        made.append(as_block(built))
    return made


def merge_slowly(streams: Sequence[Sequence[Sequence[int]]]) -> list[tuple[int, int]]:
    """(stream, place) of each packet, by the latest time its stream has shown, streams in their order at equal times."""
    keyed: list[list[tuple[int, int, int]]] = []
    for number, blocks in enumerate(streams):
        latest, entries = -(10**9), []
        for place, time in enumerate(time for block in blocks for time in block):
            latest = max(latest, time)
            entries.append((latest, number, place))
        keyed.append(entries)
    return [(number + 1, place + 1) for _, number, place in heapq.merge(*keyed)]


def labels(blocks: Iterator[PacketBlock]) -> list[tuple[int, int]]:
    return [(int(row["sport"]), int(row["dport"])) for block in blocks for row in block.packets]


@settings(deadline=None)
@given(st.lists(st.lists(st.lists(st.integers(0, 12), max_size=6), max_size=4), max_size=4))
def test_packets_come_in_order_of_time_and_each_stream_keeps_its_own_order(streams: list[list[list[int]]]) -> None:
    merged = merge_by_time([iter(stream_of(number, blocks)) for number, blocks in enumerate(streams)])
    assert labels(merged) == merge_slowly(streams)


@settings(deadline=None)
@given(st.lists(st.lists(st.lists(st.integers(0, 12), max_size=6), max_size=4), min_size=2, max_size=5), st.sets(st.integers(0, 4)))
def test_when_a_stream_begins_changes_nothing_but_when_it_is_asked(streams: list[list[list[int]]], unknown: set[int]) -> None:
    firsts = [next((time for block in blocks for time in block), None) for blocks in streams]
    begins_ns = [None if time is None or number in unknown else time * 10**9 for number, time in enumerate(firsts)]
    merged = merge_by_time([iter(stream_of(number, blocks)) for number, blocks in enumerate(streams)], begins_ns=begins_ns)
    assert labels(merged) == merge_slowly(streams)


@settings(deadline=None)
@given(st.lists(st.lists(st.lists(st.integers(0, 12), max_size=6), max_size=4), min_size=2, max_size=3))
def test_each_icmp_error_keeps_the_header_that_it_quotes(streams: list[list[list[int]]]) -> None:
    for block in merge_by_time([iter(stream_of(number, blocks)) for number, blocks in enumerate(streams)]):
        errors = block.packets[block.packets["quoted"] >= 0]
        quotes = block.quoted[errors["quoted"]]
        assert np.array_equal(quotes["sport"], errors["dport"])
        assert np.array_equal(quotes["dport"], errors["sport"])


def test_a_stream_that_is_later_as_a_whole_is_not_read_on_before_its_turn() -> None:
    asked: list[int] = []

    def late() -> Iterator[PacketBlock]:
        for number, block in enumerate(stream_of(1, [[100], [101], [102]])):
            asked.append(number)
            yield block

    merged = merge_by_time([iter(stream_of(0, [[1, 2], [3, 4], [5]])), late()])
    assert labels(iter([next(merged), next(merged), next(merged)])) == [(1, place) for place in range(1, 6)]
    assert asked == [0], "one block of a waiting stream is held, not more"


def test_a_packet_that_runs_back_in_time_stays_behind_the_one_before_it() -> None:
    merged = merge_by_time([iter(stream_of(0, [[10, 4, 11]])), iter(stream_of(1, [[5, 10]]))])
    assert labels(merged) == [(2, 1), (1, 1), (1, 2), (2, 2), (1, 3)]


def test_one_stream_passes_through_untouched() -> None:
    blocks = stream_of(0, [[3, 1], [2]])
    assert list(merge_by_time([iter(blocks)])) == blocks
