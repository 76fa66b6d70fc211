"""Idle times from what is left: never longer than what can be sure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.model.entry import ENTRY, NO_TIMEOUT
from netwatch.model.idle_age import idle_at_least_s, possible_timeouts
from netwatch.model.session import SessionState, Timeouts

DEFAULTS = possible_timeouts([Timeouts()])


def idle_s(state: SessionState, left_s: int, *, possible: np.ndarray = DEFAULTS) -> int:
    row = np.zeros(1, ENTRY)
    row["state"], row["timeout_s"] = state, left_s
    return int(idle_at_least_s(row, possible)[0])


@pytest.mark.parametrize(
    ("state", "left_s", "idle"),
    [
        (SessionState.ESTABLISHED, 431_989, 10),
        (SessionState.ESTABLISHED, 432_000, 0),
        (SessionState.ESTABLISHED, 299, 0),  # data not yet acknowledged: its timer was set to 300 s a second ago
        (SessionState.ESTABLISHED, 200, 99),
        (SessionState.ESTABLISHED, 8, 1),  # an invalid RST set it to 10 s
        (SessionState.SYN_SENT, 117, 2),
        (SessionState.SYN_RECV, 57, 2),
        (SessionState.TIME_WAIT, 60, 59),
        (SessionState.UDP_UNREPLIED, 20, 9),
        (SessionState.UDP_STREAM, 25, 4),  # it may have been set before the stream was one
        (SessionState.UDP_STREAM, 100, 19),
        (SessionState.ICMP, 10, 19),
        (SessionState.OTHER, 599, 0),
        (SessionState.OTHER, 170, 9),
    ],
)
def test_idle_is_the_shortest_time_that_fits(state: SessionState, left_s: int, idle: int) -> None:
    assert idle_s(state, left_s) == idle


def test_more_left_than_any_time_that_could_be_set_means_nothing_is_known() -> None:
    assert idle_s(SessionState.ESTABLISHED, 500_000) == 0
    assert idle_s(SessionState.ESTABLISHED, NO_TIMEOUT) == 0
    assert idle_s(SessionState.NONE, 5) == 0


def test_a_policy_or_an_earlier_sysctl_can_only_shorten_it() -> None:
    possible = possible_timeouts([Timeouts(), Timeouts(established_s=7440.0)])
    assert idle_s(SessionState.ESTABLISHED, 7439, possible=possible) == 0
    assert idle_s(SessionState.ESTABLISHED, 7400, possible=possible) == 39
    assert idle_s(SessionState.ESTABLISHED, 431_000, possible=possible) == 999


@given(st.sampled_from([state for state in SessionState if state]), st.integers(0, 500_000), st.sampled_from([60.0, 3600.0, 7440.0]))
def test_more_possible_times_never_make_it_longer(state: SessionState, left_s: int, established_s: float) -> None:
    possible = possible_timeouts([Timeouts(), Timeouts(established_s=established_s, syn_sent_s=10.0)])
    known = idle_s(state, left_s)
    assert idle_s(state, left_s, possible=possible) <= known or known == 0
