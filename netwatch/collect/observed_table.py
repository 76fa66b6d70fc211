"""The live state table behind the same questions as the modelled one (``track.session_table``), from polls and surveys.

A poll comes each second and knows how many entries there are; a survey comes every ten seconds or more and knows what they are. Between two
surveys the share of assured entries is taken to stay, since that decides whether a new session is dropped. Of which state those are that
came since nobody knows, and none is made up: what an attack brings is rarely what was there before.
"""

from netwatch.model.firewall_state import FirewallState, TableSurvey
from netwatch.model.session import STATE_COUNT, Census, GroupCounts, TableCounts

NOTHING = GroupCounts(0, (0,) * STATE_COUNT, 0, 0)


class ObservedTable:
    """What is known of one firewall's table."""

    def __init__(self) -> None:
        self._state: FirewallState | None = None
        self._survey: TableSurvey | None = None
        self._dropped_full = 0
        self._early_dropped = 0
        self._peak = 0
        self._peak_at_s: float | None = None
        self._full_at_s: float | None = None

    def polled(self, state: FirewallState) -> None:
        """Take the newest poll."""
        self._state = state
        self._dropped_full += state.table.dropped_full
        self._early_dropped += state.table.early_dropped
        if state.entries > self._peak:
            self._peak, self._peak_at_s = state.entries, state.at_s
        if self._full_at_s is None and 0 < state.limit <= state.entries:
            self._full_at_s = state.at_s

    def surveyed(self, survey: TableSurvey) -> None:
        """Take the newest survey."""
        self._survey = survey

    @property
    def counts(self) -> TableCounts:
        """The whole table at the newest poll. How many entries came and went the kernel does not say: these two stay 0."""
        return TableCounts(
            all=self._scaled(self._survey.whole if self._survey is not None else NOTHING),
            created=0,
            expired=0,
            dropped_full=self._dropped_full,
            early_dropped=self._early_dropped,
            peak_entries=self._peak,
            peak_at_s=self._peak_at_s,
            full_at_s=self._full_at_s,
        )

    def group_counts(self, index: int) -> GroupCounts:
        """The entries of one service at the newest survey."""
        return self._survey.groups.get(index, NOTHING) if self._survey is not None else NOTHING

    @property
    def census(self) -> Census | None:
        """Of the newest survey."""
        return self._survey.census if self._survey is not None else None

    def _scaled(self, surveyed: GroupCounts) -> GroupCounts:
        entries = self._state.entries if self._state is not None else surveyed.entries
        if not surveyed.entries:
            return GroupCounts(entries, (0,) * STATE_COUNT, 0, 0)
        share = entries / surveyed.entries
        by_state = tuple(round(count * min(share, 1.0)) for count in surveyed.by_state)
        return GroupCounts(entries, by_state, round(surveyed.unreplied * share), round(surveyed.assured * share))
