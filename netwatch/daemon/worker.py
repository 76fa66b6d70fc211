"""A thread that does one thing again and again, and is not stopped by its failing: it says so, waits, and goes on."""

import threading
import time
from collections.abc import Callable

from netwatch.model.event import ErrorTold

LONGEST_PAUSE_S = 30.0


class Worker:
    """Calls ``work`` each ``every_s``, aligned to whole multiples of it on the clock of packets; sooner after ``hurry``."""

    def __init__(self, part: str, work: Callable[[], None], every_s: Callable[[], float], tell: Callable[[ErrorTold], None]) -> None:
        """``every_s`` is asked before each pause; ``tell`` is called from the thread and must not wait."""
        self.part = part
        self.done = self.failed = 0
        self.problem = ""
        self._work = work
        self._every_s = every_s
        self._tell = tell
        self._hurried = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=part, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hurry(self) -> None:
        """Do not wait for the next turn."""
        self._hurried.set()

    def stop(self) -> None:
        """Ask it to end; what it does now it may finish."""
        self._stopping.set()
        self._hurried.set()

    def _run(self) -> None:
        pause_s = 0.0
        while not self._stopping.is_set():
            try:
                self._work()
            except Exception as error:  # noqa: BLE001  (whatever it was: said, and tried again)
                self.failed += 1
                pause_s = min(max(2 * pause_s, self._every_s()), LONGEST_PAUSE_S)
                self._said(str(error) or type(error).__name__)
            else:
                self.done += 1
                every_s = self._every_s()
                pause_s = every_s - time.time() % every_s
                self._said("")
            self._hurried.wait(pause_s)
            self._hurried.clear()

    def _said(self, problem: str) -> None:
        """Tell when it begins to fail, when it fails for another reason, and when it is well again."""
        if problem != self.problem:
            text = problem or f"well again after {self.problem}"
            self._tell(ErrorTold(time_s=time.time(), part=self.part, text=text, over=not problem))
            self.problem = problem
