"""The guardian: a small process that holds sysctls for netwatch and puts the old values back, whatever becomes of netwatch.

A set element expires by itself, a sysctl does not. So netwatch never writes one: it asks this process to, over a pipe, with a time. The old
value comes back when that time is up (by the guardian's own timer: netwatch may be stopped), when netwatch lets go, and when the pipe
closes, which the kernel sees to even if netwatch is killed with -9. The old values are on disk before anything is changed, so that a start
after the guardian itself was killed, or the machine lost power, puts right what is left. Where somebody else changed the value meanwhile,
it is left alone.

It imports nothing heavy, speaks JSON by the line, and is started in the namespace that it is to serve:
``python -m netwatch.enforce.guardian STATE_FILE``.
"""

import fcntl
import json
import os
import re
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from netwatch.kernel.sysctl import BOOT, path, read

ALLOWED = re.compile(r"net\.netfilter\.nf_conntrack_(tcp_loose|tcp_be_liberal|\w*timeout\w*)", re.ASCII)
"""What may be held. ``nf_conntrack_max`` may not: it is one value for all namespaces of the machine."""

VALUE = re.compile(r"\d{1,9}", re.ASCII)
PREDECESSOR_WITHIN_S = 3.0


def permitted(key: str, value: str) -> str:
    """Why a sysctl may not be held with this value; empty if it may."""
    if not ALLOWED.fullmatch(key):
        return f"sysctl {key} is none that netwatch changes"
    return "" if VALUE.fullmatch(value) else f"sysctl {key} cannot be set to '{value}'"


class Held:
    """Old and new values, on disk before they are in force."""

    def __init__(self, state_file: Path) -> None:
        self._file = state_file
        self.values: dict[str, tuple[str, str]] = {}

    def hold(self, key: str, value: str) -> None:
        old = self.values[key][0] if key in self.values else read(key)
        self.values[key] = (old, value)
        self._write()
        path(key).write_text(value)

    def restore(self, key: str) -> str:
        """Put the old value back; say what was done."""
        old, new = self.values[key]
        current = read(key)
        if current == new:
            path(key).write_text(old)
        del self.values[key]
        self._write()
        return f"{key} is {old} again" if current == new else f"{key} was changed to {current} by somebody else, and is left so"

    def left_behind(self) -> list[str]:
        """Restore what an earlier guardian of this boot and namespace could not; say what was done."""
        try:
            state = json.loads(self._file.read_text())
        except (FileNotFoundError, ValueError):
            return []  # none was held: the file is written whole or not at all
        if state["where"] == _where():
            self.values = {key: (old, new) for key, (old, new) in state["held"].items() if not permitted(key, new)}
        return [self.restore(key) for key in list(self.values)]

    def _write(self) -> None:
        if not self.values:
            self._file.unlink(missing_ok=True)
            return
        fresh = self._file.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump({"where": _where(), "held": self.values}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)


def _where() -> list[str]:
    """Sysctls of a network namespace are gone with it, and all of them with a reboot."""
    return [read(BOOT), str(Path("/proc/self/ns/net").readlink())]


def locked(state_file: Path) -> int | None:
    """The lock that a guardian holds for its life; None if another one does not end."""
    lock = os.open(state_file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + PREDECESSOR_WITHIN_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                return None
            time.sleep(0.02)


class Guardian:
    """Requests in, answers out, timers in between."""

    def __init__(self, held: Held) -> None:
        self._held = held
        self._ends: dict[str, float] = {}

    def serve(self) -> None:
        """Until the pipe closes or a signal ends the process."""
        pending = b""
        while True:
            now = time.monotonic()
            for key in [key for key, end in self._ends.items() if end <= now]:
                self._let_go(key, "its time is up")
            wait = max(0.0, min(self._ends.values()) - now) if self._ends else None
            if not select.select([0], [], [], wait)[0]:
                continue
            data = os.read(0, 65_536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                _say(self._answer(json.loads(line)))

    def _answer(self, request: dict[str, str | float]) -> dict[str, str]:
        key, value = str(request["key"]), str(request.get("value", ""))
        try:
            if request["do"] == "restore":
                return {"done": self._let_go(key, "netwatch let it go")}
            if problem := permitted(key, value):
                return {"error": problem}
            self._held.hold(key, value)
            self._ends[key] = time.monotonic() + float(request["life_s"])
        except OSError as error:
            return {"error": f"sysctl {key}: {error.strerror}"}
        return {"done": f"{key} is {value}"}

    def _let_go(self, key: str, why: str) -> str:
        self._ends.pop(key, None)
        if key not in self._held.values:
            return f"{key} was not held"
        try:
            told = self._held.restore(key)
        except OSError as error:  # the state file keeps it for the next start
            told = f"{key} cannot be restored: {error.strerror}"
        _tell(f"{told}: {why}")
        return told

    def end(self) -> None:
        """Put back everything; a second signal does not stop it."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for key in list(self._held.values):
            self._let_go(key, "netwatch went away")


def _tell(text: str) -> None:
    """To the log, if anybody still reads it: that must stop nothing."""
    with suppress(OSError):
        os.write(2, f"netwatch guardian: {text}\n".encode())


def _say(answer: dict[str, str]) -> None:
    with suppress(BrokenPipeError):  # netwatch went away; the other pipe says so too
        os.write(1, json.dumps(answer).encode() + b"\n")


def main(state_file: Path) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; netwatch decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if locked(state_file) is None:
        _say({"error": f"another guardian works with {state_file}"})
        return 1
    held = Held(state_file)
    for told in held.left_behind():
        _tell(f"{told}: left behind by an earlier one")
    guardian = Guardian(held)
    try:
        _say({"done": "ready"})
        guardian.serve()
    finally:
        guardian.end()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
