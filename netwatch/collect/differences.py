"""Counters that only grow, read again and again: what was added since they were read before."""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Differences(Generic[Key]):
    """Remembers one reading. ``bits`` is how wide the counters are: the kernel lets those of 32 bits wrap, which a flood does in hours.

    A step of more than half the range is no wrap but a counter that began anew (a table loaded again, an interface made anew): it has
    counted what it shows. What is read for the first time has added nothing, since nobody knows when it began.
    """

    def __init__(self, bits: int) -> None:
        self._range = 1 << bits
        self._before: Mapping[Key, int] = {}

    def since(self, now: Mapping[Key, int]) -> dict[Key, int]:
        """What each counter has added; the reading is the next one's base."""
        added = {key: self._step(value, self._before.get(key, value)) for key, value in now.items()}
        self._before = dict(now)
        return added

    def _step(self, now: int, before: int) -> int:
        step = (now - before) % self._range
        return step if step < self._range // 2 else now
