"""The sink that Prometheus scrapes: events to points to what ``/metrics`` shows."""

import asyncio
import queue
import threading
from collections import Counter

from prometheus_client import CollectorRegistry

from netwatch.export.metrics.points import Points
from netwatch.export.prometheus.collector import NewestPoints
from netwatch.export.prometheus.endpoint import host_and_port, listening
from netwatch.export.prometheus.settings import PrometheusSettings
from netwatch.export.sink import SinkContext
from netwatch.model.event import Event, StageReport

EVENTS_QUEUED = 1_000


class PrometheusSink:
    """One endpoint."""

    def __init__(self, settings: PrometheusSettings, name: str, context: SinkContext) -> None:
        """
        Raises:
            ConfigError: ``listen`` is no host and port.
        """
        host_and_port(settings.listen)
        self._name = name
        self._settings = settings
        self._points = Points(site=context.site, firewall=context.firewall)
        self._newest = NewestPoints()
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._dropped: Counter[str] = Counter()
        self._taken = self._given = 0
        self.port: int | None = None  # while it listens

    @property
    def name(self) -> str:
        return self._name

    def offer(self, event: Event) -> None:
        if self._queue.qsize() >= EVENTS_QUEUED:
            self._dropped["queue_full"] += 1
        else:
            self._queue.put(event)

    def report(self) -> StageReport:
        return StageReport(
            stage=f"sink {self._name}",
            taken=self._taken,
            given=self._given,
            dropped={**self._dropped, **({"series": self._newest.forgotten} if self._newest.forgotten else {})},
            queued=self._queue.qsize(),
            healthy=self.port is not None,
            problem="" if self.port is not None else f"does not listen on {self._settings.listen}",
        )

    async def run(self) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self._newest)
        server = listening(self._settings.listen, registry)
        self.port = server.server_port
        serving = threading.Thread(target=server.serve_forever, args=(0.1,), name=f"{self._name}-http", daemon=True)
        taking = threading.Thread(target=self._take, name=f"{self._name}-points", daemon=True)
        serving.start()
        taking.start()
        try:
            await asyncio.Event().wait()
        finally:
            self.port = None
            self._queue.put(None)
            try:
                await asyncio.shield(asyncio.to_thread(server.shutdown))
            finally:
                server.server_close()

    def _take(self) -> None:
        """Events to points, until None comes."""
        while (event := self._queue.get()) is not None:
            try:
                points = self._points.of(event)
            except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError):
                self._dropped["unreadable_event"] += 1
                continue
            self._taken += 1
            self._given += len(points)
            self._newest.take(points)
