"""The way of the data, in order. Read this file first.

::

    capture ─► decode ─► reassembly ─► flows ─► sessions, services ─► meter ─► detect ─► incident ─► export
    (edge in)            └──── intake ─────┘    └──────────────── line ────────────────┘           (edge out)
                         └────────── per block of packets ──────────────┘  └─ per window ─┘

Blocks of packets go through the tables; at every second of the packets' own clock a window is closed and judged. Nothing here reads a clock
or a file: a replay, a drill and a live firewall give the same incidents for the same packets.

What comes before the sessions depends on nothing behind it: the ``Intake`` (intake.py), which a replay runs ahead on the other core. From
the session table on, which also says whose service a packet is, the parts form a ``Line`` (line.py). Its meter and what is behind that
follow the session table and tell it nothing: a replay runs them behind (behind.py) while the table goes on. A what-if is a second line
(trial.py): a fork of the first from the moment when its mitigation would have been in force, fed with the same packets.
"""

from collections.abc import Callable, Sequence
from functools import partial

from netwatch.config import ReplaySettings
from netwatch.intake import Ending, Intake, Part
from netwatch.line import Line
from netwatch.measure.services import ServiceDirectory
from netwatch.model.incident import Incident
from netwatch.model.packet import PacketBlock, Rows
from netwatch.model.plan import Admission
from netwatch.model.service import Service
from netwatch.model.tuple_hash import FIXED_SEED
from netwatch.rehearsal import RecentTraffic
from netwatch.segment_sizes import SegmentSizes
from netwatch.table_view import Seen
from netwatch.track.clock import SECOND_NS
from netwatch.track.session_table import SessionTable
from netwatch.trial import Trial


class Pipeline:
    """Packets in, incidents out."""

    def __init__(
        self,
        settings: ReplaySettings,
        *,
        intake: Intake | None = None,
        rehearses: bool = False,
        hash_seed: int = FIXED_SEED,
        later: Callable[[Callable[[], object]], None] | None = None,
    ) -> None:
        """``rehearses``: keep the traffic of the last minute, so that plans can be tried on it. ``hash_seed`` is the decoder's.

        ``intake``: one that is at work already; its parts are then given to ``take``.
        ``later`` has the windows counted and judged, in order; default: at once. A what-if forks the session table when a window has been
        judged, so with one, and with a rehearsal, it must be at once.
        """
        self.settings = settings
        self.intake = intake if intake is not None else Intake()
        self.directory = ServiceDirectory(settings.services, learn=not settings.services, seed=hash_seed)
        sessions = SessionTable(
            settings.profile, groups=self.directory.capacity + 1, expiry=settings.expiry, services=self.directory.indices
        )
        self.line = Line(sessions, self.directory, settings, hash_seed=hash_seed)
        self.recent = RecentTraffic(sessions) if rehearses else None
        self._segment_sizes = SegmentSizes()
        self._later = later if later is not None else _at_once
        self.trials = [Trial(playbook, settings.never_block) for playbook in settings.what_if]

    @property
    def incidents(self) -> Sequence[Incident]:
        return self.line.correlator.incidents

    @property
    def services(self) -> tuple[Service, ...]:
        """The configured and the learned, with what is known of each."""
        return self._segment_sizes.told(self.directory.services)

    def feed(self, block: PacketBlock) -> None:
        """Take the next packets; close and judge every window that ends before the last of them."""
        for part in self.intake.feed(block):
            self.take(part)

    def tick(self, now_ns: int) -> None:
        """Close the windows that end by now although no packet came."""
        self.take(self.intake.tick(now_ns))

    def take(self, part: Part) -> None:
        """Go on with what the intake has handed on."""
        if len(part.tracked):
            self._track(part)
        for ending in part.endings:
            self._close(ending)

    def admit(self, admission: Admission) -> None:
        """From now on the modelled table obeys a mitigation, since the firewall does; an empty one ends it."""
        self.line.sessions = self.line.sessions.fork(admission)
        if self.recent is not None:
            self.recent.follow(self.line.sessions)
        indices = self.directory.indices
        self._segment_sizes.leave_out(frozenset(indices[one.label] for one in admission.synproxy if one.label in indices))

    def finish(self) -> None:
        """Close the last window."""
        last = self.intake.finish()
        self.take(last)
        for ending in last.endings:
            self._later(partial(self.line.correlator.finish, ending.border.end_ns / SECOND_NS))

    def _track(self, part: Part) -> None:
        block, tracked = part.block, part.tracked
        packets = block.packets
        self.line.sessions.track(packets, block.quoted, tracked, self.directory.index)
        if learned := self.directory.learn(packets, tracked):
            self.line.sessions.assign(learned)
            if self.recent is not None:
                self.recent.assign(learned)
            for trial in self.trials:
                trial.assign(learned)
            self.directory.classify(packets, tracked)
        self._later(partial(self._count, packets, tracked))
        if self.recent is not None:
            self.recent.keep(block)
        for trial in self.trials:
            trial.track(packets, block.quoted, tracked, self.directory.index)

    def _count(self, packets: Rows, tracked: Rows) -> None:
        self._segment_sizes.learn(packets, tracked)
        self.line.meter.add(packets, tracked)

    def _close(self, ending: Ending) -> None:
        self._later(partial(self._judge, ending, self.line.look(ending.border)))

    def _judge(self, ending: Ending, seen: Seen) -> None:
        end_ns = ending.border.end_ns
        changed = self.line.judge(ending.border, seen, ending.reassembly)
        if self.recent is not None:
            self.recent.close(end_ns)
        for trial in self.trials:
            trial.close(ending.border, ending.reassembly)
            trial.consider(changed, self.line, self.directory.services, end_ns / SECOND_NS)


def _at_once(work: Callable[[], object]) -> None:
    work()
