"""From the spool to the server: in order, again and again until the server has it, and never stuck on lines that it will not take.

A server that refuses a request for bad lines is asked again with halves of it until the bad ones are found. These are set aside in a file
and counted; the others are written twice, which makes no difference.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from netwatch.export.influx.server import Answer, InfluxServer, Verdict
from netwatch.export.influx.spool import Batch, Spool

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 15.0
IDLE_S = 0.5
MOST_HALVINGS = 100
"""Requests to find the bad lines of one batch; what is not found by then is set aside together."""

REFUSED_BYTES = 4 << 20
"""Of lines set aside; older ones make room."""

RESEND_S, RESEND_QUIET_S = 5.0, 60.0
"""What is kept is sent again no more often than this, after failed requests and after none."""

LEAST_LINES = 100
"""A slow server is sent fewer lines at a time, down to these."""


class Sender:
    """Sends what the spool has, in a thread of its own."""

    def __init__(self, spool: Spool, server: InfluxServer, *, batch_lines: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.written = 0  # lines that the server took
        self.dropped: Counter[str] = Counter()
        self.problem = ""  # of the server; empty: it takes what it is given
        self.asked_at_s: float | None = None  # since when a request has been waiting for its answer
        self._spool = spool
        self._server = server
        self._most_lines = self._batch_lines = batch_lines
        self._clock = clock
        self._wait_s = 0.0
        self._has_failed = False  # a request, since everything was sent again
        self._resent_s = -RESEND_QUIET_S

    def run(self, stopping: threading.Event, more: threading.Event) -> None:
        """Send until told to stop; ``more`` is set when the spool got lines."""
        while not stopping.is_set():
            if self.step():
                continue
            if self._wait_s:
                stopping.wait(self._wait_s)
            else:
                more.wait(IDLE_S)
                more.clear()

    def step(self) -> bool:
        """Send the next batch; False if there is none, or the server does not take it now."""
        batch = self._spool.read(self._batch_lines)
        if batch is None:
            self._spool.settle(self._clock())
            return False
        answer = self._ask(batch.text)
        match answer.verdict:
            case Verdict.WRITTEN:
                self.written += batch.lines
            case Verdict.BAD_LINES | Verdict.TOO_LARGE:
                answer = self._halve(batch, answer)
            case Verdict.AGAIN:
                pass
        if answer.verdict is Verdict.AGAIN:
            self._failed(answer)
            return False
        self._spool.acknowledge(batch, self._clock())
        self._spool.settle(self._clock())
        self._wait_s, self.problem = 0.0, ""
        self._batch_lines = min(self._most_lines, self._batch_lines * 2)
        self._consider_sending_again()
        return True

    def _consider_sending_again(self) -> None:
        """After a new connection that nobody announced. If requests failed, the server was away, and may have forgotten. If none did,
        it may have been quick, or the peer closes connections as it likes, and then this must not become all that is done."""
        if not self._server.came_back:
            return
        failed, now_s = self._has_failed, self._clock()
        if now_s - self._resent_s >= (RESEND_S if failed else RESEND_QUIET_S):
            self._spool.rewind()
            self._resent_s = now_s
        elif failed:
            return  # it stays to be done
        self._server.came_back = self._has_failed = False

    def _failed(self, answer: Answer) -> None:
        self._has_failed = True
        self.problem = answer.problem
        self._wait_s = max(answer.retry_after_s, min(LONGEST_WAIT_S, self._wait_s * 2 or FIRST_WAIT_S))
        if answer.timed_out:
            self._batch_lines = max(min(LEAST_LINES, self._most_lines), self._batch_lines // 2)

    def _ask(self, text: bytes) -> Answer:
        self.asked_at_s = self._clock()
        try:
            return self._server.write(text)
        finally:
            self.asked_at_s = None

    def _halve(self, batch: Batch, answer: Answer) -> Answer:
        """Write what the server takes of a batch, and set the rest aside; ``AGAIN`` if the server went away meanwhile."""
        waiting = [(batch.text.splitlines(keepends=True), answer)]
        asked = 0
        while waiting:
            lines, refusal = waiting.pop()
            if len(lines) == 1 or asked >= MOST_HALVINGS:
                self._set_aside(lines, refusal)
                continue
            middle = len(lines) // 2
            for half in (lines[middle:], lines[:middle]):
                asked += 1
                answered = self._ask(b"".join(half))
                match answered.verdict:
                    case Verdict.WRITTEN:
                        self.written += len(half)
                    case Verdict.AGAIN:
                        return answered
                    case Verdict.BAD_LINES | Verdict.TOO_LARGE:
                        waiting.append((half, answered))
        return Answer(Verdict.WRITTEN)

    def _set_aside(self, lines: list[bytes], refusal: Answer) -> None:
        self.dropped["refused"] += len(lines)
        path = self._spool.folder / "refused.txt"
        try:
            if path.exists() and path.stat().st_size > REFUSED_BYTES // 2:
                path.replace(path.with_suffix(".old.txt"))
            with path.open("ab") as file:
                file.write(f"# {refusal.problem}\n".encode() + b"".join(lines)[: REFUSED_BYTES // 2])
        except OSError:
            self.dropped["refused_not_kept"] += len(lines)
