"""The slow, obvious twin of the flow table: one Python object a flow, sequence numbers unwrapped to integers that never wrap.

It says what ``FlowTable`` must answer, for any packets. Ties that the specification leaves open (which of two flows that were last seen in
the same tick leaves first) are not decided here the way the kernel does: tests with eviction give each packet a tick of its own.
"""

from dataclasses import dataclass, field
from math import ceil

import numpy as np

from netwatch.model.flow import FLOW, FlowEnd
from netwatch.model.packet import Layer, Rows, TcpFlag
from netwatch.model.tracked import GAP_BIN_EDGES_S, FlowEvent

TICK_NS = 1 << 30
Endpoint = tuple[int, int, int]  # address halves and port


@dataclass
class Side:
    """What one side sent: in the current record, and in the connection."""

    packets: int = 0
    wire: int = 0
    payload: int = 0
    flags: int = 0
    last_ns: int = 0
    retransmitted: int = 0
    seen: bool = False
    fin: bool = False
    isn: int | None = None
    highest: int | None = None  # end of the highest sequence, unwrapped
    hole: tuple[int, int] | None = None  # newest stretch below it that was not seen

    def begin_record(self) -> None:
        self.packets = self.wire = self.payload = self.flags = self.last_ns = self.retransmitted = 0

    def unwrap(self, sequence: int) -> int:
        """The integer nearest to the highest sequence that is ``sequence`` modulo 2**32."""
        assert self.highest is not None
        return self.highest + (sequence - self.highest + 2**31) % 2**32 - 2**31

    def is_new(self, sequence: int, payload: int, *, fin: bool) -> bool:
        """Take a stretch of sequence in; whether any of it was not seen before."""
        length = payload + fin
        if self.highest is None:
            self.highest = sequence + length
            return True
        if length == 0:
            return True
        start = self.unwrap(sequence)
        # The end decides, as a receiver would judge it: modulo 2**32 by itself.
        end = self.unwrap((sequence + length) % 2**32)
        if end > self.highest:
            if start > self.highest:
                self.hole = (self.highest, start)
            self.highest = end
            return True
        if self.hole is not None and self.hole[0] <= start and end <= self.hole[1]:
            self.hole = (end, self.hole[1]) if start == self.hole[0] else (self.hole[0], start)
            if self.hole[0] == self.hole[1]:
                self.hole = None
            return True
        return payload == 1 and not fin and end == self.highest  # a keep-alive probe


@dataclass
class Flow:
    initiator: Endpoint
    responder: Endpoint
    protocol: int
    fragments: bool
    vlan: int
    first_ns: int
    last_tick: int
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    syn_ns: int = 0
    synack_ns: int = 0
    ack_ns: int = 0
    initiated: bool = False
    reset: bool = False
    ack_seen: bool = False
    ack_awaited: bool = False
    one_sided_told: bool = False
    payload_told: bool = False
    data_packets: int = 0
    resumed: tuple[int, int, int] | None = None  # side, sequence, gap bin
    resume_side_sent: int = 0
    closed: bool = False

    @property
    def has_ended(self) -> bool:
        return self.reset or (self.sides[0].fin and self.sides[1].fin)

    def begin_record(self, ts_ns: int) -> None:
        self.first_ns, self.syn_ns, self.synack_ns, self.ack_ns = ts_ns, 0, 0, 0
        for side in self.sides:
            side.begin_record()

    def record(self, otherwise: FlowEnd) -> Rows:
        row = np.zeros(1, FLOW)
        end = FlowEnd.RST if self.reset else FlowEnd.FIN if self.has_ended else otherwise
        out, back = self.sides
        row["initiator_hi"], row["initiator_lo"], row["sport"] = self.initiator
        row["responder_hi"], row["responder_lo"], row["dport"] = self.responder
        row["protocol"], row["fragments"], row["vlan"], row["end"] = self.protocol, self.fragments, self.vlan, end
        row["first_ns"], row["syn_ns"], row["synack_ns"], row["ack_ns"] = self.first_ns, self.syn_ns, self.synack_ns, self.ack_ns
        for side, name in ((out, "out"), (back, "in")):
            row[f"packets_{name}"], row[f"bytes_{name}"], row[f"payload_{name}"] = side.packets, side.wire, side.payload
            row[f"flags_{name}"], row[f"last_{name}_ns"], row[f"retransmitted_{name}"] = side.flags, side.last_ns, side.retransmitted
        return row


class FlowTwin:
    def __init__(self, *, capacity: int, idle_timeout_s: float, tcp_idle_timeout_s: float, active_timeout_s: float) -> None:
        self.capacity = capacity
        self.idle_ticks = ceil(idle_timeout_s * 1e9 / TICK_NS)
        self.tcp_idle_ticks = ceil(tcp_idle_timeout_s * 1e9 / TICK_NS)
        self.active_ns = round(active_timeout_s * 1e9)
        self.flows: dict[object, Flow] = {}
        self.closed: list[object] = []  # keys, in the order in which they were closed
        self.records: list[Rows] = []
        self.now_ns = self.tick = 0
        self.distinct = self.evicted = self.forgotten = 0

    def track(self, packets: Rows) -> list[tuple[int, int]]:
        """Flow events and gap bin of each packet."""
        return [self.take(packet) for packet in packets]

    def advance(self, now_ns: int) -> None:
        if now_ns <= self.now_ns:
            return
        self.now_ns = now_ns
        self.tick = now_ns // TICK_NS
        for of_tcp, allowed in ((True, self.tcp_idle_ticks), (False, self.idle_ticks)):
            idle = [(flow.last_tick, key) for key, flow in self.flows.items() if not flow.closed and (flow.protocol == 6) == of_tcp]
            for last_tick, key in sorted(idle, key=lambda item: item[0]):
                if last_tick < self.tick - allowed:
                    self.records.append(self.flows[key].record(FlowEnd.IDLE))
                    self.flows[key].closed = True
                    self.closed.append(key)

    def finish(self) -> None:
        self.records += [flow.record(FlowEnd.OPEN) for flow in self.flows.values() if not flow.closed]

    def make_room(self) -> None:
        if len(self.flows) < self.capacity:
            return
        if self.closed:
            del self.flows[self.closed.pop(0)]
            self.forgotten += 1
            return
        key = min(self.flows, key=lambda name: self.flows[name].last_tick)
        self.records.append(self.flows.pop(key).record(FlowEnd.EVICTED))
        self.evicted += 1

    def take(self, packet: Rows) -> tuple[int, int]:
        layers = Layer(int(packet["layers"]))
        if not layers & (Layer.IPV4 | Layer.IPV6):
            return 0, 0
        ts_ns, flags, is_tcp = int(packet["ts_ns"]), TcpFlag(int(packet["tcp_flags"])), int(packet["protocol"]) == 6
        self.advance(ts_ns)
        source = (int(packet["src_hi"]), int(packet["src_lo"]), int(packet["sport"]))
        target = (int(packet["dst_hi"]), int(packet["dst_lo"]), int(packet["dport"]))
        is_later_fragment = bool(layers & Layer.FRAGMENT and packet["fragment_offset"] > 0 and not layers & Layer.TRANSPORT)
        key = (frozenset((source, target)), int(packet["protocol"]), is_later_fragment)
        is_answer = is_tcp and TcpFlag.SYN in flags and TcpFlag.ACK in flags
        initiator, responder = (target, source) if is_answer else (source, target)
        is_syn = is_tcp and TcpFlag.SYN in flags and TcpFlag.ACK not in flags
        fresh = Flow(initiator, responder, int(packet["protocol"]), is_later_fragment, int(packet["vlan"]), ts_ns, self.tick)

        events, gap_ns = FlowEvent(0), 0
        flow = self.flows.get(key)
        if flow is None:
            self.make_room()
            self.flows[key] = flow = fresh
            self.distinct += 1
            events |= FlowEvent.FIRST
        else:
            gap_ns = ts_ns - max(side.last_ns for side in flow.sides)
            if flow.closed:
                self.closed.remove(key)
                if not is_tcp or TcpFlag.SYN in flags:
                    self.flows[key] = flow = fresh
                flow.closed = False
                flow.begin_record(ts_ns)
            elif is_tcp and TcpFlag.SYN in flags and flow.has_ended and self.is_another(flow, source, int(packet["seq"]), is_syn=is_syn):
                self.records.append(flow.record(FlowEnd.OPEN))
                self.flows[key] = flow = fresh
            elif ts_ns - flow.first_ns >= self.active_ns:
                self.records.append(flow.record(FlowEnd.ACTIVE))
                flow.begin_record(ts_ns)
            elif is_syn and not flow.initiated and source != flow.initiator:
                flow.initiator, flow.responder = flow.responder, flow.initiator
                flow.sides = (flow.sides[1], flow.sides[0])
                if flow.resumed:
                    flow.resumed = (1 - flow.resumed[0], *flow.resumed[1:])

        way = 0 if source == flow.initiator else 1
        side = flow.sides[way]
        flow.last_tick = self.tick
        flow.first_ns = min(flow.first_ns, ts_ns)
        side.last_ns = max(side.last_ns, ts_ns)
        side.packets += 1
        side.wire += int(packet["wire_len"])
        side.flags |= flags
        if not side.seen and flow.sides[1 - way].seen:
            events |= FlowEvent.TWO_SIDED
        side.seen = True
        if layers & Layer.HELD:
            return int(events), 0
        payload = int(packet["payload_len"])
        if payload:
            side.payload += payload
            flow.data_packets += 1
            if way == 0 and not flow.payload_told:
                flow.payload_told = True
                events |= FlowEvent.FIRST_PAYLOAD
        if not is_tcp or not layers & Layer.TRANSPORT:
            return int(events), 0
        more, gap_bin = self.take_tcp(flow, way, packet, flags, gap_ns)
        return int(events | more), gap_bin

    @staticmethod
    def is_another(flow: Flow, source: Endpoint, sequence: int, *, is_syn: bool) -> bool:
        """Whether a SYN on an ended connection opens a new one: it has a sequence number of its own."""
        side = flow.sides[0 if source == flow.initiator else 1]
        return is_syn if side.isn is None else side.isn != sequence

    def take_tcp(self, flow: Flow, way: int, packet: Rows, flags: TcpFlag, gap_ns: int) -> tuple[FlowEvent, int]:
        events, gap_bin = FlowEvent(0), 0
        side, ts_ns, sequence, payload = flow.sides[way], int(packet["ts_ns"]), int(packet["seq"]), int(packet["payload_len"])
        length = payload + (TcpFlag.SYN in flags) + (TcpFlag.FIN in flags)
        had_ended = flow.has_ended
        if TcpFlag.ACK in flags:
            flow.ack_seen = True
            if flow.ack_awaited and way == 0 and not flags & (TcpFlag.SYN | TcpFlag.RST):
                flow.ack_ns, flow.ack_awaited = ts_ns, False
        if flow.ack_seen and not flow.sides[1 - way].seen and side.packets >= 4 and not flow.one_sided_told:
            flow.one_sided_told = True
            events |= FlowEvent.ONE_SIDED
        if TcpFlag.SYN in flags:
            if side.isn == sequence:
                side.retransmitted += 1
                if TcpFlag.ACK not in flags:
                    events |= FlowEvent.SYN_RETRANSMITTED
            else:
                side.isn, side.highest, side.hole = sequence, sequence + length, None
            if TcpFlag.ACK not in flags:
                flow.initiated = True
                flow.syn_ns = flow.syn_ns or ts_ns
            elif not flow.synack_ns:
                flow.synack_ns, flow.ack_awaited = ts_ns, True
        else:
            is_new = side.is_new(sequence, payload, fin=TcpFlag.FIN in flags)
            if not is_new:
                side.retransmitted += 1
                if payload:
                    events |= FlowEvent.RETRANSMITTED
            decided = False
            if flow.resumed and flow.resumed[0] != way:
                events, gap_bin, decided = events | FlowEvent.RESUME_ANSWERED, flow.resumed[2], True
            elif flow.resumed and payload and flow.resumed[1] == sequence:
                flow.resume_side_sent += 1
                if flow.resume_side_sent == 3:
                    events, gap_bin, decided = events | FlowEvent.RESUME_UNANSWERED, flow.resumed[2], True
            if decided:
                flow.resumed = None
            elif payload and is_new and gap_ns >= GAP_BIN_EDGES_S[0] * 1e9 and not had_ended:
                gap_bin = max(number for number, edge in enumerate(GAP_BIN_EDGES_S) if gap_ns >= edge * 1e9)
                flow.resumed, flow.resume_side_sent = (way, sequence, gap_bin), 1
                events |= FlowEvent.RESUMED
        if TcpFlag.RST in flags and not had_ended:
            flow.reset = True
            if flow.data_packets > 10:
                events |= FlowEvent.RESET_WITH_DATA
        if TcpFlag.FIN in flags:
            side.fin = True
        return events, gap_bin
