"""The window meter: counts packets while a window is open, and makes the ``Window`` that detectors see when it closes.

Counting is the kernels' work (``counters``, ``sources``). Closing is done once a second and costs what the services that did something
cost, not what the directory could hold: their rows are read, written into values, taught to the normals and set to zero again. A service
that has gone silent is one that did something: it is shown, with zeros, as long as it holds entries, is alarmed, or has a normal that says
it should not be silent.
"""

import copy
from collections.abc import Callable
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
from netwatch.model.session import Census, FirewallProfile, GroupCounts, SessionState, TableCounts
from netwatch.model.tuple_hash import FIXED_SEED
from netwatch.model.window import FirewallWindow, PrefixCount, ServiceWindow, Window

SILENT_BELOW_PER_S = 0.02
"""A service whose normal packet rate is lower than this is not missed when it is silent: one packet in a minute."""

SERVICE_COUNTS = tuple(column.name.lower() for column in Column)[: Column.INVALID_UNRELATED_ERROR]
"""Fields of ``ServiceWindow`` in the order of their columns, from the first on."""

FIREWALL_COUNTS = {column.name.lower(): int(column) for column in Column if column.name.lower() in FirewallWindow.__struct_fields__}
del FIREWALL_COUNTS["dropped_full"]
"""Of the firewall what its table says, as it is the firewall's own word where there is one."""

NEW_SESSIONS = [Column.NEW_TCP, Column.NEW_UDP, Column.NEW_OTHER]
PACKETS, BYTES = [Column.PACKETS_OUT, Column.PACKETS_IN], [Column.BYTES_OUT, Column.BYTES_IN]

FEATURES = ("syn", "attempts", "completed", "resets", "acks", "packets")
"""What a service's normals are kept of; the names follow ``normal_`` in ``ServiceWindow``."""

FEATURE_COLUMNS = (
    [Column.SYN],
    [Column.NEW_ATTEMPTS],
    [Column.HANDSHAKES_COMPLETED],
    [Column.RESETS_OUT, Column.RESETS_IN],
    [Column.ACKS_IN],
    PACKETS,
)
NORMAL_FIELDS = tuple(f"normal_{feature}" for feature in FEATURES)
FIREWALL_FEATURE_COLUMNS = (NEW_SESSIONS, [Column.FRAGMENTS])


def _sums(features: tuple[list[Column], ...]) -> NDArray[np.float64]:
    """The matrix that makes of counters one column for each feature, the sum of its own: exact, since no count reaches 2**53."""
    matrix = np.zeros((COLUMNS, len(features)))
    for place, columns in enumerate(features):
        matrix[columns, place] = 1.0
    return matrix


FEATURE_SUMS, FIREWALL_FEATURE_SUMS = _sums(FEATURE_COLUMNS), _sums(FIREWALL_FEATURE_COLUMNS)
PACKETS_FEATURE = FEATURES.index("packets")
WHOLE = np.zeros(1, np.intp)
"""The only row of the firewall's own normals."""

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
        self._firewall_normals = Normals(1, len(FIREWALL_FEATURE_COLUMNS))
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
        touched = np.flatnonzero(self._counts[:, Column.PACKETS_OUT] | self._counts[:, Column.PACKETS_IN])
        totals = self._counts[touched].sum(axis=0)
        rows = self._shown_rows(touched)
        alarmed = self._alarmed | self._firewall_alarmed
        alarmed[0] = alarmed.any()  # a flood of one service is seen in the firewall's totals
        learning = self._normals.windows > 0
        learning[rows] = True
        learning[0] = True
        learning &= ~alarmed
        sources = self._sources.close(
            self._counts[:, Column.NEW_ATTEMPTS], now_s=end_s, duration_s=duration_s, learning=learning
        )  # fmt: skip
        self._forecast.update(end_s, table.all.entries)
        window = Window(
            start_s=start_s,
            duration_s=duration_s,
            warming=self._firewall_normals.warming(0),
            lost_packets=lost_packets,
            sampled_one_in=sampled_one_in,
            firewall=self._firewall_window(totals, table, profile, reassembly, sources.get(0, NO_SOURCES)),
            services=self._service_windows(rows, groups, sources, self._one_sided.close()),
            census=census,
        )
        self._learn(rows, totals, duration_s, alarmed)
        self._counts[touched] = 0
        self._expired, self._reassembly = table.expired, reassembly
        self._early_dropped, self._dropped_full, self._lost = table.early_dropped, table.dropped_full, table.lost
        return window

    def _shown_rows(self, touched: NDArray[np.intp]) -> NDArray[np.intp]:
        """Services that did something, hold something, are alarmed, or ought to have done something."""
        shown = self._holding | self._alarmed | (self._normals.level[:, PACKETS_FEATURE] > SILENT_BELOW_PER_S)
        shown[touched] = True
        shown[0] = False
        return np.flatnonzero(shown)

    def _service_windows(
        self,
        rows: NDArray[np.intp],
        groups: Groups,
        sources: dict[int, SourceSummary],
        one_sided: dict[int, tuple[PrefixCount, ...]],
    ) -> tuple[ServiceWindow, ...]:
        windows = []
        counts = self._counts[rows]
        new_sessions = counts[:, NEW_SESSIONS].sum(axis=1).tolist()
        warming = (self._normals.windows[rows] < WARM_WINDOWS).tolist()
        held = [groups(row) for row in rows.tolist()]
        self._holding[rows] = [group.entries > 0 for group in held]
        normals_of = self._normals.of_each(rows)
        for place, (row, fields, group) in enumerate(zip(rows.tolist(), counts.tolist(), held, strict=True)):
            found = sources.get(row, NO_SOURCES)
            numbers: dict[str, Any] = {name: count for name, count in zip(SERVICE_COUNTS, fields, strict=False) if count}
            numbers.update(zip(NORMAL_FIELDS, normals_of[place], strict=True))
            windows.append(
                ServiceWindow(
                    service=self._directory.service(row),
                    warming=warming[place],
                    new_sessions=new_sessions[place],
                    resumed=tuple(fields[RESUMED:RESUME_ANSWERED]),
                    resume_answered=tuple(fields[RESUME_ANSWERED:RESUME_UNANSWERED]),
                    resume_unanswered=tuple(fields[RESUME_UNANSWERED:]),
                    distinct_sources=found.distinct,
                    known_sources_share=found.known_share,
                    source_entropy=found.entropy,
                    top_prefixes=found.top_prefixes,
                    one_sided_prefixes=one_sided.get(row, ()),
                    entries=group.entries,
                    half_open=group.half_open,
                    unreplied=group.unreplied,
                    established=group.by_state[ESTABLISHED],
                    time_wait=group.by_state[TIME_WAIT],
                    **numbers,
                )
            )
        return tuple(windows)

    def _firewall_window(
        self, totals: Counts, table: TableCounts, profile: FirewallProfile, reassembly: ReassemblyTotals, elsewhere: SourceSummary
    ) -> FirewallWindow:
        slope_per_s = self._forecast.slope_per_s
        normal_new_sessions, normal_fragments = self._firewall_normals.of(0)
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
            normal_new_sessions=normal_new_sessions,
            normal_fragments=normal_fragments,
            **{name: counts[column] for name, column in FIREWALL_COUNTS.items()},
        )

    def _learn(self, rows: NDArray[np.intp], totals: Counts, duration_s: float, alarmed: NDArray[np.bool_]) -> None:
        rates = self._counts[rows] @ FEATURE_SUMS / duration_s
        self._normals.learn(rows, rates, duration_s=duration_s, alarmed=alarmed[rows])
        rates = totals[None, :] @ FIREWALL_FEATURE_SUMS / duration_s
        self._firewall_normals.learn(WHOLE, rates, duration_s=duration_s, alarmed=alarmed[WHOLE])
