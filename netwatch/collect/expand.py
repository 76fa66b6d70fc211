"""From what the command line names to captures: a directory stands for all captures in and below it.

What a file is, its first bytes say, not its name: rotated captures are called ``edge.pcap.17`` or ``2024-05-01.gz``. A directory
may hold anything else as well; that is passed over and told, never an error.
"""

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from netwatch.collect.content import open_content
from netwatch.collect.stream import STANDARD_INPUT
from netwatch.errors import CaptureError

OnSkipped = Callable[[str], None]
"""Is given one sentence for each file of a directory that is not read: which and why."""


def _say_nothing(_: str) -> None:
    pass


def expand(paths: Sequence[str], *, on_skipped: OnSkipped = _say_nothing) -> list[str]:
    """Replace each directory by the captures in it, sorted by path; files and ``-`` stay as they are, in the order given."""
    if list(paths).count(STANDARD_INPUT) > 1:
        raise CaptureError("-: standard input can be read only once; name it once")
    captures: list[str] = []
    for path in paths:
        captures += _captures_below(path, on_skipped) if Path(path).is_dir() else [path]
    return captures


def _captures_below(directory: str, on_skipped: OnSkipped) -> list[str]:
    captures: list[str] = []
    looked_at = 0
    for path in _files_below(directory, on_skipped):
        looked_at += 1
        if reason := _why_no_capture(path):
            on_skipped(reason)
        else:
            captures.append(path)
    if not captures:
        raise CaptureError(f"{directory}: no capture in this directory ({looked_at} files looked at)")
    return captures


def _files_below(directory: str, on_skipped: OnSkipped) -> list[str]:
    def refuse(error: OSError) -> None:
        if error.filename == directory:
            raise CaptureError(f"{directory}: cannot list this directory: {error.strerror}") from error
        on_skipped(f"{error.filename}: cannot list this directory: {error.strerror}")

    return sorted(str(Path(folder) / name) for folder, _, names in os.walk(directory, onerror=refuse) for name in names)


def _why_no_capture(path: str) -> str | None:
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            return f"{path}: is not a regular file"  # opening a named pipe would wait for its writer
        file, _, _ = open_content(path)
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    except CaptureError as error:
        return str(error)
    file.close()
    return None
