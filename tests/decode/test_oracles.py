"""Real captures, read and decoded, against what tshark counts in them."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netwatch.collect import open_capture
from netwatch.decode import Decoder
from netwatch.errors import CaptureError
from netwatch.model.packet import PacketBlock, concatenate
from tests.decode.flows_of_rows import flows_of
from tests.decode.known_differences import KNOWN_DIFFERENCES, LARGEST_SHARE

pytestmark = pytest.mark.shared
TCP_FIELDS = ("tcp_syn", "tcp_synack", "tcp_fin", "tcp_rst")


def decode_file(path: Path, *, inner: bool) -> tuple[Decoder, PacketBlock]:
    decoder = Decoder(inner=inner)
    try:
        blocks = [decoder.decode(block) for block in open_capture(str(path)).blocks()]
    except CaptureError:  # empty of packets, or no capture at all
        blocks = []
    return decoder, concatenate(blocks)


def comparisons(root: Path) -> Iterator[tuple[str, str, int, int]]:
    """(capture, field, ours, the oracle's) for every number that an oracle holds."""
    with (root / "MANIFEST.tsv").open() as manifest:
        entries = [entry for entry in csv.DictReader(manifest, delimiter="\t") if not entry["file"].endswith(".dat")]
    for entry in entries:
        name = entry["file"]
        outer, outer_rows = decode_file(root / name, inner=False)
        yield name, "packets", outer.traffic.packets, int(entry["packets"])
        if not entry["oracle"]:
            continue
        oracle: dict[str, Any] = json.loads((root / entry["oracle"].split(";")[0]).read_text())
        if "flows_outer" not in oracle:
            continue
        inner, inner_rows = decode_file(root / name, inner=True)
        counted: dict[str, int] = oracle["tshark_per_packet"].get("counts", {})
        for field in TCP_FIELDS:  # tshark counts the innermost TCP header
            yield name, field, getattr(inner.traffic, field), counted.get(field, 0)
        fragments = counted.get("ipv4_fragments", 0) + counted.get("ipv6_fragment_headers", 0)
        yield name, "fragments", outer.traffic.fragments, fragments
        yield name, "ip_packets", outer.traffic.ipv4 + outer.traffic.ipv6, counted.get("ip_packets", 0)
        yield name, "flows_outer", len(flows_of(outer_rows.packets)), oracle["flows_outer"]["bidirectional"]
        if "flows_inner" in oracle:
            yield name, "flows_inner", len(flows_of(inner_rows.packets)), oracle["flows_inner"]["bidirectional"]


def test_counts_and_flows_of_every_capture_are_those_of_the_oracle_but_for_the_known_differences(shared_captures: Path) -> None:
    found = list(comparisons(shared_captures))
    different = {(name, field, ours, oracle) for name, field, ours, oracle in found if ours != oracle}
    known = {(known.capture, known.field, known.ours, known.oracle) for known in KNOWN_DIFFERENCES}
    assert different == known
    assert len(found) > 1000
    assert len(known) <= LARGEST_SHARE * len(found)
