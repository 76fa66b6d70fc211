"""A trial of one playbook: the what-if. It waits for an incident that the playbook answers, then runs a second line with it in force."""

from collections.abc import Sequence

import numpy as np

from netwatch.incident.correlator import Correlator
from netwatch.line import Line
from netwatch.measure.meter import ReassemblyTotals
from netwatch.mitigate.playbook import Playbook, admission, recommend
from netwatch.model.incident import Incident, Severity
from netwatch.model.packet import Rows
from netwatch.model.plan import WhatIfResult
from netwatch.model.replay import WhatIf
from netwatch.model.service import Service
from netwatch.model.service_index import ServiceIndex
from netwatch.model.tracked import TRACKED
from netwatch.track.clock import Border

SETTLE_S = 2.0
"""A mitigation is given this long to work before incidents count against it."""


class Trial:
    """One playbook of ``--what-if``."""

    def __init__(self, playbook: Playbook, never_block: Sequence[str]) -> None:
        self._playbook = playbook
        self._never_block = never_block
        self._line: Line | None = None
        self._changes: tuple[str, ...] = ()
        self._applied_at_s = 0.0
        self._dropped_before = 0
        self._settled = False

    def consider(self, changed: Sequence[Incident], line: Line, services: Sequence[Service], now_s: float) -> None:
        """Put the playbook in force if one of the incidents just found is one that it answers."""
        if self._line is not None:
            return
        for incident in changed:
            if incident.severity is Severity.INFO or incident.ended_s is not None:
                continue
            admitted = admission(self._playbook, incident, services=services, never_block=self._never_block)
            if admitted is not None:
                self._line = line.fork(admitted)
                recommendation = recommend(incident, [self._playbook], services=services, never_block=self._never_block)
                self._changes = recommendation.changes if recommendation else ()
                self._applied_at_s = now_s
                self._dropped_before = self._line.sessions.dropped_full
                return

    def assign(self, learned: Sequence[tuple[int, Service]]) -> None:
        """Services were learned: their entries in this line's table belong to them too."""
        if self._line is not None:
            self._line.sessions.assign(learned)

    def track(self, packets: Rows, quoted: Rows, tracked: Rows, services: ServiceIndex) -> None:
        """Take the same packets as the line it was forked from, with what the stages before the session table said of them."""
        if self._line is None:
            return
        own = np.zeros(len(tracked), TRACKED)
        for field in ("flow_events", "gap_bin"):
            own[field] = tracked[field]
        self._line.sessions.track(packets, quoted, own, services)
        self._line.meter.add(packets, own)

    def close(self, border: Border, reassembly: ReassemblyTotals) -> None:
        if self._line is None:
            return
        if not self._settled and border.start_ns / 1e9 >= self._applied_at_s + SETTLE_S:
            self._line.correlator = Correlator(self._line.correlator.firewall)
            self._settled = True
        self._line.close(border, reassembly)

    def outcome(self, end_ns: int) -> WhatIf:
        """What the capture would have done to the firewall with the playbook in force."""
        if self._line is None:
            nothing = WhatIfResult(
                playbook=self._playbook.name, applied_at_s=None, peak_entries=0, full_at_s=None, dropped_full=0, healthy_hit=0, incidents=0
            )
            return WhatIf(result=nothing)
        counts = self._line.sessions.counts(end_ns)
        incidents = self._line.correlator.incidents if self._settled else ()
        result = WhatIfResult(
            playbook=self._playbook.name,
            applied_at_s=self._applied_at_s,
            peak_entries=counts.peak_entries,
            full_at_s=counts.full_at_s,
            dropped_full=counts.dropped_full - self._dropped_before,
            healthy_hit=self._line.sessions.healthy_hit,
            incidents=sum(incident.severity is Severity.CRITICAL for incident in incidents),
            shed=self._line.sessions.shed,
        )
        return WhatIf(result=result, series=self._line.series.points(), changes=self._changes)
