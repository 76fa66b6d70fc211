"""The live table as a line sees it: the kernel's numbers, the model's kinds, and what it means when the two disagree."""

import time

import pytest

from netwatch.daemon.live_table import STALE_S, LiveTable
from netwatch.model.firewall_state import FirewallState, ReassemblyCounts, SoftnetCounts, SynproxyCounts, TableEvents, TableSurvey
from netwatch.model.session import STATE_COUNT, Census, GroupCounts, SessionState
from netwatch.track.clock import SECOND_NS
from netwatch.track.session_table import SessionTable
from tests.track.tables import address, handshake, profile, track

AT_S = 1000.0
END_NS = round(AT_S * SECOND_NS)


def state(entries: int, *, at_s: float = AT_S, limit: int = 5000, dropped: int = 0) -> FirewallState:
    return FirewallState(
        at_s=at_s,
        interval_s=1.0,
        entries=entries,
        limit=limit,
        table=TableEvents(dropped=dropped),
        counters={},
        interfaces={},
        softnet=SoftnetCounts(),
        synproxy=SynproxyCounts(),
        reassembly=ReassemblyCounts(),
    )


def survey(established: int, time_wait: int) -> TableSurvey:
    kinds = [0] * STATE_COUNT
    kinds[SessionState.ESTABLISHED], kinds[SessionState.TIME_WAIT] = established, time_wait
    counts = GroupCounts(established + time_wait, tuple(kinds), 0, established + time_wait)
    census = Census(at_s=AT_S, established=established, idle_at_least=(0,) * 5, silent=0, top_prefixes=())
    return TableSurvey(at_s=AT_S, duration_s=0.1, whole=counts, groups={0: counts}, census=census, errors={})


def model(sessions: int) -> SessionTable:
    table = SessionTable(profile())
    for number in range(sessions):
        track(table, *handshake(AT_S - 1.0, address(number)))
    return table


def live(*, sampled_one_in: int = 1) -> LiveTable:
    return LiveTable(profile(), losses=lambda: 7, sampled_one_in=sampled_one_in)


def test_numbers_are_the_kernels_and_kinds_the_models_while_they_agree() -> None:
    table = live()
    table.polled(state(110, dropped=3))
    seen = table.look(model(100), END_NS)

    assert (seen.counts.all.entries, seen.profile.limit, seen.counts.dropped_full) == (110, 5000, 3)
    assert seen.counts.all.by_state[SessionState.ESTABLISHED] == 110
    assert seen.lost_packets == 7
    assert table.look(model(100), END_NS).lost_packets == 0, "losses are of the window"


def test_where_they_disagree_the_survey_says_of_which_kinds_the_entries_are() -> None:
    table = live()
    table.polled(state(4000))
    table.surveyed(survey(1000, 1000))
    seen = table.look(model(100), END_NS)

    assert not table.agrees
    assert seen.counts.all.entries == 4000
    assert seen.counts.all.by_state[SessionState.TIME_WAIT] == 1000, "of those that came since, nobody knows the kind"
    assert seen.groups(0).entries == 2000

    table.polled(state(500))
    assert table.look(model(100), END_NS).counts.all.by_state[SessionState.TIME_WAIT] == 250


def test_a_model_of_sampled_packets_says_nothing_of_kinds_even_where_it_counts_the_same() -> None:
    table = live(sampled_one_in=10)
    table.polled(state(100))
    seen = table.look(model(100), END_NS)
    assert (seen.counts.all.entries, sum(seen.counts.all.by_state), seen.groups(0).entries) == (100, 0, 0)

    table.surveyed(survey(60, 40))
    assert table.look(model(100), END_NS).counts.all.by_state[SessionState.TIME_WAIT] == 40


@pytest.mark.parametrize("polled", [None, AT_S - STALE_S - 0.1])
def test_without_a_fresh_poll_the_model_stands_alone(polled: float | None) -> None:
    table = live()
    if polled is not None:
        table.polled(state(4000, at_s=polled))
    assert table.look(model(100), END_NS).counts.all.entries == 100


def test_entries_that_the_model_still_holds_were_lost() -> None:
    table, modelled = live(), model(100)
    table.polled(state(100))
    assert table.look(modelled, END_NS).counts.lost == 0
    table.polled(state(2))
    assert table.look(modelled, END_NS).counts.lost == 98
    assert table.look(modelled, END_NS).counts.lost == 98, "told once"


def test_entries_that_leave_the_model_too_were_not() -> None:
    table = live()
    table.polled(state(100))
    table.look(model(100), END_NS)
    table.polled(state(2))
    assert table.look(model(3), END_NS).counts.lost == 0


def test_entries_that_netwatch_evicts_were_not_lost_although_the_model_is_told_later() -> None:
    table, modelled = live(), model(100)
    table.polled(state(100))
    table.look(modelled, END_NS)
    table.eviction_begins()
    table.polled(state(2))
    table.look(modelled, END_NS)
    table.eviction_ends()
    table.look(modelled, END_NS)
    assert table.look(model(3), END_NS).counts.lost == 0


def test_polls_and_looks_may_come_from_different_threads() -> None:
    """Nothing is asserted of the order; what is looked at is of one poll as a whole."""
    import threading

    table, modelled, stop = live(), model(100), threading.Event()

    def poll() -> None:
        while not stop.is_set():
            table.polled(state(100))
            time.sleep(0)

    polling = threading.Thread(target=poll)
    polling.start()
    try:
        assert {table.look(modelled, END_NS).counts.all.entries for _ in range(200)} == {100}
    finally:
        stop.set()
        polling.join()
