"""Flow records to CSV, JSON lines or Parquet, in bounded memory: one row for each record, in the order in which they ended.

The columns, beside the information elements of IPFIX that they are (``_out`` is from the initiator, ``_in`` its reverse, RFC 5103):

==========================================  =====================================================================================
start_s, end_s                              flowStartNanoseconds, flowEndNanoseconds: seconds since the epoch, rounded to microseconds
protocol                                    protocolIdentifier: its name, else its number
initiator, initiator_port                   sourceIPv4Address, sourceIPv6Address, sourceTransportPort
responder, responder_port                   destination…
packets_out, bytes_out, payload_out         packetDeltaCount, layer2OctetDeltaCount (on the wire), bytes above the transport header
flags_out                                   tcpControlBits, all that were seen: letters of CEUAPRSF
retransmitted_out                           segments whose sequence had been seen
syn_s, synack_s, ack_s                      first SYN, first SYN-ACK, the initiator's first ACK; empty where none was seen
vlan                                        vlanId, 0 none
fragments                                   true: later IP fragments whose ports are not known
end                                         flowEndReason: fin, rst, idle, active, evicted, open (the capture ended first)
==========================================  =====================================================================================

pyarrow builds the columns and writes CSV and Parquet, pandas writes JSON. Loading them takes a second, so it is done when they are needed.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from netwatch.errors import ReportError
from netwatch.model.flow import FLOW, FlowEnd
from netwatch.model.packet import IPV4_MAPPED, Rows, TcpFlag
from netwatch.model.rows import joined
from netwatch.model.service import Protocol as IpProtocol

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK_ROWS = 65_536
"""Records that are turned into columns at once, and a row group of Parquet."""

STDOUT = "-"

FLAG_LETTERS = "FSRPAUEC"
"""By the bits of ``TcpFlag``, lowest first; written the other way round, as tcpdump's manual and nfdump have them."""


class FlowFormat(StrEnum):
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


class TableWriter(Protocol):
    """What the three formats have in common."""

    def write(self, table: "pa.Table") -> None: ...

    def close(self) -> None: ...


def flag_text(bits: int) -> str:
    """``SYN | ACK`` -> ``"AS"``."""
    return "".join(letter for letter, flag in zip(reversed(FLAG_LETTERS), sorted(TcpFlag, reverse=True), strict=True) if bits & flag)


def protocol_text(number: int) -> str:
    return IpProtocol(number).name.lower() if number in set(IpProtocol) else str(number)


FLAG_TEXTS = [flag_text(bits) for bits in range(256)]
PROTOCOL_TEXTS = [protocol_text(number) for number in range(256)]
END_TEXTS = [end.name.lower() for end in FlowEnd]
OCTET_TEXTS = [str(number) for number in range(256)]


def chosen(texts: list[str], numbers: NDArray[Any]) -> "pa.Array":
    """The text of each number, from a table of all of them."""
    import pyarrow as pa

    return pa.array(texts).take(pa.array(numbers.astype(np.uint8)))


def addresses(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> "pa.Array":
    """Addresses as text: IPv4 by whole columns, IPv6 (RFC 5952) once for each different one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    octets = [chosen(OCTET_TEXTS, (low >> np.uint64(shift)) & np.uint64(0xFF)) for shift in (24, 16, 8, 0)]
    texts = pc.binary_join_element_wise(*octets, ".")
    is_ipv6 = (high != 0) | (low >> np.uint64(32) != IPV4_MAPPED >> 32)
    if not is_ipv6.any():
        return texts
    pairs = np.stack([high[is_ipv6], low[is_ipv6]], axis=1)
    different, place = np.unique(pairs, axis=0, return_inverse=True)
    written = pa.array([str(IPv6Address(hi << 64 | lo)) for hi, lo in different.tolist()])
    return pc.replace_with_mask(texts, pa.array(is_ipv6), written.take(pa.array(place.ravel())))


def seconds(time_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(np.round(time_ns / 1000) / 1e6, np.float64)


def moment(time_ns: NDArray[np.int64]) -> "pa.Array":
    """Seconds, or nothing where the time is 0."""
    import pyarrow as pa

    return pa.array(seconds(time_ns), mask=time_ns == 0)


def table_of(records: Rows) -> "pa.Table":
    """The columns of records (``FLOW``)."""
    import pyarrow as pa

    last_ns = np.maximum(records["last_out_ns"], records["last_in_ns"])
    columns: dict[str, Any] = {
        "start_s": seconds(records["first_ns"]),
        "end_s": seconds(last_ns),
        "protocol": chosen(PROTOCOL_TEXTS, records["protocol"]),
        "initiator": addresses(records["initiator_hi"], records["initiator_lo"]),
        "initiator_port": records["sport"],
        "responder": addresses(records["responder_hi"], records["responder_lo"]),
        "responder_port": records["dport"],
    }
    for name in ("packets", "bytes", "payload"):
        columns |= {f"{name}_{way}": records[f"{name}_{way}"] for way in ("out", "in")}
    columns |= {f"flags_{way}": chosen(FLAG_TEXTS, records[f"flags_{way}"]) for way in ("out", "in")}
    columns |= {f"retransmitted_{way}": records[f"retransmitted_{way}"] for way in ("out", "in")}
    columns |= {f"{name}_s": moment(records[f"{name}_ns"]) for name in ("syn", "synack", "ack")}
    columns |= {"vlan": records["vlan"], "fragments": records["fragments"] != 0, "end": chosen(END_TEXTS, records["end"])}
    return pa.table({name: np.ascontiguousarray(column) if isinstance(column, np.ndarray) else column for name, column in columns.items()})


class CsvWriter:
    """RFC 4180, with a line of names first. No value has a comma or a quote in it."""

    def __init__(self, output: BinaryIO) -> None:
        import pyarrow as pa

        self._output = output
        self._file = pa.PythonFile(output, mode="w")
        output.write(",".join(table_of(np.zeros(0, FLOW)).column_names).encode() + b"\n")

    def write(self, table: "pa.Table") -> None:
        from pyarrow import csv

        csv.write_csv(table, self._file, csv.WriteOptions(include_header=False, quoting_style="none"))

    def close(self) -> None:
        self._output.flush()


class JsonWriter:
    """One object a line."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output

    def write(self, table: "pa.Table") -> None:
        table.to_pandas().to_json(self._output, orient="records", lines=True, double_precision=6)

    def close(self) -> None:
        self._output.flush()


class ParquetWriter:
    """One row group for each table that is written; texts that repeat are stored once (dictionary pages), compressed by zstd."""

    def __init__(self, output: BinaryIO) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._output = output
        self._writer = parquet.ParquetWriter(pa.PythonFile(output, mode="w"), table_of(np.zeros(0, FLOW)).schema, compression="zstd")

    def write(self, table: "pa.Table") -> None:
        self._writer.write_table(table)

    def close(self) -> None:
        self._writer.close()
        self._output.flush()


def chunks(records: Iterable[Rows]) -> Iterator[Rows]:
    """The same records in pieces of ``CHUNK_ROWS``; only the last is smaller."""
    waiting: list[Rows] = []
    count = 0
    for part in records:
        waiting.append(part)
        count += len(part)
        if count >= CHUNK_ROWS:
            whole_rows = joined(waiting)
            whole = count - count % CHUNK_ROWS
            for begin in range(0, whole, CHUNK_ROWS):
                yield whole_rows[begin : begin + CHUNK_ROWS]
            waiting, count = [whole_rows[whole:]], count - whole
    if count:
        yield joined(waiting)


@contextmanager
def opened(output: str) -> Iterator[BinaryIO]:
    """The file to write to; errors of it become a sentence."""
    if output == STDOUT:
        yield sys.stdout.buffer
        return
    try:
        with Path(output).open("wb") as file:
            yield cast(BinaryIO, file)
    except OSError as error:
        raise ReportError(f"{output}: flow records cannot be written: {error.strerror or error}; give --output a place that can") from error


def write_flows(records: Iterable[Rows], output: str, form: FlowFormat | str) -> int:
    """Write records (``FLOW``, in parts of any size) to a file, or to standard output if ``output`` is ``-``; return how many."""
    written = 0
    with opened(output) as file:
        match FlowFormat(form):
            case FlowFormat.CSV:
                writer: TableWriter = CsvWriter(file)
            case FlowFormat.JSON:
                writer = JsonWriter(file)
            case FlowFormat.PARQUET:
                writer = ParquetWriter(file)
        for part in chunks(records):
            writer.write(table_of(part))
            written += len(part)
        writer.close()
    return written
