"""netwatch on a real firewall under attack, in namespaces: short drills. How fast it is, `python -m benchmarks.drills` says."""

import pytest

from netwatch.daemon.drill import Drill, drill
from netwatch.lab.outcome import Phase
from netwatch.lab.scenario import scenario
from tests.lab.conftest import drill_machine

__all__ = ["drill_machine"]

pytestmark = [pytest.mark.namespace, pytest.mark.usefixtures("drill_machine"), pytest.mark.timeout(240)]


def protected(name: str, *, before_s: float = 2, attack_s: float = 5, after_s: float = 3) -> Drill:
    return drill(scenario(name).with_phases(before_s, attack_s, after_s))


def is_well_at_the_end(result: Drill) -> bool:
    """Of the last two seconds everybody was served."""
    return all(second.clients.share >= 0.95 for second in result.outcome.seconds[-2:])


@pytest.mark.parametrize(
    ("name", "mode", "cure"),
    [
        ("syn-flood", "syn-flood", "synproxy"),
        ("udp-flood", "udp-state-flood", "notrack-udp"),
        ("ack-flood", "ack-flood", "strict-pickup"),
        ("slow-leak", "established-creep", "evict-silent"),
        ("failover", "failover-without-sync", "reset-invalid"),
    ],
)
def test_what_hurts_is_found_and_ended(name: str, mode: str, cure: str) -> None:
    result = protected(name)

    did = result.protection
    assert did is not None
    assert did.mode == mode
    assert any(f"{cure}" in moment.text and "change.applied" in moment.text for moment in did.events)
    assert result.outcome.impact_over
    assert is_well_at_the_end(result)


def test_a_stuck_table_is_freed_although_the_attack_is_long_over() -> None:
    result = protected("stuck-table", attack_s=3, after_s=6)

    assert result.protection is not None
    assert result.protection.mode == "established-creep"
    assert result.outcome.seconds[-1].entries < result.outcome.limit / 2
    assert is_well_at_the_end(result)


def test_a_change_that_makes_it_worse_is_undone_and_the_next_one_helps() -> None:
    result = protected("bad-mitigation", attack_s=9, after_s=3)

    assert result.protection is not None
    assert result.protection.undone[:1] == ("stateless-mail",)
    assert any("synproxy" in moment.text and "change.applied" in moment.text for moment in result.protection.events)
    assert is_well_at_the_end(result)


def test_a_flood_that_a_table_of_default_size_absorbs_is_told_and_changes_nothing() -> None:
    result = protected("absorbed-flood", before_s=1, attack_s=3, after_s=1)

    did, outcome = result.protection, result.outcome
    assert did is not None
    assert outcome.peak_entries > 0.99 * outcome.limit
    assert sum(second.early_dropped for second in outcome.seconds) > 10_000
    assert any("warning syn-flood" in moment.text for moment in did.events)
    assert (did.changes, did.critical_incidents) == (0, 0)
    assert outcome.success[Phase.DURING].share >= 0.99
    assert outcome.success[Phase.AFTER].share >= 0.99


def test_three_times_the_load_changes_nothing() -> None:
    result = protected("benign-surge", before_s=4, attack_s=4, after_s=1)

    assert result.protection is not None
    assert (result.protection.changes, result.protection.critical_incidents) == (0, 0)
    assert result.outcome.success[Phase.DURING].share >= 0.99


def test_a_rush_after_an_outage_is_served_as_soon_as_the_service_is_back() -> None:
    result = protected("retry-storm", before_s=6, attack_s=6, after_s=4)

    did = result.protection
    assert did is not None
    assert any("change.applied evict-half-open" in moment.text for moment in did.events)
    assert result.outcome.impact_over
    assert is_well_at_the_end(result)
