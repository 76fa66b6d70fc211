"""One captured interface through its ups and downs: a ring while it is there, a pause before the next look while it is not.

An interface that goes down, or away and comes back under its name (a VPN, a container, a bond that is built anew), leaves its socket dead,
so its ring is closed and another one opened later. What was counted lasts.
"""

import errno
import os
import time
from enum import StrEnum

import msgspec

from netwatch.collect.interface import find_interface
from netwatch.collect.ring import InterfaceSettings, Ring, RingGeometry, RingStatistics
from netwatch.errors import NetwatchError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0
"""Between looks for an interface that is away. A look costs microseconds; the pause only spares the log of a flapping link."""


class LinkState(StrEnum):
    LOST = "lost"
    BACK = "back"


class LinkNews(msgspec.Struct, frozen=True):
    """An interface went down or away, or was found again."""

    interface: str
    state: LinkState
    reason: str  # of being lost; empty when it is back


class InterfaceStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """One interface since the start."""

    interface: str
    packets: int  # offered to the ring, the lost ones included
    lost: int
    freezes: int
    reopened: int
    one_in: int
    problem: str  # why it is not captured now; empty while it is


class Tap:
    """An interface by its name, with its ring while it has one."""

    def __init__(self, settings: InterfaceSettings, number: int, *, geometry: RingGeometry, namespace: str | None) -> None:
        self.settings = settings
        self.ring: Ring | None = None
        self.problem = ""
        self._number = number
        self._geometry = geometry
        self._namespace = namespace
        self._reopened = 0
        self._retry_at_s = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._earlier = RingStatistics()  # of rings that were closed

    def open(self) -> LinkNews | None:
        """Open the ring, or say what is in the way.

        Raises:
            CaptureError: it can be captured neither now nor later: no permission, no memory.
        """
        interface = find_interface(self.settings.interface, self._namespace)
        if interface is None or not interface.is_up:
            return self._lost("it is down" if interface else "it is gone")
        self.ring = Ring(interface, self.settings, number=self._number, geometry=self._geometry, namespace=self._namespace)
        self.problem, self._pause_s = "", FIRST_PAUSE_S
        return None

    def look_again(self) -> LinkNews | None:
        """Open the ring again if there is none, its interface is back, and the pause is over."""
        if self.ring is not None or self.retry_in_s > 0:
            return None
        try:
            self.open()
        except NetwatchError as error:  # it went away again in between, or its namespace did, or memory is short
            self._lost(str(error))
        if self.ring is None:
            return None
        self._reopened += 1
        return LinkNews(self.settings.interface, LinkState.BACK, "")

    def give_up(self) -> LinkNews | None:
        """Close the ring whose socket reports trouble."""
        if self.ring is None:
            return None
        number = self.ring.trouble()
        self.close()
        if number not in (0, errno.ENETDOWN):
            return self._lost(os.strerror(number))
        try:
            is_there = find_interface(self.settings.interface, self._namespace) is not None
        except NetwatchError as error:  # its namespace went with it
            return self._lost(str(error))
        return self._lost("it is down" if is_there else "it is gone")

    def _lost(self, problem: str) -> LinkNews:
        self.problem = problem
        self._retry_at_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return LinkNews(self.settings.interface, LinkState.LOST, problem)

    @property
    def retry_in_s(self) -> float:
        return max(0.0, self._retry_at_s - time.monotonic())

    @property
    def statistics(self) -> InterfaceStatistics:
        counted = self._earlier + self.ring.count() if self.ring is not None else self._earlier
        return InterfaceStatistics(
            interface=self.settings.interface,
            packets=counted.packets,
            lost=counted.lost,
            freezes=counted.freezes,
            reopened=self._reopened,
            one_in=self.settings.sample,
            problem=self.problem,
        )

    def close(self) -> None:
        if self.ring is not None:
            self._earlier += self.ring.count()
            self.ring.close()
            self.ring = None
