"""A replay: capture files through the pipeline, and everything worth telling about it as one value.

Reading, decoding and the pipeline's intake run ahead in a thread of their own (reading.py), sessions follow in the caller's, and counting
and judging the windows in a third; with a what-if, or where somebody is told each window, the last two are one.
"""

import collections
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from netwatch import __version__
from netwatch.behind import Behind
from netwatch.collect import Capture
from netwatch.collect.prefetch import Ahead
from netwatch.config import ReplaySettings
from netwatch.decode import Decoder
from netwatch.mitigate.ladder import recommend_rung, rungs
from netwatch.model.event import Event, FindingMade, IncidentTold, WindowClosed
from netwatch.model.incident import Finding, Incident
from netwatch.model.packet import Rows
from netwatch.model.replay import CaptureSummary, FirewallSummary, Replay
from netwatch.model.session import SessionState
from netwatch.model.tracked import TRACKED
from netwatch.model.window import Window
from netwatch.pipeline import Pipeline
from netwatch.reading import Reading, decoded
from netwatch.track.clock import EventClock
from netwatch.track.flow_table import FlowTable
from netwatch.track.fragments import Reassembly


def flow_records(captures: Sequence[Capture], *, inner: bool) -> Iterator[Rows]:
    """The flow records (``FLOW``) of the captures, in batches, each flow as soon as it has ended."""
    clock, reassembly, table = EventClock(), Reassembly(), FlowTable()
    with Ahead(decoded(captures, Decoder(inner=inner))) as blocks:
        for block in blocks:
            tracked = np.zeros(len(block.packets), TRACKED)
            collections.deque(clock.cut(block.packets), maxlen=0)  # mends wrong time stamps
            reassembly.track(block, tracked)
            table.track(block.packets, tracked)
            yield table.drain()
    yield table.finish()


def replay_captures(
    captures: Sequence[Capture],
    settings: ReplaySettings,
    *,
    command: Sequence[str] = (),
    tell: Callable[[Event], None] | None = None,
) -> Replay:
    """Run captures through the pipeline; ``tell`` gets every window and incident as it comes, in order, with its own time.

    Raises:
        CaptureError: one of them turns out not to be a capture.
    """
    with Reading(captures, inner=settings.inner) as reading:
        return replay_reading(reading, settings, command=command, tell=tell)


def replay_reading(
    reading: Reading, settings: ReplaySettings, *, command: Sequence[str] = (), tell: Callable[[Event], None] | None = None
) -> Replay:
    """The same for captures that are read already, with ``settings.inner``."""
    behind, intake = Behind(), reading.intake
    later = behind.do if tell is None and not settings.what_if else None
    pipeline = Pipeline(settings, intake=intake, later=later)
    retelling = Retelling(pipeline, tell) if tell is not None else None
    with behind:
        for part in reading.parts:
            pipeline.take(part)
        pipeline.finish()
    if retelling is not None:
        retelling.finish()
    errors = dict(reading.decoder.errors)
    if intake.clock.mended:
        errors["wrong_time_stamp"] = intake.clock.mended
    return Replay(
        captures=tuple(capture_summary(capture) for capture in reading.captures),
        traffic=msgspec.structs.replace(reading.decoder.traffic, flows=intake.flows.distinct),
        firewall=firewall_summary(pipeline),
        incidents=tuple(recommended(incident, pipeline) for incident in pipeline.incidents),
        what_if=tuple(trial.outcome(pipeline.intake.clock.now_ns or 0) for trial in pipeline.trials),
        series=pipeline.line.series.points(),
        services=pipeline.services,
        decode_errors=errors,
        warm_until_s=pipeline.line.warm_until_s,
        reproduce=tuple(command),
        settings=ruling_settings(settings),
        netwatch_version=__version__,
    )


class Retelling:
    """The events of a replay, as a running netwatch would have told them."""

    def __init__(self, pipeline: Pipeline, tell: Callable[[Event], None]) -> None:
        self._pipeline = pipeline
        self._tell = tell
        self._open: set[str] = set()
        pipeline.line.listeners.append(self._closed)

    def _closed(self, window: Window, findings: Sequence[Finding], changed: Sequence[Incident]) -> None:
        self._tell(WindowClosed(time_s=window.end_s, window=window))
        for finding in findings:
            self._tell(FindingMade(time_s=window.end_s, finding=finding))
        for incident in changed:
            self._incident(incident, window.end_s)

    def _incident(self, incident: Incident, time_s: float) -> None:
        known = incident.id in self._open
        self._open.add(incident.id)
        if not known:
            self._tell(IncidentTold(time_s=time_s, type="incident.opened", incident=recommended(incident, self._pipeline)))
        if incident.ended_s is not None:
            self._open.discard(incident.id)
            self._tell(IncidentTold(time_s=time_s, type="incident.closed", incident=recommended(incident, self._pipeline)))
        elif known:
            self._tell(IncidentTold(time_s=time_s, type="incident.updated", incident=recommended(incident, self._pipeline)))

    def finish(self) -> None:
        """Tell of the incidents that were closed with the last window."""
        for incident in self._pipeline.incidents:
            if incident.id in self._open and incident.ended_s is not None:
                self._incident(incident, incident.ended_s)


def recommended(incident: Incident, pipeline: Pipeline) -> Incident:
    """The incident with what would end it: the first rung of its mode's ladder that applies."""
    settings = pipeline.settings
    ladder = rungs(settings.detectors[incident.mode].ladder, settings.playbooks)
    recommendation = recommend_rung(incident, ladder, services=pipeline.services, never_block=settings.never_block)
    return msgspec.structs.replace(incident, recommendation=recommendation)


def capture_summary(capture: Capture) -> CaptureSummary:
    return CaptureSummary(
        path=capture.path,
        link_types=tuple(capture.link_types),
        packets=capture.packets,
        bytes=capture.bytes,
        first_s=capture.first_s,
        last_s=capture.last_s,
        truncated=capture.truncated,
        errors=dict(capture.errors),
        size_bytes=capture.bytes_total,
    )


def firewall_summary(pipeline: Pipeline) -> FirewallSummary:
    settings, sessions = pipeline.settings, pipeline.line.sessions
    counts = sessions.counts(pipeline.intake.clock.now_ns or 0)
    states = zip(SessionState, counts.all.by_state, strict=True)
    return FirewallSummary(
        profile=settings.profile.name,
        strict=settings.profile.strict,
        limit=settings.profile.limit,
        peak_entries=counts.peak_entries,
        peak_at_s=counts.peak_at_s,
        full_at_s=counts.full_at_s,
        entries_at_end=counts.all.entries,
        states_at_end={state.name: entries for state, entries in states if entries},
        dropped_full=counts.dropped_full,
        early_dropped=counts.early_dropped,
        verdicts=sessions.verdicts,
        created=counts.created,
        expired=counts.expired,
        expiry=settings.expiry,
    )


def ruling_settings(settings: ReplaySettings) -> dict[str, str]:
    """What ruled the result beside the command line, as text."""
    timeouts = msgspec.structs.asdict(settings.profile.timeouts)
    return {
        "firewall": f"{settings.profile.name}: {settings.profile.description}",
        "hash buckets": f"{settings.profile.buckets:,}",
        "time-outs": ", ".join(f"{name.removesuffix('_s').replace('_', ' ')} {value:,.0f} s" for name, value in timeouts.items()),
        "never blocked": ", ".join(settings.never_block) or "nothing in particular",
    }
