"""What becomes a service by its traffic, and what must not."""

import numpy as np
import pytest

from netwatch.measure.learning import sessions_needed
from netwatch.measure.services import ServiceDirectory
from netwatch.model.service import Service
from netwatch.model.tracked import FlowEvent, SessionEvent, Verdict
from tests.builders import tcp, udp
from tests.measure.rows import Seen, answer, handshake, query, rows, syn, syn_ack


def learned(*seen: Seen, directory: ServiceDirectory | None = None) -> list[str]:
    directory = ServiceDirectory(learn=True) if directory is None else directory
    packets, tracked = rows(*seen)
    directory.classify(packets, tracked)
    return [service.label for _, service in directory.learn(packets, tracked)]


def test_three_answered_sessions_make_a_service_that_is_named_by_its_label() -> None:
    directory = ServiceDirectory(learn=True)
    seen = [packet for client in range(3) for packet in handshake(client, f"10.0.0.{client}", 40000)]
    packets, tracked = rows(*seen)
    [(row, service)] = directory.learn(packets, tracked)
    assert (row, service) == (1, Service("192.0.2.25:25/tcp", "192.0.2.25", 25, "tcp", learned=True))
    directory.classify(packets, tracked)
    assert tracked["service"].tolist() == [1] * 9
    assert tracked["toward_service"].tolist() == [1, 0, 1] * 3


def test_two_answered_sessions_are_too_few_and_the_third_may_come_later() -> None:
    directory = ServiceDirectory(learn=True)
    assert learned(*handshake(0, "10.0.0.1", 1), *handshake(0, "10.0.0.1", 2), directory=directory) == []
    assert learned(*handshake(60, "10.0.0.1", 3), directory=directory) == ["192.0.2.25:25/tcp"]


def test_a_udp_responder_becomes_a_service_over_ipv6_too() -> None:
    seen = [step(port, "2001:db8::1", 40000 + port, "2001:db8::53", 53) for port in range(3) for step in (query, answer)]
    assert learned(*seen) == ["[2001:db8::53]:53/udp"]


def test_nothing_is_learned_when_learning_is_off() -> None:
    directory = ServiceDirectory(learn=False)
    assert learned(*[packet for port in range(9) for packet in handshake(0, "10.0.0.1", port)], directory=directory) == []


def test_a_port_scan_leaves_no_service_behind() -> None:
    scan = [syn(0, "10.0.0.1", 40000, f"192.0.{port >> 8}.{port & 255}", 1 + port) for port in range(2000)]
    refusals = [
        Seen(tcp(0, "192.0.0.1", 1 + port, "10.0.0.1", 40000, "RA"), SessionEvent.REPLIED | SessionEvent.RESET) for port in range(500)
    ]
    assert learned(*scan, *refusals) == []


def test_closed_ports_that_answer_with_resets_are_no_services() -> None:
    refused = Seen(tcp(0, "192.0.2.25", 25, "10.0.0.1", 40000, "RA"), SessionEvent.REPLIED | SessionEvent.RESET)
    assert learned(*[refused] * 5) == []


@pytest.mark.parametrize(
    "packet",
    [
        udp(0, "10.0.0.1", 40001, "192.0.2.1", 5000),  # answers of an ephemeral port
        udp(0, "10.0.0.1", 2000, "192.0.2.1", 53),  # the answer was seen first, so the client looks like the responder
        udp(0, "10.0.0.1", 0, "192.0.2.1", 5000),
    ],
)
def test_ephemeral_udp_ports_are_no_services(packet: object) -> None:
    assert learned(*[Seen(packet, SessionEvent.REPLIED)] * 5) == []  # type: ignore[arg-type]


def test_the_client_of_a_conversation_that_was_picked_up_is_no_service() -> None:
    acknowledges = Seen(tcp(0, "10.0.0.1", 40000, "192.0.2.25", 25, "A"), SessionEvent.REPLIED)
    assert learned(*[acknowledges] * 5) == []


def test_a_victim_that_never_answers_becomes_a_service_within_the_second() -> None:
    flood = [syn(0.001 * number, f"10.0.{number}.1", 1000) for number in range(100)]
    assert learned(*flood[:99]) == []
    assert learned(*flood) == ["192.0.2.25:25/tcp"]


def test_a_hundred_attempts_over_two_seconds_are_no_flood() -> None:
    assert learned(*[syn(0.011 * number, f"10.0.{number}.1", 1000) for number in range(150)]) == []


def test_attempts_count_although_the_table_is_full_or_a_mitigation_sheds_them() -> None:
    dropped = [
        Seen(udp(0, f"10.0.{number}.1", 999 + number, "192.0.2.53", 53), flow=FlowEvent.FIRST, verdict=Verdict.DROPPED)
        for number in range(100)
    ]
    assert learned(*dropped) == ["192.0.2.53:53/udp"]
    shed = [Seen(udp(0, f"10.0.{number}.1", 1999, "192.0.2.53", 53), SessionEvent.SHED, FlowEvent.FIRST) for number in range(100)]
    assert learned(*shed) == ["192.0.2.53:53/udp"]


def test_retransmitted_syns_are_no_new_attempts() -> None:
    repeated = Seen(tcp(0, "10.0.0.1", 1000, "192.0.2.25", 25, "S"), SessionEvent.SYN_REPEATED, FlowEvent.SYN_RETRANSMITTED)
    assert learned(*[repeated] * 300) == []


@pytest.mark.parametrize("half", ["client", "server"])
def test_a_conversation_seen_on_one_side_only_names_the_lower_port(half: str) -> None:
    seen = []
    for client in range(3):
        ends = (f"10.0.0.{client}", 40000, "192.0.2.25", 25) if half == "client" else ("192.0.2.25", 25, f"10.0.0.{client}", 40000)
        seen.append(Seen(tcp(0, *ends, "A"), flow=FlowEvent.ONE_SIDED))
    assert learned(*seen) == ["192.0.2.25:25/tcp"]


def test_the_candidate_that_has_begun_to_answer_survives_a_scan() -> None:
    directory = ServiceDirectory(learn=True)
    assert learned(*handshake(0, "10.0.0.1", 1), *handshake(0, "10.0.0.1", 2), directory=directory) == []
    packets, tracked = rows(*[syn(1, "10.9.9.9", 40000)] * 1)
    scan, seen = np.repeat(packets, 200_000), np.repeat(tracked, 200_000)
    scan["dst_lo"] += np.arange(1, 200_001, dtype=np.uint64)
    scan["dport"] = 80
    assert directory.learn(scan, seen) == []
    assert learned(*handshake(2, "10.0.0.1", 3), directory=directory) == ["192.0.2.25:25/tcp"]


def test_a_full_directory_stops_learning_and_says_how_many_it_refused() -> None:
    directory = ServiceDirectory(learn=True, capacity=4)
    seen = [syn_ack(0, "10.0.0.1", port, f"192.0.2.{server}", 25) for server in range(6) for port in range(3)]
    assert len(learned(*seen, directory=directory)) == 4
    assert directory.full
    assert directory.refused == 2


def test_floods_over_many_addresses_leave_room_for_services_that_answer() -> None:
    directory = ServiceDirectory(learn=True, capacity=8)
    flood = [syn(0, "10.0.0.1", port, f"192.0.2.{victim}", 80) for victim in range(20) for port in range(100)]
    assert len(learned(*flood, directory=directory)) == 2
    assert directory.refused == 18
    assert learned(*[syn_ack(1, "10.0.0.1", port) for port in range(3)], directory=directory) == ["192.0.2.25:25/tcp"]


def test_the_bar_rises_with_the_services_that_are_watched() -> None:
    assert [sessions_needed(count) for count in (0, 31, 32, 47, 48, 64, 96)] == [3, 3, 6, 6, 12, 24, 96]
    assert sessions_needed(10_000) > 1e12


def test_of_thousands_of_services_the_busiest_are_watched() -> None:
    directory = ServiceDirectory(learn=True)
    seen = [
        syn_ack(0, "10.0.0.1", port, f"192.0.{server >> 8}.{server & 255}", 25)
        for server in range(600)
        for port in range(90 if server % 60 == 7 else 5)
    ]
    found = learned(*seen, directory=directory)
    assert len(found) == 32
    assert {f"192.0.{server >> 8}.{server & 255}:25/tcp" for server in range(7, 600, 60)} <= set(found)
    quiet = [syn_ack(1, "10.0.0.1", port, "203.0.113.1", 25) for port in range(5)]
    assert learned(*quiet, directory=directory) == []
    assert learned(*quiet, directory=directory) == ["203.0.113.1:25/tcp"]


def test_the_victim_of_a_flood_is_watched_however_many_others_are() -> None:
    directory = ServiceDirectory([Service(f"s{port}", "203.0.113.1", port, "tcp") for port in range(1, 1000)], learn=True)
    assert learned(*[syn(0, f"10.0.{number}.1", 1000) for number in range(100)], directory=directory) == ["192.0.2.25:25/tcp"]
