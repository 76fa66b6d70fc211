"""What a drill did to those who only wanted to deliver mail, as a value: computed from what was noted while it ran.

Impact is what the canary says: from the first of its attempts that failed to the last, whatever was in between. Zero means that none
failed.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from netwatch.lab.clients import Attempt
from netwatch.lab.generator import Sent
from netwatch.lab.table_meter import Reading

NEARLY_FULL = 0.95


class Phase(StrEnum):
    BEFORE = "before"
    DURING = "during"
    AFTER = "after"


class Success(msgspec.Struct, frozen=True):
    """Attempts of the clients, and how many of them got what they came for in time."""

    tried: int
    succeeded: int
    share: float  # 1 where nobody tried: nobody was refused

    @staticmethod
    def of(tried: int, succeeded: int) -> "Success":
        return Success(tried, succeeded, round(succeeded / tried, 4) if tried else 1.0)


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """One second of a drill."""

    at_s: int  # its begin, after the attack's
    phase: Phase
    clients: Success
    canary: Success
    entries: int  # at its end
    dropped: int  # packets without room for an entry
    early_dropped: int  # entries thrown out for newer ones


class Moment(msgspec.Struct, frozen=True):
    """Something that happened."""

    at_s: float  # after the attack began
    text: str


class Notes(msgspec.Struct, frozen=True, kw_only=True):
    """All that was noted while a drill ran. Times are seconds since the epoch."""

    scenario: str
    protected: bool
    limit: int
    attack_at_s: float
    before_s: float
    attack_s: float
    after_s: float
    clients: Sequence[Attempt]
    canary: Sequence[Attempt]
    readings: Sequence[Reading]
    moments: Sequence[Moment]
    sent: Sequence[Sent]
    protection_cpu_s: float = 0.0
    protection_bytes: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a drill."""

    scenario: str
    protected: bool
    limit: int  # entries
    attack_at_s: float  # since the epoch
    impact_s: float
    impact_over: bool  # the last second's canaries all went well
    first_failed_at_s: float | None  # after the attack began
    last_failed_at_s: float | None
    success: dict[Phase, Success]
    canary: dict[Phase, Success]
    peak_entries: int
    sent: tuple[Sent, ...]
    seconds: tuple[Second, ...]
    timeline: tuple[Moment, ...]
    protection_cpu_s: float = 0.0  # of the protecting process, its start included
    protection_bytes: int = 0  # at most, resident


def measure(notes: Notes) -> Outcome:
    """Judge a drill by its notes."""
    failed = sorted(one.began_s - notes.attack_at_s for one in notes.canary if not one.ok and one.began_s >= notes.attack_at_s)
    first, last = (failed[0], failed[-1]) if failed else (None, None)
    end_s = notes.attack_s + notes.after_s
    moments = [*notes.moments, *_seen(notes, first, last)]
    return Outcome(
        scenario=notes.scenario,
        protected=notes.protected,
        limit=notes.limit,
        attack_at_s=notes.attack_at_s,
        impact_s=round(last - first, 3) if first is not None and last is not None else 0.0,
        impact_over=last is None or last < end_s - 1,
        first_failed_at_s=first,
        last_failed_at_s=last,
        success={phase: _success(one for one in notes.clients if _phase(notes, one.began_s) is phase) for phase in Phase},
        canary={phase: _success(one for one in notes.canary if _phase(notes, one.began_s) is phase) for phase in Phase},
        peak_entries=max((one.entries for one in notes.readings), default=0),
        sent=tuple(notes.sent),
        seconds=tuple(_seconds(notes)),
        timeline=tuple(sorted(moments, key=lambda one: one.at_s)),
        protection_cpu_s=round(notes.protection_cpu_s, 2),
        protection_bytes=notes.protection_bytes,
    )


def _phase(notes: Notes, moment_s: float) -> Phase:
    if moment_s < notes.attack_at_s:
        return Phase.BEFORE
    return Phase.DURING if moment_s < notes.attack_at_s + notes.attack_s else Phase.AFTER


def _success(attempts: Iterable[Attempt]) -> Success:
    outcomes = [one.ok for one in attempts]
    return Success.of(len(outcomes), sum(outcomes))


def _seconds(notes: Notes) -> Iterable[Second]:
    for at_s in range(-int(notes.before_s), int(notes.attack_s + notes.after_s)):
        begin = notes.attack_at_s + at_s
        before = [one for one in notes.readings if one.time_s <= begin]
        until = [one for one in notes.readings if one.time_s <= begin + 1]
        old, new = (before or notes.readings)[-1 if before else 0], (until or notes.readings)[-1 if until else 0]
        yield Second(
            at_s=at_s,
            phase=_phase(notes, begin),
            clients=_success(one for one in notes.clients if begin <= one.began_s < begin + 1),
            canary=_success(one for one in notes.canary if begin <= one.began_s < begin + 1),
            entries=new.entries,
            dropped=new.dropped - old.dropped,
            early_dropped=new.early_dropped - old.early_dropped,
        )


def _seen(notes: Notes, first_failed: float | None, last_failed: float | None) -> Iterable[Moment]:
    """What nobody did, but what could be seen."""
    for one in notes.readings:
        if one.entries >= NEARLY_FULL * notes.limit:
            yield Moment(one.time_s - notes.attack_at_s, f"the table is full: {one.entries:,} of {notes.limit:,} entries")
            break
    if first_failed is not None and last_failed is not None:
        yield Moment(first_failed, "the first canary fails")
        yield Moment(last_failed, "the last canary that fails")
