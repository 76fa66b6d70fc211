"""Live packets of several interfaces: a ring each, waited for together, opened again when an interface comes back.

While an interface is away nothing of it is captured, and ``news`` says so: silence of an interface that is not there is no evidence.

Each interface's packets come in their order. Between interfaces a block may be as late as a ring keeps it (``delay_ns``); an answer must
not be tracked before its question, so packets of several interfaces are put in order once they are decoded (decode/reorder.py).
"""

import select
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Self

from netwatch.collect.interface import find_interface
from netwatch.collect.ring import InterfaceSettings, RingGeometry
from netwatch.collect.tap import InterfaceStatistics, LinkNews, Tap
from netwatch.errors import CaptureError, ConfigError, NetwatchError
from netwatch.model.packet import FrameBlock

TIMER_SLACK_NS = 10_000_000
"""How much later than its time the kernel may hand over a block: a timer tick (4 ms at 250 Hz) and the wait for a processor."""

KEPT_NEWS = 1000
"""If nobody asks for them."""


class LiveCapture:
    """The packets that pass some interfaces of one namespace, from now on. An open ring keeps a namespace alive that lost its name."""

    def __init__(
        self,
        interfaces: Sequence[InterfaceSettings],
        *,
        namespace: str | None = None,
        geometry: RingGeometry = RingGeometry(),  # noqa: B008 (frozen)
    ) -> None:
        """Open a ring on each interface. One that is down is waited for; one that does not exist is a mistake.

        Raises:
            CaptureError: there is no such interface, no permission, or no memory.
        """
        names = [settings.interface for settings in interfaces]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f"interface {', '.join(sorted(doubled))} is given more than once: its packets would count twice")
        self._delay_ns = geometry.retire_ms * 1_000_000 + TIMER_SLACK_NS
        self._blocks_a_round = geometry.blocks
        self._news: deque[LinkNews] = deque(maxlen=KEPT_NEWS)
        self._taps = [Tap(settings, number, geometry=geometry, namespace=namespace) for number, settings in enumerate(interfaces)]
        try:
            for tap in self._taps:
                if find_interface(tap.settings.interface, namespace) is None:
                    raise CaptureError(f"interface '{tap.settings.interface}': there is none of this name; 'ip link' lists them")
                self._tell(tap.open())
        except NetwatchError:
            self.close()
            raise

    @property
    def delay_ns(self) -> int:
        """A packet that passed longer ago than this has been handed out by ``blocks``, unless the machine is too busy."""
        return self._delay_ns

    def blocks(self, wait_s: float) -> Iterator[FrameBlock]:
        """All blocks that wait to be read, after waiting so long for the first; the caller comes back soon for more.

        A block is lent: when the next one is asked for it is the kernel's again. Frames carry the number of their interface, in the order
        in which these were given.
        """
        for tap in self._taps:
            self._tell(tap.look_again())
        for tap, is_in_trouble in self._wait(wait_s):
            if is_in_trouble:
                # What was received last is handed over when its time has come, although the socket is dead.
                time.sleep(self._delay_ns / 1e9)
            yield from self._read(tap)
            if is_in_trouble:
                self._tell(tap.give_up())

    def _read(self, tap: Tap) -> Iterator[FrameBlock]:
        """At most one round of the ring, so that a flood on one interface does not keep the others waiting."""
        for _ in range(self._blocks_a_round):
            if tap.ring is None or (block := tap.ring.take()) is None:
                return
            try:
                yield block
            finally:
                if tap.ring is not None:
                    tap.ring.give_back()

    def _wait(self, wait_s: float) -> list[tuple[Tap, bool]]:
        """Interfaces to be read, and whether something befell them."""
        poll, by_file = select.poll(), {}
        for tap in self._taps:
            if tap.ring is None:
                wait_s = min(wait_s, tap.retry_in_s)
            else:
                by_file[tap.ring.fileno()] = tap
                poll.register(tap.ring, select.POLLIN)
        return [(by_file[file], bool(happened & ~select.POLLIN)) for file, happened in poll.poll(wait_s * 1e3)]

    def statistics(self) -> tuple[InterfaceStatistics, ...]:
        """Each interface since the start, in their order."""
        return tuple(tap.statistics for tap in self._taps)

    def news(self) -> list[LinkNews]:
        """What happened to the interfaces since this was asked last."""
        told = list(self._news)
        self._news.clear()
        return told

    def _tell(self, news: LinkNews | None) -> None:
        if news is not None:
            self._news.append(news)

    def close(self) -> None:
        for tap in self._taps:
            tap.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
