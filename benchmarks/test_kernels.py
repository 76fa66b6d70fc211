"""The kernels one by one, and file to flows against the C program in the same run: ``python -m pytest benchmarks``.

pytest-benchmark prints the times; below its table stands what they are for a packet, and how fast file to flows is beside C (goal: at least
half as fast). Nothing here fails because a machine is slow.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.make_capture import make_capture
from benchmarks.programs import built_yardstick
from netwatch.collect import open_capture
from netwatch.decode import Decoder
from netwatch.model.packet import FrameBlock, PacketBlock
from netwatch.model.tracked import TRACKED
from netwatch.track.flow_table import FlowTable
from netwatch.track.fragments import Reassembly
from tests.conftest import missing

Note = Callable[..., None]
PACKETS = 1_000_000
ROUNDS = 7


@pytest.fixture(scope="session")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "capture.pcap"
    make_capture(path, PACKETS)
    return path


@pytest.fixture(scope="session")
def frames(capture: Path) -> list[FrameBlock]:
    return list(open_capture(str(capture)).blocks())


@pytest.fixture(scope="session")
def blocks(frames: list[FrameBlock]) -> list[PacketBlock]:
    decoder = Decoder()
    return [decoder.decode(block) for block in frames]


def per_packet_ns(benchmark: Any) -> float:
    return round(float(benchmark.stats.stats.min) / PACKETS * 1e9, 1)


def test_collect(benchmark: Any, note: Note, capture: Path) -> None:
    packets = benchmark.pedantic(
        lambda: sum(len(block.frames) for block in open_capture(str(capture)).blocks()), rounds=ROUNDS, warmup_rounds=1
    )
    note(ns_per_packet=per_packet_ns(benchmark))
    assert packets == PACKETS


def test_decode(benchmark: Any, note: Note, frames: list[FrameBlock]) -> None:
    def decode() -> int:
        decoder = Decoder()
        for block in frames:
            decoder.decode(block)
        return decoder.traffic.packets

    assert benchmark.pedantic(decode, rounds=ROUNDS, warmup_rounds=1) == PACKETS
    note(ns_per_packet=per_packet_ns(benchmark))


def test_reassembly_where_there_are_no_fragments(benchmark: Any, note: Note, blocks: list[PacketBlock]) -> None:
    reassembly = Reassembly()

    def track() -> None:
        for block in blocks:
            reassembly.track(block)

    benchmark.pedantic(track, rounds=ROUNDS, warmup_rounds=1)
    note(ns_per_packet=per_packet_ns(benchmark))
    assert reassembly.received == 0


def track_all(blocks: list[PacketBlock], *, records: bool) -> FlowTable:
    table = FlowTable(records=records)
    for block in blocks:
        table.track(block.packets, np.zeros(len(block.packets), TRACKED))
    return table


@pytest.mark.parametrize("records", [False, True])
def test_flows(benchmark: Any, note: Note, blocks: list[PacketBlock], *, records: bool) -> None:
    def flows() -> int:
        table = track_all(blocks, records=records)
        return len(table.finish()) if records else table.distinct

    assert benchmark.pedantic(flows, rounds=ROUNDS, warmup_rounds=1) > 0
    note(ns_per_packet=per_packet_ns(benchmark))


def test_file_to_flows_beside_the_c_program(benchmark: Any, note: Note, capture: Path, tmp_path: Path) -> None:
    yardstick = built_yardstick(tmp_path)
    if yardstick is None:
        missing("a C compiler")
    in_c: list[dict[str, float]] = []

    def ask_c() -> None:
        done = subprocess.run([str(yardstick), str(capture)], capture_output=True, check=True)
        in_c.append(json.loads(done.stdout))

    def ours() -> int:
        decoder, table = Decoder(), FlowTable(records=False)
        for frames in open_capture(str(capture)).blocks():
            block = decoder.decode(frames)
            table.track(block.packets, np.zeros(len(block.packets), TRACKED))
        return table.distinct

    flows = benchmark.pedantic(ours, setup=ask_c, rounds=ROUNDS, warmup_rounds=1)
    fastest_c_s = min(run["seconds"] for run in in_c)
    note(
        ns_per_packet=per_packet_ns(benchmark),
        ns_per_packet_of_c=round(fastest_c_s / PACKETS * 1e9, 1),
        times_as_fast_as_c=round(fastest_c_s / benchmark.stats.stats.min, 2),
    )
    assert flows == in_c[0]["flows"]
