"""Run the installed ``netwatch`` as a user does: a process of its own, its words and its exit code."""

import subprocess
import sys
from pathlib import Path

NETWATCH = Path(sys.executable).parent / "netwatch"


def netwatch(*words: str | Path, stdin: bytes | None = None, cwd: Path | None = None, env: dict[str, str] | None = None) -> "Outcome":
    done = subprocess.run([NETWATCH, *words], input=stdin, capture_output=True, check=False, timeout=280, cwd=cwd, env=env)
    return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())


class Outcome:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def sentence(self) -> str:
        """What it said on stderr; exactly one line, or the whole for the failing assertion to show."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]
