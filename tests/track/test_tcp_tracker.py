"""What a firewall's TCP tracker does, one behaviour a test; the comparison in bulk is test_tcp_twin's and the namespaces'."""

from typing import Any

import pytest

from netwatch.model.session import Timeouts
from netwatch.model.tracked import InvalidReason, SessionEvent, Verdict
from netwatch.track.session_table import SessionTable
from tests.builders import tcp
from tests.track.tables import CLIENT, SERVER, closing, events, handshake, judged, profile, states, track, verdicts

OUT = (CLIENT, 40_000, SERVER, 25)
BACK = (SERVER, 25, CLIENT, 40_000)
NEW, ESTABLISHED, INVALID = Verdict.NEW, Verdict.ESTABLISHED, Verdict.INVALID


def established(at_s: float = 0.0, **fields: Any) -> SessionTable:
    table = SessionTable(profile(**fields))
    track(table, *handshake(at_s))
    return table


def test_a_handshake_ends_established_and_assured() -> None:
    table = SessionTable(profile())
    rows = track(table, *handshake(0.0))
    assert [Verdict(row["verdict"]) for row in rows] == [NEW, ESTABLISHED, ESTABLISHED]
    assert [SessionEvent(int(row["session_events"])) for row in rows] == [
        SessionEvent.CREATED,
        SessionEvent.REPLIED,
        SessionEvent.HANDSHAKE_COMPLETED | SessionEvent.ASSURED,
    ]
    assert states(table, 1.0) == {"ESTABLISHED": 1}
    assert table.counts(0).all.assured == 1


def test_an_orderly_close_walks_through_the_states_and_ends_in_time_wait() -> None:
    table = established()
    seen: list[str] = []
    for packet in closing(1.0):
        track(table, packet)
        seen.extend(states(table, 1.0))
    assert seen == ["FIN_WAIT", "LAST_ACK", "TIME_WAIT"]


def test_only_the_first_fin_closes() -> None:
    table = established()
    fins = [events(table, packet) for packet in closing(1.0)[:2]]
    assert fins == [SessionEvent.CLOSING, SessionEvent(0)]


def test_a_repeated_syn_is_new_and_does_not_prolong_the_entry() -> None:
    table = SessionTable(profile())
    syns = [tcp(at_s, *OUT, "S", seq=100) for at_s in (0.0, 60.0, 119.0)]
    rows = track(table, *syns)
    assert [Verdict(row["verdict"]) for row in rows] == [NEW, NEW, NEW]
    assert [bool(row["session_events"] & SessionEvent.SYN_REPEATED) for row in rows] == [False, True, True]
    assert states(table, 119.9) == {"SYN_SENT": 1}
    assert states(table, 120.1) == {}


def test_another_syn_on_the_same_ports_is_no_repetition() -> None:
    table = SessionTable(profile())
    track(table, tcp(0.0, *OUT, "S", seq=100))
    assert events(table, tcp(1.0, *OUT, "S", seq=5000)) == SessionEvent(0)


def test_a_syn_ack_without_its_syn_opens_nothing() -> None:
    table = SessionTable(profile())
    assert judged(table, tcp(0.0, *BACK, "SA", seq=900, ack=101)) == (INVALID, InvalidReason.NO_SESSION, SessionEvent(0))
    assert states(table, 0.0) == {}


def test_loose_picks_up_an_ack_and_strict_does_not() -> None:
    ack = tcp(0.0, *OUT, "A", seq=5, ack=7)
    loose, strict = SessionTable(profile()), SessionTable(profile(strict=True))
    assert judged(loose, ack) == (NEW, InvalidReason.NONE, SessionEvent.CREATED | SessionEvent.PICKED_UP)
    assert judged(strict, ack) == (INVALID, InvalidReason.NO_SESSION, SessionEvent(0))


def test_a_picked_up_connection_that_nobody_answers_lives_five_minutes() -> None:
    table = SessionTable(profile())
    track(table, tcp(0.0, *OUT, "A", seq=5, ack=7))
    assert states(table, 299.0) == {"ESTABLISHED": 1}
    assert states(table, 301.0) == {}


def test_a_picked_up_connection_is_assured_after_its_answer_and_not_held_to_its_windows() -> None:
    table = SessionTable(profile())
    track(table, tcp(0.0, *OUT, "A", seq=5, ack=7))
    assert events(table, tcp(0.1, *BACK, "A", seq=7, ack=5)) == SessionEvent.REPLIED
    assert judged(table, tcp(0.2, *OUT, "A", seq=900_000, ack=3_000_000)) == (ESTABLISHED, InvalidReason.NONE, SessionEvent.ASSURED)


@pytest.mark.parametrize("flags", ["F", "", "SF", "SR", "FSRPAU", "SFA", "RF"])
def test_a_bad_combination_of_flags_is_malformed(flags: str) -> None:
    assert judged(established(), tcp(1.0, *OUT, flags, seq=101, ack=901))[:2] == (INVALID, InvalidReason.MALFORMED)


@pytest.mark.parametrize("flags", ["PA", "AEC", "AU", "PAU"])
def test_push_urgent_and_congestion_flags_change_nothing(flags: str) -> None:
    assert verdicts(established(), tcp(1.0, *OUT, flags, seq=101, ack=901)) == [ESTABLISHED]


def test_a_reset_before_any_answer_deletes_the_entry() -> None:
    table = SessionTable(profile())
    track(table, tcp(0.0, *OUT, "S", seq=100))
    assert judged(table, tcp(0.1, *BACK, "RA", seq=0, ack=101)) == (ESTABLISHED, InvalidReason.NONE, SessionEvent.RESET)
    assert states(table, 0.1) == {}


def test_a_reset_at_the_acknowledged_number_closes() -> None:
    table = established()
    assert judged(table, tcp(1.0, *BACK, "R", seq=901))[2] == SessionEvent.RESET
    assert states(table, 10.9) == {"CLOSE": 1}
    assert states(table, 11.1) == {}


def test_a_reset_below_what_was_acknowledged_is_invalid() -> None:
    assert judged(established(), tcp(1.0, *BACK, "R", seq=900))[:2] == (INVALID, InvalidReason.BAD_RST)


def test_a_reset_within_the_window_but_not_at_its_edge_leaves_the_connection_for_a_challenge_ack() -> None:
    table = established()
    assert judged(table, tcp(1.0, *BACK, "R", seq=950)) == (ESTABLISHED, InvalidReason.NONE, SessionEvent(0))
    assert states(table, 300.9) == {"ESTABLISHED": 1}
    assert states(table, 301.1) == {}, "five minutes instead of five days"


def test_a_segment_beyond_the_window_is_invalid() -> None:
    assert judged(established(), tcp(1.0, *OUT, "PA", seq=900_000, ack=901, payload=10))[:2] == (INVALID, InvalidReason.OUT_OF_WINDOW)


def test_an_acknowledgement_of_what_was_never_sent_is_invalid() -> None:
    assert judged(established(), tcp(1.0, *OUT, "A", seq=101, ack=2000))[:2] == (INVALID, InvalidReason.OUT_OF_WINDOW)


def test_without_window_tracking_everything_of_a_connection_passes() -> None:
    assert verdicts(established(window_tracking=False), tcp(1.0, *OUT, "PA", seq=900_000, ack=2_000_000, payload=10)) == [ESTABLISHED]


def test_an_old_segment_is_ignored_and_not_invalid() -> None:
    table = established()
    track(table, tcp(1.0, *OUT, "PA", seq=101, ack=901, payload=1000), tcp(1.1, *BACK, "A", seq=901, ack=1101, window=10))
    assert judged(table, tcp(2.0, *OUT, "A", seq=101 - 70_000, ack=901)) == (ESTABLISHED, InvalidReason.NONE, SessionEvent(0))


def test_the_window_scale_counts_only_if_both_sides_offer_it() -> None:
    def after_handshake(answered_scale: int | None) -> SessionTable:
        table = SessionTable(profile())
        track(
            table,
            tcp(0.0, *OUT, "S", seq=100, window=1000, window_scale=7, mss=1460),
            tcp(0.0, *BACK, "SA", seq=900, ack=101, window=1000, window_scale=answered_scale, mss=1460),
            tcp(0.0, *OUT, "A", seq=101, ack=901, window=1000),
            tcp(0.0, *BACK, "A", seq=901, ack=101, window=1000),
        )
        return table

    far = tcp(1.0, *OUT, "PA", seq=50_000, ack=901, payload=10)
    assert verdicts(after_handshake(7), far) == [ESTABLISHED]
    assert verdicts(after_handshake(None), far) == [INVALID]


def test_the_edge_of_a_sack_block_counts_as_acknowledged() -> None:
    table = SessionTable(profile())
    track(
        table,
        tcp(0.0, *OUT, "S", seq=100, sack_permitted=True),
        tcp(0.0, *BACK, "SA", seq=900, ack=101, sack_permitted=True),
        tcp(0.0, *OUT, "A", seq=101, ack=901),
    )
    unsent = tcp(1.0, *OUT, "A", seq=101, ack=901, sack_edge=5000)
    assert judged(table, unsent)[:2] == (INVALID, InvalidReason.OUT_OF_WINDOW)


def test_sequence_numbers_go_around() -> None:
    table = SessionTable(profile())
    top = 2**32 - 1
    sent = [
        tcp(0.0, *OUT, "S", seq=top),
        tcp(0.0, *BACK, "SA", seq=top - 5, ack=0),
        tcp(0.0, *OUT, "A", seq=0, ack=top - 4),
        tcp(0.1, *BACK, "PA", seq=top - 4, ack=0, payload=1000),
        tcp(0.2, *OUT, "A", seq=0, ack=995),
        tcp(0.3, *OUT, "FA", seq=0, ack=995),
        tcp(0.4, *BACK, "FA", seq=995, ack=1),
        tcp(0.5, *OUT, "A", seq=1, ack=996),
    ]
    assert INVALID not in verdicts(table, *sent)
    assert states(table, 1.0) == {"TIME_WAIT": 1}


def test_a_syn_in_time_wait_opens_the_connection_again() -> None:
    table = established()
    track(table, *closing(1.0))
    again = judged(table, tcp(2.0, *OUT, "S", seq=80_000))
    assert again == (NEW, InvalidReason.NONE, SessionEvent.CREATED | SessionEvent.REOPENED)
    assert states(table, 2.0) == {"SYN_SENT": 1}
    assert table.counts(0).created == 2


def test_a_syn_on_a_live_connection_is_let_through_and_the_answer_decides() -> None:
    table = established()
    assert judged(table, tcp(1.0, *OUT, "S", seq=80_000)) == (ESTABLISHED, InvalidReason.NONE, SessionEvent(0))
    assert states(table, 1.0) == {"ESTABLISHED": 1}
    track(table, tcp(1.1, *BACK, "SA", seq=70_000, ack=80_001))
    assert states(table, 1.1) == {"SYN_RECV": 1}
    assert verdicts(table, tcp(1.2, *OUT, "A", seq=80_001, ack=70_001)) == [ESTABLISHED]
    assert states(table, 1.2) == {"ESTABLISHED": 1}


def test_the_challenge_ack_to_a_syn_in_last_ack_does_not_end_the_connection() -> None:
    table = established()
    track(table, *closing(1.0)[:2])
    assert states(table, 1.0) == {"LAST_ACK": 1}
    track(table, tcp(1.1, *OUT, "S", seq=80_000), tcp(1.2, *BACK, "A", seq=902, ack=102))
    assert states(table, 1.2) == {"LAST_ACK": 1}


def test_both_sides_may_open_at_once() -> None:
    table = SessionTable(profile())
    sent = [
        tcp(0.0, *OUT, "S", seq=100),
        tcp(0.0, *BACK, "S", seq=900),
        tcp(0.1, *OUT, "SA", seq=100, ack=901),
        tcp(0.1, *BACK, "SA", seq=900, ack=101),
        tcp(0.2, *OUT, "A", seq=101, ack=901),
    ]
    assert INVALID not in verdicts(table, *sent[:2])
    assert states(table, 0.0) == {"SYN_SENT2": 1}
    assert INVALID not in verdicts(table, *sent[2:])
    assert states(table, 0.2) == {"ESTABLISHED": 1}


def test_data_that_nobody_acknowledges_is_kept_five_minutes_and_not_five_days() -> None:
    table = established()
    track(table, tcp(1.0, *OUT, "PA", seq=101, ack=901, payload=10))
    assert states(table, 301.1) == {}


def test_the_same_segment_three_times_again_shortens_the_life() -> None:
    twice, thrice = (established(timeouts=Timeouts(max_retrans_s=20.0)) for _ in range(2))
    again = [tcp(at_s, *OUT, "A", seq=101, ack=901) for at_s in (1.0, 2.0, 3.0)]
    track(twice, *again[:2])
    track(thrice, *again)
    assert states(twice, 23.1) == {"ESTABLISHED": 1}
    assert states(thrice, 22.9) == {"ESTABLISHED": 1}
    assert states(thrice, 23.1) == {}


def test_invalid_fins_from_both_sides_shorten_the_life_to_five_minutes() -> None:
    table = established()
    track(
        table,
        tcp(1.0, *OUT, "PA", seq=101, ack=901, payload=10),
        tcp(1.1, *BACK, "A", seq=901, ack=111),
        tcp(2.0, *OUT, "FA", seq=900_000, ack=901),
        tcp(3.0, *BACK, "FA", seq=900_000, ack=111),
    )
    assert states(table, 302.9) == {"ESTABLISHED": 1}
    assert states(table, 303.1) == {}


def test_a_connection_from_an_endpoint_to_itself_answers_itself() -> None:
    table = SessionTable(profile())
    land = tcp(0.0, SERVER, 25, SERVER, 25, "S", seq=1)
    assert verdicts(table, land, land) == [NEW, ESTABLISHED]
