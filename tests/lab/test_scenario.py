"""Scenarios as data."""

import pytest

from netwatch.errors import UsageError
from netwatch.lab.scenario import SCENARIOS, Scenario, scenario

PROMISED = {
    "syn-flood",
    "absorbed-flood",
    "stuck-table",
    "udp-flood",
    "slow-leak",
    "ack-flood",
    "failover",
    "retry-storm",
    "bad-mitigation",
    "benign-surge",
}


def test_all_promised_scenarios_are_there_once() -> None:
    assert sorted(one.name for one in SCENARIOS) == sorted(PROMISED)


def test_an_unknown_name_is_told_with_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"no scenario 'flood'; there are syn-flood, absorbed-flood, stuck-table"):
        scenario("flood")


@pytest.mark.parametrize("one", SCENARIOS, ids=lambda one: one.name)
def test_an_attack_is_bounded_and_ends_with_its_phase(one: Scenario) -> None:
    for attack in one.attacks:
        assert attack.count / attack.per_s <= one.attack_s
    assert all(0 <= step.at_s <= one.attack_s for step in one.steps)


def test_shorter_phases_shorten_what_happens_in_them() -> None:
    short = scenario("retry-storm").with_phases(1, 2, 3)

    assert short.total_s == 6
    assert [step.at_s for step in short.steps] == [0.0, 2]
    assert scenario("syn-flood").with_phases(1, 2, 3).attacks[0].seconds == 2
