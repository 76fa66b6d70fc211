"""An incident looked back at: what was found, what was planned, and what happened in which order, by whom."""

import msgspec

from netwatch.model.change import Plan, Receipt
from netwatch.model.incident import Incident


class Happening(msgspec.Struct, frozen=True):
    at_s: float
    type: str  # "incident", or a name of the event stream such as "change.applied"
    plan_id: str | None
    text: str
    by: str  # the person, where it was one


class PlanHistory(msgspec.Struct, frozen=True):
    plan: Plan
    receipt: Receipt | None  # of the change: when it was first made, its newest end, and the entries evicted in all


class IncidentHistory(msgspec.Struct, frozen=True):
    incident: Incident
    plans: tuple[PlanHistory, ...]
    happened: tuple[Happening, ...]  # in the order of time
