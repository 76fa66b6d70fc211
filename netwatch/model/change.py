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
    sysctl: tuple[str, ...] = ()  # "net.netfilter.nf_conntrack_tcp_loose=1": the last resort, held by a guardian that restores it
    life_s: float


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a driver did."""

    change_id: str
    applied_at_s: float  # of the clock that the caller gave
    expires_at_s: float
    evicted: int = 0  # entries


class Element(msgspec.Struct, frozen=True):
    """One element of a set or map of netwatch's table, as commands name it and as the kernel lists it."""

    set: str  # "synproxy4"
    key: str  # "203.0.113.25 . 25"; of a map without its value
    expires_s: float | None = None  # seconds from now, as listed


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan would have done to the traffic of just now, in a copy of the session table."""

    modelled: bool = True  # False: the session-table model cannot show what it does, and the counts say nothing
    seconds: float = 0.0  # of traffic that it was tried on
    healthy_sessions: int = 0  # carried payload both ways
    healthy_hit: int = 0  # of these, refused or evicted
    packets_before: int = 0  # before the incident's onset: the baseline
    refused_before: int = 0  # of these, refused

    @property
    def healthy_share(self) -> float:
        """Of the healthy sessions, those hit."""
        return self.healthy_hit / max(self.healthy_sessions, self.healthy_hit, 1)

    @property
    def baseline_share(self) -> float:
        """Of the packets before the incident, those refused."""
        return self.refused_before / max(self.packets_before, self.refused_before, 1)


class PlanState(StrEnum):
    PROPOSED = "proposed"  # waits for an approval (mode suggest), or is only said (mode observe)
    REFUSED = "refused"  # a guard said no, or a person
    APPROVED = "approved"  # by a person
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
    rehearsal: Rehearsal | None = None
    proposed_at_s: float = 0.0


FINAL_STATES = frozenset({PlanState.REFUSED, PlanState.UNDONE, PlanState.EXPIRED, PlanState.FAILED})
"""Nothing of such a plan is in force any more, and nothing of it will be."""


class EventType(StrEnum):
    """What the life of a mitigation tells, by the names of the event stream."""

    INCIDENT_OPENED = "incident.opened"  # only ``MITIGATION_INDUCED``; all others are told by the correlator
    INCIDENT_CLOSED = "incident.closed"
    PLAN_PROPOSED = "plan.proposed"
    PLAN_APPROVED = "plan.approved"
    PLAN_REJECTED = "plan.rejected"
    PLAN_FAILED = "plan.failed"
    CHANGE_APPLIED = "change.applied"
    CHANGE_VERIFIED = "change.verified"
    CHANGE_RENEWED = "change.renewed"
    CHANGE_UNDONE = "change.undone"
    CHANGE_EXPIRED = "change.expired"
    ERROR = "error"


MITIGATION_INDUCED = "mitigation-induced"
"""The mode of an outage that a mitigation made. No detector finds it, so it is no ``Mode``: it is the engine's verdict on itself."""


class MitigationEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to a plan, for the event stream, the journal and people."""

    time_s: float
    type: EventType
    incident_id: str
    text: str  # one sentence
    mode: str = ""  # slug of the incident's mode
    plan: Plan | None = None  # as it is after the event
    receipt: Receipt | None = None  # of an applied or renewed change
    by: str = ""  # the person, where it was one
    failed: bool = False  # what was to end the harm did not, or could not be done: a person should look
