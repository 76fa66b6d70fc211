"""Where a report came from, so that anyone can make it again: the command, and what the capture files were."""

import hashlib
import shlex
from dataclasses import dataclass
from pathlib import Path

from netwatch.export import figures, wording
from netwatch.model.replay import CaptureSummary

HASHED_WHOLE_UP_TO = 1 << 30
"""A gibibyte is hashed in about a second; of larger files only the beginning is, and the report says so."""

HASHED_BEGINNING = 1 << 20


@dataclass(frozen=True)
class CaptureRow:
    """One capture file, as text."""

    path: str
    size: str
    fingerprint: str
    packets: str
    link_types: str
    time: str
    problems: str


def command(words: tuple[str, ...]) -> str:
    """The command line, quoted for a shell."""
    return figures.printable(shlex.join(words))


def capture_row(capture: CaptureSummary) -> CaptureRow:
    """A capture's row, with the file's fingerprint if it is still where it was."""
    size = figures.THIN if capture.size_bytes is None else f"{capture.size_bytes:,} bytes"
    known = capture.first_s is not None and capture.last_s is not None
    return CaptureRow(
        path=figures.printable(capture.path),
        size=size,
        fingerprint=fingerprint(capture.path),
        packets=figures.count(capture.packets),
        link_types=figures.printable(", ".join(capture.link_types)) or figures.THIN,
        time=figures.span(capture.first_s or 0.0, capture.last_s or 0.0) if known else figures.THIN,
        problems=wording.capture_problems(capture),
    )


def fingerprint(path: str) -> str:
    """SHA-256 of a file, or of its first mebibyte if it is large; nothing for what is no regular file."""
    file = Path(path)
    try:
        if not file.is_file():
            return ""
        with file.open("rb") as opened:
            if file.stat().st_size <= HASHED_WHOLE_UP_TO:
                return f"sha256 {hashlib.file_digest(opened, 'sha256').hexdigest()}"
            return f"sha256 of the first MiB {hashlib.sha256(opened.read(HASHED_BEGINNING)).hexdigest()}"
    except OSError:
        return ""
