"""The model of a firewall's state table: packets in, netfilter's verdict on each out, and how full the table is.

Nothing on the link says how full a firewall's table is, and no firewall says what would have filled it. This model does both from packets
alone: it keeps the entries that the firewall would keep, as long as it would keep them. It is netfilter's (Linux 6.12 and later), whose
verdicts the tests compare packet by packet; another maker's firewall is approximated by its limit and time-outs (``FirewallProfile``).

A fork of the table with a mitigation in force (``model.plan.Admission``) answers "what if" for the packets that follow.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from netwatch.errors import ConfigError
from netwatch.model.address import prefix_halves
from netwatch.model.packet import Rows
from netwatch.model.plan import Admission, Eviction
from netwatch.model.rows import as_bytes
from netwatch.model.service import Protocol, Service
from netwatch.model.service_index import ServiceIndex, empty_index
from netwatch.model.session import (
    CENSUS_IDLE_EDGES_S,
    CENSUS_IDLE_S,
    STATE_COUNT,
    Census,
    FirewallProfile,
    GroupCounts,
    PrefixEntries,
    SessionState,
    TableCounts,
    Timeouts,
)
from netwatch.model.tracked import Verdict
from netwatch.track import session_entry as layout
from netwatch.track.admission import ACTIVE, HOLDER_COUNTERS
from netwatch.track.admission_rules import build_guard, groups_of, open_guard, range_array, ranges_of, service_rules
from netwatch.track.expiry import NEVER, NEXT_PAGE, PAGE_LENGTH, UNSET, WHEEL_SLOTS, write_wheel_anew
from netwatch.track.session_entry import ENTRY, SIDE, Arrays
from netwatch.track.session_kernel import BATCH, pass_time, track_block
from netwatch.track.session_slots import SLOTS_PER_ENTRY, WIDTH_SHIFT, move_slots
from netwatch.track.session_walks import LEARNED, count_all_holders, evict, relabel, walk_table
from netwatch.track.source_prefix import prefix_text

SECOND_NS = 1_000_000_000
START_ROWS = 1_000_000
"""Rows are taken one after the other, and memory that was never written to is none: a table may reserve more than it will use."""

START_SLOTS = 8192
START_PAGES = WHEEL_SLOTS + 256  # a half-empty one for each slot of the wheel, and some
WRITTEN_FREELY = 65_536  # outdated rows in the wheel that are no reason to write it anew
CACHE_LINE = 64
LARGEST_LIMIT = 1 << 28
LONGEST_TIMEOUT_NS = 1 << 61
UDP_STREAM_AFTER_NS = 2 * SECOND_NS
FIRST_COLLECTION_S = 60.0
"""When netfilter's collector first comes by. It has run since the machine was started, so a capture does not show when; an idle one sleeps
60 seconds, and beginning with a whole pause shows the table fullest."""

NO_SERVICES = empty_index(0)
SCTP_HALF_OPEN_S = 10.0  # nf_conntrack_proto_sctp.c, after INIT
CENSUS_PREFIXES = 16


class SessionTable:
    """The state table of one firewall, driven by packets in the order of their time stamps."""

    def __init__(
        self,
        profile: FirewallProfile,
        *,
        groups: int = 1,
        expiry: bool = True,
        admission: Admission | None = None,
        services: Mapping[str, int] | None = None,
        first_collection_s: float = FIRST_COLLECTION_S,
    ) -> None:
        """``groups`` services are counted apart, under the numbers that ``services`` gives their labels; 0 is no service."""
        if not 1 <= profile.limit <= LARGEST_LIMIT:
            raise ConfigError(f"firewall {profile.name}: limit must be 1 … {LARGEST_LIMIT:,}, got {profile.limit}")
        self.profile = profile
        self._services = services if services is not None else {}
        self._group_count = groups
        numbers = np.zeros(layout.NUMBER_COUNT, np.int64)
        numbers[layout.NOW] = numbers[layout.NEXT_TIMER] = UNSET
        numbers[layout.COLLECT_AT] = round(first_collection_s * SECOND_NS)
        numbers[layout.ROWS_USED] = 1
        numbers[layout.FULL_AT] = layout.NEVER_FULL
        numbers[layout.LIMIT], numbers[layout.WINDOWS] = profile.limit, max(1, profile.buckets // 2)
        numbers[layout.MAX_RETRANSMISSIONS] = profile.max_retrans
        numbers[layout.STREAM_AFTER] = UDP_STREAM_AFTER_NS if expiry else NEVER
        numbers[layout.OPTIONS] = _options(profile, expiry=expiry)
        timeouts_ns = np.full((2, layout.TIMEOUT_COLUMNS), LONGEST_TIMEOUT_NS, np.int64)
        if expiry:
            timeouts_ns[:] = _timeouts_ns(profile.timeouts)
        self._expiry = expiry
        self._arrays = _with_entries(
            entries=_line_zeros(min(START_ROWS, _rows_for(profile.limit)), ENTRY),
            sides=np.zeros(0, SIDE),
            wheel=np.full(WHEEL_SLOTS, layout.NO_PAGE, np.int32),
            pages=_with_free_pages(np.zeros((0, PAGE_LENGTH), np.int32), START_PAGES, layout.NO_PAGE),
            slots=_line_zeros(START_SLOTS, np.uint64),
            counts=np.zeros((groups, layout.COUNT_COLUMNS), np.int64),
            verdicts=np.zeros(len(Verdict), np.int64),
            timeouts_ns=timeouts_ns,
            holders=np.zeros(1, np.uint32),
            numbers=numbers,
        )
        self._admission: Admission | None = None
        self._guard = open_guard(groups)
        self._evict_at_ns = NEVER
        if admission is not None:
            self._put_in_force(admission)

    def track(self, packets: Rows, quoted: Rows, tracked: Rows, services: ServiceIndex = NO_SERVICES) -> None:
        """Judge packets, and say which of the services each belongs to: its entry's, or if it has none the index'. Late packets happen now.

        The rows of ``services`` are the groups by which entries are counted.
        """
        if len(tracked) != len(packets):
            raise ValueError(f"{len(packets)} packets need as many rows to say what became of them, got {len(tracked)}")
        done = 0
        while (done := track_block(packets, quoted, tracked, services, self._arrays, self._guard, done)) < len(packets):
            self._grow()

    def advance(self, now_ns: int) -> None:
        """Let time pass without packets: entries end, the collector runs, a mitigation evicts again."""
        pass_time(self._arrays, now_ns)
        if self._arrays.numbers[layout.NOW] >= self._evict_at_ns:
            self._evict()

    def counts(self, now_ns: int) -> TableCounts:
        """The whole table now."""
        self.advance(now_ns)
        numbers = self._arrays.numbers
        peak, full_at_ns = int(numbers[layout.PEAK]), int(numbers[layout.FULL_AT])
        return TableCounts(
            all=_group_counts(self._arrays.counts.sum(axis=0)),
            created=int(numbers[layout.CREATED]),
            expired=int(numbers[layout.EXPIRED_TOTAL]),
            dropped_full=int(numbers[layout.DROPPED_FULL]),
            early_dropped=int(numbers[layout.EARLY_DROPPED_TOTAL]),
            peak_entries=peak,
            peak_at_s=int(numbers[layout.PEAK_AT]) / SECOND_NS if peak else None,
            full_at_s=full_at_ns / SECOND_NS if full_at_ns != layout.NEVER_FULL else None,
        )

    def group_counts(self, index: int) -> GroupCounts:
        """The entries of one service now."""
        return _group_counts(self._arrays.counts[index])

    def groups(self) -> Callable[[int], GroupCounts]:
        """The entries of each service, by its index, as they are now, whatever packets follow."""
        counts = self._arrays.counts.copy()
        return lambda index: _group_counts(counts[index])

    @property
    def verdicts(self) -> dict[str, int]:
        """Packets by verdict; those never shown to the tracker are left out."""
        return {verdict.name.lower(): int(self._arrays.verdicts[verdict]) for verdict in Verdict if verdict is not Verdict.NONE}

    @property
    def dropped_full(self) -> int:
        """Packets that would have opened a session and found the table full."""
        return int(self._arrays.numbers[layout.DROPPED_FULL])

    @property
    def healthy_hit(self) -> int:
        """Sessions that the mitigation refused or evicted and that the capture proves healthy."""
        return int(self._arrays.numbers[layout.HEALTHY_HIT])

    def healthy(self, since_ns: int) -> int:
        """Entries that were used since then and that have proved healthy: handshake completed, payload both ways."""
        entries = self._arrays.entries
        used = (entries["protocol"] != 0) & (entries["last_seen_ns"] >= since_ns)
        return int(np.count_nonzero(used & (entries["history"] & layout.HEALTHY == layout.HEALTHY)))

    @property
    def rows(self) -> tuple[Rows, int]:
        """The entries (``session_entry.ENTRY``; those of protocol 0 are free), and up to which row they were ever used."""
        return self._arrays.entries, int(self._arrays.numbers[layout.ROWS_USED])

    @property
    def shed(self) -> int:
        """Packets that the mitigation refused."""
        return int(self._arrays.numbers[layout.SHED_TOTAL])

    @property
    def evicted(self) -> int:
        """Entries that the mitigation deleted."""
        return int(self._arrays.numbers[layout.EVICTED_TOTAL])

    def census(self, now_ns: int) -> Census:
        """Walk over the table: ages, silence and the prefixes that hold the most."""
        self.advance(now_ns)
        edges_ns = np.array(CENSUS_IDLE_EDGES_S) * SECOND_NS
        idle_at_least = np.zeros(len(edges_ns), np.int64)
        established, silent, keys, rows = walk_table(
            self._arrays, edges_ns.astype(np.int64), round(CENSUS_IDLE_S * SECOND_NS), idle_at_least
        )
        busiest = np.argsort(-rows[:, 0], kind="stable")[:CENSUS_PREFIXES]
        return Census(
            at_s=now_ns / SECOND_NS,
            established=established,
            idle_at_least=tuple(idle_at_least.tolist()),
            silent=silent,
            top_prefixes=tuple(
                PrefixEntries(prefix_text(int(keys[at])), *(int(number) for number in rows[at])) for at in busiest if rows[at, 0]
            ),
        )

    def assign(self, learned: Sequence[tuple[int, Service]]) -> None:
        """Services were learned, with their indices: their entries so far belong to them from now on."""
        last = max(index for index, _ in learned)
        if last >= self._group_count:
            self._add_groups(last + 1)
        if self._admission is not None:
            labels = {**self._services, **{service.label: index for index, service in learned}}
            self._guard.rules[:] = service_rules(self._admission, labels, self._group_count)
        rows = [
            (*prefix_halves(service.address)[:4], index, service.port, int(Protocol[service.protocol.upper()]))
            for index, service in learned
        ]
        relabel(self._arrays, self._guard, np.array(rows, LEARNED))

    def fork(self, admission: Admission) -> "SessionTable":
        """An independent copy with a mitigation in force from now on; its peak and moment of being full count from here."""
        forked = SessionTable.__new__(SessionTable)
        forked.__dict__.update(self.__dict__)
        copies = {name: _longer(array, len(array)) for name, array in self._arrays._asdict().items() if name not in ("entries", "sides")}
        used = self._arrays.entries[: self._arrays.numbers[layout.ROWS_USED]]
        forked._arrays = _with_entries(entries=_longer(used, len(self._arrays.entries)), sides=self._arrays.sides, **copies)
        numbers = forked._arrays.numbers
        full = numbers[layout.LIVE] >= numbers[layout.LIMIT]
        numbers[layout.PEAK], numbers[layout.PEAK_AT] = numbers[layout.LIVE], numbers[layout.NOW]
        numbers[layout.FULL_AT] = numbers[layout.NOW] if full else layout.NEVER_FULL
        numbers[layout.HEALTHY_HIT] = numbers[layout.SHED_TOTAL] = numbers[layout.EVICTED_TOTAL] = 0
        forked._put_in_force(admission)
        return forked

    def _put_in_force(self, admission: Admission) -> None:
        self._admission = admission
        self._guard = build_guard(admission, self._services, self._group_count)
        if admission.connection_limit is not None:
            self._arrays = self._arrays._replace(holders=np.zeros(HOLDER_COUNTERS, np.uint32))
            count_all_holders(self._arrays, self._guard)
        if admission.new_timeouts is not None and self._expiry:
            self._arrays.timeouts_ns[1] = _timeouts_ns(admission.new_timeouts)
        if admission.evict is not None:
            self._evict()

    def _evict(self) -> None:
        """Delete what the mitigation's eviction names, and set when it is due again."""
        eviction = self._admission.evict if self._admission is not None else None
        if eviction is None:
            self._evict_at_ns = NEVER
            return
        self.delete(eviction)
        self._evict_at_ns = max(int(self._arrays.numbers[layout.NOW]), 0) + max(1, round(eviction.repeat_s * SECOND_NS))

    def delete(self, eviction: Eviction) -> None:
        """Delete what an eviction names now, once: a live firewall has done the same."""
        if not self._guard.settings[ACTIVE]:  # the open guard has no room for what is remembered of deleted sessions
            self._guard = build_guard(Admission(), self._services, self._group_count)
        evict(
            self._arrays,
            self._guard,
            _states(eviction),
            groups_of(eviction.services, self._services, self._group_count),
            range_array(ranges_of(eviction.prefixes)),
            not eviction.prefixes,
            round(eviction.min_idle_s * SECOND_NS),
            eviction.only_silent,
            eviction.only_unreplied,
        )

    def prepare(self) -> None:
        """Have the kernels called that first a growing table needs, so that none is loaded or compiled in the middle of an attack."""
        move_slots(self._arrays.slots, np.zeros_like(self._arrays.slots))
        write_wheel_anew(self._arrays)

    def _grow(self) -> None:
        """Make room for another batch of packets: more rows, slots or pages of the wheel, or a wheel without what is outdated."""
        arrays, numbers = self._arrays, self._arrays.numbers
        live = int(numbers[layout.LIVE])
        grown: dict[str, NDArray[Any]] = {}
        if live + BATCH >= len(arrays.entries):
            grown["entries"] = _longer(arrays.entries, min(2 * len(arrays.entries), _rows_for(self.profile.limit)))
        if SLOTS_PER_ENTRY * live > len(arrays.slots):
            grown["slots"] = _line_zeros(2 * len(arrays.slots), np.uint64)
            move_slots(arrays.slots, grown["slots"])
        if not grown:
            if numbers[layout.HUNG] > 2 * live + WRITTEN_FREELY:
                write_wheel_anew(arrays)
                return
            grown["pages"] = _with_free_pages(arrays.pages, 2 * len(arrays.pages), int(numbers[layout.FREE_PAGE]))
            numbers[layout.FREE_PAGE] = len(arrays.pages)
        self._arrays = _with_entries(**{**arrays._asdict(), **grown})

    def _add_groups(self, groups: int) -> None:
        self._arrays = self._arrays._replace(counts=_longer(self._arrays.counts, groups))
        self._guard = self._guard._replace(rules=_longer(self._guard.rules, groups))
        self._group_count = groups


def _with_entries(**arrays: NDArray[Any]) -> Arrays:
    """The table's arrays, with what follows from them: the second view of its entries and the width of its windows."""
    made = Arrays(**{**arrays, "sides": arrays["entries"].view(SIDE)})
    made.numbers[layout.WINDOW_WIDTH] = (len(made.slots) << int(WIDTH_SHIFT)) // int(made.numbers[layout.WINDOWS])
    return made


def _line_zeros(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Zeros that begin at a cache line. numpy's large arrays begin 16 bytes behind one, so an entry of two lines would lie in three."""
    bytes_wanted = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(bytes_wanted + CACHE_LINE, np.uint8)
    begin = -raw.ctypes.data % CACHE_LINE
    return raw[begin : begin + bytes_wanted].view(dtype).reshape(shape)


def _longer(array: NDArray[Any], length: int) -> NDArray[Any]:
    longer = _line_zeros((length, *array.shape[1:]), array.dtype)
    as_bytes(longer)[: len(array)] = as_bytes(array)
    return longer


def _rows_for(limit: int) -> int:
    """As many as the limit, row 0, and those that a batch of packets may want before the limit is looked at."""
    return limit + 2 * BATCH


def _with_free_pages(pages: NDArray[np.int32], count: int, behind: int) -> NDArray[np.int32]:
    """More pages, the added ones in a list of free pages that goes on with page ``behind``."""
    longer = _longer(pages, count)
    longer[len(pages) :, NEXT_PAGE] = np.arange(len(pages) + 1, count + 1)
    longer[-1, NEXT_PAGE] = behind
    return longer


def _options(profile: FirewallProfile, *, expiry: bool) -> int:
    chosen = {
        layout.STRICT: profile.strict,
        layout.WINDOW_TRACKING: profile.window_tracking,
        layout.EARLY_DROP: profile.early_drop,
        layout.LAGGING: profile.lagging_collection,
        layout.EXPIRY: expiry,
    }
    return sum(bit for bit, wanted in chosen.items() if wanted)


def _timeouts_ns(timeouts: Timeouts) -> NDArray[np.int64]:
    """Time-outs in the order of the kernels' columns."""
    tcp_s = (
        0.0,
        timeouts.syn_sent_s,
        timeouts.syn_recv_s,
        timeouts.established_s,
        timeouts.fin_wait_s,
        timeouts.close_wait_s,
        timeouts.last_ack_s,
        timeouts.time_wait_s,
        timeouts.close_s,
        timeouts.syn_sent_s,
    )
    others_s = (
        timeouts.max_retrans_s,
        timeouts.unacknowledged_s,
        timeouts.udp_s,
        timeouts.udp_stream_s,
        timeouts.icmp_s,
        timeouts.generic_s,
        timeouts.gre_s,
        timeouts.gre_stream_s,
        min(SCTP_HALF_OPEN_S, timeouts.sctp_s),
        timeouts.sctp_s,
    )
    longest_s = LONGEST_TIMEOUT_NS / SECOND_NS
    return np.array([round(min(max(seconds, 0.0), longest_s) * SECOND_NS) for seconds in tcp_s + others_s], np.int64)


def _states(eviction: Eviction) -> NDArray[np.bool_]:
    """The states that an eviction names; all if it names none.

    Raises:
        ConfigError: there is no such state.
    """
    chosen = np.full(STATE_COUNT, not eviction.states, np.bool_)
    for name in eviction.states:
        if name not in SessionState.__members__:
            known = ", ".join(SessionState.__members__)
            raise ConfigError(f"eviction: unknown session state '{name}': there are {known}")
        chosen[SessionState[name]] = True
    return chosen


def _group_counts(row: NDArray[np.int64]) -> GroupCounts:
    numbers = row.tolist()
    by_state = tuple(numbers[:STATE_COUNT])
    return GroupCounts(sum(by_state), by_state, numbers[layout.UNREPLIED_COLUMN], numbers[layout.ASSURED_COLUMN])
