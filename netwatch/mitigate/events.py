"""What the life of a mitigation is told, by the pipeline, the driver, the journal and people. Every event carries its time."""

import msgspec

from netwatch.mitigate.health import Probe, Sample
from netwatch.model.change import Plan, Receipt, Rehearsal
from netwatch.model.incident import Incident
from netwatch.model.service import Service


class IncidentTold(msgspec.Struct, frozen=True):
    """An incident was opened or has news; it is over if it has an end."""

    at_s: float
    incident: Incident
    services: tuple[Service, ...]  # known now


class Measured(msgspec.Struct, frozen=True):
    """A window was closed."""

    sample: Sample

    @property
    def at_s(self) -> float:
        return self.sample.end_s


class Probed(msgspec.Struct, frozen=True):
    """A canary connection came about or failed."""

    at_s: float
    probe: Probe


class Tick(msgspec.Struct, frozen=True):
    """Time passes; once a second."""

    at_s: float


class Rehearsed(msgspec.Struct, frozen=True):
    """The answer to ``Rehearse``; without a rehearsal if there is nothing to try the plan on."""

    at_s: float
    plan_id: str
    rehearsal: Rehearsal | None


class Approved(msgspec.Struct, frozen=True):
    at_s: float
    plan_id: str
    by: str


class Declined(msgspec.Struct, frozen=True):
    at_s: float
    plan_id: str
    by: str


class UndoAsked(msgspec.Struct, frozen=True):
    """A person wants a plan undone; without its id, all of them."""

    at_s: float
    plan_id: str | None
    by: str


class IntentKept(msgspec.Struct, frozen=True):
    """The plan is on disk."""

    at_s: float
    plan_id: str


class IntentLost(msgspec.Struct, frozen=True):
    """The plan could not be written down."""

    at_s: float
    plan_id: str
    reason: str


class ChangeApplied(msgspec.Struct, frozen=True):
    """The driver made a change, or renewed it."""

    at_s: float
    receipt: Receipt


class ChangeFailed(msgspec.Struct, frozen=True):
    """The driver could not make, renew or repeat a change; of one that was to be made nothing is in force."""

    at_s: float
    change_id: str
    reason: str


class ChangeUndone(msgspec.Struct, frozen=True):
    at_s: float
    change_id: str


class UndoFailed(msgspec.Struct, frozen=True):
    at_s: float
    change_id: str
    reason: str


class Flushed(msgspec.Struct, frozen=True):
    """Somebody else emptied or removed netwatch's table: nothing of it is in force any more."""

    at_s: float
    reason: str


class StateLost(msgspec.Struct, frozen=True):
    """The firewall lost its state table: a failover, a flush, a restart."""

    at_s: float


class Adopted(msgspec.Struct, frozen=True):
    """A change of an earlier netwatch is still in force."""

    at_s: float
    plan: Plan
    receipt: Receipt


class Stopping(msgspec.Struct, frozen=True):
    """netwatch is about to stop. ``release`` undoes what is in force; otherwise it is left to its own end, for a successor to adopt."""

    at_s: float
    release: bool = True


Event = (
    IncidentTold
    | Measured
    | Probed
    | Tick
    | Rehearsed
    | Approved
    | Declined
    | UndoAsked
    | IntentKept
    | IntentLost
    | ChangeApplied
    | ChangeFailed
    | ChangeUndone
    | UndoFailed
    | Flushed
    | StateLost
    | Adopted
    | Stopping
)
