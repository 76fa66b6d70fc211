"""Which service the session table says packets belong to: their entry's, which is the index' word as long as only one end serves."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.measure.services import ServiceDirectory
from netwatch.model.packet import Rows
from netwatch.model.service import Service
from netwatch.model.tracked import TRACKED
from netwatch.track.session_table import SessionTable
from tests.builders import Built, as_block, icmp_echo, tcp, udp
from tests.track.tables import CLIENT, SECOND_NS, SERVER, address, handshake, profile

MAIL, NAMES = Service("mail", SERVER, 25, "tcp"), Service("names", "192.0.2.53", 53, "udp")
OTHER = "198.51.100.7"


def served(table: SessionTable, directory: ServiceDirectory, *built: Built) -> list[tuple[int, int]]:
    rows = tracked(table, directory, *built)
    return list(zip(rows["service"].tolist(), rows["toward_service"].tolist(), strict=True))


def tracked(table: SessionTable, directory: ServiceDirectory, *built: Built) -> Rows:
    block = as_block(built)
    rows = np.zeros(len(block.packets), TRACKED)
    rows["service"], rows["toward_service"] = 77, 1  # of an earlier use of the rows
    table.track(block.packets, block.quoted, rows, directory.index)
    return rows


def site(*services: Service) -> tuple[SessionTable, ServiceDirectory]:
    directory = ServiceDirectory(services, learn=False)
    return SessionTable(profile(limit=40), groups=directory.capacity + 1, services=directory.indices), directory


@st.composite
def packets(draw: st.DrawFn) -> list[Built]:
    """Of some clients with two services and with hosts that are none, in whatever order, also such as no session allows."""
    made = []
    for number in range(draw(st.integers(1, 60))):
        client, port = address(draw(st.integers(0, 5))), draw(st.sampled_from([1000, 1001]))
        server, service_port = draw(st.sampled_from([(SERVER, 25), (SERVER, 26), ("192.0.2.53", 53), (OTHER, 25)]))
        ends = (client, port, server, service_port) if draw(st.booleans()) else (server, service_port, client, port)
        flags = draw(st.sampled_from(["S", "SA", "A", "PA", "FA", "R", "RA", "SF"]))
        at_s = number * draw(st.sampled_from([0.1, 1.0, 40.0]))
        kinds = udp(at_s, *ends), tcp(at_s, *ends, flags, seq=number, ack=number), icmp_echo(at_s, client, server, identifier=number)
        made.append(draw(st.sampled_from(kinds)))
    return made


@given(packets())
@settings(max_examples=150, deadline=None)
def test_every_packet_belongs_to_the_service_that_the_index_names(built: list[Built]) -> None:
    table, directory = site(MAIL, NAMES)
    rows, block = tracked(table, directory, *built), as_block(built)
    expected = np.zeros(len(built), TRACKED)
    directory.classify(block.packets, expected)
    assert rows["service"].tolist() == expected["service"].tolist()
    assert rows["toward_service"].tolist() == expected["toward_service"].tolist()


def test_answers_belong_to_the_service_that_was_asked_also_between_two_that_serve() -> None:
    table, directory = site(NAMES, Service("other names", OTHER, 53, "udp"))
    ask, answer = udp(0.0, OTHER, 53, "192.0.2.53", 53), udp(0.1, "192.0.2.53", 53, OTHER, 53)
    assert served(table, directory, ask, answer) == [(1, 1), (1, 0)]


def test_a_session_joins_a_service_that_is_learned_later() -> None:
    table, directory = site()
    assert served(table, directory, *handshake(0.0)) == [(0, 0)] * 3
    table.assign([(directory.add(MAIL), MAIL)])
    data = tcp(1.0, SERVER, 25, CLIENT, 40_000, "PA", seq=901, ack=101, payload=10)
    assert served(table, directory, data) == [(1, 0)]
    assert table.group_counts(1).entries == 1


def test_what_is_refused_belongs_to_its_service_too() -> None:
    table, directory = site(MAIL)
    asking = [tcp(0.0, address(number), 1, SERVER, 25, "S") for number in range(60)]
    rows = tracked(table, directory, *asking)
    assert rows["service"].tolist() == [1] * 60
    assert table.counts(SECOND_NS).dropped_full + table.counts(SECOND_NS).early_dropped == 20
