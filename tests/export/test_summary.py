"""The terminal summary, as a pipe and as a terminal see it."""

import io

import msgspec
import pytest

from netwatch.export.summary import print_summary
from netwatch.export.verdict import verdict
from netwatch.model.incident import Recommendation, TimelineEntry
from netwatch.model.replay import CaptureSummary, Replay
from tests.export.fakes import ONSET_S, empty_replay, flood_incident, flood_replay, quiet_replay


def printed(replay: Replay, *, width: int = 80) -> str:
    stream = io.StringIO()
    print_summary(replay, stream, width=width)
    return stream.getvalue()


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("replay", [flood_replay(), quiet_replay(), empty_replay()], ids=["flood", "quiet", "empty"])
def test_the_verdict_comes_first(replay: Replay) -> None:
    assert one_line(printed(replay)).startswith(verdict(replay) + ".")


def test_a_pipe_gets_no_colours_and_no_blanks_at_line_ends() -> None:
    text = printed(flood_replay())
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]


def test_nothing_but_lines_to_copy_is_wider_than_the_terminal() -> None:
    assert flood_replay().incidents[0].recommendation is not None
    copied = [line for line in printed(flood_replay()).splitlines() if len(line) > 80]
    assert all(line.lstrip().startswith("nft ") for line in copied)


def test_a_change_to_copy_is_never_wrapped() -> None:
    change = "add element inet netwatch blk4 { " + ", ".join(f"198.51.{index}.0/24 timeout 5m" for index in range(12)) + " }"
    incident = msgspec.structs.replace(flood_incident(), recommendation=Recommendation("drop-prefix", (change,)))
    assert change in printed(msgspec.structs.replace(flood_replay(), incidents=(incident,)))


def test_many_commands_are_all_shown_but_their_undo_is_only_counted() -> None:
    recommendation = Recommendation(
        "fragment-drop", tuple(f"do {index}." for index in range(30)), tuple(f"undo {index}." for index in range(30))
    )
    incident = msgspec.structs.replace(flood_incident(), recommendation=recommendation)
    text = printed(msgspec.structs.replace(flood_replay(), incidents=(incident,)))
    assert all(f" do {index}." in text for index in range(30))
    assert "undo 3." not in text
    assert "30 commands, in the JSON and the report" in text


def test_an_incident_is_told_with_evidence_who_and_course() -> None:
    text = one_line(printed(flood_replay()))
    for fact in (
        "2,071 SYN/s, 34 times the normal",
        "37,669 spoofed sources",
        "10.66.0.0/24",
        "15:00:22 syn-flood detected",
        "with it came table-full",
    ):
        assert fact in text


def test_the_what_if_table_compares_with_doing_nothing() -> None:
    rows = [line.split() for line in printed(flood_replay()).splitlines()]
    assert ["nothing", "done", "–", "30,000", "15:00:32", "71,310", "–", "1"] in rows
    assert ["synproxy", "15:00:23", "8,600", "never", "0", "0", "0"] in rows
    assert ["drop-prefix", "never", "–", "–", "–", "–", "–"] in rows


def test_no_incident_says_what_was_watched() -> None:
    text = one_line(printed(quiet_replay()))
    assert "12 failure modes looked for: table-full, syn-flood" in text
    assert "1 service watched: 203.0.113.25:25/tcp" in text
    assert "what is normal was learned until 15:00:10 UTC" in text


def test_faults_of_captures_are_told_however_many_files_there_are() -> None:
    good = [CaptureSummary(path=f"{index}.pcap", link_types=("RAW",), packets=1, bytes=60, first_s=1.0, last_s=2.0) for index in range(50)]
    cut = msgspec.structs.replace(good[40], path="cut.pcap", truncated=True, errors={"bad_record_length": 3})
    text = one_line(printed(msgspec.structs.replace(quiet_replay(), captures=(*good[:40], cut, *good[41:]))))
    assert "cut.pcap 1 packet, RAW; 3 bad record length; cut off in the middle of a record" in text
    assert "and 37 more files without a fault" in text


def test_a_long_timeline_keeps_its_beginning_and_its_end() -> None:
    timeline = tuple(TimelineEntry(ONSET_S + index, f"event number {index}.") for index in range(40))
    text = printed(msgspec.structs.replace(flood_replay(), incidents=(msgspec.structs.replace(flood_incident(), timeline=timeline),)))
    assert "event number 0." in text
    assert "event number 39." in text
    assert "28 more, in the JSON and the report" in text


def test_many_incidents_are_told_shortly_after_the_first_few() -> None:
    incidents = tuple(msgspec.structs.replace(flood_incident(), id=str(index)) for index in range(11))
    text = printed(msgspec.structs.replace(flood_replay(), incidents=incidents))
    assert "Incident 8 of 11" in text
    assert "Incident 9 of 11" not in text
    assert text.count("syn-flood 203.0.113.25:25/tcp: onset") == 3


def test_foreign_text_can_neither_colour_nor_move_the_cursor() -> None:
    capture = msgspec.structs.replace(flood_replay().captures[0], path="[bold red]x[/]\x1b[2J.pcap")
    text = printed(msgspec.structs.replace(flood_replay(), captures=(capture,)))
    assert "[bold red]x[/]\\x1b[2J.pcap" in text
    assert "\x1b" not in text


def test_a_narrow_terminal_still_shows_every_figure() -> None:
    text = one_line(printed(flood_replay(), width=60))
    for figure in ("30,000", "71,310", "8,600", "27,654"):
        assert figure in text
