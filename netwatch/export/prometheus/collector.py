"""The newest point of each series, in Prometheus' terms: a gauge a field, a counter a ``_total``, named by measurement and field.

Texts have no place there. A series that gets no more points goes away after a while, as one that a target no longer shows should; and there
are only so many, so that nothing outside can fill the memory.
"""

import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import astuple
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from netwatch.export.metrics.measurements import POINT_TYPES, CanaryPoint, ChangePoint, IncidentPoint
from netwatch.export.metrics.schema import Column, FieldType, Point, measurement_of

SHOWN_S = 10.0
"""Firewall, service and self come each second; ten missed are more than a pause."""

SHOWN_LONGER_S: dict[type[Point], float] = {IncidentPoint: 300.0, CanaryPoint: 120.0}
"""The end of an incident is to be seen by a scrape a minute; a canary may run as seldom."""

SERIES_SHOWN = 4_000
"""Of one measurement; those that got a point last."""

Tags = tuple[str, ...]
Values = dict[str, float]


class NewestPoints(Collector):
    """Takes points in one thread, shows them in another."""

    def __init__(self, *, series_shown: int = SERIES_SHOWN, clock: Callable[[], float] = time.monotonic) -> None:
        """``series_shown``: at most so many of each measurement."""
        self._series_shown = series_shown
        self._clock = clock
        self._lock = threading.Lock()
        self._series: defaultdict[type[Point], dict[Tags, tuple[float, Values]]] = defaultdict(dict)
        self.forgotten = 0  # series, for want of room

    def take(self, points: Iterable[Point]) -> None:
        """Show these from now on instead of older ones of the same series."""
        now_s = self._clock()
        with self._lock:
            for point in points:
                self._take(point, now_s)

    def _take(self, point: Point, now_s: float) -> None:
        measurement = measurement_of(type(point))
        row = astuple(point)
        border = 1 + len(measurement.tags)
        tags, fields = row[1:border], row[border:]
        series = self._series[type(point)]
        before = series.pop(tags, None)
        values = {
            column.name: float(value)
            for column, value in zip(measurement.columns, fields, strict=True)
            if column.type is not FieldType.TEXT and value is not None
        }
        if isinstance(point, (IncidentPoint, ChangePoint)) and point.event is not None and before is not None:
            values = {**before[1], **values}  # it marks an event and says only some of the figures; the others stay
        series[tags] = (now_s, values)
        if len(series) > self._series_shown:
            del series[next(iter(series))]
            self.forgotten += 1

    def describe(self) -> Iterable[Metric]:
        """Nothing: the registry need not collect in order to learn the names."""
        return ()

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            rows = {point_type: self._fresh(point_type) for point_type in POINT_TYPES}
        for point_type, series in rows.items():
            if not series:
                continue
            measurement = measurement_of(point_type)
            names = [name for name, _ in measurement.tags]
            for column in measurement.columns:
                if column.type is not FieldType.TEXT:
                    yield family(measurement.name, column, names, series)

    def _fresh(self, point_type: type[Point]) -> dict[Tags, Values]:
        """The series that are still told of; the others are forgotten."""
        oldest_s = self._clock() - SHOWN_LONGER_S.get(point_type, SHOWN_S)
        series = self._series[point_type]
        for tags in [tags for tags, (at_s, _) in series.items() if at_s < oldest_s]:
            del series[tags]
        return {tags: values for tags, (_, values) in series.items()}


def family(measurement: str, column: Column, tag_names: list[str], series: dict[Tags, Values]) -> Metric:
    """One field of all series of a measurement."""
    name = f"{measurement}_{column.name}"
    text = column.text + (f" ({column.unit})" if column.unit not in ("", "1") else "")
    made: CounterMetricFamily | GaugeMetricFamily
    made = CounterMetricFamily(name, text, labels=tag_names) if column.counter else GaugeMetricFamily(name, text, labels=tag_names)
    for tags, values in series.items():
        if math.isfinite(value := values.get(column.name, math.nan)):
            made.add_metric(tags, value)
    return made
