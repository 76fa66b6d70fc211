"""Windows become the points of the charts: at most ``MAX_POINTS``, however long the capture.

When the list is full, neighbours are merged in pairs and each point covers twice as many windows from then on. So memory is bounded, an
hour keeps its seconds, and a day is shown in steps of 32 s.
"""

from collections.abc import Iterable
from itertools import chain
from operator import attrgetter, itemgetter

from netwatch.model.replay import PrefixPoint, SeriesPoint, ServicePoint
from netwatch.model.session import HALF_OPEN_STATES
from netwatch.model.window import FirewallWindow, ServiceWindow, Window

MAX_POINTS = 3600
"""An hour in seconds; more than a screen has pixels."""

SERVICES_KEPT = 16
"""Services a point remembers; a report draws far fewer."""

PREFIXES_KEPT = 12


class SeriesBuilder:
    """Takes windows (or ready points) in order of time and keeps a bounded series."""

    def __init__(self, *, max_points: int = MAX_POINTS) -> None:
        self._max_points = max_points
        self._points: list[SeriesPoint] = []
        self._windows_per_point = 1

    def add(self, window: Window) -> None:
        self.add_point(point_of(window))

    def add_point(self, point: SeriesPoint) -> None:
        if self._points and self._points[-1].windows < self._windows_per_point:
            self._points[-1] = merged(self._points[-1], point)
            return
        if len(self._points) == self._max_points:
            self._halve()
        self._points.append(point)

    def points(self) -> tuple[SeriesPoint, ...]:
        return tuple(self._points)

    def _halve(self) -> None:
        pairs = range(0, len(self._points) - 1, 2)
        rest = self._points[len(self._points) - len(self._points) % 2 :]
        self._points = [merged(self._points[index], self._points[index + 1]) for index in pairs] + rest
        self._windows_per_point *= 2


def point_of(window: Window) -> SeriesPoint:
    """One window as a point of the series."""
    firewall, services = window.firewall, window.services
    prefixes: dict[str, int] = {}
    for share in chain(firewall.elsewhere_prefixes, *[service.top_prefixes for service in services]):
        prefixes[share.prefix] = prefixes.get(share.prefix, 0) + share.count
    attempts, shed, resets, picked_up, one_sided = firewall.elsewhere_attempts, 0, 0, 0, 0
    for service in services:
        attempts += service.new_attempts
        shed += service.shed
        resets += service.resets_in + service.resets_out
        picked_up += service.picked_up
        one_sided += service.one_sided_flows
    return SeriesPoint(
        start_s=window.start_s,
        duration_s=window.duration_s,
        entries=firewall.entries,
        limit=firewall.limit,
        fill_slope_per_s=firewall.fill_slope_per_s,
        time_to_full_s=firewall.time_to_full_s,
        assured=firewall.assured,
        half_open=_half_open(firewall),
        packets=firewall.packets,
        attempts=attempts,
        new_sessions=firewall.new_sessions,
        dropped_full=firewall.dropped_full,
        early_dropped=firewall.early_dropped,
        shed=shed,
        invalid=_invalid(firewall),
        resets=resets,
        fragments=firewall.fragments,
        picked_up=picked_up,
        one_sided=one_sided,
        services=_busiest(_service_points(services)),
        prefixes=_top(prefixes),
    )


_SUMS = [
    "packets",
    "attempts",
    "new_sessions",
    "dropped_full",
    "early_dropped",
    "shed",
    "invalid",
    "resets",
    "fragments",
    "picked_up",
    "one_sided",
    "windows",
]
_PEAKS = ["entries", "fill_slope_per_s", "assured", "half_open"]


def merged(first: SeriesPoint, second: SeriesPoint) -> SeriesPoint:
    """Two neighbours as one point: counts add up, gauges keep the highest."""
    forecasts = [point.time_to_full_s for point in (first, second) if point.time_to_full_s is not None]
    prefixes: dict[str, int] = {}
    for item in (*first.prefixes, *second.prefixes):
        prefixes[item.prefix] = prefixes.get(item.prefix, 0) + item.count
    sums = {name: getattr(first, name) + getattr(second, name) for name in _SUMS}
    peaks = {name: max(getattr(first, name), getattr(second, name)) for name in _PEAKS}
    return SeriesPoint(
        start_s=first.start_s,
        duration_s=second.end_s - first.start_s,
        limit=second.limit,
        time_to_full_s=min(forecasts, default=None),
        services=_merged_services(first.services, second.services),
        prefixes=_top(prefixes),
        **sums,
        **peaks,
    )


def _half_open(firewall: FirewallWindow) -> int:
    return sum(firewall.by_state[state] for state in HALF_OPEN_STATES if state < len(firewall.by_state))


def _invalid(firewall: FirewallWindow) -> int:
    return (
        firewall.invalid_malformed
        + firewall.invalid_no_session
        + firewall.invalid_out_of_window
        + firewall.invalid_bad_rst
        + firewall.invalid_bad_state
    )


def _service_points(services: Iterable[ServiceWindow]) -> list[ServicePoint]:
    """Those that did nothing and hold nothing are left out."""
    return [
        ServicePoint(service.service.label, service.new_attempts, service.handshakes_completed, service.half_open, service.entries)
        for service in services
        if service.entries or service.new_attempts or service.handshakes_completed
    ]


def _busiest(points: Iterable[ServicePoint]) -> tuple[ServicePoint, ...]:
    """The services that were asked most, then those that hold most; of equals the first by name."""
    by_name = sorted(points, key=attrgetter("service"))
    return tuple(sorted(by_name, key=attrgetter("asked", "entries"), reverse=True)[:SERVICES_KEPT])


def _merged_services(first: tuple[ServicePoint, ...], second: tuple[ServicePoint, ...]) -> tuple[ServicePoint, ...]:
    by_label = {point.service: point for point in first}
    for point in second:
        known = by_label.get(point.service)
        by_label[point.service] = point if known is None else _merged_service(known, point)
    return _busiest(by_label.values())


def _merged_service(first: ServicePoint, second: ServicePoint) -> ServicePoint:
    return ServicePoint(
        first.service,
        first.asked + second.asked,
        first.completed + second.completed,
        max(first.half_open, second.half_open),
        max(first.entries, second.entries),
    )


def _top(prefixes: dict[str, int]) -> tuple[PrefixPoint, ...]:
    """Those that asked most; of equals the first by name."""
    ranked = sorted(sorted(prefixes.items()), key=itemgetter(1), reverse=True)
    return tuple(PrefixPoint(prefix, count) for prefix, count in ranked[:PREFIXES_KEPT])
