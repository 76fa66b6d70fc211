"""A replay's outcome: everything that the terminal summary, the JSON and the report page are made from.

One value, filled by the pipeline, read by ``export``: the three outputs cannot contradict each other, and each can be tested without a
capture. Times are seconds since the epoch, UTC. Counts follow the wire.
"""

import msgspec

from netwatch.model.incident import Incident
from netwatch.model.packet import TrafficCounts
from netwatch.model.plan import WhatIfResult
from netwatch.model.service import Service

SCHEMA_VERSION = 1
"""Of the JSON; a key that changes its name or meaning raises it, a key that is added does not."""


class CaptureSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One capture file as it was read."""

    path: str  # as given, or as found in a folder; "-" is standard input
    link_types: tuple[str, ...]
    packets: int  # whole records in the file
    bytes: int  # on the wire
    first_s: float | None  # None: no packet
    last_s: float | None
    truncated: bool = False  # the file ends in the middle of a record
    errors: dict[str, int] = {}
    size_bytes: int | None = None  # of the file, compressed as it lies there; None for a stream


class FirewallSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the session-table model says the firewall went through."""

    profile: str
    strict: bool
    limit: int
    peak_entries: int
    peak_at_s: float | None
    full_at_s: float | None  # first moment at the limit; None: never
    entries_at_end: int
    states_at_end: dict[str, int]  # by SessionState name; states without entries may be left out
    dropped_full: int  # packets of new sessions dropped because the table was full
    early_dropped: int  # entries evicted to make room
    verdicts: dict[str, int]  # new, established, related, invalid, untracked
    created: int = 0
    expired: int = 0
    expiry: bool = True  # False: time-outs were switched off (--no-expiry)


class ServicePoint(msgspec.Struct, frozen=True):
    """One service over one point's time."""

    service: str  # Service.label
    asked: int  # first SYNs, or first packets of UDP
    completed: int  # handshakes
    half_open: int  # entries, the most within the point
    entries: int = 0  # the most within the point


class PrefixPoint(msgspec.Struct, frozen=True):
    """What one source prefix opened over one point's time."""

    prefix: str
    count: int


class SeriesPoint(msgspec.Struct, frozen=True, kw_only=True):
    """The charts' unit of time: one window, or some neighbouring windows when a capture is long.

    Counts are sums over ``duration_s``; gauges (entries, half_open …) are the highest seen, so that a coarser chart never hides a peak.
    """

    start_s: float
    duration_s: float
    entries: int
    limit: int
    fill_slope_per_s: float = 0.0
    time_to_full_s: float | None = None  # the shortest forecast made within the point
    assured: int = 0
    half_open: int = 0
    packets: int = 0
    attempts: int = 0  # new sessions asked for, of all services and of none, whether or not an entry was made
    new_sessions: int = 0
    dropped_full: int = 0
    early_dropped: int = 0
    shed: int = 0  # refused by a mitigation
    invalid: int = 0  # packets
    resets: int = 0  # of all services, both ways
    fragments: int = 0
    picked_up: int = 0  # sessions opened mid-stream
    one_sided: int = 0  # sessions that go on without an answer
    services: tuple[ServicePoint, ...] = ()  # the busiest only; one that is missing did nothing
    prefixes: tuple[PrefixPoint, ...] = ()  # the busiest only
    windows: int = 1  # merged into this point

    @property
    def end_s(self) -> float:
        return self.start_s + self.duration_s


class WhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """The same capture with one playbook in force: the result, and the curve beside the one that really happened."""

    result: WhatIfResult
    series: tuple[SeriesPoint, ...] = ()  # from the moment it was applied; start_s, duration_s, entries and limit suffice
    changes: tuple[str, ...] = ()  # what it would have changed, as text


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of ``netwatch replay``."""

    captures: tuple[CaptureSummary, ...]
    traffic: TrafficCounts
    firewall: FirewallSummary
    incidents: tuple[Incident, ...] = ()
    what_if: tuple[WhatIf, ...] = ()
    series: tuple[SeriesPoint, ...] = ()
    services: tuple[Service, ...] = ()  # watched: configured, then learned
    decode_errors: dict[str, int] = {}  # packets by DecodeStatus name in lower case, other than ok
    warm_until_s: float | None = None  # the normals meant something from here on; None: never within the capture
    reproduce: tuple[str, ...] = ()  # the words of the command line
    settings: dict[str, str] = {}  # what ruled the result beside the command line, as text (time-outs, thresholds' file …)
    netwatch_version: str = ""
    schema_version: int = SCHEMA_VERSION
