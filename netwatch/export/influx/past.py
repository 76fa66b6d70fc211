"""A replay's windows and incidents into a database, with their own times: a past incident in the dashboards of today.

Without a spool: who replays is there to run it again, and points that are written twice are one point.
"""

import time
from collections.abc import Callable

from netwatch.errors import SinkError
from netwatch.export.influx.block import Block
from netwatch.export.influx.server import Answer, InfluxServer, Verdict
from netwatch.export.influx.settings import InfluxDb1Settings, InfluxDbSettings
from netwatch.export.metrics.lines import LineWriter
from netwatch.export.metrics.points import Points
from netwatch.model.event import Event

PATIENCE_S, PAUSE_S = 20.0, 1.0
"""How long a server may be away in the middle, and how often it is asked again."""


class PastWriter:
    """Writes the events of a replay to one server."""

    def __init__(
        self,
        settings: InfluxDbSettings | InfluxDb1Settings,
        name: str,
        *,
        site: str,
        firewall: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """
        Raises:
            ConfigError: as ``InfluxServer``.
            SinkError: nobody answers there.
        """
        self.points = 0  # written
        self._name = name
        self._batch = settings.batch
        self._server = InfluxServer(settings, name=name)
        self._sleep = sleep
        self._writer, self._points = LineWriter(), Points(site=site, firewall=firewall)
        self._lines: list[str] = []
        if (problem := self._server.unreachable()) is not None:
            raise SinkError(f"sink {name}: {problem}; nothing was replayed")

    @property
    def url(self) -> str:
        return self._server.url

    def tell(self, event: Event) -> None:
        """Write the points of an event, with those of others.

        Raises:
            SinkError: the server refuses them, or was away for too long.
        """
        self._lines += self._writer.lines(self._points.of(event))
        while len(self._lines) >= self._batch:
            self._write(self._lines[: self._batch])
            del self._lines[: self._batch]

    def finish(self) -> None:
        """Write what is left.

        Raises:
            SinkError: as ``tell``.
        """
        if self._lines:
            self._write(self._lines)
            self._lines = []
        self._server.close()

    def _write(self, lines: list[str]) -> None:
        answer = self._ask(Block.of(("\n".join(lines) + "\n").encode("utf-8", "replace"), len(lines)))
        if answer.verdict is Verdict.TOO_LARGE and len(lines) > 1:
            self._write(lines[: len(lines) // 2])
            self._write(lines[len(lines) // 2 :])
            return
        if answer.verdict is not Verdict.WRITTEN:
            raise SinkError(
                f"sink {self._name}: {answer.problem}; {self.points:,} points were written before; run it again when that is cured"
            )
        self.points += len(lines)

    def _ask(self, block: Block) -> Answer:
        waited_s = 0.0
        while (answer := self._server.write(block)).verdict is Verdict.AGAIN and waited_s < PATIENCE_S:
            self._sleep(PAUSE_S)
            waited_s += PAUSE_S
        return answer
