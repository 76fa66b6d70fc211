"""Read and decode ahead in a thread of its own: the kernels release the interpreter lock, so both cores work."""

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

DEPTH = 6
"""Blocks ahead: enough that neither side waits while a window is judged, few enough that memory stays small (a block is 3 MB of rows)."""


class _End:
    """The source is exhausted, or it failed."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[Item]):
    """Iterates over ``source`` while a thread already fetches the next items; its exception is raised here.

    Use as a context manager, or ``start`` and ``stop`` it: leaving it early stops the thread at its next item.
    """

    def __init__(self, source: Iterator[Item]) -> None:
        self._source = source
        self._items: queue.Queue[Item | _End] = queue.Queue(DEPTH)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._fetch, name="read-ahead", daemon=True)

    def __enter__(self) -> Iterator[Item]:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Iterator[Item]:
        """Begin to fetch; the items, in order."""
        self._thread.start()
        return self._take()

    def stop(self) -> None:
        """End the thread, whether it has fetched all or not."""
        self._stopped.set()
        while self._thread.is_alive():
            try:
                self._items.get(timeout=0.05)
            except queue.Empty:
                continue
        self._thread.join()

    def _fetch(self) -> None:
        end = _End()
        try:
            for item in self._source:
                self._items.put(item)
                if self._stopped.is_set():
                    return
        except BaseException as error:  # noqa: BLE001  (handed to the consumer, who raises it)
            end = _End(error)
        self._items.put(end)

    def _take(self) -> Iterator[Item]:
        while True:
            item = self._items.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
