"""The window meter: counts packets while a window is open, and makes the ``Window`` that detectors see when it closes.

Counting is the kernels' work (``counters``, ``sources``). Closing is done once a second and costs what the services that did something
cost, not what the directory could hold: their rows are read, written into values, taught to the normals and set to zero again. A service
that has gone silent is one that did something: it is shown, with zeros, as long as it holds entries, is alarmed, or has a normal that says
it should not be silent.
"""

import copy
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.measure.counters import COLUMNS, RESUME_ANSWERED, RESUME_UNANSWERED, RESUMED, Column, walk
from netwatch.measure.forecast import FillForecast, drop_probability, time_to_full_s
from netwatch.measure.normal import WARM_WINDOWS, Normals
from netwatch.measure.one_sided import OneSidedPeers
from netwatch.measure.services import ServiceDirectory
from netwatch.measure.sources import NO_SOURCES, Sources, SourceSummary
from netwatch.model.packet import Rows
from netwatch.model.session import HALF_OPEN_STATES, Census, FirewallProfile, GroupCounts, SessionState, TableCounts
from netwatch.model.tuple_hash import FIXED_SEED
from netwatch.model.window import NO_GAPS, FirewallWindow, PrefixCount, ServiceWindow, Window

SILENT_BELOW_PER_S = 0.02
"""A service whose normal packet rate is lower than this is not missed when it is silent: one packet in a minute."""

SERVICE_COUNTS = tuple(column.name.lower() for column in Column)[: Column.INVALID_UNRELATED_ERROR]
"""Fields of ``ServiceWindow`` in the order of their columns, from the first on."""

FIREWALL_COUNTS = {column.name.lower(): int(column) for column in Column if column.name.lower() in FirewallWindow.__struct_fields__}
del FIREWALL_COUNTS["dropped_full"]
"""Of the firewall what its table says, as it is the firewall's own word where there is one."""

NEW_SESSIONS = [Column.NEW_TCP, Column.NEW_UDP, Column.NEW_OTHER]
PACKETS, BYTES = [Column.PACKETS_OUT, Column.PACKETS_IN], [Column.BYTES_OUT, Column.BYTES_IN]

SERVICE_FEATURES = {
    "normal_syn": [Column.SYN],
    "normal_attempts": [Column.NEW_ATTEMPTS],
    "normal_completed": [Column.HANDSHAKES_COMPLETED],
    "normal_resets": [Column.RESETS_OUT, Column.RESETS_IN],
    "normal_acks": [Column.ACKS_IN],
    "normal_packets": PACKETS,
}
"""What a service's normals are kept of, by the field of ``ServiceWindow``: the sum of these columns."""

FIREWALL_FEATURES = {"normal_new_sessions": NEW_SESSIONS, "normal_fragments": [Column.FRAGMENTS]}
"""The same of ``FirewallWindow``, in row 0 of the normals."""

FEATURES = (*SERVICE_FEATURES, *FIREWALL_FEATURES)
"""The columns of the normals. A service is always 0 in those of the firewall, and the other way round."""


def _sums(features: dict[str, list[Column]]) -> NDArray[np.float64]:
    """The matrix that makes of counters one column for each feature, the sum of its own: exact, since no count reaches 2**53."""
    matrix = np.zeros((COLUMNS, len(FEATURES)))
    for name, columns in features.items():
        matrix[columns, FEATURES.index(name)] = 1.0
    return matrix


SERVICE_SUMS, FIREWALL_SUMS = _sums(SERVICE_FEATURES), _sums(FIREWALL_FEATURES)
USUAL_PACKETS = FEATURES.index("normal_packets")

Counts = NDArray[np.int64]
ESTABLISHED, TIME_WAIT = int(SessionState.ESTABLISHED), int(SessionState.TIME_WAIT)
Groups = Callable[[int], GroupCounts]


class ReassemblyTotals(msgspec.Struct, frozen=True):
    """What reassembly has done since the start, and the memory that it holds now."""

    completed: int = 0  # datagrams
    failed: int = 0
    bytes_held: int = 0


class WindowMeter:
    """Counts of the open window, and what earlier ones have taught."""

    def __init__(self, directory: ServiceDirectory, *, seed: int = FIXED_SEED) -> None:
        rows = directory.capacity + 1
        self._directory = directory
        self._seed = np.uint64(seed)
        self._counts: Counts = np.zeros((rows, COLUMNS), np.int64)
        self._sources = Sources(rows, seed=seed)
        self._one_sided = OneSidedPeers()
        self._normals = Normals(rows, len(FEATURES))
        self._forecast = FillForecast()
        self._alarmed = np.zeros(rows, np.bool_)
        self._firewall_alarmed = False
        self._holding = np.zeros(rows, np.bool_)  # rows that held entries when the last window closed
        self._expired = 0
        self._early_dropped = self._dropped_full = self._lost = 0
        self._reassembly = ReassemblyTotals()

    def fork(self) -> "WindowMeter":
        """A copy that goes its own way from now on, with the same directory: the meter of a what-if."""
        return copy.deepcopy(self, {id(self._directory): self._directory})

    def alarmed(self, label: str | None, on: bool) -> None:
        """An incident of this service is open or not: what it sees meanwhile is not normal. ``None`` stands for all of the firewall."""
        if label is None:
            self._firewall_alarmed = on
        elif (row := self._directory.indices.get(label)) is not None:
            self._alarmed[row] = on

    def add(self, packets: Rows, tracked: Rows) -> None:
        """Count packets that belong to the open window."""
        one_sided = self._counts[:, Column.ONE_SIDED_FLOWS]
        before = one_sided.sum()
        walk(packets, tracked, self._counts, self._sources.arrays, self._sources.stamp, self._seed)
        if one_sided.sum() != before:
            self._one_sided.add(packets, tracked)

    def close(
        self,
        *,
        start_s: float,
        duration_s: float,
        table: TableCounts,
        groups: Groups,
        profile: FirewallProfile,
        reassembly: ReassemblyTotals = ReassemblyTotals(),  # noqa: B008 (frozen)
        census: Census | None = None,
        lost_packets: int = 0,
        sampled_one_in: int = 1,
    ) -> Window:
        """End the window and return it; the next one begins empty.

        Args:
            start_s: of the window, since the epoch.
            duration_s: 1, or more after a silence.
            table: the session table's counts at the window's end; the totals in it are since the start.
            groups: gives the entries of a service by its row in the directory.
            profile: the firewall's, with the limit that is in force now.
            reassembly: totals since the start.
            census: the newest one.
            lost_packets: by the ring or the exporter, within the window.
            sampled_one_in: 1 if every packet was seen.
        """
        end_s = start_s + duration_s
        rows = self._shown_rows()
        counted = self._counts[rows]
        totals = counted.sum(axis=0)
        alarmed = self._alarmed | self._firewall_alarmed
        alarmed[0] = alarmed.any()  # a flood of one service is seen in the firewall's totals
        learning = self._normals.windows > 0
        learning[rows] = True
        learning &= ~alarmed
        sources = self._sources.close(
            self._counts[:, Column.NEW_ATTEMPTS], now_s=end_s, duration_s=duration_s, learning=learning
        )  # fmt: skip
        self._forecast.update(end_s, table.all.entries)
        window = Window(
            start_s=start_s,
            duration_s=duration_s,
            warming=self._normals.warming(0),
            lost_packets=lost_packets,
            sampled_one_in=sampled_one_in,
            firewall=self._firewall_window(totals, table, profile, reassembly, sources.get(0, NO_SOURCES)),
            services=self._service_windows(rows[1:], counted[1:], groups, sources, self._one_sided.close()),
            census=census,
        )
        rates = counted @ SERVICE_SUMS
        rates[0] = totals @ FIREWALL_SUMS
        self._normals.learn(rows, rates / duration_s, duration_s=duration_s, alarmed=alarmed[rows])
        self._counts[rows] = 0
        self._expired, self._reassembly = table.expired, reassembly
        self._early_dropped, self._dropped_full, self._lost = table.early_dropped, table.dropped_full, table.lost
        return window

    def _shown_rows(self) -> NDArray[np.intp]:
        """Row 0, and the services that did something, hold something, are alarmed, or ought to have done something."""
        shown = self._holding | self._alarmed | (self._normals.level[:, USUAL_PACKETS] > SILENT_BELOW_PER_S)
        shown |= (self._counts[:, Column.PACKETS_OUT] | self._counts[:, Column.PACKETS_IN]) > 0
        shown[0] = True
        return np.flatnonzero(shown)

    def _service_windows(
        self,
        rows: NDArray[np.intp],
        counted: Counts,
        groups: Groups,
        sources: dict[int, SourceSummary],
        one_sided: dict[int, tuple[PrefixCount, ...]],
    ) -> tuple[ServiceWindow, ...]:
        """All fields are laid out as columns over the services first: so no line of Python is run for each field of each service."""
        if not len(rows):
            return ()
        places = rows.tolist()
        held = [groups(row) for row in places]
        states = list(zip(*(group.by_state for group in held), strict=True))
        entries = [group.entries for group in held]
        self._holding[rows] = np.array(entries) > 0
        asking = [sources.get(row, NO_SOURCES) for row in places]
        columns: dict[str, Iterable[Any]] = {
            "service": map(self._directory.service, places),
            "warming": (self._normals.windows[rows] < WARM_WINDOWS).tolist(),
            "new_sessions": counted[:, NEW_SESSIONS].sum(axis=1).tolist(),
            "resumed": _by_gap(counted[:, RESUMED:RESUME_ANSWERED]),
            "resume_answered": _by_gap(counted[:, RESUME_ANSWERED:RESUME_UNANSWERED]),
            "resume_unanswered": _by_gap(counted[:, RESUME_UNANSWERED:]),
            "distinct_sources": [found.distinct for found in asking],
            "known_sources_share": [found.known_share for found in asking],
            "source_entropy": [found.entropy for found in asking],
            "top_prefixes": [found.top_prefixes for found in asking],
            "one_sided_prefixes": [one_sided.get(row, ()) for row in places],
            "entries": entries,
            "half_open": map(sum, zip(*(states[state] for state in HALF_OPEN_STATES), strict=True)),
            "unreplied": [group.unreplied for group in held],
            "established": states[ESTABLISHED],
            "time_wait": states[TIME_WAIT],
        }
        columns.update(zip(SERVICE_COUNTS, counted[:, : len(SERVICE_COUNTS)].T.tolist(), strict=True))
        columns.update(zip(SERVICE_FEATURES, self._normals.of_each(rows), strict=False))
        return tuple(map(ServiceWindow, *(columns[name] for name in ServiceWindow.__struct_fields__)))

    def _firewall_window(
        self, totals: Counts, table: TableCounts, profile: FirewallProfile, reassembly: ReassemblyTotals, elsewhere: SourceSummary
    ) -> FirewallWindow:
        slope_per_s = self._forecast.slope_per_s
        usual = dict(zip(FEATURES, self._normals.of(0), strict=True))
        counts = totals.tolist()
        return FirewallWindow(
            packets=sum(counts[column] for column in PACKETS),
            bytes=sum(counts[column] for column in BYTES),
            entries=table.all.entries,
            limit=profile.limit,
            fill_slope_per_s=slope_per_s,
            time_to_full_s=time_to_full_s(table.all.entries, profile.limit, slope_per_s),
            drop_probability=drop_probability(table, profile),
            new_sessions=sum(counts[column] for column in NEW_SESSIONS),
            expired=table.expired - self._expired,
            early_dropped=table.early_dropped - self._early_dropped,
            dropped_full=table.dropped_full - self._dropped_full,
            entries_lost=table.lost - self._lost,
            assured=table.all.assured,
            unreplied=table.all.unreplied,
            by_state=table.all.by_state,
            elsewhere_attempts=int(self._counts[0, Column.NEW_ATTEMPTS]),
            elsewhere_sources=elsewhere.distinct,
            elsewhere_entropy=elsewhere.entropy,
            elsewhere_prefixes=elsewhere.top_prefixes,
            reassembled=reassembly.completed - self._reassembly.completed,
            reassembly_failed=reassembly.failed - self._reassembly.failed,
            reassembly_bytes=reassembly.bytes_held,
            normal_new_sessions=usual["normal_new_sessions"],
            normal_fragments=usual["normal_fragments"],
            **{name: counts[column] for name, column in FIREWALL_COUNTS.items()},
        )


def _by_gap(counted: Counts) -> Iterable[tuple[int, ...]]:
    """A row for each service. Mostly nobody spoke again after a gap."""
    return map(tuple, counted.tolist()) if counted.any() else repeat(NO_GAPS)
