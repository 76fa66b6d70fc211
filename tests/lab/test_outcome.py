"""What is made of the notes of a drill."""

from collections.abc import Sequence

import msgspec

from netwatch.lab.clients import Attempt
from netwatch.lab.outcome import Notes, Outcome, Phase, Success, measure
from netwatch.lab.table_meter import Reading

ATTACK_AT_S = 1000.0


def attempts(first_s: int, last_s: int, *, failed: Sequence[float] = (), per_s: int = 10) -> list[Attempt]:
    """Attempts at a pace, in seconds after the attack began; those at the given times failed."""
    times = [first_s + number / per_s for number in range((last_s - first_s) * per_s)]
    return [Attempt(ATTACK_AT_S + at, at not in failed, 0.01) for at in times]


def notes(*, canary: Sequence[Attempt], entries: int = 50) -> Notes:
    readings = [
        Reading(time_s=ATTACK_AT_S + at, limit=1000, entries=entries if at > 0 else 10, dropped=max(at, 0) * 100) for at in range(-3, 11)
    ]
    return Notes(
        scenario="syn-flood",
        protected=False,
        limit=1000,
        attack_at_s=ATTACK_AT_S,
        before_s=3,
        attack_s=4,
        after_s=6,
        clients=attempts(-3, 10),
        canary=canary,
        readings=readings,
        moments=(),
        sent=(),
    )


def test_without_a_failed_canary_there_is_no_impact() -> None:
    outcome = measure(notes(canary=attempts(-3, 10)))

    assert (outcome.impact_s, outcome.impact_over, outcome.first_failed_at_s) == (0.0, True, None)
    assert outcome.success == {Phase.BEFORE: Success.of(30, 30), Phase.DURING: Success.of(40, 40), Phase.AFTER: Success.of(60, 60)}


def test_impact_lasts_from_the_first_failed_canary_to_the_last() -> None:
    outcome = measure(notes(canary=attempts(-3, 10, failed=(0.5, 1.0, 5.5))))

    assert outcome.impact_s == 5.0
    assert outcome.impact_over
    assert outcome.canary[Phase.DURING] == Success.of(40, 38)
    assert [one.text for one in outcome.timeline] == ["the first canary fails", "the last canary that fails"]


def test_an_impact_that_goes_on_at_the_end_is_not_over() -> None:
    assert not measure(notes(canary=attempts(-3, 10, failed=(0.5, 9.9)))).impact_over


def test_what_failed_before_the_attack_is_no_impact_of_it() -> None:
    outcome = measure(notes(canary=attempts(-3, 10, failed=(-2.5,))))

    assert outcome.impact_s == 0.0
    assert outcome.canary[Phase.BEFORE] == Success.of(30, 29)


def test_each_second_has_its_share_and_its_drops() -> None:
    seconds = measure(notes(canary=attempts(-3, 10, failed=(2.0, 2.5)))).seconds

    assert [one.at_s for one in seconds] == list(range(-3, 10))
    second = seconds[5]
    assert (second.phase, second.canary, second.dropped, second.entries) == (Phase.DURING, Success.of(10, 8), 100, 50)


def test_the_timeline_says_when_the_table_was_full() -> None:
    texts = [one.text for one in measure(notes(canary=attempts(-3, 10), entries=960)).timeline]

    assert texts == ["the table is full: 960 of 1,000 entries"]


def test_an_outcome_is_json_and_back() -> None:
    outcome = measure(notes(canary=attempts(-3, 10, failed=(0.5,))))

    assert msgspec.json.decode(msgspec.json.encode(outcome), type=Outcome) == outcome
