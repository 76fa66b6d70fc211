import math
from typing import Annotated, ClassVar

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.export.metrics.lines import LineWriter
from netwatch.export.metrics.measurements import RulePoint
from netwatch.export.metrics.schema import Field, Point, Tag
from tests.export.metrics.line_reader import read_line


class Sample(Point, frozen=True, kw_only=True):
    """A point with everything in it."""

    measurement: ClassVar[str] = "sample"
    place: Annotated[str, Tag("where", "few")]
    count: Annotated[int, Field("1", "a count")] = 1
    level: Annotated[float, Field("1", "a level")] = 0.5
    text: Annotated[str | None, Field("", "words")] = None
    rest: Annotated[float | None, Field("1", "if any")] = None


def written(*points: Point) -> list[str]:
    return LineWriter().lines(points)


def test_a_point_is_a_line_with_tags_typed_fields_and_milliseconds() -> None:
    assert written(Sample(time_s=1.5, place="fra", count=3, level=2.0)) == ["sample,place=fra count=3i,level=2.0 1500"]


def test_absent_fields_are_left_out_and_known_ones_stand_in_the_order_of_the_table() -> None:
    assert written(Sample(time_s=0, place="fra", text="a b", rest=4.0)) == ['sample,place=fra count=1i,level=0.5,text="a b",rest=4.0 0']


def test_a_whole_number_in_a_float_field_does_not_become_an_integer() -> None:
    (line,) = written(Sample(time_s=0, place="fra", level=5))
    assert "level=5," in line + "," or "level=5 " in line
    assert isinstance(read_line(line).fields["level"], float)


def test_whatever_kind_of_number_stands_in_an_integer_field_an_integer_is_written() -> None:
    for count, text in ((True, "1i"), (False, "0i"), (2.5, "2i"), (numpy.int64(7), "7i"), (numpy.bool_(True), "1i")):
        (line,) = written(Sample(time_s=0, place="fra", count=count))  # type: ignore[arg-type]
        assert f"count={text}," in line


@pytest.mark.parametrize(
    ("odd", "reason"), [(math.inf, "not_finite"), (-math.inf, "not_finite"), (math.nan, "not_finite")], ids=["inf", "-inf", "nan"]
)
def test_a_number_that_has_no_place_in_the_protocol_is_left_out_and_counted(odd: float, reason: str) -> None:
    writer = LineWriter()
    (line,) = writer.lines([Sample(time_s=0, place="fra", level=odd)])
    assert "level" not in line
    assert dict(writer.refused) == {reason: 1}


def test_an_integer_beyond_64_bits_is_left_out_and_counted() -> None:
    writer = LineWriter()
    (line,) = writer.lines([Sample(time_s=0, place="fra", count=2**63)])
    assert read_line(line).fields == {"level": 0.5}
    assert dict(writer.refused) == {"beyond_64_bits": 1}


@pytest.mark.parametrize("time_s", [math.nan, math.inf, 1e11, -1e11])
def test_a_point_of_a_time_that_no_server_keeps_is_left_out_and_counted(time_s: float) -> None:
    writer = LineWriter()
    assert writer.lines([Sample(time_s=time_s, place="fra")]) == []
    assert dict(writer.refused) == {"time": 1}


def test_a_point_whose_only_fields_are_impossible_gives_no_line() -> None:
    writer = LineWriter()
    point = RulePoint(time_s=0, site="a", firewall="b", counter="c", packets_per_s=math.nan, bytes_per_s=math.inf, packets_total=2**70)
    assert writer.lines([point]) == []
    assert dict(writer.refused) == {"not_finite": 2, "beyond_64_bits": 1, "no_field": 1}


@given(
    time_s=st.floats(-9e9, 9e9),
    place=st.text(),
    count=st.integers(-(2**70), 2**70),
    level=st.floats(),
    text=st.none() | st.text(),
    rest=st.none() | st.floats(),
)
def test_whatever_the_values_a_line_can_be_read_back(
    *, time_s: float, place: str, count: int, level: float, text: str | None, rest: float | None
) -> None:
    lines = written(Sample(time_s=time_s, place=place, count=count, level=level, text=text, rest=rest))
    for line in lines:
        assert "\n" not in line
        read = read_line(line.encode("utf-8", "replace").decode())
        assert read.measurement == "sample"
        assert set(read.tags) == {"place"}
        assert read.time == round(time_s * 1000)
        if "level" in read.fields:
            assert read.fields["level"] == level
        if "count" in read.fields:
            assert read.fields["count"] == count
        if text is not None and text.isprintable() and len(text) < 1000:
            assert read.fields["text"] == text
