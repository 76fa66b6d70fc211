"""What a window says of its sources, against counters and sets in plain Python; and that it stays bounded whatever comes."""

import math
from collections import Counter
from ipaddress import ip_network

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from netwatch.measure.counters import COLUMNS, Column, walk
from netwatch.measure.prefixes import MOST_PREFIXES, TOP
from netwatch.measure.sources import Sources, SourceSummary
from netwatch.model.packet import Rows
from tests.measure.rows import Seen, answer, handshake, query, rows, syn, syn_rows

SERVICES = 4
SEED = np.uint64(11)
Flags = NDArray[np.bool_]
CALM: Flags = np.ones(SERVICES + 1, np.bool_)


class Watch:
    """Sources with the walk that feeds them, window by window."""

    def __init__(self) -> None:
        self.sources = Sources(SERVICES + 1)
        self.counts = np.zeros((SERVICES + 1, COLUMNS), np.int64)
        self.now_s = 0.0

    def add(self, packets: Rows, tracked: Rows) -> None:
        walk(packets, tracked, self.counts, self.sources.arrays, self.sources.stamp, SEED)

    def close(self, *, duration_s: float = 1.0, learning: Flags = CALM) -> dict[int, SourceSummary]:
        self.now_s += duration_s
        attempts = self.counts[:, Column.NEW_ATTEMPTS].copy()
        self.counts[:] = 0
        return self.sources.close(attempts, now_s=self.now_s, duration_s=duration_s, learning=learning)

    def window(self, *seen: Seen, learning: Flags = CALM) -> dict[int, SourceSummary]:
        self.add(*rows(*seen))
        return self.close(learning=learning)


def at_service(seen: Seen, service: int) -> Seen:
    seen.fields |= {"service": service, "toward_service": 1}
    return seen


def entropy(counts: list[int]) -> float:
    total = sum(counts)
    return -sum(count / total * math.log(count / total) for count in counts) / math.log(total) if total > 1 else 0.0


ADDRESSES = st.one_of(
    st.builds("10.{}.{}.{}".format, st.integers(0, 1), st.integers(0, 3), st.integers(0, 255)),
    st.builds("2001:db8:{:x}:{:x}::{:x}".format, st.integers(0, 3), st.integers(0, 3), st.integers(0, 255)),
)
ATTEMPTS = st.lists(st.tuples(st.integers(0, SERVICES), ADDRESSES), max_size=80)


@settings(max_examples=40, deadline=None)
@given(st.lists(ATTEMPTS, min_size=1, max_size=3))
def test_agrees_with_counters_and_sets_window_after_window(windows: list[list[tuple[int, str]]]) -> None:
    watch = Watch()
    for attempts in windows:
        found = watch.window(*[at_service(syn(0, source, 1000), service) for service, source in attempts])
        assert set(found) == {service for service, _ in attempts}
        for service, summary in found.items():
            mine = [source for asked, source in attempts if asked == service]
            prefixes = Counter(str(ip_network(f"{source}/{48 if ':' in source else 24}", strict=False)) for source in mine)
            assert summary.entropy == pytest.approx(entropy(list(prefixes.values())))
            assert summary.distinct == pytest.approx(len(set(mine)), abs=2)
            assert [share.count for share in summary.top_prefixes] == sorted(prefixes.values(), reverse=True)[:TOP]
            assert all(prefixes[share.prefix] == share.count for share in summary.top_prefixes)
            assert all(share.share == pytest.approx(share.count / len(mine)) for share in summary.top_prefixes)


def test_one_prefix_has_no_entropy_and_a_spoofed_crowd_all_of_it() -> None:
    watch = Watch()
    watch.add(*syn_rows(np.full(1000, 0x0A000001, np.uint64), service=1))
    watch.add(*syn_rows(np.random.default_rng(1).integers(1 << 24, 224 << 24, 20_000).astype(np.uint64), service=2))
    found = watch.close()
    assert found[1].entropy == 0.0
    assert found[2].entropy > 0.99
    assert found[2].distinct == pytest.approx(20_000, rel=0.07)


@pytest.mark.slow
def test_ten_million_sources_need_no_more_memory_than_none_and_the_rest_still_counts() -> None:
    watch = Watch()
    held = sum(array.nbytes for array in watch.sources.arrays)
    random = np.random.default_rng(2)
    heavy = np.full(50_000, 0xC6336401, np.uint64)
    watch.add(*syn_rows(heavy, service=1))
    distinct = 0
    for _ in range(20):
        sources = np.arange(distinct, distinct + 500_000, dtype=np.uint64) * np.uint64(2654435761) % np.uint64(1 << 32)
        distinct += 500_000
        watch.add(*syn_rows(random.permutation(sources), service=1))
    rest = watch.sources.rest
    found = watch.close()[1]
    assert found.distinct == pytest.approx(10_000_000, rel=0.07)
    assert 0 < rest < 10_050_000
    assert found.top_prefixes[0].prefix == "198.51.100.0/24"
    assert found.top_prefixes[0].count >= 50_000
    assert found.entropy > 0.8
    assert sum(array.nbytes for array in watch.sources.arrays) == held
    assert watch.window(at_service(syn(0, "10.0.0.1", 1), 1))[1].distinct == 1


def test_the_table_of_prefixes_takes_as_many_as_it_says_and_counts_the_others_as_the_rest() -> None:
    watch = Watch()
    every_prefix = np.arange(MOST_PREFIXES + 100, dtype=np.uint64) << np.uint64(8)
    watch.add(*syn_rows(every_prefix, service=3))
    assert watch.sources.rest == 100
    watch.add(*syn_rows(every_prefix[:500], service=3))
    assert watch.sources.rest == 100
    assert watch.close()[3].top_prefixes[0].count == 2
    assert watch.sources.rest == 0


def test_a_source_is_known_from_the_window_after_its_first_completed_handshake() -> None:
    watch = Watch()
    first = watch.window(*[at_service(step, 1) for step in handshake(0, "10.0.0.1", 1000)[::2]])
    assert first[1].known_share == 0.0
    second = watch.window(at_service(syn(1, "10.0.0.1", 1001), 1), at_service(syn(1, "10.0.0.2", 1001), 1))
    assert second[1].known_share == pytest.approx(0.5, abs=0.01)


def test_who_only_sends_syns_never_becomes_known() -> None:
    watch = Watch()
    for second in range(5):
        found = watch.window(*[at_service(syn(second, f"10.0.0.{client}", 1000), 1) for client in range(50)])
        assert found[1].known_share == 0.0


def test_who_is_known_to_one_service_is_not_known_to_another() -> None:
    watch = Watch()
    watch.window(*[at_service(step, 1) for step in handshake(0, "10.0.0.1", 1000)[::2]])
    assert watch.window(at_service(syn(1, "10.0.0.1", 1001), 2))[2].known_share == 0.0


def test_a_udp_client_is_known_once_it_was_answered() -> None:
    watch = Watch()
    reply = answer(0, "10.0.0.1", 4000)
    reply.fields |= {"service": 1, "toward_service": 0}
    watch.window(at_service(query(0, "10.0.0.1", 4000), 1), reply, at_service(query(0, "10.0.0.2", 4000), 1))
    found = watch.window(*[at_service(query(1, f"10.0.0.{client}", 4001), 1) for client in (1, 2)])
    assert found[1].known_share == pytest.approx(0.5, abs=0.01)


def opened(watch: Watch, *, big: int, small: int, learning: Flags = CALM) -> dict[str, float]:
    """What the window says two prefixes usually open, after so many attempts of each."""
    watch.add(*syn_rows(np.repeat(np.array([0xC6336407, 0xCB007107], np.uint64), [big, small]), service=1))
    return {share.prefix: share.normal_per_s for share in watch.close(learning=learning)[1].top_prefixes}


def test_says_what_a_prefix_usually_opens() -> None:
    watch = Watch()
    assert opened(watch, big=20, small=2) == {"198.51.100.0/24": 0.0, "203.0.113.0/24": 0.0}
    for _ in range(60):
        opened(watch, big=20, small=2)
    assert opened(watch, big=500, small=2) == {"198.51.100.0/24": pytest.approx(20, rel=0.02), "203.0.113.0/24": pytest.approx(2, rel=0.02)}


def test_what_is_usual_is_neither_taught_nor_forgotten_while_the_service_is_alarmed() -> None:
    watch = Watch()
    for _ in range(60):
        opened(watch, big=20, small=2)
    alarmed = CALM.copy()
    alarmed[1] = False
    for _ in range(400):
        last = opened(watch, big=90, small=1, learning=alarmed)
    assert last == {"198.51.100.0/24": pytest.approx(20, rel=0.02), "203.0.113.0/24": pytest.approx(2, rel=0.02)}


def test_a_scan_of_many_prefixes_does_not_push_out_the_usual_big_ones() -> None:
    watch = Watch()
    for _ in range(30):
        opened(watch, big=40, small=2)
    random = np.random.default_rng(5)
    for _ in range(30):
        watch.add(*syn_rows(random.integers(1 << 24, 224 << 24, 5000).astype(np.uint64), service=2))
        watch.add(*syn_rows(random.integers(1 << 24, 224 << 24, 200).astype(np.uint64), service=3))
        opened(watch, big=40, small=2)
    assert opened(watch, big=40, small=2)["198.51.100.0/24"] == pytest.approx(40, rel=0.02)


def test_the_same_packets_give_the_same_summaries() -> None:
    random = np.random.default_rng(6)
    sources = random.integers(1 << 24, 224 << 24, 30_000).astype(np.uint64)
    summaries = []
    for _ in range(2):
        watch = Watch()
        watch.add(*syn_rows(sources, service=1))
        summaries.append(watch.close())
    assert summaries[0] == summaries[1]
