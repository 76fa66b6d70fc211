"""After a restart: what the journal says against what is in force on the firewall.

A netwatch that was killed left three things that may not agree: plans on disk without an end, elements in the kernel that count down, and
nobody who watches. What is known and whole is adopted, so that a restart in the middle of an attack does not open the gate; it is held for
the hold-down, and if its cause is still there it will be found again. What is known and must not be any more is undone. What nobody knows
was put there by a person, who may have pasted a recommendation, and is left alone: it ends by itself.
"""

from collections.abc import Sequence

import msgspec

from netwatch.mitigate.events import Adopted
from netwatch.mitigate.ladder import elements_of
from netwatch.mitigate.settings import MitigationSettings, OperatingMode
from netwatch.model.change import Element, EventType, MitigationEvent, Plan, PlanState, Receipt

NEVER_MADE = frozenset({PlanState.PROPOSED, PlanState.APPROVED})
"""Their intent is not on disk, so their change was not made; what looks like it was pasted by a person."""

NOT_RUNNING = "netwatch was not running"


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    adopt: tuple[Adopted, ...]  # for ``Life``
    undo: tuple[Plan, ...]  # for the driver; ``undone`` is what to tell then
    told: tuple[MitigationEvent, ...]  # what ended meanwhile, for the journal and the event stream
    strangers: tuple[Element, ...]  # in force, and not ours


def reconcile(
    in_force: Sequence[Element], unfinished: Sequence[tuple[Plan, Receipt | None]], settings: MitigationSettings, *, now_s: float
) -> Reconciliation:
    """Compare them.

    Args:
        in_force: as the driver lists it.
        unfinished: plans of the journal without an end, each with what was last said of its change; the oldest first.
        settings: of now; they may have become stricter.
        now_s: of the same clock as the journal's.
    """
    left = {(element.set, element.key): element for element in in_force}
    adopt: list[Adopted] = []
    undo: list[Plan] = []
    told: list[MitigationEvent] = []
    for plan, receipt in reversed(unfinished):  # of two plans that armed the same, the newer one rules
        made = receipt is not None or plan.state not in NEVER_MADE
        wanted = elements_of(plan.change) if made else ()
        ours = [found for element in wanted if (found := left.pop((element.set, element.key), None)) is not None]
        if not ours and not (made and plan.change.sysctl):
            told.append(_ended(plan, receipt, now_s))
            continue
        applied_s = receipt.applied_at_s if receipt is not None else plan.proposed_at_s
        if _may_stay(plan, ours, settings, lives_s=now_s - applied_s):
            lasts_s = min(plan.change.life_s if element.expires_s is None else element.expires_s for element in ours)
            held = Receipt(change_id=plan.change.id, applied_at_s=applied_s, expires_at_s=now_s + lasts_s)
            adopt.append(Adopted(now_s, plan, held))
        else:
            undo.append(plan)
    return Reconciliation(adopt=tuple(adopt), undo=tuple(undo), told=tuple(told), strangers=tuple(left.values()))


def undone(plan: Plan, *, now_s: float) -> MitigationEvent:
    """What to tell when the driver has undone a plan that must not stay."""
    return _told(plan, PlanState.UNDONE, EventType.CHANGE_UNDONE, f"undone: {NOT_RUNNING}, and it cannot be held", now_s)


def _may_stay(plan: Plan, ours: Sequence[Element], settings: MitigationSettings, *, lives_s: float) -> bool:
    """Whole, allowed by the settings of now, and not at the end of its life."""
    whole = len(ours) == len(elements_of(plan.change)) and not plan.change.sysctl
    return whole and settings.mode is not OperatingMode.OBSERVE and not settings.dry_run and lives_s < settings.max_life_s


def _ended(plan: Plan, receipt: Receipt | None, now_s: float) -> MitigationEvent:
    """Nothing of it is in force: it never was, or it has expired."""
    if receipt is not None or plan.state not in NEVER_MADE:
        return _told(plan, PlanState.EXPIRED, EventType.CHANGE_EXPIRED, f"expired: {NOT_RUNNING}", now_s)
    return _told(plan, PlanState.REFUSED, EventType.PLAN_REJECTED, f"{NOT_RUNNING}, and its incident is not known any more", now_s)


def _told(plan: Plan, state: PlanState, event: EventType, text: str, now_s: float) -> MitigationEvent:
    ended = msgspec.structs.replace(plan, state=state, reason=text)
    return MitigationEvent(time_s=now_s, type=event, incident_id=plan.incident_id, text=text, mode=plan.mode, plan=ended)
