"""The flow table against its slow twin, over packets that hypothesis makes up."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.model.flow import FLOW
from netwatch.model.packet import Layer, Rows
from netwatch.model.tracked import TRACKED
from netwatch.track.flow_table import FlowTable
from tests.builders import Built, as_block, fragment, icmp_echo, tcp, udp
from tests.track.flow_twin import FlowTwin

HOSTS = ("10.0.0.1", "192.0.2.25", "2001:db8::1")
FLAGS = ("S", "SA", "A", "A", "A", "PA", "FA", "F", "R", "RA", "SF", "")
NEAR_THE_WRAP = 2**32 - 40

hosts = st.sampled_from(HOSTS)
ports = st.sampled_from((25, 40000))
sequences = st.integers(0, 80).map(lambda step: (NEAR_THE_WRAP + step) % 2**32)
payloads = st.sampled_from((0, 0, 1, 1, 5, 10, 20))
Maker = Callable[[float], Built]


@st.composite
def segments(draw: st.DrawFn) -> Maker:
    src, dst, sport, dport = draw(hosts), draw(hosts), draw(ports), draw(ports)
    flags, seq, payload = draw(st.sampled_from(FLAGS)), draw(sequences), draw(payloads)
    return lambda at_s: tcp(at_s, src, sport, dst, dport, flags, seq=seq, payload=payload)


@st.composite
def others(draw: st.DrawFn) -> Maker:
    src, dst, sport, dport, payload = draw(hosts), draw(hosts), draw(ports), draw(ports), draw(payloads)
    held = int(Layer.IPV4 | Layer.TRANSPORT | Layer.FRAGMENT | Layer.FIRST_FRAGMENT | Layer.HELD)
    makers: tuple[Maker, ...] = (
        lambda at_s: udp(at_s, src, sport, dst, dport, payload=payload),
        lambda at_s: icmp_echo(at_s, src, dst, identifier=sport),
        lambda at_s: fragment(at_s, src, dst, identification=7, offset=8, more=False, payload=payload),
        lambda at_s: tcp(at_s, src, sport, dst, dport, "A", payload=payload, layers=held),
        lambda at_s: tcp(at_s, src, sport, dst, dport, "A", layers=0),
    )
    return draw(st.sampled_from(makers))


@st.composite
def conversations(draw: st.DrawFn, gaps: st.SearchStrategy[float]) -> Rows:
    """Packets of few hosts and ports, with pauses as ``gaps`` has them."""
    at_s, built = 1_750_000_000.0, []
    for maker in draw(st.lists(st.one_of(segments(), segments(), segments(), others()), min_size=1, max_size=60)):
        at_s += draw(gaps)
        built.append(maker(at_s))
    return as_block(built).packets


def compare(packets: Rows, *, pieces: int, advance_s: float | None = None, **settings_of_both: float) -> None:
    """Track the same packets with both, in ``pieces`` calls; everything that can be seen from outside must be equal."""
    table = FlowTable(**settings_of_both)  # type: ignore[arg-type]
    twin = FlowTwin(**settings_of_both)  # type: ignore[arg-type]
    tracked = np.zeros(len(packets), TRACKED)
    tracked["flow_events"] = 0xFFFF
    cuts = [len(packets) * number // pieces for number in range(pieces + 1)]
    for begin, end in pairwise(cuts):
        table.track(packets[begin:end], tracked[begin:end])
    expected = twin.track(packets)
    if advance_s is not None:
        now_ns = int(packets["ts_ns"].max()) + round(advance_s * 1e9)
        table.advance(now_ns)
        twin.advance(now_ns)
    assert list(zip(tracked["flow_events"].tolist(), tracked["gap_bin"].tolist(), strict=True)) == expected
    assert (table.distinct, table.evicted, table.forgotten) == (twin.distinct, twin.evicted, twin.forgotten)
    ended, twin_ended = table.drain(), list(twin.records)
    assert in_order(ended) == in_order(np.concatenate(twin_ended) if twin_ended else np.zeros(0, FLOW))
    twin.records.clear()
    twin.finish()
    assert in_order(table.finish()) == in_order(np.concatenate(twin.records) if twin.records else np.zeros(0, FLOW))


def in_order(records: Rows) -> list[tuple[int, ...]]:
    return sorted(records.tolist())


short_gaps = st.sampled_from((0.0, 0.001, 0.5, 3.0, 31.0, 61.0, 400.0, -0.2))


@settings(max_examples=100, deadline=None)
@given(conversations(short_gaps), st.integers(1, 5))
def test_counts_events_and_records_equal_the_twins(packets: Rows, pieces: int) -> None:
    compare(packets, pieces=pieces, capacity=1000, idle_timeout_s=300.0, tcp_idle_timeout_s=3600.0, active_timeout_s=1800.0)


@settings(max_examples=60, deadline=None)
@given(conversations(short_gaps), st.floats(0.1, 500.0))
def test_short_time_outs_cut_records_as_the_twin_does(packets: Rows, advance_s: float) -> None:
    compare(packets, pieces=1, advance_s=advance_s, capacity=1000, idle_timeout_s=2.0, tcp_idle_timeout_s=40.0, active_timeout_s=60.0)


@settings(max_examples=100, deadline=None)
@given(conversations(st.sampled_from((1.1, 2.5, 7.0, 40.0))), st.integers(1, 4), st.integers(1, 3))
def test_a_full_table_lets_the_flow_go_that_was_idle_longest(packets: Rows, capacity: int, pieces: int) -> None:
    compare(packets, pieces=pieces, capacity=capacity, idle_timeout_s=20.0, tcp_idle_timeout_s=60.0, active_timeout_s=100.0)


def random_packets(count: int, flows: int, *, step_s: float, seed: int) -> Rows:
    """Many packets of many flows, made by numpy: UDP and TCP, hashes as the decoder makes them."""
    rng = np.random.default_rng(seed)
    few = as_block(
        [udp(0.0, f"10.{n >> 8}.{n & 255}.1", 1000 + n % 7, "192.0.2.53", 53, payload=9) for n in range(flows // 2)]
        + [tcp(0.0, f"10.{n >> 8}.{n & 255}.2", 2000 + n % 7, "192.0.2.25", 25, "A", payload=3) for n in range(flows - flows // 2)]
    ).packets
    packets = few[rng.integers(0, flows, count)]
    packets["ts_ns"] = 1_750_000_000_000_000_000 + (np.arange(count) * step_s * 1e9).astype(np.int64)
    packets["seq"] = rng.integers(0, 2**32, count)
    return packets


@pytest.mark.parametrize(("capacity", "step_s"), [(400, 0.05), (150, 1.2), (16, 1.2)])
def test_many_flows_through_a_table_of_any_size(capacity: int, step_s: float) -> None:
    packets = random_packets(2000, 300, step_s=step_s, seed=capacity)
    compare(packets, pieces=3, capacity=capacity, idle_timeout_s=30.0, tcp_idle_timeout_s=90.0, active_timeout_s=200.0)


def test_more_records_than_the_output_holds_are_all_written() -> None:
    packets = as_block([udp(0.0, "10.0.0.1", 1, "10.0.0.2", 2)]).packets.repeat(30_000)
    packets["src_lo"] += np.arange(30_000, dtype=np.uint64)
    packets["hash"] = np.random.default_rng(1).integers(0, 2**64, 30_000, np.uint64)
    table, tracked = FlowTable(capacity=40_000), np.zeros(30_000, TRACKED)
    table.track(packets, tracked)
    assert len(table.drain()) == 0
    table.advance(400 * 10**9)
    assert len(table.drain()) == 30_000
    assert len(table.finish()) == 0
    assert table.distinct == 30_000


def test_keys_that_share_a_hash_are_different_flows() -> None:
    packets = as_block([udp(0.0, "10.0.0.1", port, "10.0.0.2", 53) for port in range(1, 200)]).packets
    packets["hash"] = 0xFFFF_FFFF_FFFF_FFFF  # the last slot: probing wraps around
    table = FlowTable(capacity=150)
    for _ in range(3):
        table.track(packets, np.zeros(len(packets), TRACKED))
    assert table.distinct == 3 * 199
    assert table.evicted == 3 * 199 - 150


def test_without_records_only_counts_and_events_are_kept() -> None:
    packets = random_packets(3000, 400, step_s=1.0, seed=3)
    kept, counted = FlowTable(capacity=100, idle_timeout_s=20.0), FlowTable(capacity=100, idle_timeout_s=20.0, records=False)
    marks = [np.zeros(3000, TRACKED), np.zeros(3000, TRACKED)]
    for table, tracked in zip((kept, counted), marks, strict=True):
        table.track(packets, tracked)
    assert marks[0].tolist() == marks[1].tolist()
    assert (kept.distinct, kept.evicted, kept.forgotten) == (counted.distinct, counted.evicted, counted.forgotten)
    assert len(counted.finish()) == 0 < len(kept.finish())


def test_a_clock_that_jumps_ahead_closes_everything_once() -> None:
    packets = as_block(
        [udp(1.0, "10.0.0.1", 1, "10.0.0.2", 2), udp(1e9, "10.0.0.1", 1, "10.0.0.2", 2), udp(2.0, "10.0.0.1", 1, "10.0.0.2", 2)]
    )
    table = FlowTable(capacity=10)
    table.track(packets.packets, np.zeros(3, TRACKED))
    assert len(table.drain()) == 1
    assert [int(row["packets_out"]) for row in table.finish()] == [2]
    assert table.distinct == 1


@pytest.mark.parametrize("wrong", [{"capacity": 0}, {"idle_timeout_s": 0.0}, {"active_timeout_s": 1e9}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="flow table must be"):
        FlowTable(**wrong)  # type: ignore[arg-type]
