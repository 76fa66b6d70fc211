"""How far a table can grow follows from what gathers in it."""

from netwatch.detect.growth import Growth, timeout_s
from netwatch.model.session import FirewallProfile, SessionState, Timeouts
from tests.detect.windows import states, window


def grown(per_s: int, state: str) -> Growth:
    growth = Growth()
    for second in range(10):
        entries = 1_000 + per_s * (second + 1)
        growth.update(window(second, entries=entries, new_sessions=per_s, new_tcp=per_s // 2, by_state=states(**{state: entries})))
    return growth


def test_growth_is_counted_from_the_first_window_on() -> None:
    growth = grown(100, "time_wait")
    assert growth.entries_per_s() == 100.0
    assert growth.streak == 9
    assert growth.states_per_s((SessionState.TIME_WAIT,)) == 100.0
    assert growth.fastest_state() == SessionState.TIME_WAIT


def test_short_lived_entries_have_a_ceiling_and_others_hardly_any() -> None:
    profile = FirewallProfile(name="linux", description="")
    short = grown(100, "time_wait").ceiling((SessionState.TIME_WAIT,), timeout_s(SessionState.TIME_WAIT, profile), tcp_only=False)
    long = grown(100, "established").ceiling((SessionState.ESTABLISHED,), timeout_s(SessionState.ESTABLISHED, profile), tcp_only=False)
    assert short == 12_000.0
    assert long == 43_200_000.0


def test_only_tcp_sessions_end_up_closed() -> None:
    assert grown(100, "time_wait").ceiling((SessionState.TIME_WAIT,), 120.0, tcp_only=True) == 6_000.0


def test_every_state_has_the_timeout_of_its_sysctl() -> None:
    distinct = Timeouts(
        syn_sent_s=1, syn_recv_s=2, established_s=3, fin_wait_s=4, close_wait_s=5, last_ack_s=6, time_wait_s=7, close_s=8,
        udp_s=9, udp_stream_s=10, icmp_s=11, generic_s=12,
    )  # fmt: skip
    profile = FirewallProfile(name="all different", description="", timeouts=distinct)
    expected = [12, 1, 2, 3, 4, 5, 6, 7, 8, 1, 9, 9, 10, 11, 12, 12]
    assert [timeout_s(state, profile) for state in SessionState] == expected
