import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netwatch.model.packet import Rows, empty_packets
from netwatch.track.clock import LEAP_NS, SECOND_NS, Border, EventClock

NOON_NS = 1_750_000_000 * SECOND_NS


def packets_at(*seconds: float) -> Rows:
    rows = empty_packets(len(seconds))
    rows["ts_ns"] = [NOON_NS + round(second * SECOND_NS) for second in seconds]
    return rows


def seconds(border: Border) -> tuple[float, float]:
    return ((border.start_ns - NOON_NS) / SECOND_NS, (border.end_ns - NOON_NS) / SECOND_NS)


def test_packets_of_one_second_are_one_stretch_and_the_next_second_closes_it() -> None:
    stretches = list(EventClock().cut(packets_at(0.1, 0.9, 1.2)))
    assert [(stretch.begin, stretch.stop) for stretch in stretches] == [(0, 2), (2, 3)]
    assert [seconds(border) for border in stretches[0].borders] == [(0, 1)]
    assert stretches[1].borders == ()


def test_a_window_stays_open_across_blocks() -> None:
    clock = EventClock()
    assert all(not stretch.borders for stretch in clock.cut(packets_at(0.1, 0.5)))
    (first, second) = clock.cut(packets_at(0.7, 2.0))
    assert [seconds(border) for border in first.borders] == [(0, 1), (1, 2)]
    assert (second.begin, second.stop) == (1, 2)


def test_a_late_packet_happens_now() -> None:
    clock = EventClock()
    list(clock.cut(packets_at(5.0)))
    (stretch,) = clock.cut(packets_at(4.0, 5.5))
    assert (stretch.begin, stretch.stop) == (0, 2)


def test_days_of_silence_close_few_windows_that_cover_it_all() -> None:
    (first, _) = EventClock().cut(packets_at(0.0, 13 * 86_400.0))
    spans = [seconds(border) for border in first.borders]
    assert len(spans) < 150
    assert spans[0] == (0, 1)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert spans[-1][1] == 13 * 86_400


def test_ticks_close_windows_without_any_packet() -> None:
    clock = EventClock()
    list(clock.cut(packets_at(0.5)))
    assert [seconds(border) for border in clock.tick(NOON_NS + 3 * SECOND_NS)] == [(0, 1), (1, 2), (2, 3)]


def test_one_forged_time_stamp_does_not_end_the_day() -> None:
    clock = EventClock()
    rows = packets_at(0.0, 80 * 365 * 86_400.0, 0.2, 1.5)
    borders = [border for stretch in clock.cut(rows) for border in stretch.borders]
    assert [seconds(border) for border in borders] == [(0, 1)]
    assert clock.mended == 1
    assert rows["ts_ns"].max() == NOON_NS + 1.5 * SECOND_NS


def test_without_packets_there_is_no_last_window() -> None:
    assert EventClock().finish() is None


@given(st.lists(st.lists(st.integers(0, 2**62), max_size=20), max_size=8))
def test_whatever_the_time_stamps_every_packet_is_in_one_stretch_and_windows_meet(blocks: list[list[int]]) -> None:
    clock = EventClock()
    borders: list[Border] = []
    for times in blocks:
        rows = empty_packets(len(times))
        rows["ts_ns"] = np.array(times, np.int64)
        stretches = list(clock.cut(rows))
        assert sum(stretch.stop - stretch.begin for stretch in stretches) == len(times)
        borders += [border for stretch in stretches for border in stretch.borders]
    assert len(borders) < 2000 + 200 * sum(map(len, blocks))
    assert all(before.end_ns == after.start_ns for before, after in itertools.pairwise(borders))
    assert all((border.end_ns - border.start_ns) % SECOND_NS == 0 < border.end_ns - border.start_ns for border in borders)


def test_a_leap_must_be_larger_than_an_hour_to_be_mended() -> None:
    clock = EventClock()
    list(clock.cut(packets_at(0.0, (LEAP_NS - SECOND_NS) / SECOND_NS, 1.0)))
    assert clock.mended == 0
