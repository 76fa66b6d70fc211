"""Session tables for tests: a quiet default, and packets in one call."""

from typing import Any

import numpy as np

from netwatch.model.packet import Rows
from netwatch.model.service_index import PREFIX, ServiceIndex, empty_index, with_prefix
from netwatch.model.session import FirewallProfile, SessionState
from netwatch.model.tracked import TRACKED, InvalidReason, SessionEvent, Verdict
from netwatch.track.session_table import SessionTable
from tests.builders import Built, as_block, tcp

CLIENT, SERVER = "10.0.0.1", "192.0.2.25"
SECOND_NS = 1_000_000_000


def profile(**fields: Any) -> FirewallProfile:
    """netfilter's defaults, but what has expired is gone at once."""
    chosen: dict[str, Any] = {"name": "test", "description": "", "lagging_collection": False} | fields
    return FirewallProfile(**chosen)


def track(table: SessionTable, *built: Built, service: int = 0, toward: bool = True) -> Rows:
    """Judge some packets; returns their rows of TRACKED. The service is where the first of them goes, or where it comes from."""
    block = as_block(built)
    tracked = np.zeros(len(block.packets), TRACKED)
    if len(tracked):
        first = block.packets[0]
        port = first["dport"] if toward else first["sport"]
        table.track(block.packets, block.quoted, tracked, anywhere(int(port), int(first["protocol"]), service))
    return tracked


def anywhere(port: int, protocol: int, service: int) -> ServiceIndex:
    """An index of one service: this port at whatever address."""
    index = empty_index(1)
    return with_prefix(index, np.array([(0, 0, 0, 0, port << 8 | protocol, service)], PREFIX)) if service else index


def verdicts(table: SessionTable, *built: Built) -> list[Verdict]:
    return [Verdict(verdict) for verdict in track(table, *built)["verdict"]]


def judged(table: SessionTable, built: Built) -> tuple[Verdict, InvalidReason, SessionEvent]:
    row = track(table, built)[0]
    return Verdict(row["verdict"]), InvalidReason(row["invalid"]), SessionEvent(int(row["session_events"]))


def events(table: SessionTable, built: Built) -> SessionEvent:
    return judged(table, built)[2]


def states(table: SessionTable, at_s: float) -> dict[str, int]:
    """Entries by state at a moment, those that count."""
    by_state = table.counts(round(at_s * SECOND_NS)).all.by_state
    return {state.name: by_state[state] for state in SessionState if by_state[state]}


def handshake(at_s: float, client: str = CLIENT, port: int = 40_000, server: str = SERVER, service_port: int = 25) -> list[Built]:
    """SYN at sequence number 100, SYN-ACK at 900, ACK."""
    return [
        tcp(at_s, client, port, server, service_port, "S", seq=100, mss=1460),
        tcp(at_s, server, service_port, client, port, "SA", seq=900, ack=101, mss=1460),
        tcp(at_s, client, port, server, service_port, "A", seq=101, ack=901),
    ]


def closing(at_s: float, client: str = CLIENT, port: int = 40_000, server: str = SERVER, service_port: int = 25) -> list[Built]:
    """An orderly close right after ``handshake``, by the client."""
    return [
        tcp(at_s, client, port, server, service_port, "FA", seq=101, ack=901),
        tcp(at_s, server, service_port, client, port, "FA", seq=901, ack=102),
        tcp(at_s, client, port, server, service_port, "A", seq=102, ack=902),
    ]


def address(number: int, base: str = "10.0.0.0") -> str:
    """The address ``number`` places behind another."""
    first = [int(part) for part in base.split(".")]
    value = (first[0] << 24 | first[1] << 16 | first[2] << 8 | first[3]) + number
    return ".".join(str(value >> shift & 255) for shift in (24, 16, 8, 0))
