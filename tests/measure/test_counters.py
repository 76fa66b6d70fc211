"""The counting kernel against a slow twin: a Counter a service, filled packet by packet in plain Python."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.measure.counters import COLUMNS, RESUME_ANSWERED, RESUME_UNANSWERED, RESUMED, Column, walk
from netwatch.measure.sources import Sources
from netwatch.model.packet import PACKET, Layer, Rows, TcpFlag
from netwatch.model.service import Protocol
from netwatch.model.tracked import TRACKED, FlowEvent, InvalidReason, SessionEvent, Verdict
from netwatch.model.window import FirewallWindow, ServiceWindow

SERVICES = 4
SEED = np.uint64(7)
BY_FLOW_EVENT = {
    FlowEvent.SYN_RETRANSMITTED: "syn_retransmitted",
    FlowEvent.RETRANSMITTED: "retransmitted",
    FlowEvent.ONE_SIDED: "one_sided_flows",
    FlowEvent.TWO_SIDED: "two_sided_flows",
    FlowEvent.RESET_WITH_DATA: "resets_with_data",
    FlowEvent.FIRST_PAYLOAD: "first_payloads",
}
BY_SESSION_EVENT = {
    SessionEvent.HANDSHAKE_COMPLETED: "handshakes_completed",
    SessionEvent.PICKED_UP: "picked_up",
    SessionEvent.SHED: "shed",
}
OUTCOMES = {FlowEvent.RESUMED: RESUMED, FlowEvent.RESUME_ANSWERED: RESUME_ANSWERED, FlowEvent.RESUME_UNANSWERED: RESUME_UNANSWERED}
DECIDING = TcpFlag.SYN | TcpFlag.ACK | TcpFlag.FIN | TcpFlag.RST


def count_slowly(packet: Rows, seen: Rows) -> Counter[str]:
    """What one packet adds to the row of its service, by the definitions in ``model.window``."""
    found: Counter[str] = Counter()
    service, toward = int(seen["service"]), bool(seen["toward_service"])
    direction = "in" if toward else "out"
    found[f"packets_{direction}"] += 1
    found[f"bytes_{direction}"] += int(packet["wire_len"])
    layers = Layer(int(packet["layers"]))
    if Layer.FRAGMENT in layers:
        found["fragments"] += 1
        found["fragment_bytes"] += int(packet["wire_len"])
    if Layer.HELD in layers:
        return found
    asks = toward or service == 0
    flags = TcpFlag(int(packet["tcp_flags"])) & DECIDING if packet["protocol"] == Protocol.TCP and Layer.TRANSPORT in layers else TcpFlag(0)
    if TcpFlag.RST in flags:
        found["resets_in" if asks else "resets_out"] += 1
    elif flags & (TcpFlag.SYN | TcpFlag.ACK) == TcpFlag.SYN | TcpFlag.ACK:
        found["synack"] += not asks
    elif TcpFlag.SYN in flags:
        found["syn"] += asks
    elif TcpFlag.FIN in flags:
        found["fins"] += 1
    elif flags == TcpFlag.ACK and packet["payload_len"] == 0:
        found["acks_in"] += asks
    events, flow = SessionEvent(int(seen["session_events"])), FlowEvent(int(seen["flow_events"]))
    if SessionEvent.CREATED in events:
        found[{Protocol.TCP: "new_tcp", Protocol.UDP: "new_udp"}.get(int(packet["protocol"]), "new_other")] += 1  # type: ignore[call-overload]
    found.update(name for event, name in BY_SESSION_EVENT.items() if event in events)
    found.update(name for event, name in BY_FLOW_EVENT.items() if event in flow)
    found.update(f"{base + int(seen['gap_bin'])}" for event, base in OUTCOMES.items() if event in flow)
    found["dropped_full"] += seen["verdict"] == Verdict.DROPPED and SessionEvent.SHED not in events
    if seen["verdict"] == Verdict.INVALID and seen["invalid"]:
        found[f"invalid_{InvalidReason(int(seen['invalid'])).name.lower()}"] += 1
    found["new_attempts"] += asks and asks_for_session(int(packet["protocol"]), flags, events, flow, int(seen["verdict"]))
    return found


def asks_for_session(protocol: int, flags: TcpFlag, events: SessionEvent, flow: FlowEvent, verdict: int) -> bool:
    if protocol == Protocol.TCP and flags == TcpFlag.SYN:
        return FlowEvent.SYN_RETRANSMITTED not in flow
    if (SessionEvent.PICKED_UP if protocol == Protocol.TCP else SessionEvent.CREATED) in events:
        return True
    return FlowEvent.FIRST in flow and (verdict == Verdict.DROPPED or SessionEvent.SHED in events)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Rows, Rows]:
    count = draw(st.sampled_from([0, 1, 3, 40, 700]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    packets, tracked = np.zeros(count, PACKET), np.zeros(count, TRACKED)
    packets["protocol"] = random.choice([Protocol.TCP, Protocol.TCP, Protocol.UDP, Protocol.ICMP], count)
    packets["tcp_flags"] = random.integers(0, 256, count) & random.choice([0x02, 0x10, 0x12, 0x17, 0xFF], count)
    packets["layers"] = Layer.IPV4 | random.choice([Layer.TRANSPORT] * 6 + [Layer.FRAGMENT, Layer.FRAGMENT | Layer.HELD, Layer(0)], count)
    packets["wire_len"] = random.integers(40, 65536, count)
    packets["payload_len"] = random.integers(0, 2, count) * 1400
    packets["src_lo"] = random.integers(0, 50, count)
    rare = random.random(count) < 0.4
    tracked["service"] = random.integers(0, SERVICES + 1, count)
    tracked["toward_service"] = random.integers(0, 2, count) * (tracked["service"] > 0)
    tracked["session_events"] = np.where(rare, random.integers(0, 0x800, count), 0)
    tracked["flow_events"] = np.where(rare, random.integers(0, 0x400, count), 0)
    tracked["gap_bin"] = random.integers(0, 8, count)
    tracked["verdict"] = random.integers(0, len(Verdict), count)
    tracked["invalid"] = np.where(tracked["verdict"] == Verdict.INVALID, random.integers(0, len(InvalidReason), count), 0)
    return packets, tracked


@settings(max_examples=25, deadline=None)
@given(batches())
def test_counts_what_the_slow_twin_counts(batch: tuple[Rows, Rows]) -> None:
    packets, tracked = batch
    counts = np.zeros((SERVICES + 1, COLUMNS), np.int64)
    sources = Sources(SERVICES + 1)
    walk(packets, tracked, counts, sources.arrays, sources.stamp, SEED)
    expected: list[Counter[str]] = [Counter() for _ in range(SERVICES + 1)]
    for packet, seen in zip(packets, tracked, strict=True):
        expected[seen["service"]] += count_slowly(packet, seen)
    names = [column.name.lower() for column in Column] + [str(column) for column in range(RESUMED, COLUMNS)]
    counts[:, Column.UNCOUNTED] = 0
    assert [Counter({name: int(n) for name, n in zip(names, row, strict=True) if n}) for row in counts] == expected


def test_every_count_of_a_service_window_has_a_counter() -> None:
    counted = {column.name.lower() for column in Column}
    elsewhere = {"new_sessions", "distinct_sources", "entries", "half_open", "unreplied", "established", "time_wait"}  # gauges and sums
    annotations = ServiceWindow.__annotations__
    assert {name for name, kind in annotations.items() if kind is int} <= counted | elsewhere
    assert set(FirewallWindow.__struct_fields__) >= {name for name in counted if name.startswith("invalid_")}


def test_a_later_fragment_that_completes_a_handshake_packet_is_counted_once() -> None:
    packets, tracked = np.zeros(2, PACKET), np.zeros(2, TRACKED)
    packets["protocol"], packets["tcp_flags"], packets["wire_len"] = Protocol.TCP, TcpFlag.SYN, 60
    packets["layers"] = [
        Layer.IPV4 | Layer.TRANSPORT | Layer.FRAGMENT | Layer.HELD,
        Layer.IPV4 | Layer.TRANSPORT | Layer.FRAGMENT | Layer.REASSEMBLED,
    ]
    tracked["service"] = tracked["toward_service"] = 1
    counts = np.zeros((2, COLUMNS), np.int64)
    sources = Sources(2)
    walk(packets, tracked, counts, sources.arrays, sources.stamp, SEED)
    assert counts[1, [Column.SYN, Column.NEW_ATTEMPTS, Column.FRAGMENTS, Column.PACKETS_IN]].tolist() == [1, 1, 2, 2]
