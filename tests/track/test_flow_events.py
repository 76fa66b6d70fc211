"""Each event is set on exactly one packet of the story that it belongs to."""

import numpy as np
import pytest

from netwatch.model.flow import FlowEnd
from netwatch.model.packet import Rows
from netwatch.model.tracked import GAP_BIN_EDGES_S, TRACKED, FlowEvent
from netwatch.track.flow_table import FlowTable
from tests.builders import Built, as_block, icmp_echo, tcp, udp

CLIENT, SERVER = "10.0.0.1", "192.0.2.25"


def out(at_s: float, flags: str = "A", *, seq: int = 1001, payload: int = 0) -> Built:
    return tcp(at_s, CLIENT, 40000, SERVER, 25, flags, seq=seq, payload=payload)


def back(at_s: float, flags: str = "A", *, seq: int = 9001, payload: int = 0) -> Built:
    return tcp(at_s, SERVER, 25, CLIENT, 40000, flags, seq=seq, payload=payload)


HANDSHAKE = (out(0.0, "S", seq=1000), back(0.1, "SA", seq=9000), out(0.2))


def track(*built: Built, table: FlowTable | None = None) -> tuple[list[FlowEvent], Rows]:
    packets = as_block(built).packets
    tracked = np.zeros(len(packets), TRACKED)
    (table or FlowTable(capacity=100)).track(packets, tracked)
    return [FlowEvent(bits) for bits in tracked["flow_events"].tolist()], tracked


def places(events: list[FlowEvent], wanted: FlowEvent) -> list[int]:
    return [number for number, event in enumerate(events) if wanted in event]


def test_the_first_packet_and_the_first_answer() -> None:
    events, _ = track(
        *HANDSHAKE, back(0.3), icmp_echo(1.0, CLIENT, SERVER, identifier=1), icmp_echo(1.1, SERVER, CLIENT, identifier=1, reply=True)
    )
    assert places(events, FlowEvent.FIRST) == [0, 4]
    assert places(events, FlowEvent.TWO_SIDED) == [1, 5]


def test_the_same_syn_again_and_another_syn() -> None:
    events, _ = track(out(0.0, "S", seq=1000), out(1.0, "S", seq=1000), out(3.0, "S", seq=5000), out(4.0, "S", seq=5000))
    assert places(events, FlowEvent.SYN_RETRANSMITTED) == [1, 3]


def test_a_repeated_syn_ack_or_fin_counts_in_the_record_but_is_no_repeated_data() -> None:
    table = FlowTable(capacity=10)
    events, _ = track(*HANDSHAKE, back(0.4, "SA", seq=9000), out(1.0, "FA"), out(2.0, "FA"), table=table)
    assert not places(events, FlowEvent.RETRANSMITTED)
    assert table.finish()[["retransmitted_out", "retransmitted_in"]].tolist() == [(1, 1)]


def test_data_that_was_seen_is_retransmitted_and_what_fills_a_gap_is_not() -> None:
    events, _ = track(
        *HANDSHAKE,
        out(1.0, "PA", seq=1001, payload=100),
        out(1.1, "PA", seq=1201, payload=100),  # 1101 … 1200 is missing
        out(1.2, "PA", seq=1101, payload=100),  # and comes late
        out(1.3, "PA", seq=1101, payload=100),  # and again
        out(1.4, "PA", seq=1201, payload=150),  # partly new
        out(1.5, "PA", seq=1001, payload=100),
    )
    assert places(events, FlowEvent.RETRANSMITTED) == [6, 8]


def test_a_keep_alive_probe_is_no_retransmission() -> None:
    events, _ = track(*HANDSHAKE, out(1.0, "PA", payload=10), out(9.0, "A", seq=1010, payload=1))
    assert not places(events, FlowEvent.RETRANSMITTED)


def test_sequence_numbers_wrap() -> None:
    edge = 2**32 - 50
    events, _ = track(out(0.0, seq=edge, payload=100), out(0.1, seq=50, payload=10), out(0.2, seq=edge, payload=100))
    assert places(events, FlowEvent.RETRANSMITTED) == [2]


@pytest.mark.parametrize(("flags", "told"), [("SAAAAA", [3]), ("SSSSSA", [5]), ("SSSSSS", [])])
def test_four_packets_and_an_ack_without_any_answer_make_a_flow_one_sided(flags: str, told: list[int]) -> None:
    events, _ = track(*(out(float(number), letter, seq=1000 + (letter == "A")) for number, letter in enumerate(flags)))
    assert places(events, FlowEvent.ONE_SIDED) == told


def test_udp_that_is_not_answered_is_not_one_sided() -> None:
    events, _ = track(*(udp(float(number), CLIENT, 514, SERVER, 514, payload=9) for number in range(8)))
    assert not places(events, FlowEvent.ONE_SIDED)


def test_the_initiators_first_payload() -> None:
    events, _ = track(*HANDSHAKE, back(0.3, "PA", payload=20), out(0.4, "PA", payload=10), out(0.5, "PA", seq=1011, payload=10))
    assert places(events, FlowEvent.FIRST_PAYLOAD) == [4]


def data(at_s: float, number: int) -> Built:
    """The client's data packet ``number``, 10 bytes each."""
    return out(at_s, "PA", seq=1001 + 10 * number, payload=10)


@pytest.mark.parametrize(("packets", "told"), [(10, []), (11, [14])])
def test_a_reset_of_a_connection_that_had_carried_data(packets: int, told: list[int]) -> None:
    sent = [data(1.0 + number, number) for number in range(packets)]
    events, _ = track(*HANDSHAKE, *sent, back(20.0, "R"), back(20.1, "R"))
    assert places(events, FlowEvent.RESET_WITH_DATA) == told


def test_a_reset_after_both_fins_is_how_many_close() -> None:
    sent = [data(1.0 + number, number) for number in range(12)]
    events, _ = track(*HANDSHAKE, *sent, out(20.0, "FA", seq=1121), back(20.1, "FA"), out(20.2, "R", seq=1122))
    assert not places(events, FlowEvent.RESET_WITH_DATA)


@pytest.mark.parametrize(("gap_s", "expected"), [(29.9, None), (30.0, 0), (119.0, 1), (400.0, 3), (100_000.0, len(GAP_BIN_EDGES_S) - 1)])
def test_data_after_an_idle_gap_resumes_the_flow_in_the_gaps_bin(gap_s: float, expected: int | None) -> None:
    events, tracked = track(*HANDSHAKE, data(1.0, 0), data(1.0 + gap_s, 1), back(1.2 + gap_s), back(1.3 + gap_s))
    assert places(events, FlowEvent.RESUMED) == ([] if expected is None else [4])
    assert places(events, FlowEvent.RESUME_ANSWERED) == ([] if expected is None else [5])
    assert tracked["gap_bin"].tolist() == [0, 0, 0, 0, expected or 0, expected or 0, 0]


def test_an_idle_time_out_black_hole_is_unanswered_on_the_third_copy_only() -> None:
    sent = [data(400.0, 1), data(400.2, 1), data(400.6, 1), data(401.4, 1), data(440.0, 1), data(520.0, 1)]
    events, tracked = track(*HANDSHAKE, data(1.0, 0), back(1.1), *sent)
    assert places(events, FlowEvent.RESUMED) == [5]
    assert places(events, FlowEvent.RESUME_UNANSWERED) == [7]
    assert tracked["gap_bin"].tolist() == [0, 0, 0, 0, 0, 3, 0, 3, 0, 0, 0]
    assert not places(events, FlowEvent.RESUME_ANSWERED)


def test_an_answer_that_comes_from_the_initiator_counts_for_the_responders_data() -> None:
    events, _ = track(*HANDSHAKE, back(1.0, "PA", payload=5), back(61.5, "PA", seq=9006, payload=5), out(61.6))
    assert places(events, FlowEvent.RESUMED) == [4]
    assert places(events, FlowEvent.RESUME_ANSWERED) == [5]


def test_the_gap_is_remembered_beyond_the_record() -> None:
    table = FlowTable(capacity=10, tcp_idle_timeout_s=60.0)
    events, tracked = track(*HANDSHAKE, data(1.0, 0), udp(1000.0, CLIENT, 1, SERVER, 2), data(7300.0, 1), table=table)
    assert places(events, FlowEvent.FIRST) == [0, 4]
    assert places(events, FlowEvent.RESUMED) == [5]
    assert tracked["gap_bin"][5] == GAP_BIN_EDGES_S.index(7200.0)
    assert [FlowEnd(end) for end in table.drain()["end"]] == [FlowEnd.IDLE, FlowEnd.IDLE]
    assert table.distinct == 2


def test_keep_alive_traffic_is_no_gap() -> None:
    probes = [out(1.0 + 25.0 * number, "A", seq=1010) for number in range(1, 9)]
    events, _ = track(*HANDSHAKE, data(1.0, 0), *probes, data(203.0, 1))
    assert not places(events, FlowEvent.RESUMED)


def ends(*built: Built) -> list[tuple[str, int, int]]:
    """(end, packets out, packets in) of the records, in the order in which they ended."""
    table = FlowTable(capacity=10)
    track(*built, table=table)
    return [(FlowEnd(row["end"]).name, int(row["packets_out"]), int(row["packets_in"])) for row in table.finish()]


def test_how_connections_end() -> None:
    closed = (*HANDSHAKE, out(1.0, "FA"), back(1.1, "FA"), out(1.2, seq=1002))
    assert ends(*closed) == [("FIN", 4, 2)]
    assert ends(*HANDSHAKE, out(1.0, "FA")) == [("OPEN", 3, 1)]
    assert ends(*HANDSHAKE, back(1.0, "RA"), out(1.1)) == [("RST", 3, 2)]


def test_a_new_syn_on_an_ended_connection_begins_a_record_and_no_new_tuple() -> None:
    again = (out(5.0, "S", seq=70_000), back(5.1, "SA", seq=80_000))
    closed = (*HANDSHAKE, out(1.0, "FA"), back(1.1, "FA"))
    assert ends(*closed, *again) == [("FIN", 3, 2), ("OPEN", 1, 1)]
    events, _ = track(*closed, *again)
    assert places(events, FlowEvent.FIRST) == [0]
    assert places(events, FlowEvent.TWO_SIDED) == [1, 6]
    assert ends(out(0.0, "S", seq=5), back(0.1, "RA", seq=0), out(0.6, "S", seq=5)) == [("RST", 2, 1)]  # the same attempt


def test_handshake_times_and_who_began() -> None:
    table = FlowTable(capacity=10)
    track(back(0.1, "SA", seq=9000), out(0.05, "S", seq=1000), out(0.2), back(0.3), out(0.4), table=table)
    (record,) = table.finish()
    assert record[["sport", "dport", "packets_out", "packets_in"]].tolist() == (40000, 25, 3, 2)
    assert record[["first_ns", "syn_ns", "synack_ns", "ack_ns"]].tolist() == (50_000_000, 50_000_000, 100_000_000, 200_000_000)


def test_a_syn_turns_a_flow_around_that_began_in_the_middle() -> None:
    table = FlowTable(capacity=10)
    track(back(1.0, "PA", payload=7), out(2.0, "S", seq=1000), back(2.1, "SA", seq=9000), table=table)
    (record,) = table.finish()
    assert record[["sport", "dport", "packets_out", "packets_in", "payload_out", "payload_in"]].tolist() == (40000, 25, 1, 2, 0, 7)


def test_a_long_transfer_is_told_in_parts() -> None:
    table = FlowTable(capacity=10, active_timeout_s=100.0)
    events, _ = track(*HANDSHAKE, *(data(1.0 + 20.0 * number, number) for number in range(12)), table=table)
    records = table.finish()
    assert [FlowEnd(end).name for end in records["end"]] == ["ACTIVE", "ACTIVE", "OPEN"]
    assert records["packets_out"].sum() == 14
    assert places(events, FlowEvent.FIRST) == [0]
    assert table.distinct == 1
