"""The way of the data, in order. Read this file first.

::

    capture ─► decode ─► reassembly ─► flows ─► services ─► session table ─► meter ─► detect ─► incident ─► export
    (edge in)            └──────────── per block of packets ────────────────────┘    └── per window ──┘   (edge out)

Blocks of packets go through the tables; at every second of the packets' own clock a window is closed and judged. Nothing here reads a clock
or a file: a replay, a drill and a live firewall give the same incidents for the same packets.

From the session table on, the parts form a ``Line`` (line.py). A what-if is a second line (trial.py): a fork of the first from the moment
when its mitigation would have been in force, fed with the same packets.
"""

from collections.abc import Sequence

import numpy as np

from netwatch.config import ReplaySettings
from netwatch.line import Line
from netwatch.measure.meter import ReassemblyTotals
from netwatch.measure.services import ServiceDirectory
from netwatch.model.incident import Incident
from netwatch.model.packet import PacketBlock
from netwatch.model.plan import Admission
from netwatch.model.tracked import TRACKED
from netwatch.model.tuple_hash import FIXED_SEED
from netwatch.rehearsal import RecentTraffic
from netwatch.track.clock import SECOND_NS, Border, EventClock
from netwatch.track.flow_table import FlowTable
from netwatch.track.fragments import Reassembly
from netwatch.track.session_table import SessionTable
from netwatch.trial import Trial


class Pipeline:
    """Packets in, incidents out."""

    def __init__(self, settings: ReplaySettings, *, rehearses: bool = False, hash_seed: int = FIXED_SEED) -> None:
        """``rehearses``: keep the traffic of the last minute, so that plans can be tried on it. ``hash_seed`` is the decoder's."""
        self.settings = settings
        self.clock = EventClock()
        self.reassembly = Reassembly()
        self.flows = FlowTable()
        self.directory = ServiceDirectory(settings.services, learn=not settings.services, seed=hash_seed)
        sessions = SessionTable(
            settings.profile, groups=self.directory.capacity + 1, expiry=settings.expiry, services=self.directory.indices
        )
        self.line = Line(sessions, self.directory, settings, hash_seed=hash_seed)
        self.recent = RecentTraffic(sessions) if rehearses else None
        self.trials = [Trial(playbook, settings.never_block) for playbook in settings.what_if]

    @property
    def incidents(self) -> Sequence[Incident]:
        return self.line.correlator.incidents

    def feed(self, block: PacketBlock) -> None:
        """Take the next packets; close and judge every window that ends before the last of them."""
        for stretch in self.clock.cut(block.packets):
            if stretch.stop > stretch.begin:
                self._track(PacketBlock(block.packets[stretch.begin : stretch.stop], block.quoted))
            for border in stretch.borders:
                self._close(border)

    def tick(self, now_ns: int) -> None:
        """Close the windows that end by now although no packet came."""
        for border in self.clock.tick(now_ns):
            self._close(border)

    def admit(self, admission: Admission) -> None:
        """From now on the modelled table obeys a mitigation, since the firewall does; an empty one ends it."""
        self.line.sessions = self.line.sessions.fork(admission)
        if self.recent is not None:
            self.recent.follow(self.line.sessions)

    def finish(self) -> None:
        """Close the last window."""
        if (border := self.clock.finish()) is not None:
            self._close(border)
            self.line.correlator.finish(border.end_ns / SECOND_NS)

    def _track(self, part: PacketBlock) -> None:
        packets, tracked = part.packets, np.zeros(len(part.packets), TRACKED)
        self.reassembly.track(part, tracked)
        self.flows.track(packets, tracked)
        self.flows.drain()  # nobody here wants the records; kept, they would grow without bound
        self.directory.classify(packets, tracked)
        self.line.sessions.track(packets, part.quoted, tracked)
        if learned := self.directory.learn(packets, tracked):
            for index, service in learned:
                self.line.sessions.assign(index, service)
                if self.recent is not None:
                    self.recent.assign(index, service)
                for trial in self.trials:
                    trial.assign(index, service)
            self.directory.classify(packets, tracked)
        self.line.meter.add(packets, tracked)
        if self.recent is not None:
            self.recent.keep(part, tracked)
        for trial in self.trials:
            trial.track(packets, part.quoted, tracked)

    def _close(self, border: Border) -> None:
        self.reassembly.advance(border.end_ns)
        self.flows.advance(border.end_ns)
        totals = ReassemblyTotals(completed=self.reassembly.completed, failed=self.reassembly.failed, bytes_held=self.reassembly.bytes_held)
        changed = self.line.close(border, totals)
        if self.recent is not None:
            self.recent.close(border.end_ns)
        for trial in self.trials:
            trial.close(border, totals)
            trial.consider(changed, self.line, self.directory.services, border.end_ns / SECOND_NS)
