"""Real captures: the records of the flow table against the tuples, packets, bytes and flags that tshark finds in them."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import numpy as np
import pytest

from netwatch.collect import open_capture
from netwatch.decode import Decoder
from netwatch.errors import CaptureError
from netwatch.model.packet import IPV4_MAPPED, Rows
from netwatch.model.service import Protocol
from netwatch.model.tracked import TRACKED, FlowEvent
from netwatch.track.flow_table import LONGEST_TIMEOUT_S, FlowTable
from netwatch.track.fragments import Reassembly

pytestmark = pytest.mark.shared

NAMES = {Protocol.TCP: "tcp", Protocol.UDP: "udp", Protocol.ICMP: "icmp", Protocol.ICMPV6: "icmpv6", Protocol.GRE: "gre"}
NOT_OURS = {"decode/suricata-verify__bug-6875-01__fuzz.pcap"}
"""tshark guesses another record format there than the file's magic number says, and so reads no packet."""

Tuple = tuple[str, ...]
Counted = tuple[int, int, int]


def whole_table() -> FlowTable:
    """A table that cuts nothing, whatever the capture's time stamps are."""
    return FlowTable(
        idle_timeout_s=LONGEST_TIMEOUT_S, tcp_idle_timeout_s=LONGEST_TIMEOUT_S, active_timeout_s=LONGEST_TIMEOUT_S, capacity=100_000
    )


def flows_of(path: Path, *, reassembled: bool) -> tuple[FlowTable, Rows, int]:
    """The table, its records, and how many packets were the first of their tuple."""
    table, decoder, reassembly, firsts = whole_table(), Decoder(), Reassembly(), 0
    try:
        for frames in open_capture(str(path)).blocks():
            block = decoder.decode(frames)
            tracked = np.zeros(len(block.packets), TRACKED)
            if reassembled:
                reassembly.track(block, tracked)
            table.track(block.packets, tracked)
            firsts += int((tracked["flow_events"] & FlowEvent.FIRST != 0).sum())
    except CaptureError:  # a capture without packets
        pass
    return table, table.finish(), firsts


def address(high: int, low: int) -> str:
    if high == 0 and low & ~0xFFFF_FFFF == IPV4_MAPPED:
        return str(IPv4Address(low & 0xFFFF_FFFF))
    return str(IPv6Address(high << 64 | low))


def one_way(records: Rows) -> Iterator[tuple[Tuple, Counted]]:
    """Each direction of each record, named as the oracles name it."""
    for row in records:
        out = address(int(row["initiator_hi"]), int(row["initiator_lo"])), str(row["sport"])
        back = address(int(row["responder_hi"]), int(row["responder_lo"])), str(row["dport"])
        version = "ip6" if ":" in out[0] else "ip4"
        name = version if row["fragments"] else NAMES.get(int(row["protocol"]), version)  # type: ignore[call-overload]
        for way, (src, dst) in (("out", (out, back)), ("in", (back, out))):
            ends = (*src, *dst) if name in ("tcp", "udp") else (src[0], dst[0])
            yield (name, *ends), (int(row[f"packets_{way}"]), int(row[f"bytes_{way}"]), int(row[f"flags_{way}"]))


def summed(parts: Iterator[tuple[Tuple, Counted]]) -> dict[Tuple, Counted]:
    packets: Counter[Tuple] = Counter()
    wire: Counter[Tuple] = Counter()
    flags: dict[Tuple, int] = {}
    for name, (count, size, bits) in parts:
        if count:
            packets[name] += count
            wire[name] += size
            flags[name] = flags.get(name, 0) | bits
    return {name: (packets[name], wire[name], flags[name]) for name in packets}


def oracles(root: Path) -> Iterator[tuple[str, dict[Tuple, Counted], int, int]]:
    """(capture, tuples, tuples in either direction, fragments) for each capture whose oracle lists all its tuples."""
    with (root / "MANIFEST.tsv").open() as manifest:
        entries = [entry for entry in csv.DictReader(manifest, delimiter="\t") if not entry["file"].endswith(".dat") and entry["oracle"]]
    for entry in entries:
        oracle = json.loads((root / entry["oracle"].split(";")[0]).read_text())
        flows = oracle.get("flows_outer", {})
        if "list" in flows and entry["file"] not in NOT_OURS:
            listed = {tuple(name.split()): (packets, wire, flags) for name, packets, wire, flags in flows["list"]}
            counts = oracle["tshark_per_packet"].get("counts", {})
            yield entry["file"], listed, flows["bidirectional"], counts.get("ipv4_fragments", 0) + counts.get("ipv6_fragment_headers", 0)


def test_packets_bytes_and_flags_of_every_tuple_are_tsharks(shared_captures: Path) -> None:
    compared = 0
    for name, expected, _, _ in oracles(shared_captures):
        _, records, _ = flows_of(shared_captures / name, reassembled=False)
        assert summed(one_way(records)) == expected, name
        compared += len(expected)
    assert compared > 2000


def test_distinct_tuples_are_tsharks_conversations_where_nothing_is_fragmented(shared_captures: Path) -> None:
    compared = 0
    for name, _, bidirectional, fragments in oracles(shared_captures):
        if not fragments:
            table, _, firsts = flows_of(shared_captures / name, reassembled=True)
            assert table.distinct == firsts == bidirectional, name
            compared += 1
    assert compared > 100


@pytest.mark.parametrize("name", ["ddos/StopDDoS__pkt.TCP.synflood.spoofed.pcap", "ddos/StopDDoS__amp.UDP.isakmp.pcap"])
def test_a_flood_whose_tuples_are_too_many_to_list(shared_captures: Path, name: str) -> None:
    oracle = json.loads((shared_captures / name.replace("/", "/oracle/")).with_suffix(Path(name).suffix + ".json").read_text())[
        "flows_outer"
    ]
    table, records, _ = flows_of(shared_captures / name, reassembled=True)
    assert table.distinct == oracle["bidirectional"]
    found = summed(one_way(records))
    assert len(found) == oracle["unidirectional"]
    for text, packets, wire, flags in oracle["top50"]:
        assert found[tuple(text.split())] == (packets, wire, flags)


def test_attributed_to_the_flow_of_their_first_fragments_leave_fewer_flows(shared_captures: Path) -> None:
    path = shared_captures / "ddos/StopDDoS__amp.dns.RRSIG.fragmented.pcap"
    apart, _, _ = flows_of(path, reassembled=False)
    together, records, _ = flows_of(path, reassembled=True)
    assert together.distinct < apart.distinct
    assert int(records["packets_out"].sum() + records["packets_in"].sum()) == 4412
