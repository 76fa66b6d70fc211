"""A knee between answered and lost sessions is a time-out in between; losses at any gap length are mobile clients."""

from netwatch.detect.idle_timeout_blackhole import IdleTimeoutBlackhole, IdleTimeoutBlackholeSettings
from netwatch.model.incident import Severity
from netwatch.model.window import NO_GAPS, Window
from tests.detect.windows import IMAPS, LINUX, T0, evidence, fired_at, judged, service, window

SHORT, LONG = 2, 3
"""Bins of gaps: 120 to 300 s, and 300 to 600 s."""


def detector() -> IdleTimeoutBlackhole:
    return IdleTimeoutBlackhole(IdleTimeoutBlackholeSettings(), LINUX)


def woken(second: float, answered: dict[int, int], lost: dict[int, int]) -> Window:
    def by_bin(counts: dict[int, int]) -> tuple[int, ...]:
        return tuple(counts.get(position, 0) for position in range(len(NO_GAPS)))

    return window(second, service(IMAPS, resume_answered=by_bin(answered), resume_unanswered=by_bin(lost)))


def test_a_knee_names_the_timeout() -> None:
    windows = [woken(second, {SHORT: second % 2}, {LONG: second % 3 == 0}) for second in range(90)]
    found = judged(detector(), windows)
    assert found[0].onset_s == T0
    assert 27 <= found[0].at_s - T0 <= 32
    assert evidence(found[-1])["knee_s"] == 300.0
    assert evidence(found[-1])["lost_above_knee"] == 1.0
    assert found[-1].severity == Severity.CRITICAL
    assert found[-1].evidence[0].text.startswith("after 5 min of silence 100 % of")


def test_it_is_told_between_losses_and_forgotten_after_them() -> None:
    windows = [woken(second, {SHORT: 1}, {LONG: second % 3 == 0}) for second in range(60)]
    after = [woken(second, {}, {}) for second in range(60, 240)]
    assert fired_at(judged(detector(), [*windows, *after]))[-1] == 178


def test_mobile_clients_are_lost_at_any_gap() -> None:
    windows = [woken(second, {SHORT: 5, LONG: 5}, {SHORT: 1, LONG: 1}) for second in range(90)]
    assert judged(detector(), windows) == []


def test_sessions_that_are_answered_after_any_gap_are_none() -> None:
    assert judged(detector(), [woken(second, {SHORT: 2, LONG: 2}, {}) for second in range(90)]) == []
