"""After a restart: what is adopted, what is undone, what has ended meanwhile, and what is none of our business."""

import msgspec

from netwatch.mitigate.reconcile import Reconciliation, reconcile, undone
from netwatch.mitigate.settings import OperatingMode
from netwatch.model.change import Change, Element, EventType, Plan, PlanState, Receipt
from netwatch.model.incident import Mode
from tests.mitigate.play import settings

SYNPROXY = Element("synproxy4", "203.0.113.25 . 25", 33.0)
BLOCKED = Element("blk4", "192.0.2.0/24", 200.0)


def plan(number: int = 1, *, lines: int = 1, state: PlanState = PlanState.APPLIED, at_s: float = 100.0) -> Plan:
    undo = ("delete element inet netwatch synproxy4 { 203.0.113.25 . 25 }", "delete element inet netwatch blk4 { 192.0.2.0/24 }")
    change = Change(id=f"edge-1-1.{number}", playbook="synproxy+evict-half-open", undo=undo[:lines], life_s=60.0)
    return Plan(
        id=change.id,
        incident_id="edge-1-1",
        mode=Mode.SYN_FLOOD,
        firewall="edge-1",
        service=None,
        rung=0,
        change=change,
        state=state,
        proposed_at_s=at_s,
    )


def made(one: Plan, *, at_s: float = 105.0) -> Receipt:
    return Receipt(change_id=one.id, applied_at_s=at_s, expires_at_s=at_s + 60)


def after(
    in_force: list[Element], unfinished: list[tuple[Plan, Receipt | None]], *, now_s: float = 130.0, **changes: object
) -> Reconciliation:
    return reconcile(in_force, unfinished, settings(**changes), now_s=now_s)  # type: ignore[arg-type]  # fields of the settings


def test_what_is_in_force_and_known_is_adopted_with_the_life_it_has_left() -> None:
    found = after([SYNPROXY], [(plan(), made(plan()))])
    (adopted,) = found.adopt
    assert adopted.plan == plan()
    assert (adopted.receipt.applied_at_s, adopted.receipt.expires_at_s) == (105.0, 163.0)
    assert (found.undo, found.told, found.strangers) == ((), (), ())


def test_an_intent_whose_change_was_made_but_not_written_down_is_adopted_from_its_proposal_on() -> None:
    (adopted,) = after([SYNPROXY], [(plan(state=PlanState.JOURNALLED), None)]).adopt
    assert adopted.receipt.applied_at_s == 100.0


def test_what_is_in_force_in_part_is_undone() -> None:
    found = after([SYNPROXY], [(plan(lines=2), made(plan()))])
    assert found.adopt == ()
    assert found.undo == (plan(lines=2),)
    told = undone(plan(), now_s=131.0)
    assert told.type is EventType.CHANGE_UNDONE
    assert told.plan is not None
    assert told.plan.state is PlanState.UNDONE


def test_what_the_settings_of_now_would_not_allow_is_undone() -> None:
    for changes in ({"mode": OperatingMode.OBSERVE}, {"dry_run": True}, {"max_life_s": 20.0}):
        found = after([SYNPROXY], [(plan(), made(plan()))], **changes)
        assert (found.adopt, found.undo) == ((), (plan(),)), changes


def test_a_sysctl_is_never_adopted() -> None:
    change = msgspec.structs.replace(plan().change, sysctl=("net.netfilter.nf_conntrack_tcp_loose=1",))
    one = msgspec.structs.replace(plan(), change=change)
    assert after([], [(one, made(one))]).undo == (one,)


def test_what_expired_meanwhile_is_told_and_so_is_what_was_never_approved() -> None:
    found = after([], [(plan(1), made(plan())), (plan(2, state=PlanState.JOURNALLED), None), (plan(3, state=PlanState.PROPOSED), None)])
    states = {event.plan.id: (event.type, event.plan.state) for event in found.told if event.plan is not None}
    assert states == {
        "edge-1-1.1": (EventType.CHANGE_EXPIRED, PlanState.EXPIRED),
        "edge-1-1.2": (EventType.CHANGE_EXPIRED, PlanState.EXPIRED),
        "edge-1-1.3": (EventType.PLAN_REJECTED, PlanState.REFUSED),
    }
    assert all("not running" in event.text for event in found.told)


def test_of_two_plans_that_armed_the_same_the_newer_one_rules() -> None:
    old, new = plan(1, at_s=50.0), plan(2, at_s=100.0)
    found = after([SYNPROXY], [(old, made(old, at_s=55.0)), (new, made(new))])
    assert [adopted.plan.id for adopted in found.adopt] == [new.id]
    assert [event.plan.id for event in found.told if event.plan is not None] == [old.id]


def test_what_a_person_put_there_is_left_alone() -> None:
    found = after([SYNPROXY, BLOCKED], [(plan(), made(plan()))])
    assert found.strangers == (BLOCKED,)
    assert len(found.adopt) == 1


def test_a_proposal_that_a_person_pasted_is_left_alone() -> None:
    found = after([SYNPROXY], [(plan(state=PlanState.PROPOSED), None)])
    assert found.strangers == (SYNPROXY,)
    assert (found.adopt, found.undo) == ((), ())
