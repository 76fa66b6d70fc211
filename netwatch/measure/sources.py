"""Who asks: all that a window knows of the sources of new attempts, in fixed memory.

Four tables side by side, one for each question: which prefixes (``prefixes``), how many different addresses (``distinct``), how many of
them are known clients (``known``), and what each prefix usually opens. They are filled packet by packet during the window, and read, taught
and emptied in one go at its end.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, njit, wide
from netwatch.measure.distinct import DistinctSketches, Histogram, Registers, add_distinct, estimate_distinct
from netwatch.measure.known import PENDING, Filter, KnownSources, fetch_known, is_known, remember
from netwatch.measure.prefixes import (
    MOST_PREFIXES,
    SLOTS,
    TOP,
    USUAL,
    USUAL_SETS,
    USUAL_TIME_S,
    USUAL_WAYS,
    Clocks,
    Table,
    attempts_in,
    count_prefix,
    fetch_prefix,
    key_text,
    learn_usual,
    prefix_key,
    rank_prefix,
    service_of,
    usual_amount,
)
from netwatch.model.packet import Rows
from netwatch.model.tuple_hash import FIXED_SEED, mix
from netwatch.model.window import PrefixShare

USED, PENDING_USED = 0, 1
"""Places in ``SketchArrays.fill``: occupied slots of the prefix table, sources waiting to become known."""

BATCH = 512
"""Packets that are walked before their new attempts go into the tables: few enough that they are still in the cache."""

LEARNED_PARTS = 256
"""A prefix with less than this part of a service's attempts has no say in who floods it and needs no place among the usual ones."""

SERVICE_KEY = np.uint64(0x9FB2_1C65_1E98_DF25)
"""Multiplied by the service, so that the same address at two services is two sources."""


class SketchArrays(NamedTuple):
    """The tables as the kernels take them."""

    fill: NDArray[np.int64]
    rest: NDArray[np.int64]  # attempts of each service that found the prefix table full
    table: Table
    occupied: NDArray[np.uint32]
    sources: Registers
    sources_histogram: Histogram
    known: Registers
    known_histogram: Histogram
    filters: Filter
    pending: NDArray[np.uint64]
    codes: NDArray[np.uint64]  # of one batch


class Summaries(NamedTuple):
    """What the closing kernel found, a row a service."""

    weighted_logs: NDArray[np.float64]  # sum of count * log(count) over the prefixes
    distinct: NDArray[np.float64]
    distinct_known: NDArray[np.float64]
    top_keys: NDArray[np.uint64]
    top_counts: NDArray[np.int64]
    top_usual: NDArray[np.float64]


@inlined
def _source_code(service: int, hi: np.uint64, lo: np.uint64, seed: np.uint64) -> np.uint64:
    return mix(lo ^ mix(hi ^ seed ^ np.uint64(service) * SERVICE_KEY))


@inlined
def note_attempts(sketches: SketchArrays, packets: Rows, tracked: Rows, asking: NDArray[np.int64], stamp: int, seed: np.uint64) -> None:
    """Count the sources of the given packets, new attempts all of them.

    First all that will be looked at is fetched, then comes one table after the other: so the cache misses of many sources are under way at
    once.
    """
    codes, table, occupied, rest, filters = sketches.codes, sketches.table, sketches.occupied, sketches.rest, sketches.filters
    used = sketches.fill[USED]
    for place, i in enumerate(asking):
        packet, service = packets[i], wide(tracked[i].service)
        codes[place] = _source_code(service, packet.src_hi, packet.src_lo, seed)
        fetch_prefix(table, mix(prefix_key(service, packet.src_hi, packet.src_lo) ^ seed))
        fetch_known(filters, codes[place])
    for i in asking:
        packet, service = packets[i], wide(tracked[i].service)
        key = prefix_key(service, packet.src_hi, packet.src_lo)
        slots = count_prefix(table, occupied, used, stamp, key, mix(key ^ seed))
        if slots < 0:
            rest[service] += 1
        else:
            used = slots
    sketches.fill[USED] = used
    sources, sources_histogram = sketches.sources, sketches.sources_histogram
    for place, i in enumerate(asking):
        add_distinct(sources, sources_histogram, wide(tracked[i].service), codes[place])
    known, known_histogram = sketches.known, sketches.known_histogram
    for place, i in enumerate(asking):
        if is_known(filters, codes[place]):
            add_distinct(known, known_histogram, wide(tracked[i].service), codes[place])


@inlined
def note_completed(sketches: SketchArrays, service: int, hi: np.uint64, lo: np.uint64, seed: np.uint64) -> None:
    """Let a source become known when the window closes."""
    waiting = sketches.fill[PENDING_USED]
    if waiting < PENDING:
        sketches.pending[waiting] = _source_code(service, hi, lo, seed)
        sketches.fill[PENDING_USED] = waiting + 1


@njit
def _summarise(
    sketches: SketchArrays,
    summaries: Summaries,
    rows: NDArray[np.intp],
    attempts: NDArray[np.int64],
    usual: Rows,
    clock_s: Clocks,
    learning: NDArray[np.bool_],
    generation: int,
    seed: np.uint64,
) -> int:
    """Read the tables for the given services, then teach the longer-lived ones; return the bits set in the filter that learns."""
    for row in rows:
        summaries.weighted_logs[row] = 0.0
        summaries.top_counts[row, :] = 0
        summaries.distinct[row] = estimate_distinct(sketches.sources_histogram, row)
        summaries.distinct_known[row] = estimate_distinct(sketches.known_histogram, row)
    used = sketches.fill[USED]
    for position in range(used):
        slot = sketches.occupied[position]
        key, count = sketches.table[slot, 0], attempts_in(sketches.table, slot)
        row = service_of(key)
        if count > 1:
            summaries.weighted_logs[row] += count * np.log(count)
        rank_prefix(summaries.top_keys, summaries.top_counts, row, key, count)
    for row in rows:
        for place in range(TOP):
            if summaries.top_counts[row, place]:
                summaries.top_usual[row, place] = usual_amount(usual, summaries.top_keys[row, place], clock_s, seed)
    for position in range(used):
        slot = sketches.occupied[position]
        count = attempts_in(sketches.table, slot)
        row = service_of(sketches.table[slot, 0])
        if count * LEARNED_PARTS >= attempts[row] and learning[row]:
            learn_usual(usual, sketches.table[slot, 0], count, clock_s, seed)
    new_bits = 0
    for position in range(sketches.fill[PENDING_USED]):
        new_bits += remember(sketches.filters, generation, sketches.pending[position])
    return new_bits


class SourceSummary(msgspec.Struct, frozen=True, gc=False):
    """The sources of one service's new attempts in one window."""

    distinct: int
    known_share: float
    entropy: float
    top_prefixes: tuple[PrefixShare, ...]


NO_SOURCES = SourceSummary(0, 0.0, 0.0, ())


class Sources:
    """The tables of all services, row 0 standing for attempts that belong to none."""

    def __init__(self, rows: int, *, seed: int = FIXED_SEED) -> None:
        self._sources, self._known_sources = DistinctSketches(rows), DistinctSketches(rows)
        self._known = KnownSources()
        self.arrays = SketchArrays(
            fill=np.zeros(2, np.int64),
            rest=np.zeros(rows, np.int64),
            table=np.zeros((SLOTS, 2), np.uint64),
            occupied=np.zeros(MOST_PREFIXES, np.uint32),
            sources=self._sources.registers,
            sources_histogram=self._sources.histogram,
            known=self._known_sources.registers,
            known_histogram=self._known_sources.histogram,
            filters=self._known.filters,
            pending=self._known.pending,
            codes=np.zeros(BATCH, np.uint64),
        )
        self.stamp = 1
        self._summaries = Summaries(
            weighted_logs=np.zeros(rows),
            distinct=np.zeros(rows),
            distinct_known=np.zeros(rows),
            top_keys=np.zeros((rows, TOP), np.uint64),
            top_counts=np.zeros((rows, TOP), np.int64),
            top_usual=np.zeros((rows, TOP)),
        )
        self._usual = np.zeros(USUAL_SETS * USUAL_WAYS, USUAL)
        self._clock_s = np.zeros(rows)
        self._seed = np.uint64(seed)

    @property
    def rest(self) -> int:
        """Attempts of the open window that found the prefix table full."""
        return int(self.arrays.rest.sum())

    def close(
        self, attempts: NDArray[np.int64], *, now_s: float, duration_s: float, learning: NDArray[np.bool_]
    ) -> dict[int, SourceSummary]:
        """End the window: what it knows of each service with new attempts. ``learning`` says whose window is a usual one."""
        rows = np.flatnonzero(attempts)
        new_bits = _summarise(
            self.arrays, self._summaries, rows, attempts, self._usual, self._clock_s, learning, self._known.young, self._seed
        )  # fmt: skip
        self._known.age(now_s, new_bits=new_bits)
        summaries = self._read(rows, attempts[rows]) if len(rows) else {}
        self._clock_s[learning] += duration_s
        self._sources.clear(rows)
        self._known_sources.clear(rows)
        self.arrays.fill[:] = 0
        self.arrays.rest[rows] = 0
        self.stamp += 1
        return summaries

    def _read(self, rows: NDArray[np.intp], attempts: NDArray[np.int64]) -> dict[int, SourceSummary]:
        found = self._summaries
        estimated = found.distinct[rows]
        distinct = np.minimum(np.maximum(np.rint(estimated), 1), attempts).astype(np.int64)
        known_share = np.minimum(1.0, found.distinct_known[rows] / estimated)
        most = np.log(np.maximum(attempts, 2))  # the entropy if all were different; of one attempt it is 0 anyway
        entropy = np.minimum(np.maximum((np.log(attempts) - found.weighted_logs[rows] / attempts) / most, 0.0), 1.0)
        top_prefixes = self._top_prefixes(rows, attempts)
        return dict(
            zip(rows.tolist(), map(SourceSummary, distinct.tolist(), known_share.tolist(), entropy.tolist(), top_prefixes), strict=True)
        )

    def _top_prefixes(self, rows: NDArray[np.intp], attempts: NDArray[np.int64]) -> Iterator[tuple[PrefixShare, ...]]:
        """Of each service. Most are asked from few prefixes: only the places that are taken are looked at."""
        found = self._summaries
        counts = found.top_counts[rows]
        taken = counts > 0
        usual_s = USUAL_TIME_S * -np.expm1(-self._clock_s[rows] / USUAL_TIME_S)
        usual_per_s = (found.top_usual[rows] / np.maximum(usual_s, 1.0)[:, None])[taken]
        shares = (counts / attempts[:, None])[taken]
        keys = found.top_keys[rows][taken]
        named = map(PrefixShare, map(key_text, keys.tolist()), counts[taken].tolist(), shares.tolist(), usual_per_s.tolist())
        return (tuple(islice(named, prefixes)) for prefixes in np.count_nonzero(taken, axis=1).tolist())
