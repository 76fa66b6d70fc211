from collections.abc import Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from netwatch.export.metrics.points import Points
from netwatch.export.metrics.schema import Point
from netwatch.export.prometheus.collector import SHOWN_S, NewestPoints
from netwatch.model.change import EventType
from netwatch.model.event import StageReport
from netwatch.model.service import Service
from tests.export.metrics import told


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def shown(newest: NewestPoints) -> dict[str, dict[tuple[str, ...], float]]:
    """What a scrape gets, read by Prometheus' own parser: by name, then by the labels' values."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(newest)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples]
    by_name: dict[str, dict[tuple[str, ...], float]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return by_name


def took(points: Iterable[Point]) -> NewestPoints:
    newest = NewestPoints()
    newest.take(points)
    return newest


def points() -> Points:
    return Points(site="dc1", firewall="edge-1")


def test_fields_are_series_named_by_measurement_and_field_with_tags_as_labels() -> None:
    now = shown(took(points().of(told.window(services=(told.service(syn=5),)))))
    assert now["netwatch_firewall_fill_ratio"] == {("edge-1", "dc1"): 0.7}
    assert now["netwatch_service_syn_per_s"] == {("edge-1", "203.0.113.25:25/tcp", "dc1"): 5.0}
    assert now["netwatch_firewall_new_total"] == {("edge-1", "dc1"): 0.0}


def test_what_has_no_value_is_not_shown_as_zero_and_texts_are_not_shown() -> None:
    now = shown(took(points().of(told.window())))
    assert "netwatch_firewall_time_to_full_s" not in now
    assert not any(name.endswith(("_name", "_top_prefixes", "_text")) for name in now)


def test_a_series_that_is_told_no_more_goes_away() -> None:
    clock = Clock()
    newest, source = NewestPoints(clock=clock), points()
    newest.take(source.of(told.itself(StageReport(stage="capture"), StageReport(stage="canary smtp"))))
    clock.now_s += SHOWN_S / 2
    newest.take(source.of(told.itself(StageReport(stage="capture"))))
    clock.now_s += SHOWN_S / 2 + 1
    assert {labels[2] for labels in shown(newest)["netwatch_self_healthy"]} == {"capture", "netwatch"}
    clock.now_s += SHOWN_S
    assert shown(newest) == {}


def test_a_mark_of_an_event_does_not_hide_the_figures_and_an_end_does() -> None:
    source, newest, running = points(), NewestPoints(), told.plan()
    newest.take(source.of(told.itself(mitigations=(running,), mitigation_ends_s={running.id: told.START_S + 300})))
    newest.take(source.of(told.happened(EventType.CHANGE_RENEWED, running)))
    assert shown(newest)["netwatch_change_remaining_s"] == {("edge-1", "synproxy", "dc1"): 300.0}
    newest.take(source.of(told.itself(time_s=told.START_S + 9)))
    now = shown(newest)
    assert now["netwatch_change_in_force"] == {("edge-1", "synproxy", "dc1"): 0.0}
    assert "netwatch_change_remaining_s" not in now


def test_the_number_of_series_is_bounded_and_what_was_left_out_is_counted() -> None:
    newest = NewestPoints(series_shown=50)
    for number in range(60):
        service = told.service(Service(f"service-{number}", "203.0.113.25", number + 1, "tcp"))
        newest.take(points().of(told.window(services=(service,))))
    assert len(shown(newest)["netwatch_service_syn_per_s"]) == 50
    assert newest.forgotten == 10
