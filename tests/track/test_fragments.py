"""Reassembly against a slow twin that keeps the kernel's lists of runs, and what it does to the packets of real situations."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.model.packet import Layer, PacketBlock, Rows
from netwatch.model.tracked import TRACKED
from netwatch.track.flow_table import FlowTable
from netwatch.track.fragments import Reassembly
from tests.builders import Built, as_block, fragment, packet_block, tcp, udp
from tests.track.test_flow_table import in_order

FIRST = int(Layer.IPV4 | Layer.TRANSPORT | Layer.FRAGMENT | Layer.FIRST_FRAGMENT | Layer.MORE_FRAGMENTS)
FIRST_V6 = FIRST ^ Layer.IPV4 ^ Layer.IPV6


def first(at_s: float, src: str, dst: str, *, identification: int, length: int = 1480, sport: int = 5353, dport: int = 53) -> Built:
    """The first fragment of a UDP datagram: ``length`` bytes above IP, ports among them."""
    layers = FIRST_V6 if ":" in src else FIRST
    return udp(at_s, src, sport, dst, dport, payload=length - 8, fragment_id=identification, layers=layers)


def later(at_s: float, src: str, dst: str, *, identification: int, offset: int, length: int = 1480, more: bool = False) -> Built:
    return fragment(at_s, src, dst, identification=identification, offset=offset, more=more, payload=length)


@dataclass
class Datagram:
    """What the kernel keeps of an incomplete datagram: runs of adjacent fragments, as [begin, end] pairs."""

    born_ns: int
    runs: list[list[int]] = field(default_factory=list)
    tail: list[int] | None = None  # the run that was last begun or continued at the end
    length: int = 0
    received: int = 0
    first_in: bool = False
    last_in: bool = False
    memory: int = 200

    def insert(self, begin: int, end: int) -> str:
        if self.tail is None or self.tail[1] < end:
            if self.tail is not None and begin < self.tail[1]:
                return "overlap"
            if self.tail is not None and begin == self.tail[1]:
                self.tail[1] = end
            else:
                self.tail = [begin, end]
                self.runs.append(self.tail)
            return "new"
        for run in self.runs:
            if begin >= run[0] and end <= run[1]:
                return "duplicate"
            if begin < run[1] and end > run[0]:
                return "overlap"
        self.runs.append([begin, end])
        return "new"


class ReassemblyTwin:
    """One Python object a datagram; addresses are left out, since the tests use one pair a family."""

    def __init__(self, memory_limit: int) -> None:
        self.memory_limit = memory_limit
        self.waiting: dict[tuple[bool, int], Datagram] = {}
        self.counts = dict.fromkeys(("completed", "duplicates", "timed_out", "memory", "overlap", "too_big", "inconsistent"), 0)

    def held(self, *, ipv6: bool) -> int:
        return sum(datagram.memory for key, datagram in self.waiting.items() if key[0] == ipv6)

    def take(self, packet: Rows) -> str:
        """What becomes of the packet: ``held``, ``whole``, or ``passed`` as it is."""
        ipv6 = bool(packet["layers"] & Layer.IPV6)
        now_ns = int(packet["ts_ns"])
        for key, old in list(self.waiting.items()):
            if now_ns - old.born_ns >= (60 if key[0] else 30) * 10**9:
                del self.waiting[key]
                self.counts["timed_out"] += 1
        if self.held(ipv6=ipv6) > self.memory_limit:
            self.counts["memory"] += 1
            return "held"
        key = (ipv6, int(packet["fragment_id"]))
        datagram = self.waiting.setdefault(key, Datagram(now_ns))
        begin, more = int(packet["fragment_offset"]), bool(packet["layers"] & Layer.MORE_FRAGMENTS)
        end = begin + int(packet["payload_len"]) + int(packet["transport_header_len"])
        if ipv6 and more and end % 8 and end <= 65535:
            self.counts["inconsistent"] += 1
            del self.waiting[key]
            return "passed"
        outcome = self.judge(datagram, begin, end, ipv6=ipv6, more=more)
        if outcome == "new":
            size = int(packet["wire_len"])
            datagram.memory += 832 if size <= 256 else 1280 if size <= 640 else 2304
            datagram.received += (end & ~7 if more else end) - begin
            datagram.first_in |= begin == 0
            if datagram.first_in and datagram.last_in and datagram.received == datagram.length:
                self.counts["completed"] += 1
                del self.waiting[key]
                return "whole"
            return "held"
        self.counts[outcome] += 1
        if outcome != "duplicates" and (not ipv6 or outcome == "overlap" or not datagram.runs):
            del self.waiting[key]
        return "held"

    def judge(self, datagram: Datagram, begin: int, end: int, *, ipv6: bool, more: bool) -> str:
        if end + (0 if ipv6 else 20) > 65535:
            return "too_big"
        end = end & ~7 if more else end
        if more and end > datagram.length and datagram.last_in:
            return "inconsistent"
        if not more and (end < datagram.length or (datagram.last_in and end != datagram.length)):
            return "inconsistent"
        datagram.length, datagram.last_in = max(datagram.length, end), datagram.last_in or not more
        if begin == end:
            return "inconsistent"
        return {"new": "new", "duplicate": "duplicates", "overlap": "overlap"}[datagram.insert(begin, end)]


HOSTS = {False: ("10.0.0.1", "192.0.2.53"), True: ("2001:db8::1", "2001:db8::53")}


@st.composite
def fragments(draw: st.DrawFn) -> list[Built]:
    at_s, built = 1000.0, []
    for _ in range(draw(st.integers(1, 40))):
        at_s += draw(st.sampled_from((0.0, 0.1, 7.0, 20.0)))
        src, dst = HOSTS[draw(st.booleans())]
        number = draw(st.integers(1, 2))
        begin, size = draw(st.sampled_from((0, 0, 8, 16, 24, 32, 64, 65520))), draw(st.sampled_from((0, 8, 8, 8, 16, 16, 21, 24)))
        if begin == 0 and size >= 8:
            built.append(first(at_s, src, dst, identification=number, length=size))
        else:
            built.append(later(at_s, src, dst, identification=number, offset=max(begin, 8), length=size, more=draw(st.booleans())))
    return built


@settings(max_examples=120, deadline=None)
@given(fragments(), st.sampled_from((0, 1500, 3000, 1 << 20)))
def test_any_fragments_are_judged_as_the_kernel_does(built: list[Built], memory_limit: int) -> None:
    twin, model = ReassemblyTwin(memory_limit), Reassembly(memory_limit_bytes=memory_limit)
    packets = as_block(built).packets
    expected = [twin.take(packet) for packet in packets.copy()]
    for part in np.array_split(np.arange(len(packets)), 3):  # what waits must outlive its block
        model.track(PacketBlock(packets[part], packets[:0]) if not len(part) else block_of(packets, part))
    became = [
        "held" if layers & Layer.HELD else "whole" if layers & Layer.REASSEMBLED else "passed" for layers in packets["layers"].tolist()
    ]
    assert became == expected
    assert {"completed": model.completed, "duplicates": model.duplicates} | model.failures == twin.counts
    assert model.received == len(packets)
    assert model.bytes_held == twin.held(ipv6=False) + twin.held(ipv6=True)
    assert model.datagrams_held == len(twin.waiting)


def block_of(packets: Rows, part: np.ndarray) -> PacketBlock:
    """A view, so that what is changed in place is seen."""
    return PacketBlock(packets[part[0] : part[-1] + 1], packets[:0])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1)])
@pytest.mark.parametrize("family", [False, True])
def test_the_last_fragment_to_come_stands_for_the_whole_datagram(order: tuple[int, ...], *, family: bool) -> None:
    src, dst = HOSTS[family]
    whole = [
        first(1.0, src, dst, identification=9),
        later(1.1, src, dst, identification=9, offset=1480, more=True),
        later(1.2, src, dst, identification=9, offset=2960, length=100),
    ]
    block = packet_block(*(whole[number] for number in order))
    Reassembly().track(block)
    waiting, done = block.packets[:-1], block.packets[-1]
    assert (waiting["layers"] & Layer.HELD).all()
    assert not done["layers"] & (Layer.HELD | Layer.MORE_FRAGMENTS)
    assert done["layers"] & (Layer.REASSEMBLED | Layer.TRANSPORT) == Layer.REASSEMBLED | Layer.TRANSPORT
    assert (done["sport"], done["dport"], done["payload_len"], done["fragment_offset"]) == (5353, 53, 2960 + 100 - 8, 0)
    assert done["hash"] == whole[0].row["hash"][0]
    assert done["wire_len"] == whole[order[-1]].row["wire_len"][0]


def test_a_tcp_segment_in_fragments_keeps_its_numbers_and_options() -> None:
    layers = FIRST
    block = packet_block(
        tcp(0.0, "10.0.0.1", 4000, "10.0.0.2", 25, "PA", seq=7, ack=8, payload=12, window=99, fragment_id=5, layers=layers),
        fragment(0.1, "10.0.0.1", "10.0.0.2", protocol=6, identification=5, offset=32, more=False, payload=40),
    )
    Reassembly().track(block)
    done = block.packets[1]
    assert (done["seq"], done["ack"], done["window"], done["tcp_flags"], done["payload_len"]) == (7, 8, 99, 0x18, 52)


def test_fragments_of_a_datagram_count_for_its_flow() -> None:
    block = packet_block(
        first(0.0, "10.0.0.1", "10.0.0.2", identification=3),
        later(0.1, "10.0.0.1", "10.0.0.2", identification=3, offset=1480, more=True),
        later(0.2, "10.0.0.1", "10.0.0.2", identification=3, offset=2960, length=40),
        later(0.3, "10.0.0.1", "10.0.0.2", identification=4, offset=1480, length=40),  # its first never comes
    )
    reassembly, table = Reassembly(), FlowTable(capacity=10)
    reassembly.track(block)
    table.track(block.packets, np.zeros(4, TRACKED))
    records = table.finish()
    assert records[["dport", "packets_out", "payload_out", "fragments"]].tolist() == [(53, 3, 2992, 0), (0, 1, 0, 1)]
    assert table.distinct == 2


def test_an_atomic_fragment_passes_straight() -> None:
    layers = int(Layer.IPV6 | Layer.TRANSPORT | Layer.FRAGMENT | Layer.FIRST_FRAGMENT)
    block = packet_block(udp(0.0, "2001:db8::1", 1, "2001:db8::2", 2, payload=10, fragment_id=1, layers=layers))
    before = in_order(block.packets)
    reassembly = Reassembly()
    reassembly.track(block)
    assert in_order(block.packets) == before
    assert (reassembly.received, reassembly.datagrams_held) == (0, 0)


def test_when_the_memory_is_full_every_fragment_is_lost_until_the_time_out() -> None:
    def attack(at_s: float, count: int) -> list[Built]:
        return [first(at_s, "203.0.113.1", "192.0.2.1", identification=number) for number in range(count)]

    def honest(at_s: float) -> list[Built]:
        return [
            first(at_s, "10.0.0.1", "192.0.2.1", identification=1),
            later(at_s, "10.0.0.1", "192.0.2.1", identification=1, offset=1480),
        ]

    reassembly = Reassembly()
    reassembly.track(as_block(attack(0.0, 3000) + honest(1.0)))
    assert reassembly.datagrams_held == 1676  # the first at which 200 + 2304 bytes each exceed 4 MiB
    assert reassembly.completed == 0
    assert reassembly.failures["memory"] == 3000 - 1676 + 2
    reassembly.advance(29 * 10**9)
    assert reassembly.bytes_held > 4 << 20
    reassembly.advance(30 * 10**9)
    assert (reassembly.bytes_held, reassembly.datagrams_held, reassembly.failures["timed_out"]) == (0, 0, 1676)
    reassembly.track(as_block(honest(31.0)))
    assert reassembly.completed == 1
    assert reassembly.failed == reassembly.failures["memory"] + 1676


def test_ipv6_has_memory_of_its_own() -> None:
    reassembly = Reassembly(memory_limit_bytes=2600)
    reassembly.track(as_block([first(0.0, "10.0.0.1", "10.0.0.2", identification=number) for number in range(5)]))
    src, dst = HOSTS[True]
    reassembly.track(packet_block(first(1.0, src, dst, identification=1), later(1.0, src, dst, identification=1, offset=1480)))
    assert (reassembly.failures["memory"], reassembly.completed) == (3, 1)


def test_datagrams_that_differ_in_one_part_of_the_key_are_kept_apart() -> None:
    ends = [
        later(0.1, "10.0.0.1", "10.0.0.3", identification=1, offset=1480),
        later(0.1, "10.0.0.9", "10.0.0.2", identification=1, offset=1480),
        later(0.1, "10.0.0.1", "10.0.0.2", identification=2, offset=1480),
        fragment(0.1, "10.0.0.1", "10.0.0.2", protocol=6, identification=1, offset=1480, more=False, payload=10),
    ]
    reassembly = Reassembly()
    reassembly.track(packet_block(first(0.0, "10.0.0.1", "10.0.0.2", identification=1), *ends))
    assert (reassembly.completed, reassembly.datagrams_held) == (0, 5)
    reassembly.track(packet_block(later(0.2, "10.0.0.1", "10.0.0.2", identification=1, offset=1480)))
    assert (reassembly.completed, reassembly.datagrams_held) == (1, 4)


def test_thousands_of_datagrams_in_a_random_order_all_become_whole() -> None:
    rng = np.random.default_rng(7)
    built = [
        make(0.0, f"10.0.{number >> 8}.{number & 255}", "192.0.2.1", identification=number % 50)
        for number in range(1000)
        for make in (first, lambda *a, **k: later(*a, **k, offset=1480))
    ]
    packets = as_block(built).packets[rng.permutation(len(built))]
    reassembly = Reassembly(memory_limit_bytes=8 << 20)
    for part in np.array_split(np.arange(len(packets)), 7):
        reassembly.track(block_of(packets, part))
    assert (reassembly.completed, reassembly.datagrams_held, reassembly.failed) == (1000, 0, 0)


def test_an_icmp_error_in_fragments_refers_to_no_header_of_another_block() -> None:
    layers = FIRST | Layer.ICMP_ERROR
    begin = packet_block(udp(0.0, "10.0.0.1", 0, "10.0.0.2", 0, payload=8, fragment_id=1, layers=layers, quoted=0))
    end = packet_block(later(0.1, "10.0.0.1", "10.0.0.2", identification=1, offset=16))
    reassembly = Reassembly()
    reassembly.track(begin)
    reassembly.track(end)
    assert end.packets["layers"][0] & Layer.REASSEMBLED
    assert end.packets["quoted"][0] == -1


@pytest.mark.parametrize("wrong", [{"memory_limit_bytes": -1}, {"ipv4_timeout_s": 0.0}])
def test_settings_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="of the reassembly must be"):
        Reassembly(**wrong)  # type: ignore[arg-type]
