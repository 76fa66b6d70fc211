"""Windows become the points of the charts: at most ``MAX_POINTS``, however long the capture.

When the list is full, neighbours are merged in pairs and each point covers twice as many windows from then on. So memory is bounded, an
hour keeps its seconds, and a day is shown in steps of 32 s.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import chain

from netwatch.model.replay import PrefixPoint, SeriesPoint, ServicePoint
from netwatch.model.session import SessionState
from netwatch.model.window import FirewallWindow, ServiceWindow, Window

MAX_POINTS = 3600
"""An hour in seconds; more than a screen has pixels."""

SERVICES_KEPT = 16
"""Services a point remembers; a report draws far fewer."""

PREFIXES_KEPT = 12

HALF_OPEN_STATES = (SessionState.SYN_SENT, SessionState.SYN_RECV, SessionState.SYN_SENT2)


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
    firewall = window.firewall
    prefixes: Counter[str] = Counter()
    for share in chain(firewall.elsewhere_prefixes, *(service.top_prefixes for service in window.services)):
        prefixes[share.prefix] += share.count
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
        attempts=firewall.elsewhere_attempts + sum(service.new_attempts for service in window.services),
        new_sessions=firewall.new_sessions,
        dropped_full=firewall.dropped_full,
        early_dropped=firewall.early_dropped,
        shed=sum(service.shed for service in window.services),
        invalid=_invalid(firewall),
        resets=sum(service.resets_in + service.resets_out for service in window.services),
        fragments=firewall.fragments,
        picked_up=sum(service.picked_up for service in window.services),
        one_sided=sum(service.one_sided_flows for service in window.services),
        services=_busiest(_service_point(service) for service in window.services),
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
    prefixes: Counter[str] = Counter()
    for item in (*first.prefixes, *second.prefixes):
        prefixes[item.prefix] += item.count
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


def _service_point(service: ServiceWindow) -> ServicePoint:
    return ServicePoint(service.service.label, service.new_attempts, service.handshakes_completed, service.half_open, service.entries)


def _busiest(points: Iterable[ServicePoint]) -> tuple[ServicePoint, ...]:
    """The services that were asked most; those that did and hold nothing are left out."""
    active = (point for point in points if point.asked or point.completed or point.entries)
    return tuple(sorted(active, key=lambda point: (-point.asked, -point.entries, point.service))[:SERVICES_KEPT])


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


def _top(prefixes: Counter[str]) -> tuple[PrefixPoint, ...]:
    ranked = sorted(prefixes.items(), key=lambda item: (-item[1], item[0]))
    return tuple(PrefixPoint(prefix, count) for prefix, count in ranked[:PREFIXES_KEPT])
