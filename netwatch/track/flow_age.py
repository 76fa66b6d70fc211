"""Which flow was idle longest, without looking at all of them.

Event time is cut into ticks of 2**30 ns (1.07 s: a shift, no division). Each open flow lies in one queue, of the tick in which a packet
last moved it; a packet only writes the tick into its row. When the oldest queue is taken up, flows that spoke since then move to the queue
of their newest tick. A flow moves at most once for each tick in which it had packets, so the cost is constant for a packet, however
large the table is. Flows of TCP and of other protocols have different time-outs and queues of their own.

A flow whose record was closed by the idle time-out lies in a list of its own, oldest first: when the table is full they leave before any
open flow does. The clock never runs backwards: a packet with an earlier time is taken as of now, as a table that cannot wait must.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import called, inlined, wide
from netwatch.model.flow import FlowEnd
from netwatch.model.packet import Rows
from netwatch.track.flow_row import CLOSED, ending, write_record

Links = NDArray[np.uint32]

TICK_SHIFT = 30
TCP_CLASS, OTHER_CLASS = 0, 1
TCP_KIND = 6
IDLE_END = int(FlowEnd.IDLE)

ROOM = 64
"""Rows left free in the output when time passes, so that each packet of a batch of 32 can still write the record that it ends."""

TABLE = np.dtype(
    [
        ("now_ns", np.int64),
        ("tick", np.int64),  # of now_ns
        ("oldest_tick", np.int64, (2,)),  # no open flow of the class lies in an older queue
        ("idle_ticks", np.int64, (2,)),  # time-outs
        ("active_ns", np.int64),
        ("earliest_ns", np.int64),  # of all packets: no record began before
        ("used", np.int64),  # rows
        ("closed_oldest", np.int64),  # row + 1, 0 none
        ("closed_newest", np.int64),
        ("records", np.int64),  # written to the output since it was last taken
        ("distinct", np.int64),
        ("evicted", np.int64),
        ("forgotten", np.int64),
        ("keep_records", np.int64),
    ]
)
"""The table's own numbers, one row."""


@inlined
def age_class(kind: int) -> int:
    return TCP_CLASS if kind == TCP_KIND else OTHER_CLASS


@inlined
def enqueue(heads: Links, tails: Links, newer: Links, group: int, tick: int, row: int) -> None:
    """Put an open flow at the end of the queue of a tick."""
    queue = tick & (heads.shape[1] - 1)
    newer[row] = 0
    if heads[group, queue] == 0:
        heads[group, queue] = row + 1
    else:
        newer[tails[group, queue] - 1] = row + 1
    tails[group, queue] = row + 1


@inlined
def dequeue(heads: Links, newer: Links, group: int, tick: int) -> int:
    """Take the first flow of a tick's queue; -1 if it is empty."""
    queue = tick & (heads.shape[1] - 1)
    row = wide(heads[group, queue]) - 1
    if row >= 0:
        heads[group, queue] = newer[row]
    return row


@inlined
def remember_closed(table: Rows, newer: Links, older: Links, row: int) -> None:
    """Put a row at the newest end of the closed list."""
    newest = table[0].closed_newest
    newer[row] = 0
    older[row] = newest
    if newest == 0:
        table[0].closed_oldest = row + 1
    else:
        newer[newest - 1] = row + 1
    table[0].closed_newest = row + 1


@inlined
def take_closed(table: Rows, newer: Links, older: Links, row: int) -> None:
    """Take a row out of the closed list."""
    after, before = wide(newer[row]), wide(older[row])
    if before == 0:
        table[0].closed_oldest = after
    else:
        newer[before - 1] = after
    if after == 0:
        table[0].closed_newest = before
    else:
        older[after - 1] = before


@called
def emit(table: Rows, rows: Rows, tallies: Rows, row: int, end: int, records: Rows) -> None:
    """Write a record that ended, if anybody wants records."""
    if table[0].keep_records:
        write_record(rows, tallies, row, ending(wide(rows[row].state), end), records, table[0].records)
        table[0].records += 1


@called
def expire(table: Rows, rows: Rows, tallies: Rows, heads: Links, tails: Links, newer: Links, older: Links, records: Rows) -> bool:
    """Close what has been idle for longer than its time-out. ``False``: the output is full, call again when it was taken."""
    for group in range(2):
        limit = table[0].tick - table[0].idle_ticks[group]
        tick = table[0].oldest_tick[group]
        stop = min(limit, tick + heads.shape[1])  # after one round all queues are empty
        while tick < stop:
            row = dequeue(heads, newer, group, tick)
            if row < 0:
                tick += 1
                table[0].oldest_tick[group] = tick
                continue
            last_tick = wide(rows[row].last_tick)
            if last_tick > tick:
                enqueue(heads, tails, newer, group, last_tick, row)
                continue
            emit(table, rows, tallies, row, IDLE_END, records)
            rows[row].state |= CLOSED
            remember_closed(table, newer, older, row)
            if table[0].records >= len(records) - ROOM:
                return False
        if limit > tick:
            table[0].oldest_tick[group] = limit
    return True


@inlined
def move_clock(
    table: Rows, now_ns: int, rows: Rows, tallies: Rows, heads: Links, tails: Links, newer: Links, older: Links, records: Rows
) -> bool:
    """Set the clock ahead. ``False`` as of ``expire``, which the table's next call then goes on with."""
    table[0].now_ns = now_ns
    tick = now_ns >> TICK_SHIFT
    if tick == table[0].tick:
        return True
    table[0].tick = tick
    if table[0].used == 0:
        table[0].oldest_tick[0] = tick
        table[0].oldest_tick[1] = tick
    return expire(table, rows, tallies, heads, tails, newer, older, records)


@called
def oldest_open(table: Rows, rows: Rows, heads: Links, tails: Links, newer: Links) -> int:
    """Take the open flow that was idle longest out of its queue. There must be one."""
    now = table[0].tick
    while True:
        for group in range(2):
            tick = table[0].oldest_tick[group]
            while tick < now and heads[group, tick & (heads.shape[1] - 1)] == 0:
                tick += 1
            table[0].oldest_tick[group] = tick
        group = TCP_CLASS if table[0].oldest_tick[TCP_CLASS] <= table[0].oldest_tick[OTHER_CLASS] else OTHER_CLASS
        tick = table[0].oldest_tick[group]
        row = dequeue(heads, newer, group, tick)
        if row < 0:  # both have reached now, and this one is empty
            group = OTHER_CLASS - group
            row = dequeue(heads, newer, group, tick)
        last_tick = wide(rows[row].last_tick)
        if last_tick == tick:
            return row
        enqueue(heads, tails, newer, group, last_tick, row)
