"""Does it hurt now? What the life of a mitigation looks at before and after a change.

Three independent things complain: people's sessions that do not come about (handshakes completed against the learned normal, and canary
connections), new flows that the full table drops, and a table that will be full within minutes. A cure has worked when whoever complained
before it is quiet after it. Rates of an attack say nothing here: an attack that hurts nobody any more is still there.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from math import ceil

import msgspec

from netwatch.model.window import ServiceWindow, Window

EXPECTED_SHARE = 0.7
"""Of its normal: a service that completes less misses handshakes."""

MIN_MISSING = 3.0
"""Handshakes; fewer that are missing in the windows looked at are chance."""

ENOUGH_EXPECTED = 8.0
"""Handshakes: a slow service is looked at over so many windows that this many are expected, but over no more than ``MOST_WINDOWS``."""

FEWEST_WINDOWS, MOST_WINDOWS = 2, 5

REFUSED_SHARE = 0.01
MIN_REFUSED = 5
"""New flows dropped by a full table: one in a hundred is what users report; fewer than five in a window are not called harm."""

SOON_S, SOON_FILL_RATIO = 60.0, 0.4
LATER_S, LATER_FILL_RATIO = 300.0, 0.7
"""Soon full: too little time left for a person to act."""

FRESH_S = 10.0
"""A canary's answer older than this says nothing about now."""

CANARIES = 2
"""The newest so many of a service are asked: under a flood every other one may come about."""

OUT_OF_WINDOW_SHARE, MIN_OUT_OF_WINDOW = 0.001, 20
"""Of the packets looked at: more that are out of window are no damaged strays but live sessions misjudged."""


class ServiceHealth(msgspec.Struct, frozen=True):
    """How a service does in one window, against its normal."""

    completed: int  # handshakes
    level_per_s: float  # normally
    spread_per_s: float
    demand: float = 1.0  # connections asked for, as a part of the normal; an attacker's count too, so more is no more than 1

    def expected(self, duration_s: float) -> float:
        """Handshakes that should come about: who was turned away for minutes may not ask again at once, and that is no fault."""
        return self.level_per_s * duration_s * self.demand


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one window says of health and of the state table."""

    start_s: float
    end_s: float
    services: Mapping[str, ServiceHealth] = {}  # by label
    entries: int = 0
    limit: int = 0
    dropped_full: int = 0  # packets of new flows
    new_sessions: int = 0
    packets: int = 0
    out_of_window: int = 0  # packets of live sessions that the firewall calls invalid

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


class Probe(msgspec.Struct, frozen=True):
    """One canary connection through the firewall."""

    at_s: float  # when it was begun
    service: str
    ok: bool


class Complaint(StrEnum):
    HEALTH = "handshakes are missing"
    CANARY = "canary connections fail"
    DROPPING = "the full table drops new flows"
    FILLING = "the table will be full soon"


def sample_of(window: Window) -> Sample:
    """What of a window matters for health. Services that are still being learned have no normal to be held against, UDP no handshakes."""
    services = {
        service.service.label: ServiceHealth(
            completed=service.handshakes_completed,
            level_per_s=service.normal_completed.level,
            spread_per_s=service.normal_completed.spread,
            demand=_demand(service, window.duration_s),
        )
        for service in window.services
        if not service.warming and service.normal_completed.level > 0
    }
    firewall = window.firewall
    return Sample(
        start_s=window.start_s,
        end_s=window.end_s,
        services=services,
        entries=firewall.entries,
        limit=firewall.limit,
        dropped_full=firewall.dropped_full,
        new_sessions=firewall.new_sessions,
        packets=firewall.packets,
        out_of_window=firewall.invalid_out_of_window,
    )


def complaints(samples: Sequence[Sample], probes: Iterable[Probe], concerned: str | None) -> frozenset[Complaint]:
    """Who complains now.

    Args:
        samples: the newest last; only these are looked at.
        probes: of canaries, in the order of their beginning.
        concerned: label of the service that is asked about; None for all.
    """
    found = set()
    if missing(samples, concerned):
        found.add(Complaint.HEALTH)
    if canary_fails(probes, concerned):
        found.add(Complaint.CANARY)
    if samples and refuses(samples[-1]):
        found.add(Complaint.DROPPING)
    if fills(samples):
        found.add(Complaint.FILLING)
    return frozenset(found)


def missing(samples: Sequence[Sample], concerned: str | None) -> bool:
    """Does a service, or all together, complete clearly less than is due, over as many of the newest windows as the rate needs?"""
    completed = expected = 0.0
    for sample in list(reversed(samples))[:MOST_WINDOWS]:
        for service in _of(sample, concerned):
            completed += service.completed
            expected += service.expected(sample.duration_s)
        if expected >= ENOUGH_EXPECTED:
            break
    return EXPECTED_SHARE * expected - completed >= MIN_MISSING


def expected_of(samples: Sequence[Sample], concerned: str | None) -> float:
    """Handshakes that should have come about."""
    return sum(service.expected(sample.duration_s) for sample in samples for service in _of(sample, concerned))


def windows_needed(samples: Sequence[Sample], concerned: str | None) -> int:
    """How many windows a judgement needs at the rate of the newest."""
    level_per_s = sum(service.level_per_s for sample in samples[-1:] for service in _of(sample, concerned))
    enough = ceil(ENOUGH_EXPECTED / level_per_s) if level_per_s > 0 else FEWEST_WINDOWS
    return min(max(enough, FEWEST_WINDOWS), MOST_WINDOWS)


def canary_fails(probes: Iterable[Probe], concerned: str | None) -> bool:
    """Did one of the newest connections to any of the services fail?"""
    answers: dict[str, deque[bool]] = {}
    for probe in probes:
        if concerned in (None, probe.service):
            answers.setdefault(probe.service, deque(maxlen=CANARIES)).append(probe.ok)
    return not all(ok for newest in answers.values() for ok in newest)


def refuses(sample: Sample) -> bool:
    asked = sample.dropped_full + sample.new_sessions
    return sample.dropped_full >= MIN_REFUSED and sample.dropped_full >= REFUSED_SHARE * asked


def asked_per_s(samples: Sequence[Sample]) -> float:
    """Sessions that packets asked for in the newest window, made or not."""
    newest = samples[-1:]
    return sum((sample.new_sessions + sample.dropped_full) / max(sample.duration_s, 1e-9) for sample in newest)


def growth_per_s(samples: Sequence[Sample]) -> float:
    """Entries gained a second over the samples."""
    if len(samples) < 2:
        return 0.0
    first, last = samples[0], samples[-1]
    return (last.entries - first.entries) / max(last.end_s - first.end_s, 1e-9)


def fills(samples: Sequence[Sample]) -> bool:
    """Will the table be full before a person can act?"""
    growing_per_s = growth_per_s(samples)
    if growing_per_s <= 0 or not samples[-1].limit:
        return False
    last = samples[-1]
    left_s, fill_ratio = (last.limit - last.entries) / growing_per_s, last.entries / last.limit
    return (fill_ratio >= LATER_FILL_RATIO and left_s < LATER_S) or (fill_ratio >= SOON_FILL_RATIO and left_s < SOON_S)


def misjudges_windows(samples: Sequence[Sample]) -> bool:
    """Does the firewall call packets of live sessions invalid, because they look out of window to it?"""
    packets, outside = sum(sample.packets for sample in samples), sum(sample.out_of_window for sample in samples)
    return outside >= MIN_OUT_OF_WINDOW and outside >= OUT_OF_WINDOW_SHARE * packets


def _demand(service: ServiceWindow, duration_s: float) -> float:
    normally = service.normal_syn.level * duration_s
    return min(1.0, (service.syn - service.syn_retransmitted) / normally) if normally > 0 else 1.0


def _of(sample: Sample, concerned: str | None) -> list[ServiceHealth]:
    return [health for label, health in sample.services.items() if concerned in (None, label)]
