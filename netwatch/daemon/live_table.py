"""The state table of a live firewall as a line sees it: the kernel's own word, filled up from the model.

The kernel says each second how many entries there are, what the limit is and what was dropped, and every half minute of which kinds they
are. The model says the kinds each second and names the prefixes, but it has seen only the packets since netwatch was started, and knows
nothing of what it was not told. So the numbers are the kernel's; the kinds are the model's as long as both count about the same, and those
of the newest survey when they do not, or when only a sample of the packets is seen.
"""

import threading
from collections.abc import Callable

import msgspec

from netwatch.collect.observed_table import ObservedTable
from netwatch.model.firewall_state import FirewallState, TableSurvey
from netwatch.model.session import Census, FirewallProfile, GroupCounts
from netwatch.table_view import ModelledTable, Seen
from netwatch.track.clock import SECOND_NS
from netwatch.track.session_table import SessionTable

AGREES_SHARE, AGREES_ENTRIES = 0.25, 50
"""The model may differ by so much and still be believed: collectors of both come by at different times."""

LOST_SHARE = 0.2
"""Of the entries that both agreed on: fewer at once, with the model still holding them, and the firewall has lost its state. What expires
leaves the model too, and so does what netwatch evicts, a moment later (``eviction_begins``)."""

STALE_S = 3.5
"""A poll older than this says nothing about now."""


class LiveTable:
    """What is known of one live table. Polls and surveys come from threads of their own."""

    def __init__(self, profile: FirewallProfile, *, losses: Callable[[], int], sampled_one_in: int) -> None:
        """``losses`` says how many packets capturing has lost since the start."""
        self._profile = profile
        self._model = ModelledTable(profile)
        self._losses = losses
        self._lost = 0
        self._sampled_one_in = sampled_one_in
        self._observed = ObservedTable()
        self._lock = threading.Lock()
        self._held = 0  # entries at the last window's end
        self._went = 0  # entries that were lost at once, since the start
        self._evictions = 0  # that netwatch is about to make, or that the model has not been told yet
        self.newest: FirewallState | None = None
        self.agrees = True  # the model is believed

    def polled(self, state: FirewallState) -> None:
        with self._lock:
            self._observed.polled(state)
            self.newest = state

    def surveyed(self, survey: TableSurvey) -> None:
        with self._lock:
            self._observed.surveyed(survey)

    def eviction_begins(self) -> None:
        """Netwatch deletes entries itself: until ``eviction_ends`` none that goes counts as lost."""
        with self._lock:
            self._evictions += 1

    def eviction_ends(self) -> None:
        """The model has been told what was deleted."""
        with self._lock:
            self._evictions -= 1

    def look(self, sessions: SessionTable, end_ns: int) -> Seen:
        modelled = self._model.look(sessions, end_ns)
        total = self._losses()
        lost, self._lost = total - self._lost, total
        modelled = msgspec.structs.replace(modelled, lost_packets=max(lost, 0), sampled_one_in=self._sampled_one_in)
        with self._lock:
            state = self.newest
            if state is None or end_ns / SECOND_NS - state.at_s > STALE_S:
                return modelled
            evicting = self._evictions > 0
            observed, groups, census = self._observed.counts, self._observed.group_counts, self._observed.census
        held = modelled.counts.all.entries
        if self.agrees and not evicting and state.entries < LOST_SHARE * min(held, self._held):
            self._went += self._held - state.entries
        self._held = 0 if evicting else state.entries  # nothing to compare with until both have seen the eviction
        whole = self._sampled_one_in == 1  # of some packets of a session a model makes nothing that is worth believing
        self.agrees = whole and abs(held - state.entries) <= AGREES_SHARE * state.entries + AGREES_ENTRIES
        profile = msgspec.structs.replace(self._profile, limit=state.limit or self._profile.limit)
        counts = msgspec.structs.replace(observed, created=modelled.counts.created, expired=modelled.counts.expired, lost=self._went)
        if self.agrees or (whole and census is None):
            kinds = scaled(modelled.counts.all, state.entries)
            return msgspec.structs.replace(modelled, counts=msgspec.structs.replace(counts, all=kinds), profile=profile)
        return msgspec.structs.replace(modelled, counts=counts, groups=groups, census=newest_of(census, modelled.census), profile=profile)


def scaled(kinds: GroupCounts, entries: int) -> GroupCounts:
    """As many entries as there are, in the shares of the model."""
    if not kinds.entries:
        return GroupCounts(entries, (0,) * len(kinds.by_state), 0, 0)
    share = entries / kinds.entries
    by_state = tuple(round(count * share) for count in kinds.by_state)
    return GroupCounts(entries, by_state, round(kinds.unreplied * share), round(kinds.assured * share))


def newest_of(*known: Census | None) -> Census | None:
    return max((one for one in known if one is not None), key=lambda one: one.at_s, default=None)
