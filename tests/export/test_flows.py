"""Flow records written in each format and read back."""

import json
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import IPv6Address
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from netwatch.errors import ReportError
from netwatch.export.flows import CHUNK_ROWS, FlowFormat, addresses, chunks, flag_text, write_flows
from netwatch.model.address import address_text
from netwatch.model.flow import FLOW, FlowEnd
from netwatch.model.packet import Rows
from netwatch.model.tracked import TRACKED
from netwatch.track.flow_table import FlowTable
from tests.builders import as_block, flag_bits, tcp, udp

CLIENT, SERVER = "2001:db8::7", "2001:db8::25"


def some_records() -> Rows:
    """One closed mail session over IPv6, one query over IPv4 without an answer."""
    at_s = 1_750_000_000.0
    packets = as_block(
        [
            tcp(at_s, CLIENT, 40000, SERVER, 25, "S", seq=1, vlan=12),
            tcp(at_s + 0.01, SERVER, 25, CLIENT, 40000, "SA", seq=1),
            tcp(at_s + 0.02, CLIENT, 40000, SERVER, 25, "A", seq=2),
            tcp(at_s + 0.5, CLIENT, 40000, SERVER, 25, "FPA", seq=2, payload=100),
            tcp(at_s + 0.6, SERVER, 25, CLIENT, 40000, "FA", seq=2),
            udp(at_s + 1, "10.0.0.1", 5353, "192.0.2.53", 53, payload=30),
        ]
    ).packets
    table = FlowTable(capacity=10)
    table.track(packets, np.zeros(len(packets), TRACKED))
    return table.finish()


EXPECTED = {
    "start_s": 1_750_000_000.0,
    "end_s": 1_750_000_000.6,
    "protocol": "tcp",
    "initiator": CLIENT,
    "initiator_port": 40000,
    "responder": SERVER,
    "responder_port": 25,
    "packets_out": 3,
    "packets_in": 2,
    "bytes_out": 3 * 74 + 100,
    "bytes_in": 2 * 74,
    "payload_out": 100,
    "payload_in": 0,
    "flags_out": "APSF",
    "flags_in": "ASF",
    "retransmitted_out": 0,
    "retransmitted_in": 0,
    "syn_s": 1_750_000_000.0,
    "synack_s": 1_750_000_000.01,
    "ack_s": 1_750_000_000.02,
    "vlan": 12,
    "fragments": False,
    "end": "fin",
}


def read(path: Path, form: FlowFormat) -> pd.DataFrame:
    match form:
        case FlowFormat.CSV:
            return pd.read_csv(path)
        case FlowFormat.JSON:
            return pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
        case FlowFormat.PARQUET:
            return pd.read_parquet(path)


@pytest.mark.parametrize("form", list(FlowFormat))
def test_what_is_read_back_is_what_was_written(tmp_path: Path, form: FlowFormat) -> None:
    path = tmp_path / "flows"
    assert write_flows(iter([some_records()]), str(path), form) == 2
    frame = read(path, form)
    assert list(frame.columns) == list(EXPECTED)
    assert {name: value for name, value in frame.iloc[0].items() if value != EXPECTED[str(name)]} == {}
    query = frame.iloc[1]
    assert (query["protocol"], query["initiator"], query["responder_port"], query["end"]) == ("udp", "10.0.0.1", 53, "open")
    assert query[["syn_s", "synack_s", "ack_s"]].isna().all()


@pytest.mark.parametrize("form", list(FlowFormat))
def test_a_capture_without_flows_gives_a_valid_empty_file(tmp_path: Path, form: FlowFormat) -> None:
    path = tmp_path / "flows"
    assert write_flows(iter(()), str(path), form) == 0
    frame = read(path, form)
    assert len(frame) == 0
    assert list(frame.columns) == ([] if form is FlowFormat.JSON else list(EXPECTED))


@pytest.mark.parametrize("form", list(FlowFormat))
def test_dash_is_standard_output(tmp_path: Path, form: FlowFormat) -> None:
    np.save(tmp_path / "records.npy", some_records())
    program = (
        "import sys, numpy as np; from netwatch.export.flows import FlowFormat, write_flows;"
        "write_flows([np.load(sys.argv[1])], '-', FlowFormat(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "records.npy", form], capture_output=True, check=True)
    (tmp_path / "flows").write_bytes(done.stdout)
    assert read(tmp_path / "flows", form)["protocol"].tolist() == ["tcp", "udp"]


def test_records_are_taken_as_they_come_and_parquet_has_a_row_group_for_each_chunk(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    taken = 0

    def parts() -> Iterator[Rows]:
        nonlocal taken
        for size in (10, CHUNK_ROWS, 0, 2 * CHUNK_ROWS + 5):
            taken += 1
            part = np.zeros(size, FLOW)
            part["initiator_lo"] = rng.integers(0, 2**62, size)
            yield part

    assert [len(part) for part in chunks(parts())] == [CHUNK_ROWS] * 3 + [15]
    taken = 0
    pieces = chunks(parts())
    next(pieces)
    assert taken == 2
    assert write_flows(parts(), str(tmp_path / "flows"), FlowFormat.PARQUET) == 3 * CHUNK_ROWS + 15
    with parquet.ParquetFile(tmp_path / "flows") as file:
        assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [CHUNK_ROWS] * 3 + [15]


def test_addresses_of_both_families_in_any_order() -> None:
    rng = np.random.default_rng(5)
    high, low = rng.integers(0, 2**64, 500, np.uint64), rng.integers(0, 2**64, 500, np.uint64)
    high[::2] = 0
    low[::2] = np.uint64(0xFFFF_0000_0000) | low[::2] & np.uint64(0xFFFF_FFFF)
    high[1], low[1] = 0, 1
    texts = addresses(high, low).to_pylist()
    assert texts == [address_text(hi, lo) for hi, lo in zip(high.tolist(), low.tolist(), strict=True)]
    assert texts[1] == str(IPv6Address(1))
    assert addresses(high[::2], low[::2]).to_pylist() == texts[::2]


def test_numbers_without_a_name_are_written_as_numbers(tmp_path: Path) -> None:
    records = np.zeros(2, FLOW)
    records["protocol"], records["end"], records["fragments"] = [50, 253], [FlowEnd.EVICTED, FlowEnd.ACTIVE], [0, 1]
    write_flows([records], str(tmp_path / "flows"), FlowFormat.PARQUET)
    frame = pd.read_parquet(tmp_path / "flows")
    assert frame[["protocol", "end", "fragments"]].to_numpy().tolist() == [["esp", "evicted", False], ["253", "active", True]]


@pytest.mark.parametrize("letters", ["", "S", "AS", "CEUAPRSF"])
def test_flags_are_letters(letters: str) -> None:
    assert flag_text(flag_bits(letters)) == letters


@pytest.mark.parametrize("form", list(FlowFormat))
def test_a_place_that_cannot_be_written_is_said_in_a_sentence(form: FlowFormat) -> None:
    with pytest.raises(ReportError, match=r"^/nowhere/flows: flow records cannot be written: No such file or directory; "):
        write_flows([some_records()], "/nowhere/flows", form)


def test_a_full_disk_is_said_in_a_sentence() -> None:
    with pytest.raises(ReportError, match="/dev/full: flow records cannot be written: No space left on device"):
        write_flows([some_records().repeat(1000)], "/dev/full", FlowFormat.CSV)


def test_pandas_and_pyarrow_are_not_loaded_before_something_is_written() -> None:
    program = "import sys, netwatch.export.flows; print(sorted({'pandas', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert done.stdout == "[]\n"
