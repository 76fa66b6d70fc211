"""Plans, changes and receipts: what a mitigation will do to a firewall, as values that fit in the journal.

A change is one transaction on one firewall with an end of its own (``life_s``: the kernel disarms it then, with or without us) and an undo
that is known before it is made. Commands are lines for ``nft``, without the word itself.
"""

from enum import StrEnum

import msgspec

from netwatch.model.incident import Mode
from netwatch.model.plan import Eviction


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One transaction."""

    id: str
    playbook: str
    nft: tuple[str, ...] = ()  # "add element inet netwatch synproxy4 { 203.0.113.25 . 25 timeout 300s }"
    undo: tuple[str, ...] = ()  # "delete element inet netwatch synproxy4 { 203.0.113.25 . 25 }"
    evict: Eviction | None = None  # entries deleted when it is applied, and again every ``repeat_s`` while it lives
    life_s: float


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver did."""

    change_id: str
    applied_at_s: float  # of the clock that the caller gave
    expires_at_s: float
    evicted: int = 0  # entries


class PlanState(StrEnum):
    PROPOSED = "proposed"  # waits for an approval (mode suggest), or is only said (mode observe)
    REFUSED = "refused"  # a guard said no, or a person
    JOURNALLED = "journalled"  # the intent is on disk, the change not yet made
    APPLIED = "applied"
    VERIFIED = "verified"  # health got better
    UNDONE = "undone"
    EXPIRED = "expired"
    FAILED = "failed"  # the firewall refused it


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of a ladder, aimed at one incident."""

    id: str
    incident_id: str
    mode: Mode
    firewall: str
    service: str | None
    rung: int  # of the mode's ladder, from 0
    change: Change
    state: PlanState = PlanState.PROPOSED
    reason: str = ""  # why it was refused, undone or failed
