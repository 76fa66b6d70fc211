"""Work that nobody in front waits for, done in order in a thread of its own.

Kernels release the interpreter lock, so while one thread judges a window the others go on with the packets behind it.
"""

import queue
import threading
from collections.abc import Callable
from typing import Self

Work = Callable[[], object]

DEPTH = 6
"""Pieces that wait, each with a block of packets: as many as come while one window is judged."""


class Behind:
    """Does what it is given, one after the other; leaving it waits for all of it.

    Use as a context manager. What a piece of work raises is raised at the next call or at the end, and no later piece is done.
    """

    def __init__(self) -> None:
        self._waiting: queue.Queue[Work | None] = queue.Queue(DEPTH)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="behind", daemon=True)

    def do(self, work: Work) -> None:
        """Have this done after all that was given before."""
        self._raise()
        self._waiting.put(work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if kind is None:
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            if self._error is None:
                try:
                    work()
                except BaseException as error:  # noqa: BLE001  (handed to whoever gives the work, who raises it)
                    self._error = error
