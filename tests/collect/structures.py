"""Hypothesis strategies for captures, with the place where each of their packets ends."""

from typing import NamedTuple

from hypothesis import strategies as st

from netwatch.collect.recognise import ByteOrder
from tests.collect.writer import MICROSECONDS, NANOSECONDS, Packet, Pcapng, pcap_header, pcap_record


class Written(NamedTuple):
    content: bytes
    ends: list[int]  # where each record or block ends; the beginning of the first included

    def is_whole_at(self, cut: int) -> bool:
        """Whether a file that ends at ``cut`` looks like one that was meant to."""
        return cut in self.ends


U16 = st.integers(0, 0xFFFF)
U32 = st.one_of(st.integers(0, 200), st.integers(0, 0xFFFFFFFF))
U64 = st.one_of(st.integers(1_600_000_000_000_000, 1_800_000_000_000_000), st.integers(0, (1 << 64) - 1))
ORDERS: st.SearchStrategy[ByteOrder] = st.sampled_from(["little", "big"])
DATA = st.binary(max_size=40)

PACKETS = st.builds(
    Packet,
    data=DATA,
    seconds=U32,
    fraction=st.one_of(st.integers(0, 999_999), U32),
    wire_len=st.one_of(st.none(), U32),
    captured_len=st.none(),
)


@st.composite
def pcaps(draw: st.DrawFn) -> Written:
    order = draw(ORDERS)
    version = draw(st.sampled_from([(2, 4), (2, 4), (2, 4), (2, 3), (2, 0)]))
    content = pcap_header(order=order, magic=draw(st.sampled_from([MICROSECONDS, NANOSECONDS])), link=draw(U32), version=version)
    ends = [len(content)]
    for packet in draw(st.lists(PACKETS, max_size=12)):
        if version != (2, 4):
            packet = packet._replace(captured_len=len(packet.data), wire_len=len(packet.data))
        content += pcap_record(packet, order=order)
        ends.append(len(content))
    return Written(content, ends)


@st.composite
def _blocks(draw: st.DrawFn, write: Pcapng) -> bytes:
    """Any block that may stand in a section, with a description of interfaces as often as each kind of packet."""
    interface = draw(st.integers(0, 3))
    match draw(st.sampled_from(["interface", "enhanced", "enhanced", "simple", "obsolete", "other"])):
        case "interface":
            resolution = draw(st.one_of(st.none(), st.sampled_from([6, 9, 0x80 | 30]), st.integers(0, 255)))
            offset_s = draw(st.one_of(st.none(), st.integers(-(2**33), 2**33), st.integers(-(2**63), 2**63 - 1)))
            name, snaplen = draw(st.binary(max_size=6)), draw(st.sampled_from([0, 10, 65535]))
            return write.interface(link=draw(U16), snaplen=snaplen, resolution=resolution, offset_s=offset_s, name=name)
        case "enhanced":
            options = write.options((1, draw(DATA))) if draw(st.booleans()) else b""
            captured_len = draw(st.one_of(st.none(), st.none(), U32))
            wire_len = draw(st.one_of(st.none(), U32))
            time = draw(U64)
            return write.enhanced(draw(DATA), time=time, interface=interface, wire_len=wire_len, captured_len=captured_len, options=options)
        case "simple":
            return write.simple(draw(DATA), wire_len=draw(st.one_of(st.none(), U32)))
        case "obsolete":
            return write.obsolete(draw(DATA), time=draw(U64), interface=interface, wire_len=draw(st.one_of(st.none(), U32)))
        case _:
            return write.block(draw(st.one_of(st.sampled_from([0, 4, 5, 6, 3, 0xBAD]), st.integers(7, 0x0A0D0D09))), draw(DATA))


@st.composite
def pcapngs(draw: st.DrawFn) -> Written:
    content, ends = b"", []
    for _ in range(draw(st.integers(1, 3))):
        write = Pcapng(draw(ORDERS))
        blocks = [write.section(length=draw(st.sampled_from([-1, 0, 12345])), options=write.options((4, draw(DATA))))]
        blocks += [write.interface(link=draw(U16))] * draw(st.integers(0, 2))
        blocks += draw(st.lists(_blocks(write), max_size=8))
        for block in blocks:
            content += block
            ends.append(len(content))
    return Written(content, ends)


CAPTURES: st.SearchStrategy[Written] = st.one_of(pcaps(), pcapngs())
