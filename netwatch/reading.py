"""Captures on their way in: read, decoded and taken in by a thread of their own.

None of that depends on a setting, and kernels and reads release the interpreter lock. So a replay of files begins with it: one core is at
work on the packets while the other imports the rest of netwatch and reads the rules.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Self

from netwatch.collect import Capture, open_captures
from netwatch.collect.capture import MOST_OPEN
from netwatch.collect.prefetch import Ahead
from netwatch.collect.stream import STANDARD_INPUT
from netwatch.decode import Decoder
from netwatch.decode.merge import merge_by_time
from netwatch.errors import CaptureError
from netwatch.intake import Intake, Part
from netwatch.model.packet import PacketBlock


def decoded(captures: Sequence[Capture], decoder: Decoder) -> Iterator[PacketBlock]:
    """All packets of the captures, merged by time."""
    streams = [map(decoder.decode, capture.blocks()) for capture in captures]
    return merge_by_time(streams, begins_ns=[capture.begins_ns for capture in captures])


class Reading:
    """Captures that are read from the moment this is made, a few blocks ahead of whoever takes the ``parts``.

    Use as a context manager: leaving it early stops the thread. What goes wrong while reading is raised where the parts are taken.
    """

    def __init__(self, captures: Sequence[Capture], *, inner: bool) -> None:
        self.captures = captures
        self.decoder, self.intake = Decoder(inner=inner), Intake()
        self._ahead = Ahead(self.intake.parts(decoded(captures, self.decoder)))
        self.parts: Iterator[Part] = self._ahead.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ahead.stop()


def read_early(paths: Sequence[str], *, inner: bool) -> Reading | None:
    """Begin to read before anything else is known to be right; ``None`` where that has to be left until then.

    A pipe may make us wait before a wrong option was told, and what is wrong with a capture is told after what is wrong with the options.
    Of many captures some rest, and to open those while modules are imported could leave no file to open for one of the two.
    """
    may_wait = any(path == STANDARD_INPUT or not os.path.isfile(path) for path in paths)  # noqa: PTH113  # pathlib's may raise
    if may_wait or len(paths) > MOST_OPEN:
        return None
    try:
        return Reading(open_captures(paths), inner=inner)
    except CaptureError:
        return None
