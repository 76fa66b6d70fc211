"""From the spool to the server: in order, again and again until the server has it, and never stuck on lines that it will not take.

A server that refuses a request for bad lines is asked again with halves of it until the bad ones are found. These are set aside in a file
and counted; the others are written twice, which makes no difference.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable

from netwatch.export.influx.block import Block
from netwatch.export.influx.segment import Segment
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
        self._begun: tuple[Segment, int] | None = None  # the batch of which the server took the first lines: these
        self._begun_lines = 0
        self._asked_lines = 0  # of the newest request

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
        answer = self._deliver(batch)
        if answer.verdict is Verdict.AGAIN:
            self._failed(answer)
            return False
        self._spool.acknowledge(batch, self._clock())
        self._spool.settle(self._clock())
        self._wait_s, self.problem = 0.0, ""
        self._batch_lines = min(self._most_lines, self._batch_lines * 2)
        self._consider_sending_again()
        return True

    def _deliver(self, batch: Batch) -> Answer:
        """A batch, in parts if the server is slow. What it took of one that it did not take whole is not sent again."""
        block, place = batch.block, (batch.segment, batch.end)
        begin = self._begun_lines if self._begun == place else 0
        if begin == 0 and block.lines <= self._batch_lines:
            return self._write(block)
        lines = block.text.splitlines(keepends=True)
        while begin < len(lines):
            part = lines[begin : begin + self._batch_lines]
            if (answer := self._write(Block.of(b"".join(part), len(part)))).verdict is Verdict.AGAIN:
                self._begun, self._begun_lines = place, begin
                return answer
            begin += len(part)
        self._begun = None
        return Answer(Verdict.WRITTEN)

    def _write(self, block: Block) -> Answer:
        """``WRITTEN``, also if some lines had to be set aside, or ``AGAIN``."""
        answer = self._ask(block)
        match answer.verdict:
            case Verdict.WRITTEN:
                self.written += block.lines
            case Verdict.BAD_LINES | Verdict.TOO_LARGE:
                answer = self._halve(block, answer)
            case Verdict.AGAIN:
                pass
        return answer

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
        if answer.timed_out and self._asked_lines > LEAST_LINES:  # fewer lines are another question, which need not wait for long
            self._batch_lines = max(min(LEAST_LINES, self._most_lines), self._asked_lines // 2)
            self._wait_s = FIRST_WAIT_S
        else:
            self._wait_s = max(answer.retry_after_s, min(LONGEST_WAIT_S, self._wait_s * 2 or FIRST_WAIT_S))

    def _ask(self, block: Block) -> Answer:
        self.asked_at_s, self._asked_lines = self._clock(), block.lines
        try:
            return self._server.write(block)
        finally:
            self.asked_at_s = None

    def _halve(self, block: Block, answer: Answer) -> Answer:
        """Write what the server takes of a block, and set the rest aside; ``AGAIN`` if the server went away meanwhile."""
        waiting = [(block.text.splitlines(keepends=True), answer)]
        asked = 0
        while waiting:
            lines, refusal = waiting.pop()
            if len(lines) == 1 or asked >= MOST_HALVINGS:
                self._set_aside(lines, refusal)
                continue
            middle = len(lines) // 2
            for half in (lines[middle:], lines[:middle]):
                asked += 1
                answered = self._ask(Block.of(b"".join(half), len(half)))
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
