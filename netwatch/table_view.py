"""How a line sees the state table when it closes a window: the model alone in a replay, the firewall's own word on a live one."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from netwatch.model.session import Census, FirewallProfile, GroupCounts, TableCounts
from netwatch.track.clock import SECOND_NS
from netwatch.track.session_table import SessionTable

CENSUS_EVERY_NS = 5 * SECOND_NS
"""A census walks the whole table, so only some windows bring a new one."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The table at a window's end, and how complete the packets of the window are."""

    counts: TableCounts
    groups: Callable[[int], GroupCounts]  # by the service's row in the directory
    profile: FirewallProfile  # with the limit that is in force now
    census: Census | None
    lost_packets: int = 0
    sampled_one_in: int = 1


class TableView(Protocol):
    def look(self, sessions: SessionTable, end_ns: int) -> Seen:
        """What is known at the end of a window; ``sessions`` is the model, which has come as far."""


class ModelledTable:
    """A replay has nothing but the model."""

    def __init__(self, profile: FirewallProfile) -> None:
        self._profile = profile
        self._census: Census | None = None
        self._census_ns = 0

    def look(self, sessions: SessionTable, end_ns: int) -> Seen:
        if end_ns - self._census_ns >= CENSUS_EVERY_NS:
            self._census, self._census_ns = sessions.census(end_ns), end_ns
        return Seen(counts=sessions.counts(end_ns), groups=sessions.groups(), profile=self._profile, census=self._census)
