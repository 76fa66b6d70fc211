"""Health before and after a change: when it helped, when it made things worse, and what chance may do."""

import random

import msgspec
import pytest

from netwatch.mitigate.health import Complaint, Probe, Sample, ServiceHealth, complaints, misjudges_windows, sample_of
from netwatch.mitigate.verdict import Outcome, baseline, judge, remaining, with_growth
from netwatch.model.window import FirewallWindow, Normal, ServiceWindow, Window
from tests.mitigate.play import IMAP, SMTP, sample

LABEL = SMTP.label


def of(*completed: float, start_s: int = 1, level_per_s: float = 100.0, spread_per_s: float = 5.0) -> list[Sample]:
    """Windows one after the other in which a service completed so many handshakes."""
    return [
        msgspec.structs.replace(sample(float(start_s + number)), services={LABEL: ServiceHealth(int(done), level_per_s, spread_per_s)})
        for number, done in enumerate(completed)
    ]


def verdict(before: list[Sample], after: list[Sample], *, over: bool = False) -> Outcome:
    return judge(baseline(10.0, before, (), LABEL), after, (), LABEL, trial_is_over=over).outcome


def test_a_service_below_its_normal_complains() -> None:
    assert complaints(of(100, 60), (), LABEL) == {Complaint.HEALTH}
    assert complaints(of(100, 75), (), LABEL) == frozenset()


def test_a_slow_service_is_looked_at_over_more_windows() -> None:
    slow = {"level_per_s": 4.0, "spread_per_s": 2.0}
    assert complaints(of(4, 4, 3, 0, **slow), (), LABEL) == frozenset()  # type: ignore[arg-type]
    assert complaints(of(4, 4, 0, 0, 0, **slow), (), LABEL) == {Complaint.HEALTH}  # type: ignore[arg-type]


def test_one_dead_service_among_many_is_no_complaint_about_the_firewall() -> None:
    both = [
        msgspec.structs.replace(one, services={LABEL: ServiceHealth(100, 100, 5), IMAP.label: ServiceHealth(0, 10, 1)}) for one in of(100)
    ]
    assert complaints(both, (), None) == frozenset()
    assert complaints(both, (), IMAP.label) == {Complaint.HEALTH}


def test_a_full_table_complains_by_what_it_drops() -> None:
    assert complaints([sample(1, dropped=50)], (), LABEL) == {Complaint.DROPPING}
    assert complaints([sample(1, dropped=4)], (), LABEL) == frozenset()


def test_a_table_that_fills_complains_when_there_is_no_time_left() -> None:
    assert Complaint.FILLING in complaints([sample(1, entries=8_000), sample(2, entries=9_000)], (), LABEL)
    assert complaints([sample(1, entries=1_000), sample(2, entries=1_050)], (), LABEL) == frozenset()
    assert complaints([sample(1, entries=9_000), sample(2, entries=8_000)], (), LABEL) == frozenset()


def test_live_sessions_out_of_window_are_told_from_strays() -> None:
    stray, misjudged = msgspec.structs.replace(sample(1), out_of_window=5), msgspec.structs.replace(sample(1), out_of_window=300)
    assert not misjudges_windows([stray] * 5)
    assert misjudges_windows([misjudged] * 5)


def test_health_that_is_back_for_two_windows_is_better() -> None:
    assert verdict(of(100, 40, 20), of(95, start_s=11)) is Outcome.OPEN
    assert verdict(of(100, 40, 20), of(30, 95, start_s=11)) is Outcome.OPEN
    assert verdict(of(100, 40, 20), of(95, 97, start_s=11)) is Outcome.BETTER


def test_what_broke_everything_is_seen_in_one_window_and_what_broke_a_part_in_two() -> None:
    assert verdict(of(100, 100, 98), of(0, start_s=11)) is Outcome.WORSE
    assert verdict(of(100, 100, 98), of(72, start_s=11)) is Outcome.OPEN
    assert verdict(of(100, 100, 98), of(72, 70, start_s=11)) is Outcome.WORSE


def test_a_slow_service_that_is_broken_is_seen_when_chance_is_ruled_out() -> None:
    slow = {"level_per_s": 8.0, "spread_per_s": 1.0}
    seconds = next(
        number
        for number in range(1, 10)
        if verdict(of(8, 8, 8, **slow), of(*[0] * number, start_s=11, **slow)) is Outcome.WORSE  # type: ignore[arg-type]
    )
    assert seconds == 2


@pytest.mark.parametrize("level_per_s", [2, 20, 200])
def test_the_chance_of_quiet_traffic_is_hardly_ever_called_worse(level_per_s: int) -> None:
    """Random arrivals, 300 changes that do nothing."""
    numbers = random.Random(level_per_s)

    def window() -> int:
        return sum(numbers.random() < level_per_s / 1000 for _ in range(1000))

    wrong = 0
    for _ in range(300):
        before = of(*[window() for _ in range(3)], level_per_s=level_per_s, spread_per_s=level_per_s**0.5)
        after = of(*[window() for _ in range(5)], start_s=11, level_per_s=level_per_s, spread_per_s=level_per_s**0.5)
        wrong += any(verdict(before, after[:count]) is Outcome.WORSE for count in range(1, 6))
    assert wrong <= 1


def test_health_that_was_down_before_is_not_made_worse_by_what_did_nothing() -> None:
    assert verdict(of(100, 50, 20), of(18, 15, start_s=11)) is Outcome.OPEN


def test_a_canary_that_often_failed_before_must_fail_longer_to_accuse_a_change() -> None:
    before = [Probe(5 + number / 10, LABEL, number % 2 == 0) for number in range(10)]
    steady = [Probe(probe.at_s, LABEL, True) for probe in before]

    def after(count: int) -> list[Probe]:
        return [Probe(11 + number / 10, LABEL, False) for number in range(count)]

    def outcome(shown: list[Probe], failures: int) -> Outcome:
        return judge(baseline(10.0, of(100), shown, LABEL), [], after(failures), LABEL, trial_is_over=False).outcome

    assert outcome(steady, 1) is Outcome.OPEN
    assert outcome(steady, 2) is Outcome.WORSE
    assert outcome(before, 4) is Outcome.OPEN
    assert outcome(before, 5) is Outcome.WORSE


def test_canaries_of_long_ago_say_nothing() -> None:
    assert baseline(100.0, of(100), [Probe(50.0, LABEL, False)], LABEL).complaints == frozenset()


def test_a_table_that_fills_again_after_an_eviction_is_no_reproach() -> None:
    full = [sample(float(second), entries=20_000, dropped=500) for second in (1, 2, 3)]
    emptied = [sample(11.0, entries=1_000), sample(12.0, entries=9_000)]
    assert remaining(baseline(10.0, full, (), LABEL), emptied, (), LABEL) == frozenset()


def test_a_table_that_goes_on_filling_after_a_forecast_is() -> None:
    filling = [sample(float(second), entries=2_000 * second) for second in (1, 2, 3)]
    before = baseline(10.0, filling, (), LABEL)
    assert before.complaints == {Complaint.FILLING}
    assert remaining(before, [sample(11.0, entries=8_000), sample(12.0, entries=10_000)], (), LABEL) == {Complaint.FILLING}
    assert remaining(before, [sample(11.0, entries=8_000), sample(12.0, entries=8_200)], (), LABEL) == frozenset()


def test_an_attack_that_had_just_begun_is_judged_by_how_fast_it_went_on_until_the_change_could_show() -> None:
    """20 entries/s are usual; 200/s more begin 0.2 s before the change, which evicts what is idle for 3 s: from the fifth second on."""
    before = baseline(10.0, [sample(8, entries=300), sample(9, entries=320), sample(10, entries=380)], (), LABEL, settle_s=4.0)
    early = [sample(float(second), entries=380 + 220 * (second - 10)) for second in (11, 12, 13, 14)]
    stopped = [sample(float(second), entries=1_260 + 30 * (second - 14)) for second in (15, 16, 17, 18)]
    going_on = [sample(float(second), entries=1_260 + 220 * (second - 14)) for second in (15, 16, 17, 18)]
    limit = 2_500

    def complaints_of(samples: list[Sample], *, informed: bool) -> frozenset[Complaint]:
        small = [msgspec.structs.replace(one, limit=limit) for one in samples]
        known = msgspec.structs.replace(before, complaints=frozenset({Complaint.FILLING}))
        return remaining(with_growth(known, small) if informed else known, small, (), LABEL)

    assert complaints_of(early + stopped, informed=True) == frozenset()
    assert complaints_of(early + going_on, informed=True) == {Complaint.FILLING}
    assert complaints_of(early + stopped, informed=False) == {Complaint.FILLING}  # 30/s are more than half of the 40/s before


def test_who_does_not_ask_is_not_missed() -> None:
    """After minutes of outage mail servers come back one by one: the rate lags, the firewall does not."""
    few = [msgspec.structs.replace(one, services={LABEL: ServiceHealth(30, 100.0, 5.0, demand=0.3)}) for one in of(30, 30, start_s=11)]
    assert verdict(of(100, 40, 20), few) is Outcome.BETTER


def test_where_nobody_asks_nothing_is_proved() -> None:
    none = [msgspec.structs.replace(one, services={LABEL: ServiceHealth(0, 100.0, 5.0, demand=0.0)}) for one in of(0, 0, start_s=11)]
    assert verdict(of(100, 40, 20), none, over=True) is Outcome.OPEN


def test_a_window_says_how_many_asked_against_the_normal() -> None:
    asked = ServiceWindow(
        service=SMTP,
        warming=False,
        syn=60,
        syn_retransmitted=10,
        handshakes_completed=40,
        normal_syn=Normal(100.0, 5.0),
        normal_completed=Normal(90.0, 5.0),
    )
    learning = ServiceWindow(service=IMAP, warming=True, syn=60, handshakes_completed=40)
    window = Window(
        start_s=10.0, duration_s=1.0, warming=False, firewall=FirewallWindow(entries=7, limit=10, packets=500), services=(asked, learning)
    )
    found = sample_of(window)
    assert found.services == {LABEL: ServiceHealth(40, 90.0, 5.0, demand=0.5)}
    assert (found.entries, found.limit, found.packets, found.end_s) == (7, 10, 500, 11.0)


def test_clearly_more_than_before_is_better_at_the_end_of_the_trial_and_a_little_more_is_not() -> None:
    before = of(100, 12, 10)
    assert verdict(before, of(60, 60, start_s=11)) is Outcome.OPEN
    assert verdict(before, of(60, 60, start_s=11), over=True) is Outcome.BETTER
    assert verdict(before, of(20, 22, start_s=11), over=True) is Outcome.OPEN


def test_while_the_full_table_drops_newcomers_a_change_is_not_blamed_for_their_failures() -> None:
    before = baseline(10.0, of(100, 100), [Probe(at_s / 2, LABEL, True) for at_s in range(10, 20)], LABEL)
    failing = [Probe(10.5 + number / 2, LABEL, False) for number in range(3)]
    dropping = [msgspec.structs.replace(one, dropped_full=500) for one in of(60, 10, start_s=12)]

    assert judge(before, dropping, failing, LABEL, trial_is_over=False).outcome is Outcome.OPEN
    assert judge(before, of(60, 10, start_s=12), failing, LABEL, trial_is_over=False).outcome is Outcome.WORSE
