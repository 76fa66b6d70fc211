"""The live table behind the questions that the modelled one answers."""

from netwatch.collect.observed_table import ObservedTable
from netwatch.measure.forecast import drop_probability
from netwatch.model.firewall_state import FirewallState, ReassemblyCounts, SoftnetCounts, SynproxyCounts, TableEvents, TableSurvey
from netwatch.model.session import STATE_COUNT, Census, FirewallProfile, GroupCounts, SessionState


def state(at_s: float, entries: int, *, limit: int = 1000, table: TableEvents | None = None) -> FirewallState:
    return FirewallState(
        at_s=at_s,
        interval_s=1.0,
        entries=entries,
        limit=limit,
        table=table or TableEvents(),
        counters={},
        interfaces={},
        softnet=SoftnetCounts(),
        synproxy=SynproxyCounts(),
        reassembly=ReassemblyCounts(),
    )


def counts(*, established: int, syn_sent: int) -> GroupCounts:
    by_state = [0] * STATE_COUNT
    by_state[SessionState.ESTABLISHED], by_state[SessionState.SYN_SENT] = established, syn_sent
    return GroupCounts(established + syn_sent, tuple(by_state), syn_sent, established)


def surveyed(whole: GroupCounts) -> TableSurvey:
    census = Census(at_s=1.0, established=whole.assured, idle_at_least=(0,) * 5, silent=0, top_prefixes=())
    return TableSurvey(at_s=1.0, duration_s=0.1, whole=whole, groups={3: whole}, census=census, errors={})


def test_before_anything_is_known_the_table_is_empty() -> None:
    table = ObservedTable()
    assert (table.counts.all.entries, table.counts.peak_at_s, table.census) == (0, None, None)
    assert table.group_counts(3).entries == 0


def test_between_surveys_the_share_of_the_assured_stays_and_no_state_is_made_up() -> None:
    table = ObservedTable()
    table.polled(state(1.0, 100))
    table.surveyed(surveyed(counts(established=30, syn_sent=70)))
    table.polled(state(2.0, 1000))
    whole = table.counts.all
    assert (whole.entries, whole.assured, whole.unreplied, whole.by_state[SessionState.SYN_SENT]) == (1000, 300, 700, 70)
    assert table.group_counts(3).entries == 100
    assert table.group_counts(4).entries == 0
    assert table.census is not None


def test_drops_add_up_and_peak_and_moment_of_being_full_are_kept() -> None:
    table = ObservedTable()
    table.polled(state(1.0, 900))
    table.polled(state(2.0, 1000, table=TableEvents(dropped=50, insert_failed=10, early_dropped=5)))
    table.polled(state(3.0, 1000, table=TableEvents(dropped=7)))
    table.polled(state(4.0, 10))
    found = table.counts
    assert (found.dropped_full, found.early_dropped) == (47, 5)
    assert (found.peak_entries, found.peak_at_s, found.full_at_s) == (1000, 2.0, 2.0)


def test_a_table_without_a_limit_is_never_full() -> None:
    table = ObservedTable()
    table.polled(state(1.0, 5000, limit=0))
    assert table.counts.full_at_s is None
    assert state(1.0, 5000, limit=0).fill_ratio == 0.0


def test_a_stuck_table_is_seen_to_drop_new_sessions() -> None:
    table, profile = ObservedTable(), FirewallProfile(name="kernel", description="", limit=1000, buckets=1000)
    table.surveyed(surveyed(counts(established=500, syn_sent=0)))
    table.polled(state(2.0, 1000))
    assert drop_probability(table.counts, profile) == 1.0
