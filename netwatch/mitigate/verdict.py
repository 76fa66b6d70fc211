"""Did a change help? Its verdict, from health before it and after it, within the few seconds that a wrong change may stay.

*Better*: whoever complained before is quiet in two windows running, or at the end of the trial clearly more handshakes come about than
before; where nobody complained yet (a forecast), the table has stopped to fill and nobody complains for the whole time. *Worse*: people's
sessions, or canaries, clearly come about less than before the change. That is a mode of its own (``mitigation-induced``), and it must not
take the whole time of the trial to see: measured on kernel 6.18, nftables' ``synproxy … timestamp`` lets 0 of 5 connections through. What a
service completed beyond its normal is no loss when it stops: those may have been the attacker's own.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from math import sqrt

import msgspec

from netwatch.mitigate.health import (
    FEWEST_WINDOWS,
    FRESH_S,
    MIN_MISSING,
    SOON_S,
    Complaint,
    Probe,
    Sample,
    complaints,
    expected_of,
    growth_per_s,
    refuses,
    windows_needed,
)

BEFORE_WINDOWS = 3
"""Windows before a change that say how things were."""

CLEARLY_WORSE_SHARE = 0.2
"""Of the handshakes completed before: a smaller loss is not called worse."""

CLEARLY_BETTER_SHARE = 0.2
"""Of the handshakes that were missing before: a change that brought back fewer did not help."""

CHANCE_SPREADS = 3.0
"""A loss or a gain within so many standard deviations is chance."""

CHANCE = 0.05
MOST_CERTAIN = 0.95
"""A run of failed canaries is no chance where it had at most this probability before; no canary is taken for more certain than that."""

FULL_SHARE = 0.98

GROWTH_LEFT = 0.5
"""Of its growth before the change: a table that grows less has stopped to fill."""


class Outcome(StrEnum):
    OPEN = "open"
    BETTER = "better"
    WORSE = "worse"


class Verdict(msgspec.Struct, frozen=True):
    outcome: Outcome
    text: str = ""  # why
    bears: frozenset[Complaint] = frozenset()  # what is not well yet, but clearly better
    promising: bool = False  # open, but nobody complains at the moment: another window or two will tell


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """How things were when a change was made."""

    at_s: float
    complaints: frozenset[Complaint] = frozenset()
    completed_per_s: Mapping[str, float] = {}  # by service, in the worst of the windows before, and no more than its normal
    spread_per_s: Mapping[str, float] = {}
    canary_share: Mapping[str, float] = {}  # connections that came about, by service
    growth_per_s: float = 0.0
    settle_s: float = 0.0  # the change may need so long until it can show in the table


def baseline(at_s: float, samples: Sequence[Sample], probes: Sequence[Probe], concerned: str | None, *, settle_s: float = 0.0) -> Baseline:
    """How things are now, before a change; samples and probes are those of just now, the newest last."""
    recent = samples[-BEFORE_WINDOWS:]
    grown_per_s = growth_per_s(recent)
    fresh = [probe for probe in probes if probe.at_s >= at_s - FRESH_S]
    found = complaints(recent, fresh, concerned) | complaints(recent[:-1], (), concerned)
    if _soon_full(recent, grown_per_s):
        found |= {Complaint.FILLING}
    completed_per_s: dict[str, float] = {}
    spread_per_s: dict[str, float] = {}
    for label in sorted({label for sample in recent for label in sample.services}):
        seen = [sample for sample in recent if label in sample.services]
        lowest_per_s = min(sample.services[label].completed / max(sample.duration_s, 1e-9) for sample in seen)
        newest = seen[-1].services[label]
        completed_per_s[label] = min(lowest_per_s, newest.level_per_s)
        spread_per_s[label] = newest.spread_per_s
    return Baseline(
        at_s=at_s,
        complaints=found,
        completed_per_s=completed_per_s,
        spread_per_s=spread_per_s,
        canary_share=_shares(probes),
        growth_per_s=grown_per_s,
        settle_s=settle_s,
    )


def with_canaries(before: Baseline, probes: Iterable[Probe], onset_s: float) -> Baseline:
    """The same with the canaries that have ended by now: one that was begun before the change and waits in vain says so only after it.

    Where somebody was hurt already, what came about before the incident began says nothing about what came about before the change.
    """
    hurt = bool(before.complaints - {Complaint.FILLING})
    begun = [probe for probe in probes if probe.at_s < before.at_s and (probe.at_s >= onset_s or not hurt)]
    return msgspec.structs.replace(before, canary_share=_shares(begun))


def with_growth(before: Baseline, samples: Iterable[Sample]) -> Baseline:
    """The same with how fast the table filled in windows after the change that were too early for it to show.

    An attack that has just begun has filled little in the windows before: what it does without the change is seen only now.
    """
    early = [sample for sample in samples if sample.end_s <= before.at_s + before.settle_s]
    return msgspec.structs.replace(before, growth_per_s=max(before.growth_per_s, growth_per_s(early)))


def judge(before: Baseline, samples: Sequence[Sample], probes: Sequence[Probe], concerned: str | None, *, trial_is_over: bool) -> Verdict:
    """The verdict on a change, from whole windows and canaries that began after it."""
    if not (samples and _is_full(samples[-1])) and (worse := _worse(before, samples, probes)):
        return Verdict(Outcome.WORSE, worse)
    rest = remaining(before, samples, probes, concerned)
    if rest == {Complaint.HEALTH} and trial_is_over and (better := _improved(before, samples, concerned)):
        return Verdict(Outcome.BETTER, better, rest)
    if rest:
        return Verdict(Outcome.OPEN, ", ".join(sorted(rest)))
    needed = FEWEST_WINDOWS if trial_is_over else windows_needed(samples, concerned)
    if len(samples) < needed or remaining(before, samples[:-1], probes, concerned):
        return Verdict(Outcome.OPEN, "too few windows since the change", promising=bool(samples))
    if Complaint.CANARY in before.complaints and not probes:
        return Verdict(Outcome.OPEN, "no canary since the change")
    if Complaint.HEALTH in before.complaints and expected_of(samples, concerned) < MIN_MISSING:
        return Verdict(Outcome.OPEN, "nobody asks for connections any more")
    if before.complaints:
        return Verdict(Outcome.BETTER, f"no more: {', '.join(sorted(before.complaints))}")
    return Verdict(Outcome.BETTER, "nobody was hurt, and nobody is") if trial_is_over else Verdict(Outcome.OPEN, "nobody is hurt so far")


def _is_full(sample: Sample) -> bool:
    """Newcomers fail at the table, whatever a change does to them."""
    return refuses(sample) or sample.entries >= FULL_SHARE * sample.limit > 0


def remaining(before: Baseline, samples: Sequence[Sample], probes: Iterable[Probe], concerned: str | None) -> frozenset[Complaint]:
    """Who complains in spite of the change. A table that fills counts if it did before: after an eviction every table fills again."""
    found = complaints(samples, probes, concerned) - {Complaint.FILLING}
    settled = [sample for sample in samples if sample.start_s >= before.at_s + before.settle_s]
    looked_at = settled if len(settled) > FEWEST_WINDOWS else samples
    grown_per_s = growth_per_s(looked_at)
    fills_still = Complaint.FILLING in before.complaints and grown_per_s > GROWTH_LEFT * before.growth_per_s
    return found | {Complaint.FILLING} if fills_still and _soon_full(samples, grown_per_s) else found


def _worse(before: Baseline, samples: Sequence[Sample], probes: Sequence[Probe]) -> str:
    """What became clearly worse, in words; empty if nothing did."""
    for label, rate_per_s in before.completed_per_s.items():
        for windows in sorted({1, 2, len(samples)}):
            looked_at = [sample for sample in samples[-windows:] if label in sample.services]
            seconds = sum(sample.duration_s for sample in looked_at)
            completed = sum(sample.services[label].completed for sample in looked_at)
            expected = sum(rate_per_s * sample.duration_s * sample.services[label].demand for sample in looked_at)
            chance = _chance(expected, seconds, before.spread_per_s[label])
            if expected - completed > max(CLEARLY_WORSE_SHARE * expected, chance):
                return f"{label}: {completed / seconds:.1f} handshakes/s completed, {rate_per_s:.1f}/s before the change"
    for label, share in before.canary_share.items():
        answers = [probe.ok for probe in probes if probe.service == label]
        failures = len(answers) - (max((place for place, ok in enumerate(answers) if ok), default=-1) + 1)
        if failures >= 2 and (1.0 - min(share, MOST_CERTAIN)) ** failures <= CHANCE:
            return f"{label}: {failures} canary connections in a row failed, {share:.0%} came about before the change"
    return ""


def _improved(before: Baseline, samples: Sequence[Sample], concerned: str | None) -> str:
    """How much more comes about than before, in words; empty if it is not clearly more."""
    labels = [label for label in before.completed_per_s if concerned in (None, label)]
    looked_at = samples[-FEWEST_WINDOWS:]
    seconds = sum(sample.duration_s for sample in looked_at)
    completed = sum(sample.services[label].completed for sample in looked_at for label in labels if label in sample.services)
    rate_per_s = sum(before.completed_per_s[label] for label in labels)
    spread_per_s = sqrt(sum(before.spread_per_s[label] ** 2 for label in labels))
    base = rate_per_s * seconds
    lacked = max(expected_of(looked_at, concerned) - base, 0.0)
    if completed - base <= max(CLEARLY_BETTER_SHARE * lacked, _chance(base, seconds, spread_per_s)):
        return ""
    return f"better, but not well: {completed / seconds:.1f} handshakes/s completed, {rate_per_s:.1f}/s before the change"


def _chance(expected: float, seconds: float, spread_per_s: float) -> float:
    """How far a count may lie from what is expected: Poisson, and the service's own unrest."""
    return CHANCE_SPREADS * sqrt(max(expected, 1.0) + seconds * spread_per_s**2)


def _shares(probes: Iterable[Probe]) -> dict[str, float]:
    answers: dict[str, list[bool]] = {}
    for probe in probes:
        answers.setdefault(probe.service, []).append(probe.ok)
    return {label: sum(found) / len(found) for label, found in answers.items()}


def _soon_full(samples: Sequence[Sample], grown_per_s: float) -> bool:
    """Within a minute at this growth, however empty it is: an attack may have begun a second ago."""
    if grown_per_s <= 0 or not samples or not samples[-1].limit:
        return False
    return (samples[-1].limit - samples[-1].entries) / grown_per_s < SOON_S
