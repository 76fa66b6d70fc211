"""The state table of a firewall's namespace, as its own counters say: read from outside, through a process that is in it.

``/proc/PID/net`` shows the namespace of that process, so no thread need go there, and reading costs the firewall nothing. One row for
each CPU, in hexadecimal; the number of entries is the same in all rows, everything else is a part that must be summed.
"""

from pathlib import Path

import msgspec

from netwatch.kernel.sysctl import TABLE_LIMIT, read


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The table at one time."""

    time_s: float
    limit: int
    entries: int
    dropped: int = 0
    early_dropped: int = 0


def read_table(pid: int, now_s: float) -> Reading:
    """Read the counters now."""
    return parse(Path(f"/proc/{pid}/net/stat/nf_conntrack").read_text(), now_s=now_s, limit=int(read(TABLE_LIMIT)))


def parse(text: str, *, now_s: float, limit: int) -> Reading:
    """Counters from the kernel's text."""
    names, *rows = (line.split() for line in text.splitlines())
    columns = {name: [int(row[place], 16) for row in rows] for place, name in enumerate(names)}
    dropped, early_dropped = sum(columns["drop"]), sum(columns["early_drop"])
    return Reading(time_s=now_s, limit=limit, entries=columns["entries"][0], dropped=dropped, early_dropped=early_dropped)
