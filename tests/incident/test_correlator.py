"""Findings of one cause become one incident, in whatever order they come; different causes stay apart."""

from collections.abc import Mapping, Sequence

from netwatch.incident.causality import CAUSAL_RANK, FOLLOWS_FROM
from netwatch.incident.correlator import REMEMBERED, Correlator
from netwatch.model.incident import Attribution, EvidenceKind, Finding, Incident, Mode, Severity
from tests.incident.findings import T0, A, B, finding, window

STATE, HEALTH = (EvidenceKind.STATE,), (EvidenceKind.HEALTH,)


def run(by_second: Mapping[int, Sequence[Finding]], until: int, correlator: Correlator | None = None) -> list[Incident]:
    """Feed findings second by second and return every change told, in order."""
    one = correlator or Correlator("edge-1")
    changes: list[Incident] = []
    for second in range(until):
        changes += one.update(window(second), by_second.get(second, ()))
    return changes


def during(mode: Mode, seconds: range, service: str | None = A, severity: Severity = Severity.WARNING) -> dict[int, list[Finding]]:
    return {second: [finding(mode, second, service, onset=seconds.start, severity=severity)] for second in seconds}


def test_an_incident_opens_with_the_first_finding_and_closes_after_five_quiet_seconds() -> None:
    changes = run(during(Mode.SYN_FLOOD, range(3, 8)), 20)
    assert [(one.id, one.ended_s) for one in changes] == [("edge-1-20250615T150644-1", None), ("edge-1-20250615T150644-1", T0 + 8)]
    first = changes[0]
    assert (first.mode, first.service, first.firewall) == (Mode.SYN_FLOOD, A, "edge-1")
    assert (first.onset_s, first.detected_s) == (T0 + 3, T0 + 4)
    assert [entry.text for entry in changes[-1].timeline] == [
        "began",
        "syn-flood found (warning): 100 of syn-flood",
        "nothing found any more",
    ]


def test_a_pause_shorter_than_that_is_the_same_attack() -> None:
    changes = run(during(Mode.SYN_FLOOD, range(3, 8)) | during(Mode.SYN_FLOOD, range(11, 15)), 30)
    assert len({one.id for one in changes}) == 1


def test_a_consequence_is_told_with_its_cause() -> None:
    found = during(Mode.SYN_FLOOD, range(3, 12))
    for second in range(6, 12):
        found[second].append(finding(Mode.TABLE_FULL, second, kinds=STATE))
        found[second].append(finding(Mode.SERVICE_SILENT, second, kinds=HEALTH, severity=Severity.CRITICAL))
    changes = run(found, 12)
    assert len({one.id for one in changes}) == 1
    assert changes[-1].mode == Mode.SYN_FLOOD
    assert changes[-1].consequences == (Mode.TABLE_FULL, Mode.SERVICE_SILENT)
    assert changes[-1].severity == Severity.CRITICAL
    assert {item.kind for item in changes[-1].evidence} == set(EvidenceKind)
    texts = [entry.text for entry in changes[-1].timeline]
    assert "table-full follows: 100 of table-full" in texts
    assert "now critical: 100 of service-silent" in texts


def test_a_cause_found_later_adopts_the_incident_that_its_consequence_opened() -> None:
    found = {second: [finding(Mode.TABLE_FULL, second, onset=3, kinds=STATE)] for second in range(3, 9)}
    for second in range(5, 9):
        found[second].append(finding(Mode.SYN_FLOOD, second, onset=4))
    changes = run(found, 9)
    assert [one.mode for one in changes] == [Mode.TABLE_FULL, Mode.SYN_FLOOD]
    assert len({one.id for one in changes}) == 1
    assert (changes[-1].service, changes[-1].onset_s, changes[-1].detected_s) == (A, T0 + 4, T0 + 6)
    assert changes[-1].consequences == (Mode.TABLE_FULL,)
    assert "cause found: syn-flood: 100 of syn-flood" in [entry.text for entry in changes[-1].timeline]


def test_a_cause_that_began_long_after_the_effect_is_another_incident() -> None:
    found = {second: [finding(Mode.TABLE_FULL, second, onset=3)] for second in range(3, 40)}
    for second in range(30, 40):
        found[second].append(finding(Mode.SYN_FLOOD, second, onset=30))
    correlator = Correlator("edge-1")
    run(found, 40, correlator)
    assert [one.mode for one in correlator.incidents] == [Mode.TABLE_FULL, Mode.SYN_FLOOD]


def test_the_table_is_shared_so_its_cause_silences_every_service() -> None:
    found = {second: [finding(Mode.SERVICE_SILENT, second, B, onset=4)] for second in range(5, 12)}
    for second in range(3, 12):
        found.setdefault(second, []).append(finding(Mode.SYN_FLOOD, second, A, onset=3))
    for second in range(7, 12):
        found[second].append(finding(Mode.TABLE_FULL, second, onset=7))
    correlator = Correlator("edge-1")
    changes = run(found, 12, correlator)
    (incident,) = correlator.incidents
    assert (incident.mode, incident.service) == (Mode.SYN_FLOOD, A)
    assert incident.consequences == (Mode.TABLE_FULL, Mode.SERVICE_SILENT)
    merged = [one for one in changes if one.mode == Mode.SERVICE_SILENT]
    assert merged[-1].ended_s is not None
    assert merged[-1].timeline[-1].text == f"same cause as {incident.id}, told there"


def test_without_the_table_another_service_is_another_incident() -> None:
    found = during(Mode.SYN_FLOOD, range(3, 12), A)
    for second in range(5, 12):
        found[second].append(finding(Mode.SERVICE_SILENT, second, B, onset=5))
    correlator = Correlator("edge-1")
    run(found, 12, correlator)
    assert [(one.mode, one.service) for one in correlator.incidents] == [(Mode.SYN_FLOOD, A), (Mode.SERVICE_SILENT, B)]


def test_one_mode_at_several_services_since_one_moment_is_one_incident() -> None:
    found = {
        second: [finding(Mode.SYN_FLOOD, second, A, onset=3, value=300.0), finding(Mode.SYN_FLOOD, second, B, onset=4)]
        for second in range(4, 9)
    }
    correlator = Correlator("edge-1")
    run(found, 9, correlator)
    (incident,) = correlator.incidents
    assert incident.service == A
    assert incident.attribution == (Attribution("service", A, 0.75), Attribution("service", B, 0.25))


def test_one_mode_that_reaches_another_service_much_later_is_another_incident() -> None:
    found = during(Mode.SYN_FLOOD, range(3, 40), A)
    for second in range(20, 40):
        found[second].append(finding(Mode.SYN_FLOOD, second, B, onset=20))
    correlator = Correlator("edge-1")
    run(found, 40, correlator)
    assert [one.service for one in correlator.incidents] == [A, B]


def test_a_retry_storm_after_an_outage_is_an_incident_of_its_own() -> None:
    correlator = Correlator("edge-1")
    run(during(Mode.SERVICE_SILENT, range(3, 20)) | during(Mode.RETRY_STORM, range(20, 30)), 30, correlator)
    assert [one.mode for one in correlator.incidents] == [Mode.SERVICE_SILENT, Mode.RETRY_STORM]


def test_strays_of_a_path_that_moved_are_told_with_it() -> None:
    found = during(Mode.ASYMMETRIC_ROUTING, range(5, 12))
    for second in range(3, 12):
        found.setdefault(second, []).append(finding(Mode.ACK_FLOOD, second, onset=3))
    correlator = Correlator("edge-1")
    run(found, 12, correlator)
    (incident,) = correlator.incidents
    assert (incident.mode, incident.consequences) == (Mode.ASYMMETRIC_ROUTING, (Mode.ACK_FLOOD,))


def test_the_strongest_finding_gives_evidence_and_attribution() -> None:
    blamed = Attribution("prefix", "192.0.2.0/24", 0.9)
    found = {
        3: [finding(Mode.SYN_FLOOD, 3, value=400.0)],
        4: [finding(Mode.SYN_FLOOD, 4, onset=3, value=9_000.0, attribution=[blamed])],
        5: [finding(Mode.SYN_FLOOD, 5, onset=3, value=8_000.0, attribution=[Attribution("prefix", "198.51.100.0/24", 0.4)])],
    }
    changes = run(found, 6)
    assert changes[-1].evidence[0].value == 9_000.0
    assert changes[-1].attribution == (blamed,)


def test_a_spoofed_crowd_is_told_with_all_its_sources() -> None:
    found = {
        second: [
            finding(
                Mode.SYN_FLOOD, second, onset=3, value=9_000.0 - second, attribution=[Attribution("spoofed", f"{second}000 sources", 1.0)]
            )
        ]
        for second in range(3, 7)
    }
    correlator = Correlator("edge-1")
    run(found, 7, correlator)
    assert correlator.incidents[0].attribution == (Attribution("spoofed", "6000 sources", 1.0),)


def test_information_alone_opens_nothing() -> None:
    assert run(during(Mode.SYN_FLOOD, range(3, 8), severity=Severity.INFO), 20) == []


def test_the_timeline_tells_when_the_table_became_full_and_dropped() -> None:
    correlator = Correlator("edge-1")
    correlator.update(window(3), [finding(Mode.SYN_FLOOD, 3)])
    changes = correlator.update(window(4, entries=30_000, dropped_full=7), [finding(Mode.SYN_FLOOD, 4, onset=3)])
    texts = [(entry.at_s - T0, entry.text) for entry in changes[0].timeline]
    assert (5.0, "table full: 30,000 of 30,000 entries") in texts
    assert (5.0, "first new flows dropped: 7 packets in 1 s") in texts
    assert correlator.update(window(5, entries=30_000, dropped_full=9), [finding(Mode.SYN_FLOOD, 5, onset=3)]) == []


def test_the_end_of_the_data_closes_what_was_quiet_and_leaves_the_rest_open() -> None:
    correlator = Correlator("edge-1")
    run(during(Mode.SYN_FLOOD, range(3, 8)), 10, correlator)
    assert correlator.finish(T0 + 11) == []
    assert [one.ended_s for one in correlator.lasting] == [None]
    assert [one.ended_s for one in correlator.finish(T0 + 13)] == [T0 + 8]
    assert correlator.lasting == []


def test_the_same_findings_give_the_same_incidents() -> None:
    found = during(Mode.SYN_FLOOD, range(3, 12))
    for second in range(6, 12):
        found[second].append(finding(Mode.TABLE_FULL, second))
    assert run(found, 20) == run(found, 20)
    backwards = {second: list(reversed(some)) for second, some in found.items()}
    assert run(found, 20) == run(backwards, 20)


def test_closed_incidents_are_remembered_up_to_a_bound() -> None:
    correlator = Correlator("edge-1")
    for number in range(REMEMBERED + 5):
        correlator.update(window(20.0 * number), [finding(Mode.SYN_FLOOD, 20.0 * number)])
        correlator.update(window(20.0 * number + 10), [])
    assert len(correlator.incidents) == REMEMBERED


def test_nothing_is_its_own_cause_however_indirectly() -> None:
    assert set(FOLLOWS_FROM) == set(Mode)
    for cause, effects in FOLLOWS_FROM.items():
        assert all(CAUSAL_RANK[cause] < CAUSAL_RANK[effect] for effect in effects)
