"""Packets with what the trackers say of them, so that a test of a measure starts from one readable line a packet."""

import numpy as np

from netwatch.model.packet import PACKET, Layer, PacketBlock, Rows
from netwatch.model.service import Protocol
from netwatch.model.session import STATE_COUNT, GroupCounts, SessionState, TableCounts
from netwatch.model.tracked import TRACKED, FlowEvent, SessionEvent, Verdict
from tests.builders import Built, as_block, halves, tcp, udp

NO_EVENT = SessionEvent(0)
NO_FLOW_EVENT = FlowEvent(0)
TRANSPORT = int(Layer.IPV4 | Layer.TRANSPORT)


class Seen:
    """A packet, and what the session and flow tables made of it."""

    def __init__(
        self,
        packet: Built,
        events: SessionEvent = NO_EVENT,
        flow: FlowEvent = NO_FLOW_EVENT,
        verdict: Verdict = Verdict.ESTABLISHED,
        **fields: int,
    ) -> None:
        self.packet = packet
        self.fields = {"session_events": int(events), "flow_events": int(flow), "verdict": int(verdict)} | fields


def rows(*seen: Seen) -> tuple[Rows, Rows]:
    """Packet rows, and beside them the rows of what was tracked."""
    block: PacketBlock = as_block(item.packet for item in seen)
    tracked = np.zeros(len(seen), TRACKED)
    for row, item in zip(tracked, seen, strict=True):
        for name, value in item.fields.items():
            row[name] = value
    return block.packets, tracked


def syn(at_s: float, client: str, sport: int, server: str = "192.0.2.25", dport: int = 25) -> Seen:
    """The first SYN of a session that gets an entry."""
    packet = tcp(at_s, client, sport, server, dport, "S")
    return Seen(packet, SessionEvent.CREATED, FlowEvent.FIRST, Verdict.NEW)


def syn_ack(at_s: float, client: str, sport: int, server: str = "192.0.2.25", dport: int = 25) -> Seen:
    return Seen(tcp(at_s, server, dport, client, sport, "SA"), SessionEvent.REPLIED, FlowEvent.TWO_SIDED)


def last_ack(at_s: float, client: str, sport: int, server: str = "192.0.2.25", dport: int = 25) -> Seen:
    """The client's ACK that completes the handshake."""
    return Seen(tcp(at_s, client, sport, server, dport, "A"), SessionEvent.HANDSHAKE_COMPLETED | SessionEvent.ASSURED)


def handshake(at_s: float, client: str, sport: int, server: str = "192.0.2.25", dport: int = 25) -> list[Seen]:
    return [step(at_s, client, sport, server, dport) for step in (syn, syn_ack, last_ack)]


def query(at_s: float, client: str, sport: int, server: str = "192.0.2.53", dport: int = 53) -> Seen:
    """A datagram that gets an entry."""
    return Seen(udp(at_s, client, sport, server, dport, payload=40), SessionEvent.CREATED, FlowEvent.FIRST, Verdict.NEW)


def answer(at_s: float, client: str, sport: int, server: str = "192.0.2.53", dport: int = 53) -> Seen:
    return Seen(udp(at_s, server, dport, client, sport, payload=90), SessionEvent.REPLIED, FlowEvent.TWO_SIDED)


def syn_rows(sources: np.ndarray[tuple[int], np.dtype[np.uint64]], *, service: int, ts_ns: int = 0) -> tuple[Rows, Rows]:
    """Many first SYNs toward one service, from IPv4 sources given as numbers: no builder, for millions of rows."""
    packets, tracked = np.zeros(len(sources), PACKET), np.zeros(len(sources), TRACKED)
    packets["src_lo"] = np.uint64(halves("0.0.0.0")[1]) | sources
    packets["dst_hi"], packets["dst_lo"] = halves("192.0.2.25")
    packets["sport"], packets["dport"], packets["protocol"] = 40000, 25, Protocol.TCP
    packets["tcp_flags"], packets["layers"], packets["wire_len"], packets["ts_ns"] = 2, TRANSPORT, 60, ts_ns
    tracked["session_events"], tracked["flow_events"], tracked["verdict"] = SessionEvent.CREATED, FlowEvent.FIRST, Verdict.NEW
    tracked["service"], tracked["toward_service"] = service, 1
    return packets, tracked


def group(entries: int = 0, **by_state: int) -> GroupCounts:
    """Entries of a service; ``by_state`` by the states' names in lower case."""
    states = [0] * STATE_COUNT
    for name, count in by_state.items():
        states[SessionState[name.upper()]] = count
    return GroupCounts(entries=entries, by_state=tuple(states), unreplied=0, assured=0)


def table(entries: int = 0, *, assured: int = 0, expired: int = 0, early_dropped: int = 0) -> TableCounts:
    """The table's counts, of which the meter reads these."""
    everything = GroupCounts(entries=entries, by_state=(0,) * STATE_COUNT, unreplied=0, assured=assured)
    return TableCounts(everything, 0, expired, 0, early_dropped, entries, None, None)
