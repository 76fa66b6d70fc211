from collections.abc import Iterable
from typing import TypeVar

import pytest
from msgspec.structs import replace

from netwatch.export.metrics.measurements import (
    CanaryPoint,
    ChangePoint,
    DropPoint,
    ExporterPoint,
    FirewallPoint,
    IncidentPoint,
    RulePoint,
    SelfPoint,
    ServicePoint,
)
from netwatch.export.metrics.points import LEARNED_SERVICES, Points
from netwatch.export.metrics.schema import Point
from netwatch.model.canary import CanaryOutcome
from netwatch.model.change import EventType
from netwatch.model.event import Event, FindingMade, StageReport
from netwatch.model.firewall_state import TABLE_MARK, Counted, InterfaceCounts, TableEvents
from netwatch.model.incident import Finding, Mode, Severity
from netwatch.model.service import Service
from netwatch.model.session import STATE_COUNT, SessionState
from netwatch.model.window import PrefixShare
from tests.export.metrics import told

Wanted = TypeVar("Wanted", bound=Point)


@pytest.fixture
def points() -> Points:
    return Points(site="dc1", firewall="edge-1")


def only(wanted: type[Wanted], told_points: Iterable[Point]) -> list[Wanted]:
    return [point for point in told_points if isinstance(point, wanted)]


def all_of(points: Points, *events: Event) -> list[Point]:
    return [point for event in events for point in points.of(event)]


def test_a_window_is_one_point_of_the_firewall_at_its_end_with_rates_of_its_length(points: Points) -> None:
    by_state = tuple(7 if state == SessionState.SYN_RECV else 1 for state in range(STATE_COUNT))
    counts = told.firewall(new_sessions=30, dropped_full=10, by_state=by_state, time_to_full_s=4.0)
    (point,) = only(FirewallPoint, points.of(told.window(told.START_S, duration_s=2.0, of=counts, lost_packets=4)))
    assert point.time_s == told.START_S
    assert (point.new_per_s, point.dropped_per_s, point.lost_packets_per_s) == (15.0, 5.0, 2.0)
    assert (point.fill_ratio, point.time_to_full_s) == (0.7, 4.0)
    assert (point.entries_syn_recv, point.half_open) == (7, 9)


def test_counters_add_up_over_the_windows(points: Points) -> None:
    last = all_of(points, *(told.window(told.START_S + second, of=told.firewall(new_sessions=5, dropped_full=2)) for second in range(3)))
    assert [(point.new_total, point.dropped_total) for point in only(FirewallPoint, last)] == [(5, 2), (10, 4), (15, 6)]


def test_the_kernels_drops_are_told_by_cause_and_counted_once_a_poll(points: Points) -> None:
    state = told.poll(interval_s=2.0, table=TableEvents(dropped=30, insert_failed=20, chain_too_long=4))
    counts = told.firewall(dropped_full=14)
    first, second = only(FirewallPoint, all_of(points, told.window(of=counts, state=state), told.window(told.START_S + 1, state=state)))
    assert (first.dropped_full_per_s, first.dropped_clash_per_s, first.dropped_bucket_per_s) == (14.0, 8.0, 2.0)
    assert first.dropped_per_s == 24.0
    assert (first.dropped_total, second.dropped_total) == (34, 34)


def test_losses_of_interfaces_are_there_on_a_live_firewall_and_absent_in_a_replay(points: Points) -> None:
    ring = InterfaceCounts(received=100, received_bytes=0, receive_dropped=6, sent=0, sent_bytes=0, send_dropped=0)
    live, past = only(FirewallPoint, all_of(points, told.window(state=told.poll(interfaces={"eth0": ring, "eth1": ring})), told.window()))
    assert (live.interface_dropped_per_s, past.interface_dropped_per_s) == (12.0, None)


def test_a_service_tells_its_name_its_health_and_its_busiest_prefixes(points: Points) -> None:
    prefixes = tuple(PrefixShare(f"10.0.{place}.0/24", 50 - place, 0.3, 1.0) for place in range(20))
    service = told.service(syn=20, syn_retransmitted=10, handshakes_completed=5, half_open=3, top_prefixes=prefixes)
    (point,) = only(ServicePoint, points.of(told.window(services=(service,))))
    assert (point.service, point.name) == ("203.0.113.25:25/tcp", "inbound-smtp")
    assert (point.syn_per_s, point.syn_retransmitted_per_s, point.completed_per_s, point.completion_ratio) == (20.0, 10.0, 5.0, 0.5)
    assert point.top_prefixes is not None
    assert point.top_prefixes.startswith("10.0.0.0/24 50, 10.0.1.0/24 49")
    assert point.top_prefixes.count("/24") == 8


def test_a_flood_over_many_addresses_does_not_become_as_many_series(points: Points) -> None:
    learned = [told.service(Service("", f"203.0.{place >> 8}.{place & 255}", 80, "tcp", learned=True)) for place in range(1_000)]
    first = points.of(told.window(services=(told.service(), *learned)))
    second = points.of(told.window(told.START_S + 1, services=(told.service(), *reversed(learned))))
    labels = {point.service for point in only(ServicePoint, [*first, *second])}
    assert len(labels) == LEARNED_SERVICES + 1
    assert "203.0.113.25:25/tcp" in labels
    assert only(FirewallPoint, first)[0].services_left_out == 1_000 - LEARNED_SERVICES


def test_each_canary_is_a_point_at_its_own_time(points: Points) -> None:
    tried = (
        told.canary(at_s=told.START_S - 0.7, latency_s=0.02),
        told.canary(CanaryOutcome.FILTERED, at_s=told.START_S - 0.2, latency_s=3.0),
        told.canary(CanaryOutcome.NO_SOURCE, at_s=told.START_S - 0.1),
    )
    answered, filtered, unsent = only(CanaryPoint, points.of(told.window(canaries=tried)))
    assert (answered.time_s, answered.success, answered.latency_s) == (told.START_S - 0.7, 1, 0.02)
    assert (filtered.success, filtered.latency_s, filtered.outcome) == (0, None, "no answer")
    assert (unsent.success, unsent.attempts_total, unsent.failed_total) == (None, 2, 1)


def test_an_incident_is_marked_and_then_told_with_every_window_until_it_ends(points: Points) -> None:
    lasting = told.incident()
    ended = replace(lasting, ended_s=told.START_S + 2)
    rows = only(
        IncidentPoint,
        all_of(
            points,
            told.window(told.START_S),
            told.opened(lasting),
            told.window(told.START_S + 1),
            told.window(told.START_S + 2),
            told.closed(ended),
            told.window(told.START_S + 3),
        ),
    )
    assert [(row.event, row.open, row.time_s - told.START_S) for row in rows] == [
        ("onset", None, -5.0),
        ("opened", 1, 0.0),
        (None, 1, 1.0),
        (None, 1, 2.0),
        ("closed", 0, pytest.approx(2.001)),
    ]
    assert (rows[1].detection_delay_s, rows[1].severity, rows[3].duration_s, rows[4].duration_s) == (5.0, 2, 7.0, 7.0)


def test_open_incidents_are_counted_for_the_firewall_and_their_service(points: Points) -> None:
    all_of(points, told.opened(told.incident("one")), told.opened(told.incident("two", service=None, mode=Mode.TABLE_FULL)))
    told_now = points.of(told.window(services=(told.service(),)))
    assert only(FirewallPoint, told_now)[0].incidents_open == 2
    assert only(ServicePoint, told_now)[0].incidents_open == 1


def test_an_incident_that_gets_another_name_ends_under_the_old_one(points: Points) -> None:
    before = told.incident(mode=Mode.TABLE_FULL, service=None)
    points.of(told.opened(before))
    rows = only(IncidentPoint, points.of(told.updated(told.incident())))
    assert [(row.service, row.mode, row.open) for row in rows] == [
        ("all", "table-full", 0),
        ("203.0.113.25:25/tcp", "syn-flood", 1),
    ]


def test_two_marks_of_one_moment_are_two_points(points: Points) -> None:
    lasting = told.incident()
    rows = only(
        IncidentPoint, all_of(points, told.opened(lasting), told.updated(lasting, told.START_S), told.updated(lasting, told.START_S))
    )
    times = [round(row.time_s * 1000) for row in rows]
    assert len(set(times)) == len(times)


def test_a_mitigation_is_in_force_until_it_is_not_and_says_how_long_it_has(points: Points) -> None:
    running = told.plan()
    rows = only(
        ChangePoint,
        all_of(
            points,
            told.happened(EventType.CHANGE_APPLIED, running),
            told.itself(time_s=told.START_S + 10, mitigations=(running,), mitigation_ends_s={"plan-1": told.START_S + 300}),
            told.happened(EventType.CHANGE_UNDONE, running, told.START_S + 11),
            told.itself(time_s=told.START_S + 12),
        ),
    )
    assert [(row.event, row.in_force, row.remaining_s, row.age_s) for row in rows] == [
        ("applied", None, None, None),
        (None, 1, 290.0, 10.0),
        ("undone", None, None, None),
        (None, 0, None, None),
    ]
    assert (rows[-1].applied_total, rows[-1].undone_total, rows[-1].failed_total) == (1, 1, 0)
    assert only(FirewallPoint, points.of(told.window()))[0].mitigations_in_force == 0


def test_netwatchs_own_parts_are_told_with_their_drops_by_reason(points: Points) -> None:
    points.of(told.window(told.START_S - 3))
    capture = StageReport(stage="capture", taken=100, given=90, dropped={"ring": 8, "cut": 2}, queued=5)
    told_now = points.of(told.itself(capture, StageReport(stage="sink influxdb", healthy=False), detection_delay_s=0.4, cpu_s=2.5))
    whole, first, second = only(SelfPoint, told_now)
    assert (whole.stage, whole.healthy, whole.detection_delay_s, whole.window_age_s, whole.cpu_seconds_total) == (
        "netwatch",
        0,
        0.4,
        3.0,
        2.5,
    )
    assert (first.stage, first.taken_total, first.dropped_total, first.queued, first.healthy) == ("capture", 100, 10, 5, 1)
    assert (second.stage, second.healthy) == ("sink influxdb", 0)
    assert {(point.stage, point.reason, point.dropped_total) for point in only(DropPoint, told_now)} == {
        ("capture", "ring", 8),
        ("capture", "cut", 2),
    }


def test_reasons_beyond_the_bound_are_told_together(points: Points) -> None:
    dropped = {f"reason-{place:03}": 1 for place in range(100)}
    told_now = only(DropPoint, points.of(told.itself(StageReport(stage="capture", dropped=dropped))))
    assert len(told_now) == 33
    assert sum(point.dropped_total for point in told_now) == 100
    assert next(point for point in told_now if point.reason == "other").dropped_total == 68


def test_a_part_that_is_an_exporter_of_flows_has_a_measurement_of_its_own(points: Points) -> None:
    told_now = points.of(told.itself(StageReport(stage="exporter 192.0.2.7", taken=50, given=48, dropped={"sequence": 2})))
    (point,) = only(ExporterPoint, told_now)
    assert (point.exporter, point.records_total, point.decoded_total, point.dropped_total) == ("192.0.2.7", 50, 48, 2)
    assert [row.stage for row in only(SelfPoint, told_now)] == ["netwatch"]


def test_counters_of_our_own_rules_are_told_once_a_poll(points: Points) -> None:
    first = told.poll(counters={"dropped_meter": Counted(6, 600), f"{TABLE_MARK}0123_100": Counted(0, 0)})
    second = told.poll(told.START_S + 1, counters={"dropped_meter": Counted(4, 400)})
    rows = only(RulePoint, all_of(points, told.window(state=first), told.window(state=first), told.window(state=second)))
    assert [(row.counter, row.packets_per_s, row.packets_total) for row in rows] == [("dropped_meter", 6.0, 6), ("dropped_meter", 4.0, 10)]


def test_a_finding_has_no_figures_of_its_own(points: Points) -> None:
    finding = Finding(mode=Mode.SYN_FLOOD, service=None, severity=Severity.INFO, at_s=told.START_S, onset_s=told.START_S, evidence=())
    assert points.of(FindingMade(time_s=told.START_S, finding=finding)) == []
