"""Short drills: what hurts is measured as hurting, what does not is not."""

import msgspec
import pytest

from netwatch.lab.drill import run_drill
from netwatch.lab.outcome import Moment, Phase
from netwatch.lab.scenario import scenario

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("drill_machine")]


def test_a_table_stuck_full_outlives_the_attack() -> None:
    told: list[Moment] = []
    stuck = msgspec.structs.replace(scenario("stuck-table"), limit=1000, buckets=1024).with_phases(1, 2, 2)

    outcome = run_drill(stuck, tell=told.append)

    assert outcome.success[Phase.BEFORE].share > 0.9
    assert outcome.success[Phase.AFTER].succeeded == 0
    assert outcome.impact_s > 1
    assert not outcome.impact_over
    assert any("the table is full" in moment.text for moment in outcome.timeline)
    assert [moment.text for moment in told][-1] == "stuck-table is over"


def test_half_open_entries_refuse_part_of_the_newcomers() -> None:
    outcome = run_drill(msgspec.structs.replace(scenario("syn-flood"), limit=2000).with_phases(1, 3, 1))

    assert outcome.success[Phase.DURING].share < 0.7 < outcome.success[Phase.BEFORE].share
    assert sum(second.dropped for second in outcome.seconds) > 0
    assert 0 < outcome.sent[0].packets <= 500_000


def test_three_times_the_load_hurts_nobody() -> None:
    outcome = run_drill(scenario("benign-surge").with_phases(1, 2, 1))

    assert outcome.success[Phase.DURING].tried > 2.5 * 2 * outcome.success[Phase.BEFORE].tried
    assert outcome.success[Phase.DURING].share > 0.95
    assert outcome.peak_entries < outcome.limit / 10


def test_protection_runs_in_the_firewall_and_is_ended_afterwards() -> None:
    seen: list[int] = []

    def protect(world: object) -> tuple[str, ...]:
        seen.append(1)
        return ("sleep", "60")

    outcome = run_drill(scenario("benign-surge").with_phases(1, 1, 1), protect=protect, settle_s=0.2)

    assert seen == [1]
    assert outcome.protected
    assert not any("protection" in moment.text for moment in outcome.timeline)
