"""What the life of a mitigation asks of those who can do things: the rehearsal, the journal, the driver, the event stream."""

import msgspec

from netwatch.model.change import Change, MitigationEvent, Plan
from netwatch.model.plan import Admission


class Rehearse(msgspec.Struct, frozen=True):
    """Try a plan on the traffic of just now; answered by ``Rehearsed``."""

    plan_id: str
    admission: Admission
    onset_s: float  # of the incident: what is older is the baseline


class Intend(msgspec.Struct, frozen=True):
    """Put a plan on disk; answered by ``IntentKept`` when it is durable, or ``IntentLost``."""

    plan: Plan


class Apply(msgspec.Struct, frozen=True):
    """Check a change and make it; answered by ``ChangeApplied`` or ``ChangeFailed``."""

    change: Change


class Renew(msgspec.Struct, frozen=True):
    """Let a change that is in force live for ``life_s`` from now; answered like ``Apply``."""

    change: Change


class Evict(msgspec.Struct, frozen=True):
    """Delete again the entries that a change in force is about; not answered, unless it fails."""

    change: Change


class Undo(msgspec.Struct, frozen=True):
    """Take a change back, whatever of it is there; answered by ``ChangeUndone`` or ``UndoFailed``."""

    change: Change


class Tell(msgspec.Struct, frozen=True):
    """For the event stream, and for the journal as far as it can still write."""

    event: MitigationEvent


class Answer(msgspec.Struct, frozen=True):
    """To the person who approved, declined or asked to undo."""

    ok: bool
    text: str


Order = Rehearse | Intend | Apply | Renew | Evict | Undo | Tell | Answer
