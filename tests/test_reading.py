"""Captures are read early where that makes nobody wait, and what is wrong with them is told when it is their turn."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from netwatch.collect import open_captures
from netwatch.collect.capture import MOST_OPEN
from netwatch.errors import CaptureError
from netwatch.intake import Part
from netwatch.reading import Reading, read_early
from tests.cli.commands import netwatch
from tests.conftest import ROOT

FLOOD = str(next((ROOT / "captures" / "syn-flood").glob("attack.pcap*")))
QUIET = str(next((ROOT / "captures" / "syn-flood").glob("benign.pcap*")))


def packets(parts: list[Part]) -> bytes:
    return np.concatenate([part.block.packets for part in parts]).tobytes()


def test_files_are_read_early_and_give_the_same_parts() -> None:
    early = read_early([FLOOD, QUIET], inner=False)
    assert early is not None
    with early, Reading(open_captures([FLOOD, QUIET]), inner=False) as late:
        one, other = list(early.parts), list(late.parts)
    assert packets(one) == packets(other)
    assert [part.endings for part in one] == [part.endings for part in other]
    assert early.decoder.traffic == late.decoder.traffic


def test_a_reading_that_nobody_takes_from_can_be_left() -> None:
    before = set(threading.enumerate())
    with Reading(open_captures([FLOOD]), inner=False):
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("kind", ["pipe", "folder", "nothing", "letter", "standard input", "many"])
def test_what_may_wait_or_fail_is_left_for_its_turn(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "letter":
            path.write_text("Dear reader, this is no capture. " * 10)
    paths = {"standard input": ["-"], "many": [FLOOD] * (MOST_OPEN + 1)}.get(kind, [FLOOD, str(path)])
    assert read_early(paths, inner=False) is None


def test_damage_found_while_reading_is_raised_to_who_takes_the_parts(tmp_path: Path) -> None:
    gone = tmp_path / "gone.pcap"
    gone.write_bytes(Path(FLOOD).read_bytes())
    captures = open_captures([str(gone)])
    captures[0].rest()
    gone.unlink()
    with Reading(captures, inner=False) as reading, pytest.raises(CaptureError, match="no such file"):
        list(reading.parts)


@pytest.mark.parametrize("capture", ["missing.pcap", "letter.txt"])
def test_a_wrong_option_is_told_before_a_wrong_capture(capture: str, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader, this is no capture. " * 10)
    outcome = netwatch("replay", tmp_path / capture, "--limit", "0")
    assert outcome.code == 2
    assert "--limit 0" in outcome.sentence


def test_a_wrong_option_is_told_before_a_pipe_has_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    outcome = netwatch("replay", tmp_path / "pipe", "--firewall", "nothing-known")
    assert outcome.code == 2
    assert "nothing-known" in outcome.sentence
