"""What people read after a drill."""

from netwatch.lab.account import account
from netwatch.lab.outcome import measure
from tests.lab.test_outcome import attempts, notes


def test_impact_success_and_table_are_said_with_units_and_bases() -> None:
    text = account(measure(notes(canary=attempts(-3, 10, failed=(0.5, 5.5)), entries=960)))

    assert "syn-flood, unprotected\n" in text
    assert "impact   5.0 s from the first failed canary to the last\n" in text
    assert "during   100.0% of 40 attempts succeeded\n" in text
    assert "at most 960 of 1,000 entries" in text
    assert "+1.0 s  the table is full" in text
    assert "      +5     100%     90%      960        100          0  ###################\n" in text


def test_no_impact_is_said_as_none() -> None:
    assert "impact   none: no canary failed\n" in account(measure(notes(canary=attempts(-3, 10))))


def test_an_impact_that_goes_on_is_said_to() -> None:
    assert "still going on at the end" in account(measure(notes(canary=attempts(-3, 10, failed=(0.5, 9.9)))))
