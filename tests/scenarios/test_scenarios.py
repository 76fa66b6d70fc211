"""The product's own proof: every scenario through the whole pipeline, attack and benign twin, against what must be told of it."""

import pytest

from netwatch.collect import expand, open_capture
from netwatch.config import replay_settings
from netwatch.model.incident import LIVE_ONLY, Incident, Mode
from netwatch.model.replay import Replay
from netwatch.replay import replay_captures
from tests.scenarios.expected import Case, Expected, cases, scenarios


def replayed(case: Case, *, what_if: tuple[str, ...] = ()) -> Replay:
    options = case.run.options
    captures = [open_capture(path) for path in expand([str(case.path)])]
    return replay_captures(captures, replay_settings(limit=options.limit, strict=options.strict, what_if=what_if))


def name_of(case: Case) -> str:
    return f"{case.name}-strict" if case.run.options.strict else case.name


def told(incident: Incident, start_s: float) -> str:
    """All of an incident in a line, for whoever reads a failed test."""
    times = f"onset {incident.onset_s - start_s:.1f} s, detected {incident.detected_s - start_s:.1f} s"
    blamed = [(who.kind, who.value, who.share) for who in incident.attribution]
    return f"{incident.severity} {incident.mode} of {incident.service}, {times}, {blamed}, {[item.text for item in incident.evidence]}"


def check(incident: Incident, expected: Expected, start_s: float) -> None:
    what = told(incident, start_s)
    earliest_s, latest_s = expected.onset_s
    assert incident.service == expected.service, what
    assert earliest_s <= incident.onset_s - start_s <= latest_s, what
    assert incident.onset_s <= incident.detected_s, what
    assert incident.detected_s - start_s <= earliest_s + expected.detected_within_s, what
    assert expected.recommendation == (incident.recommendation and incident.recommendation.playbook), what
    if (blamed := expected.attribution) is not None:
        assert any(who.kind == blamed.kind and blamed.value in (None, who.value) for who in incident.attribution), what


@pytest.mark.parametrize("case", list(cases()), ids=name_of)
def test_a_replay_tells_exactly_what_happened(case: Case) -> None:
    replay = replayed(case)
    all_told = "\n".join(told(incident, case.start_s) for incident in replay.incidents)
    assert sorted(incident.mode for incident in replay.incidents) == sorted(expected.mode for expected in case.run.incidents), all_told
    for expected in case.run.incidents:
        (incident,) = (one for one in replay.incidents if one.mode is expected.mode)
        check(incident, expected, case.start_s)
    full_at_s = replay.firewall.full_at_s
    match case.run.full:
        case "never":
            assert full_at_s is None, f"full after {full_at_s}"
        case "after detection":
            assert full_at_s is not None
            assert min(incident.detected_s for incident in replay.incidents) < full_at_s
        case None:
            pass


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in cases() if case.run.cures], ids=name_of)
def test_a_cure_keeps_the_table_from_filling_and_no_healthy_session_pays(case: Case) -> None:
    tried = {one.result.playbook: one.result for one in replayed(case, what_if=case.run.cures).what_if}
    assert set(tried) == set(case.run.cures)
    for result in tried.values():
        assert result.applied_at_s is not None, result
        assert result.full_at_s is None, result
        assert result.dropped_full == 0, result
        assert result.healthy_hit == 0, result


def test_every_mode_has_an_attack_that_is_told_and_a_benign_twin_that_is_not() -> None:
    for mode in set(Mode) - LIVE_ONLY:
        captures = scenarios()[mode].captures
        assert {"attack", "benign"} <= set(captures)
        for name, runs in captures.items():
            for run in runs:
                assert (mode in {one.mode for one in run.incidents}) == name.startswith("attack"), name
                assert run.incidents == () or name.startswith("attack"), name
