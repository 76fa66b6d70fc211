"""The bounded series of the charts against sums and peaks taken by hand."""

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from netwatch.export.series import PREFIXES_KEPT, SERVICES_KEPT, SeriesBuilder, merged, point_of
from netwatch.model.replay import PrefixPoint, SeriesPoint, ServicePoint
from netwatch.model.service import Service
from netwatch.model.session import STATE_COUNT, SessionState
from netwatch.model.window import FirewallWindow, PrefixShare, ServiceWindow, Window


def point(second: int, *, entries: int = 0, new_sessions: int = 0, time_to_full_s: float | None = None) -> SeriesPoint:
    return SeriesPoint(
        start_s=float(second), duration_s=1.0, entries=entries, limit=100, new_sessions=new_sessions, time_to_full_s=time_to_full_s
    )


@given(st.lists(st.integers(0, 1000), max_size=300), st.sampled_from([2, 3, 8, 17]))
def test_merging_keeps_sums_peaks_and_time_within_the_bound(counts: list[int], max_points: int) -> None:
    builder = SeriesBuilder(max_points=max_points)
    for second, count in enumerate(counts):
        builder.add_point(point(second, entries=count, new_sessions=count))
    points = builder.points()

    assert len(points) <= max_points
    assert sum(item.new_sessions for item in points) == sum(counts)
    assert sum(item.windows for item in points) == len(counts)
    assert max((item.entries for item in points), default=0) == max(counts, default=0)
    assert all(earlier.end_s == later.start_s for earlier, later in pairwise(points))
    assert [item.start_s for item in points[:1]] == [0.0][: len(counts)]


def test_a_series_below_the_bound_is_kept_as_it_came() -> None:
    builder = SeriesBuilder(max_points=4)
    points = [point(second, entries=second) for second in range(4)]
    for item in points:
        builder.add_point(item)
    assert builder.points() == tuple(points)


def test_a_silent_stretch_between_two_windows_stays_in_the_merged_point() -> None:
    silent = merged(point(10), point(500))
    assert (silent.start_s, silent.end_s) == (10.0, 501.0)


def test_the_shortest_forecast_of_two_neighbours_is_kept() -> None:
    assert merged(point(0, time_to_full_s=90.0), point(1, time_to_full_s=4.0)).time_to_full_s == 4.0
    assert merged(point(0), point(1, time_to_full_s=7.0)).time_to_full_s == 7.0
    assert merged(point(0), point(1)).time_to_full_s is None


def test_services_and_prefixes_of_neighbours_are_added_by_name() -> None:
    def busy(second: int, asked: int, half_open: int) -> SeriesPoint:
        return SeriesPoint(
            start_s=float(second),
            duration_s=1.0,
            entries=0,
            limit=1,
            services=(ServicePoint("a", asked, 1, half_open, 9),),
            prefixes=(PrefixPoint("192.0.2.0/24", asked),),
        )

    both = merged(busy(0, 10, 5), busy(1, 20, 3))
    assert both.services == (ServicePoint("a", 30, 2, 5, 9),)
    assert both.prefixes == (PrefixPoint("192.0.2.0/24", 30),)


def test_a_point_remembers_only_the_busiest_services_and_prefixes() -> None:
    services = tuple(
        ServiceWindow(
            service=Service(f"s{port}", "192.0.2.1", port, "tcp"),
            warming=False,
            new_attempts=port,
            top_prefixes=(PrefixShare(f"10.0.{port}.0/24", port, 0.1, 0.0),),
        )
        for port in range(40)
    )
    found = point_of(Window(start_s=0.0, duration_s=1.0, warming=False, firewall=FirewallWindow(entries=1, limit=2), services=services))

    assert [item.asked for item in found.services] == list(range(39, 39 - SERVICES_KEPT, -1))
    assert [item.count for item in found.prefixes] == list(range(39, 39 - PREFIXES_KEPT, -1))


def test_every_field_of_a_point_takes_part_in_merging() -> None:
    apart = ("services", "prefixes", "time_to_full_s")
    ones: dict[str, Any] = {field.name: 1 for field in msgspec.structs.fields(SeriesPoint) if field.name not in apart}
    one = SeriesPoint(**ones)
    both = merged(one, msgspec.structs.replace(one, start_s=2.0))
    unchanged = {name for name, value in msgspec.structs.asdict(both).items() if value == 1}
    assert unchanged == {"start_s", "limit", "entries", "fill_slope_per_s", "assured", "half_open"}


def test_a_window_gives_its_gauges_and_counters_to_its_point() -> None:
    by_state = [0] * STATE_COUNT
    by_state[SessionState.SYN_SENT], by_state[SessionState.SYN_RECV], by_state[SessionState.ESTABLISHED] = 3, 4, 50
    firewall = FirewallWindow(
        entries=57,
        limit=100,
        time_to_full_s=2.5,
        new_sessions=8,
        dropped_full=1,
        invalid_bad_rst=2,
        invalid_no_session=3,
        by_state=tuple(by_state),
    )
    firewall = msgspec.structs.replace(firewall, elsewhere_attempts=6, elsewhere_prefixes=(PrefixShare("192.0.2.0/24", 5, 1.0, 0.0),))
    found = point_of(Window(start_s=5.0, duration_s=2.0, warming=True, firewall=firewall, services=()))

    assert (found.start_s, found.end_s, found.entries, found.limit) == (5.0, 7.0, 57, 100)
    assert (found.half_open, found.invalid, found.new_sessions, found.dropped_full, found.time_to_full_s) == (7, 5, 8, 1, 2.5)
    assert (found.attempts, found.prefixes) == (6, (PrefixPoint("192.0.2.0/24", 5),))
