"""The caretaker: a small process that clears a drill away, whatever becomes of the drill.

It holds the reading end of a pipe whose other end only the drill has. The kernel closes that pipe when the drill ends, is interrupted,
raises or is killed with -9, and then the caretaker puts back the machine's values (``nf_conntrack_max`` is one for all namespaces), ends
what still runs in the drill's namespaces and removes them. There is no other way of clearing away, so the one that counts after a crash
is the one that every drill uses.

The old values are on disk before anything is changed: if the caretaker is killed too, the next one puts them right. A lock keeps a second
drill from taking the first one's values for the machine's own.

``python -m netwatch.lab.caretaker OWNER_PID FOLDER [FILE=VALUE]...``
"""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from netwatch.kernel.sysctl import BOOT, TABLE_LIMIT, path, read

NAMED = Path("/run/netns")
OURS = re.compile(r"nw-(\d+)-[\w-]+", re.ASCII)
LOCKED_WITHIN_S = 2.0
GONE_WITHIN_S = 3.0

LIMIT_FILE = str(path(TABLE_LIMIT))
BUCKETS_FILE = "/sys/module/nf_conntrack/parameters/hashsize"
CHANGEABLE = frozenset({LIMIT_FILE, BUCKETS_FILE})


def namespaces_of(owner_pid: int) -> list[str]:
    """Names of the namespaces that a process made for its drill."""
    return [name for name, owner in _owned() if owner == owner_pid]


def abandoned() -> list[str]:
    """Names of namespaces whose process is gone."""
    return [name for name, owner in _owned() if not Path(f"/proc/{owner}").exists()]


def _owned() -> list[tuple[str, int]]:
    names = sorted(path.name for path in NAMED.iterdir()) if NAMED.is_dir() else []
    return [(name, int(found[1])) for name in names if (found := OURS.fullmatch(name))]


def remove(name: str) -> None:
    """End all processes of a namespace, then remove it: as long as one lives there the name goes and the namespace stays."""
    deadline = time.monotonic() + GONE_WITHIN_S
    while (pids := _pids(name)) and time.monotonic() < deadline:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _pids(name: str) -> list[int]:
    listed = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True, text=True)
    return [int(pid) for pid in listed.stdout.split()]


def sweep() -> list[str]:
    """Remove the namespaces of processes that are gone; their names."""
    names = abandoned()
    for name in names:
        remove(name)
    return names


class MachineValues:
    """What is one value for the whole machine, with its old value on disk before the new one is in force."""

    def __init__(self, folder: Path) -> None:
        self._state = folder / "machine-values.json"
        self._held: dict[str, tuple[str, str]] = {}

    def change(self, wanted: Mapping[str, str]) -> None:
        self._held = {file: (Path(file).read_text().strip(), value) for file, value in wanted.items()}
        self._write()
        for file, value in wanted.items():
            Path(file).write_text(value)
        # The kernel may round a value, as it does with buckets; what it made of it is what must be found again.
        self._held = {file: (old, Path(file).read_text().strip()) for file, (old, _) in self._held.items()}
        self._write()

    def restore(self) -> None:
        """Put back the old values; one that somebody else changed meanwhile is left alone."""
        for file, (old, ours) in self._held.items():
            if Path(file).read_text().strip() == ours:
                Path(file).write_text(old)
        self._held = {}
        self._state.unlink(missing_ok=True)

    def restore_left_behind(self) -> None:
        """Put right what a caretaker that was killed too could not. The values of an earlier boot went with it."""
        with suppress(FileNotFoundError, ValueError):
            state = json.loads(self._state.read_text())
            if state["boot"] == _boot():
                self._held = {file: (old, ours) for file, (old, ours) in state["held"].items() if file in CHANGEABLE}
                self.restore()

    def _write(self) -> None:
        fresh = self._state.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump({"boot": _boot(), "held": self._held}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._state)


def _boot() -> str:
    return read(BOOT)


def _locked(folder: Path, within_s: float) -> int | None:
    """Take the lock, which is held as long as what is returned is open; None if another caretaker keeps it."""
    lock = os.open(folder / "drill.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + within_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(lock)
                return None
            time.sleep(0.05)


def _say(text: str) -> None:
    with suppress(BrokenPipeError):
        os.write(1, f"{text}\n".encode())


def main(owner_pid: int, folder: Path, wanted: Mapping[str, str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the drill decides; its end is the end of the pipe
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    values = MachineValues(folder)
    lock = _locked(folder, LOCKED_WITHIN_S if wanted else 0.0)
    if wanted and lock is None:
        _say("another drill is running on this machine, and the limit of the state table is one for all: wait for its end")
        return 1
    sweep()
    try:
        if lock is not None:
            values.restore_left_behind()
        if wanted:
            values.change(wanted)
        elif lock is not None:
            os.close(lock)  # a world that changes nothing of the machine is in nobody's way
        _say("ready")
        while os.read(0, 4096):
            continue
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}; a drill needs root in the machine's first network namespace")
        return 1
    finally:
        values.restore()
        for name in namespaces_of(owner_pid):
            remove(name)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), dict(word.split("=", 1) for word in sys.argv[3:])))
