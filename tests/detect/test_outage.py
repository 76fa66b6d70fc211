"""An outage is asked for in vain, or a silence where something ought to be heard."""

from collections.abc import Sequence
from typing import Any

from netwatch.detect.outage import Outage
from netwatch.model.window import Normal, Window
from tests.detect.windows import T0, service, window

NOBODY: dict[str, Any] = {
    "syn": 0,
    "syn_retransmitted": 0,
    "synack": 0,
    "handshakes_completed": 0,
    "new_attempts": 0,
    "packets_in": 0,
    "packets_out": 0,
}


def run(windows: Sequence[Window]) -> Outage:
    outage = Outage()
    for one in windows:
        outage.update(one, one.services[0])
    return outage


def test_asked_in_vain_counts_each_window_and_what_is_missed() -> None:
    vain = [window(second, service(syn=130, synack=0, handshakes_completed=0)) for second in range(5)]
    outage = run(vain)
    assert (outage.windows, outage.since_s, outage.missed) == (5, T0, 5 * 119.0)


def test_its_normal_is_from_before() -> None:
    windows = [window(0, service(syn=130, handshakes_completed=0))]
    windows += [window(second, service(syn=130, handshakes_completed=0, normal_completed=Normal(10.0, 3.0))) for second in range(1, 5)]
    assert run(windows).normal == Normal(119.0, 11.0)


def test_it_ends_when_those_who_ask_are_served() -> None:
    windows = [window(second, service(syn=130, handshakes_completed=0)) for second in range(5)]
    outage = run([*windows, window(5, service(syn=40, syn_retransmitted=0, new_attempts=40, handshakes_completed=38))])
    assert outage.healthy


def test_a_quiet_night_is_none() -> None:
    assert run(
        [window(second, service(syn=5, syn_retransmitted=0, new_attempts=5, handshakes_completed=5)) for second in range(30)]
    ).healthy


def test_silence_of_everything_needs_a_hundred_packets_that_are_missed() -> None:
    rare = service(normal_packets=Normal(12.0, 4.0), normal_completed=Normal(1.0, 1.0), **NOBODY)
    assert run([window(second, rare, packets=0) for second in range(8)]).healthy
    outage = run([window(second, rare, packets=0) for second in range(12)])
    assert (outage.windows, outage.since_s) == (4, T0)


def test_a_service_that_is_seldom_asked_may_be_left_alone() -> None:
    seldom = service(normal_completed=Normal(2.0, 1.0), **NOBODY)
    assert run([window(second, seldom, packets=900) for second in range(60)]).healthy
