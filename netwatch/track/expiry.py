"""When entries leave: a timing wheel that finds those past their time-out, and netfilter's collector that removes them.

**The wheel.** Looking at every entry each second would cost more than all packets of a quiet link. So each entry is written down in one of
2048 slots of 0.27 seconds (Varghese and Lauck, SOSP 1987, scheme 4). A packet that prolongs a time-out writes nothing: the wheel meets the
entry where it stands and writes it down anew. Only a time-out that gets shorter is written at once, which is rare, since every entry is met
first 30 seconds after it was made, sooner than most states of a closing connection would end. A slot is a list of pages of 30 rows;
nothing is ever taken out of one: an entry knows its slot, and what is written elsewhere is skipped when it is met. Where too much of that
has gathered, the wheel is written anew, so that its memory follows the number of entries. After a jump of the clock each entry is met at
most twice, however far the jump.

**The collector** (``gc_worker`` in net/netfilter/nf_conntrack_core.c of Linux 6.12). In netfilter an entry past its time-out is dead for
lookups but still counts toward the limit, until a packet walks over its bucket or the collector comes by. The collector passes over the
whole table, at most 257 expired entries a jiffy; then it sleeps for the average time left of what it saw, 1 to 60 seconds. The average is a
running one in whole jiffies that starts as if 100 entries of 60 seconds had been seen, and whose steps round to zero once it has seen more
entries than it is jiffies off: so its first ten thousand entries, here in the order of the hash as there, decide. If the table was found
full with nothing to evict, a run also removes, while the table is at least 95 % full, what is unassured or closing.

Not modelled: that a pass over a table of millions takes the kernel some tenths of a second.
"""

import numpy as np

from netwatch.jit import called, inlined, njit, wide
from netwatch.track.admission import holder_of
from netwatch.track.session_entry import (
    ASSURED,
    ASSURED_COLUMN,
    COLLECT_AFTER,
    COLLECT_AT,
    COLLECT_SLOT,
    COLLECT_STARTED,
    COUNTED,
    EARLY_DROP_FAILED,
    EXPIRED,
    EXPIRED_TOTAL,
    EXPIRY,
    FREE_PAGE,
    FREE_ROW,
    HUNG,
    LAGGING,
    LIMIT,
    LINGERING,
    LIVE,
    NEXT_TIMER,
    NO_PAGE,
    NO_ROW,
    NOW,
    OPTIONS,
    ROWS_USED,
    SEEN_REPLY,
    UNREPLIED_COLUMN,
    WHEEL_TICK,
    Arrays,
    Row,
)
from netwatch.track.session_slots import EMPTY, EXPIRED_BIT, ONE, ROW_MASK, remove_slot, slot_of, window
from netwatch.track.tcp_tracker import CLOSE, FIN_WAIT

TICK_SHIFT = 28
"""A tick of the wheel is 2**28 ns, 0.268 s: a shift instead of a division on the packets' way."""

WHEEL_SLOTS = 2048
WHEEL_MASK = WHEEL_SLOTS - 1
FIRST_VISIT_NS = 30_000_000_000
PAGE_LENGTH = 32  # numbers: 128 bytes
NEXT_PAGE, ROWS_ON_PAGE, FIRST_ON_PAGE = 0, 1, 2
PAGE_ROWS = PAGE_LENGTH - FIRST_ON_PAGE
UNSET = -(1 << 63)
NEVER = (1 << 63) - 1

JIFFIES_PER_S = 250
"""CONFIG_HZ of the kernels of Debian and Ubuntu; it decides how the collector's average rounds."""

JIFFY_NS = 1_000_000_000 // JIFFIES_PER_S
SHORTEST_PAUSE = 1 * JIFFIES_PER_S
LONGEST_PAUSE = 60 * JIFFIES_PER_S
LONGEST_COUNTED = 300 * JIFFIES_PER_S
AVERAGE_STARTS_WITH = 100  # entries
AVERAGE_STOPS_AT = 16_384  # from here on only more than 65 seconds off would move it by a jiffy
EXPIRED_A_RUN = 64_000 // JIFFIES_PER_S
RUNS_AT_ONCE = 512
"""Runs of the collector caught up with after a jump of the clock; then one more removes all there is."""


@inlined
def count(table: Arrays, entry: Row, step: int) -> None:
    """Add an entry to the counts of its group, or take it out."""
    group, status = wide(entry["group"]), entry["status"]
    table.counts[group, wide(entry["state"])] += step
    if not status & SEEN_REPLY:
        table.counts[group, UNREPLIED_COLUMN] += step
    if status & ASSURED:
        table.counts[group, ASSURED_COLUMN] += step


@inlined
def hang(table: Arrays, entry: Row, row: np.uint64, due_ns: int) -> None:
    """Write an entry into the slot that the wheel reaches after ``due_ns``. The caller has seen to it that there is a free page."""
    now_tick = table.numbers[WHEEL_TICK]
    slot = min(max((due_ns >> TICK_SHIFT) + 1, now_tick + 1), now_tick + WHEEL_MASK) & WHEEL_MASK
    page = wide(table.wheel[slot])
    if page == NO_PAGE or table.pages[page, ROWS_ON_PAGE] == PAGE_ROWS:
        fresh = table.numbers[FREE_PAGE]
        table.numbers[FREE_PAGE] = table.pages[fresh, NEXT_PAGE]
        table.pages[fresh, NEXT_PAGE] = page
        table.pages[fresh, ROWS_ON_PAGE] = 0
        table.wheel[slot] = fresh
        page = fresh
    written = wide(table.pages[page, ROWS_ON_PAGE])
    table.pages[page, FIRST_ON_PAGE + written] = row
    table.pages[page, ROWS_ON_PAGE] = written + 1
    table.numbers[HUNG] += 1
    entry["wheel_slot"] = slot + 1


@inlined
def renew(table: Arrays, entry: Row, row: np.uint64, expires_ns: int) -> None:
    """Set when an entry ends; only an earlier end than the wheel knows of is written there."""
    entry["expires_ns"] = expires_ns
    now_tick = table.numbers[WHEEL_TICK]
    met_tick = now_tick + 1 + ((wide(entry["wheel_slot"]) - now_tick - 2) & WHEEL_MASK)
    if (expires_ns >> TICK_SHIFT) + 1 < met_tick and entry["wheel_slot"]:
        hang(table, entry, row, expires_ns)


@called
def release(table: Arrays, row: np.uint64, position: np.uint64) -> None:
    """Remove the entry that a slot holds, and free its row."""
    entry = table.entries[row]
    count(table, entry, wide(-1))
    if entry["status"] & EXPIRED:
        table.numbers[LINGERING] -= 1
    if entry["status"] & COUNTED:
        table.holders[holder_of(table, row)] -= 1
    remove_slot(table, position)
    entry["protocol"] = 0
    entry["wheel_slot"] = 0
    entry["tag"] = table.numbers[FREE_ROW]
    table.numbers[FREE_ROW] = row
    table.numbers[LIVE] -= 1


@inlined
def expire(table: Arrays, entry: Row, row: np.uint64) -> None:
    """An entry is past its time-out: remove it, or leave it for netfilter's collector."""
    if table.numbers[OPTIONS] & LAGGING:
        entry["status"] |= EXPIRED
        table.slots[slot_of(table, row)] |= EXPIRED_BIT
        table.numbers[LINGERING] += 1
    else:
        table.numbers[EXPIRED_TOTAL] += 1
        release(table, row, slot_of(table, row))


@called
def turn_wheel(table: Arrays, now_ns: int) -> None:
    """Meet the entries of all slots up to a moment."""
    from_tick = table.numbers[WHEEL_TICK]
    now_tick = max(from_tick, now_ns >> TICK_SHIFT)
    table.numbers[WHEEL_TICK] = now_tick
    for tick in range(from_tick + 1, min(now_tick, from_tick + WHEEL_SLOTS) + 1):
        slot = tick & WHEEL_MASK
        page = wide(table.wheel[slot])
        table.wheel[slot] = NO_PAGE
        while page != NO_PAGE:
            written = wide(table.pages[page, ROWS_ON_PAGE])
            table.numbers[HUNG] -= written
            for place in range(FIRST_ON_PAGE, FIRST_ON_PAGE + written):
                row = np.uint64(table.pages[page, place])
                entry = table.entries[row]
                if entry["wheel_slot"] == slot + 1:
                    entry["wheel_slot"] = 0
                    if entry["expires_ns"] <= now_ns:
                        expire(table, entry, row)
                    else:
                        hang(table, entry, row, entry["expires_ns"])
            behind = wide(table.pages[page, NEXT_PAGE])
            table.pages[page, NEXT_PAGE] = table.numbers[FREE_PAGE]
            table.numbers[FREE_PAGE] = page
            page = behind


@called
def look_ahead(table: Arrays, now_ns: int) -> None:
    """Meet what has expired within the tick that is still going on, so that counts are exact at this moment."""
    slot = (table.numbers[WHEEL_TICK] + 1) & WHEEL_MASK
    page = wide(table.wheel[slot])
    while page != NO_PAGE:
        for place in range(FIRST_ON_PAGE, FIRST_ON_PAGE + wide(table.pages[page, ROWS_ON_PAGE])):
            row = np.uint64(table.pages[page, place])
            entry = table.entries[row]
            if entry["wheel_slot"] == slot + 1 and entry["expires_ns"] <= now_ns:
                entry["wheel_slot"] = 0
                expire(table, entry, row)
        page = wide(table.pages[page, NEXT_PAGE])


@njit
def write_wheel_anew(table: Arrays) -> None:
    """Write down only what is in the table, each entry once."""
    for page in range(len(table.pages)):
        table.pages[page, NEXT_PAGE] = page + 1
    table.pages[len(table.pages) - 1, NEXT_PAGE] = NO_PAGE
    table.numbers[FREE_PAGE] = 0
    table.numbers[HUNG] = 0
    table.wheel[:] = NO_PAGE
    for number in range(1, table.numbers[ROWS_USED]):
        row = np.uint64(number)
        entry = table.entries[row]
        if entry["wheel_slot"]:
            hang(table, entry, row, min(entry["expires_ns"], table.numbers[NOW] + FIRST_VISIT_NS))


@inlined
def average_time_left(table: Arrays, now_ns: int) -> int:
    """The collector's running average over the first entries it meets, jiffies; each hangs in two buckets and is met twice."""
    average, met = LONGEST_PAUSE, AVERAGE_STARTS_WITH
    for slot in table.slots:
        if slot == EMPTY or slot & EXPIRED_BIT:
            continue
        left = (table.entries[slot & ROW_MASK]["expires_ns"] - now_ns) // JIFFY_NS
        left = min(max(left, SHORTEST_PAUSE), LONGEST_COUNTED)
        for _ in range(2):
            met += 1
            average += wide((left - average) / met)  # toward zero, as C divides
        if met >= AVERAGE_STOPS_AT:
            break
    return average


@inlined
def may_be_sacrificed(entry: Row) -> bool:
    """gc_worker_can_early_drop: unassured, or a TCP connection that is closing."""
    return not entry["status"] & ASSURED or FIN_WAIT <= entry["state"] <= CLOSE


@called
def collect(table: Arrays, at_most: int) -> None:
    """One run of the collector, at the moment it is due; sets the next."""
    numbers = table.numbers
    now_ns = numbers[COLLECT_AT]
    if numbers[COLLECT_SLOT] == 0:
        numbers[COLLECT_STARTED] = now_ns
        numbers[COLLECT_AFTER] = average_time_left(table, now_ns)
    pressed = numbers[EARLY_DROP_FAILED] != 0
    numbers[EARLY_DROP_FAILED] = 0
    nearly_full = numbers[LIMIT] // 100 * 95
    slot_count = np.uint64(len(table.slots))
    position, removed = np.uint64(numbers[COLLECT_SLOT]), 0
    if numbers[LINGERING] == 0 and not pressed:
        position = slot_count
    while position < slot_count:
        slot = table.slots[position]
        row = slot & ROW_MASK
        if slot & EXPIRED_BIT or (pressed and slot != EMPTY and numbers[LIVE] >= nearly_full and may_be_sacrificed(table.entries[row])):
            if removed > at_most:
                numbers[COLLECT_SLOT] = position
                numbers[COLLECT_AT] = now_ns + JIFFY_NS
                return
            release(table, row, position)  # moves another into this slot, so the position stays
            numbers[EXPIRED_TOTAL] += 1
            removed += 1
        else:
            position += ONE
    numbers[COLLECT_SLOT] = 0
    pause = min(max(numbers[COLLECT_AFTER], SHORTEST_PAUSE), LONGEST_PAUSE)
    taken = max((now_ns - numbers[COLLECT_STARTED]) // JIFFY_NS, 1)
    numbers[COLLECT_AT] = now_ns + max(pause - taken, 1) * JIFFY_NS


@called
def run_timers(table: Arrays, now_ns: int) -> None:
    """Let everything happen that is due by a moment; bounded, however far the clock jumped."""
    numbers = table.numbers
    first = numbers[NOW] == UNSET
    numbers[NOW] = now_ns
    if not numbers[OPTIONS] & EXPIRY:
        numbers[NEXT_TIMER] = NEVER
        return
    if first:
        numbers[WHEEL_TICK] = now_ns >> TICK_SHIFT
        numbers[COLLECT_AT] += now_ns  # until now the time from the first packet on
    lagging = numbers[OPTIONS] & LAGGING != 0
    runs = 0
    at_most = wide(EXPIRED_A_RUN)
    while lagging and numbers[COLLECT_AT] <= now_ns:
        if runs == RUNS_AT_ONCE:
            numbers[COLLECT_AT] = now_ns
            at_most = wide(NEVER)
        turn_wheel(table, numbers[COLLECT_AT])
        look_ahead(table, numbers[COLLECT_AT])
        collect(table, at_most)
        runs += 1
    turn_wheel(table, now_ns)
    numbers[NEXT_TIMER] = (numbers[WHEEL_TICK] + 1) << TICK_SHIFT
    if lagging:
        numbers[NEXT_TIMER] = min(numbers[NEXT_TIMER], max(numbers[COLLECT_AT], now_ns + 1))


@called
def reap_window(table: Arrays, tag: np.uint64, found: np.uint64) -> None:
    """A lookup removes the expired entries it walks over: a whole bucket, or the part in front of the entry it finds.

    netfilter adds entries at the head of their buckets, so those in front are those made later.
    """
    begin, position = window(table, tag, wide(0))
    while position > begin:
        position -= ONE  # from behind: what a removal moves into this slot lay behind it and has been looked at, or is of another window
        slot = table.slots[position]
        row = slot & ROW_MASK
        if slot & EXPIRED_BIT and (found == NO_ROW or table.entries[row]["created_ns"] > table.entries[found]["created_ns"]):
            release(table, row, position)
            table.numbers[EXPIRED_TOTAL] += 1
