"""What a check comes to: what was found, and if it is not well, why that matters and what to do."""

from enum import StrEnum

import msgspec


class Outcome(StrEnum):
    OK = "ok"
    WARNING = "warning"  # netwatch works, and does less or less well than it could
    FAILED = "failed"  # netwatch cannot do what it is configured for
    SKIPPED = "skipped"  # could not be tried, and why


class Check(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    outcome: Outcome
    found: str  # one sentence
    why: str = ""  # it matters
    advice: str = ""  # what to do


def ok(name: str, found: str) -> Check:
    return Check(name=name, outcome=Outcome.OK, found=found)


def warning(name: str, found: str, *, why: str, advice: str) -> Check:
    return Check(name=name, outcome=Outcome.WARNING, found=found, why=why, advice=advice)


def failed(name: str, found: str, *, why: str, advice: str) -> Check:
    return Check(name=name, outcome=Outcome.FAILED, found=found, why=why, advice=advice)


def skipped(name: str, reason: str, *, advice: str = "") -> Check:
    return Check(name=name, outcome=Outcome.SKIPPED, found=reason, advice=advice)
