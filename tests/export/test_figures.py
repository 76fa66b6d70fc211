"""How numbers and foreign text are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.export import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (37_669, "37,669"), (2.5, "2.5"), (12.4, "12"), (float("nan"), "–"), (float("inf"), "–")],
)
def test_counts_have_separators_and_no_false_precision(value: float, text: str) -> None:
    assert figures.count(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.004, "0.4 %"), (0.57, "57 %"), (0.9999, "99.9 %"), (1.0, "100 %"), (0.999_999_9, "99.9 %")]
)
def test_a_table_that_is_not_quite_full_is_never_called_full(share: float, text: str) -> None:
    assert figures.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.25, "250 ms"),
        (0.9999, "1.0 s"),
        (18.94, "18.9 s"),
        (125, "2 min 05 s"),
        (12_000, "3 h 20 min"),
        (432_000, "5 d 0 h"),
    ],
)
def test_durations_use_the_unit_a_person_would_say(seconds: float, text: str) -> None:
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(("octets", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (506_555_000, "483.1 MiB")])
def test_sizes_are_binary(octets: int, text: str) -> None:
    assert figures.size(octets) == text


def test_times_are_utc_and_cut_like_a_log_line() -> None:
    assert figures.clock(1_709_823_621.99, decimals=1) == "15:00:21.9"
    assert figures.span(1_709_823_600.0, 1_709_823_690.0) == "2024-03-07 15:00:00 – 15:01:30 UTC"
    assert figures.span(1_709_823_600.0, 1_709_910_000.0) == "2024-03-07 15:00:00 – 2024-03-08 15:00:00 UTC"


def test_a_stamp_that_no_calendar_holds_is_shown_as_seconds() -> None:
    assert figures.clock(1e18) == "1000000000000000000 s"
    assert figures.day(1e18) == "–"


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("plain.pcap", "plain.pcap"),
        ("größer.pcap", "größer.pcap"),
        ("\x1b[31mred\n", "\\x1b[31mred\\x0a"),
        ("fdp\u202epac.exe", "fdp\\u202epac.exe"),
        ("not-utf8-\udcff", "not-utf8-\\udcff"),
    ],
)
def test_foreign_text_is_shown_and_never_acts(foreign: str, shown: str) -> None:
    assert figures.printable(foreign) == shown


@given(st.text())
def test_printable_text_is_one_line_that_any_terminal_can_encode(foreign: str) -> None:
    shown = figures.printable(foreign)
    assert len(shown.splitlines()) <= 1
    assert shown.encode("utf-8").decode() == figures.printable(shown)
