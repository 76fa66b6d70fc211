"""A line: a session table and all that judges it, from packets that are classified to incidents.

The pipeline has one. Each what-if has another, forked from the first at the moment its mitigation would have been in force, so that both
see the same packets and differ in nothing but the mitigation.
"""

import copy
from collections.abc import Callable, Sequence

from netwatch.config import ReplaySettings
from netwatch.detect.catalogue import detectors
from netwatch.export.series import SeriesBuilder
from netwatch.incident.correlator import Correlator
from netwatch.measure.meter import ReassemblyTotals, WindowMeter
from netwatch.measure.services import ServiceDirectory
from netwatch.model.incident import Finding, Incident, Severity
from netwatch.model.plan import Admission
from netwatch.model.tuple_hash import FIXED_SEED
from netwatch.model.window import Window
from netwatch.table_view import ModelledTable, Seen, TableView
from netwatch.track.clock import SECOND_NS, Border
from netwatch.track.session_table import SessionTable

Listener = Callable[[Window, Sequence[Finding], Sequence[Incident]], None]
"""Is told each window as it is closed, what detectors said of it, and the incidents that it opened, changed or closed."""


class Line:
    """A session table and all that judges it."""

    def __init__(
        self, sessions: SessionTable, directory: ServiceDirectory, settings: ReplaySettings, *, hash_seed: int = FIXED_SEED
    ) -> None:
        self.sessions = sessions
        self.meter = WindowMeter(directory, seed=hash_seed)
        self.detectors = detectors(settings.detectors, settings.profile)
        self.correlator = Correlator(settings.firewall_name)
        self.series = SeriesBuilder()
        self.view: TableView = ModelledTable(settings.profile)
        self.listeners: list[Listener] = []
        self._alarmed: set[str | None] = set()  # services, None the whole firewall
        self.warm_until_s: float | None = None

    def fork(self, admission: Admission) -> "Line":
        """An independent copy with a mitigation in force from now on; it has found no incident yet."""
        forked = copy.copy(self)
        forked.sessions = self.sessions.fork(admission)
        forked.meter = self.meter.fork()
        forked.detectors = copy.deepcopy(self.detectors)
        forked.view = copy.copy(self.view)
        forked.listeners = []
        forked._alarmed = set(self._alarmed)
        forked.correlator = Correlator(self.correlator.firewall)
        forked.series = SeriesBuilder()
        return forked

    def close(self, border: Border, reassembly: ReassemblyTotals) -> list[Incident]:
        """End a window, judge it, and return the incidents that it opened or changed."""
        return self.judge(border, self.look(border), reassembly)

    def look(self, border: Border) -> Seen:
        """The state table at the end of a window, before any packet behind it."""
        self.sessions.advance(border.end_ns)
        return self.view.look(self.sessions, border.end_ns)

    def judge(self, border: Border, seen: Seen, reassembly: ReassemblyTotals) -> list[Incident]:
        """End a window whose table was looked at: nothing here asks the table again."""
        window = self.meter.close(
            start_s=border.start_ns / SECOND_NS,
            duration_s=(border.end_ns - border.start_ns) / SECOND_NS,
            table=seen.counts,
            groups=seen.groups,
            profile=seen.profile,
            reassembly=reassembly,
            census=seen.census,
            lost_packets=seen.lost_packets,
            sampled_one_in=seen.sampled_one_in,
        )
        self.series.add(window)
        if self.warm_until_s is None and not window.warming:
            self.warm_until_s = window.start_s
        findings = [finding for detector in self.detectors for finding in detector.judge(window)]
        changed = self.correlator.update(window, findings)
        if changed:
            self._tell_meter()
        for listener in self.listeners:
            listener(window, findings, changed)
        return changed

    def _tell_meter(self) -> None:
        """What a service does during an incident must not become its normal."""
        alarmed = {incident.service for incident in self.correlator.lasting if incident.severity is not Severity.INFO}
        for service in self._alarmed ^ alarmed:
            self.meter.alarmed(service, service in alarmed)
        self._alarmed = alarmed
