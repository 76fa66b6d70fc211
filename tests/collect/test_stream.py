"""Streams hand out all they have, also what was looked at before, and tell their damage last."""

import os
import subprocess
import sys

import pytest

from netwatch.collect.stream import DamagedStream, Stream
from tests.collect.writer import Packet, pcap
from tests.conftest import ROOT


class Scripted(Stream):
    """Gives the pieces it was made of, then ends or breaks."""

    def __init__(self, *pieces: bytes, damage: str | None = None) -> None:
        super().__init__()
        self._pieces = list(pieces)
        self._after = damage

    def _read_some(self, view: memoryview) -> int:
        if not self._pieces:
            if self._after is not None:
                raise DamagedStream(self._after)
            return 0
        piece = self._pieces.pop(0)
        got = min(len(piece), len(view))
        view[:got] = piece[:got]
        if got < len(piece):
            self._pieces.insert(0, piece[got:])
        return got


def _read_all(stream: Stream, step: int = 3) -> tuple[bytes, str | None]:
    found, view = b"", memoryview(bytearray(step))
    while True:
        try:
            got = stream.read_some(view)
        except DamagedStream as damage:
            return found, damage.reason
        if not got:
            return found, None
        found += bytes(view[:got])


@pytest.mark.parametrize("looked_at", [0, 1, 4, 5, 100])
@pytest.mark.parametrize("damage", [None, "cut_file"])
def test_what_was_looked_at_comes_again_and_damage_comes_last(looked_at: int, damage: str | None) -> None:
    stream = Scripted(b"ab", b"cdefg", b"h", damage=damage)
    assert stream.peek(looked_at) == b"abcdefgh"[:looked_at]
    assert _read_all(stream) == (b"abcdefgh", damage)


def test_looking_again_further_shows_more() -> None:
    stream = Scripted(b"abc", b"def")
    assert (stream.peek(2), stream.peek(5), stream.peek(1)) == (b"ab", b"abcde", b"a")


def test_damage_is_known_once_looking_ahead_has_met_it() -> None:
    stream = Scripted(b"abc", damage="read_error")
    stream.peek(3)
    assert stream.damage is None
    stream.peek(4)
    assert stream.damage == "read_error"


def test_a_pipe_that_was_made_non_blocking_is_waited_for() -> None:
    program = 'from netwatch.collect import open_capture; print(sum(len(b.frames) for b in open_capture("-").blocks()))'
    content = pcap(*(Packet(bytes(100)) for _ in range(1000)))
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=ours, stdout=subprocess.PIPE, text=True) as reader:
        os.close(ours)
        assert reader.stdout is not None
        with open(theirs, "wb") as pipe:  # noqa: PTH123  (a descriptor, no path)
            pipe.write(content)
        assert reader.stdout.read().strip() == "1000"
