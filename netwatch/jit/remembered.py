"""The digest of a module's sources as it was when they were last read, good as long as none of them has changed.

Whether a file has changed its state tells, as it does for git's index: another file in its place has another inode, and whatever is written
to it moves the time of its last change, which no program can set. Only a change within the same tick of the file system's clock as
the reading would go unseen; so what was changed just now is not remembered.
"""

import os
import time
from functools import cache
from pathlib import Path

import msgspec

from netwatch.jit.stored import read_kept, write_kept

JUST_NOW_NS = 2_000_000_000
"""Longer than a tick of any file system's clock (FAT's, the coarsest, is 2 s)."""

State = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of the last writing and of the last change of any kind, in ns."""


class Remembered(msgspec.Struct, frozen=True):
    digest: str
    states: dict[str, State]  # of all files and folders that the digest depends on


@cache
def state(path: str) -> State | None:
    """What a file or folder is now, or was when this process first asked; ``None`` if it is not there."""
    try:
        status = os.stat(path)  # noqa: PTH116  # pathlib takes longer than the system
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def remember(path: Path, digest: str, states: dict[str, State | None]) -> None:
    """Keep a digest in a file, with the states from before its sources were read."""
    there = {name: found for name, found in states.items() if found is not None}
    newest_ns = max((max(written_ns, changed_ns) for *_, written_ns, changed_ns in there.values()), default=0)
    if len(there) == len(states) and newest_ns < time.time_ns() - JUST_NOW_NS:
        write_kept(path, msgspec.msgpack.encode(Remembered(digest, there)))


def recall(path: Path) -> str | None:
    """The digest kept in a file; ``None`` if there is none or one of its sources has changed."""
    content = read_kept(path)
    if content is None:
        return None
    try:
        kept = msgspec.msgpack.decode(content, type=Remembered)
    except msgspec.DecodeError:
        return None
    return kept.digest if all(state(name) == found for name, found in kept.states.items()) else None
