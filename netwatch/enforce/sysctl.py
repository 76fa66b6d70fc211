"""Sysctls of the firewall, changed only through the guardian."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path

from netwatch.enforce import guardian
from netwatch.errors import ChangeForbiddenError, FirewallRefusedError, FirewallUnreachableError
from netwatch.kernel.namespace import entered
from netwatch.kernel.sysctl import read

PACKAGE_FOLDER = Path(__file__).resolve().parents[2]
ANSWER_WITHIN_S = 5.0


def setting(line: str) -> tuple[str, str]:
    """Key and value of ``net.netfilter.nf_conntrack_tcp_loose=0``.

    Raises:
        ChangeForbiddenError: netwatch does not change this one.
    """
    key, _, value = line.replace(" ", "").partition("=")
    if problem := guardian.permitted(key, value):
        raise ChangeForbiddenError(problem)
    return key, value


class Sysctls:
    """Holds sysctls of one namespace through a guardian, started when the first is held. One thread at a time.

    Its pipe must stay with this process alone: a child made by ``fork`` without ``exec`` would keep it open.
    """

    def __init__(self, state_file: Path, namespace: str | None = None) -> None:
        self._state_file = state_file
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | None = None
        self._ends: dict[tuple[str, str], float] = {}

    def reconcile(self) -> None:
        """Let a guardian put right what an earlier one, killed, left behind. Starts none if nothing was."""
        if self._state_file.exists():
            self._ask_guardian({"do": "restore", "key": ""})

    def hold(self, line: str, *, life_s: float) -> None:
        """Set a sysctl for a time.

        Raises:
            FirewallRefusedError: the kernel does not take it; it is as it was.
            FirewallUnreachableError: no guardian could be started, or it does not answer.
        """
        key, value = setting(line)
        self._ask_guardian({"do": "hold", "key": key, "value": value, "life_s": life_s})
        self._ends[key, value] = time.monotonic() + life_s

    def restore(self, line: str) -> None:
        """Put back the old value now; nothing happens if it is not held (any more)."""
        key, value = setting(line)
        if self._ends.pop((key, value), None) is not None:
            self._ask_guardian({"do": "restore", "key": key})

    def in_force(self) -> tuple[tuple[str, float], ...]:
        """What is held, with the seconds it has left; a guardian that was killed is replaced, which puts right what it held."""
        if self._process is not None and self._process.poll() is not None:
            self.reconcile()
        now = time.monotonic()
        with entered(self._namespace):
            held = [(key, value, end - now) for (key, value), end in self._ends.items() if end > now]
            return tuple((f"{key}={value}", left_s) for key, value, left_s in held if read(key) == value)

    def close(self) -> None:
        """Put back all, and wait until it is done."""
        self._ends.clear()
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(ANSWER_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise FirewallUnreachableError(f"the guardian of sysctls did not end within {ANSWER_WITHIN_S:g} s") from error

    def _ask_guardian(self, request: dict[str, str | float]) -> None:
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._send(request)

    def _start(self) -> None:
        self.close()
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(PACKAGE_FOLDER), os.environ.get("PYTHONPATH"))))}
        command = [sys.executable, "-m", "netwatch.enforce.guardian", str(self._state_file)]
        try:
            self._state_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with entered(self._namespace):
                self._process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
                )
        except OSError as error:
            raise FirewallUnreachableError(f"the guardian of sysctls cannot be started: {error.strerror}") from error
        try:
            self._answer()
        except FirewallRefusedError as error:
            self.close()
            raise FirewallUnreachableError(f"the guardian of sysctls does not start: {error}") from error

    def _send(self, request: dict[str, str | float]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise FirewallUnreachableError(f"the guardian of sysctls is gone: {error.strerror}; what it held is as it was") from error
        self._answer()

    def _answer(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], ANSWER_WITHIN_S)[0]:
            raise FirewallUnreachableError(f"the guardian of sysctls did not answer within {ANSWER_WITHIN_S:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise FirewallUnreachableError("the guardian of sysctls is gone; what it held is as it was")
        if problem := json.loads(line).get("error"):
            raise FirewallRefusedError(problem)
