"""Plans, incidents and events for tests of the journal."""

import msgspec

from netwatch.model.change import Change, EventType, MitigationEvent, Plan, PlanState, Receipt
from netwatch.model.incident import Attribution, Evidence, EvidenceKind, Incident, Mode, Severity, TimelineEntry
from netwatch.model.plan import Eviction


def plan(number: int = 1, *, incident: int = 1, state: PlanState = PlanState.JOURNALLED, at_s: float = 100.0) -> Plan:
    change = Change(
        id=f"edge-1-{incident}.{number}",
        playbook="synproxy+evict-half-open",
        nft=("add element inet netwatch synproxy4 { 203.0.113.25 . 25 timeout 60s }",),
        undo=("delete element inet netwatch synproxy4 { 203.0.113.25 . 25 }",),
        evict=Eviction(states=("SYN_SENT", "SYN_RECV"), min_idle_s=2.0),
        life_s=60.0,
    )
    return Plan(
        id=change.id,
        incident_id=f"edge-1-{incident}",
        mode=Mode.SYN_FLOOD,
        firewall="edge-1",
        service="203.0.113.25:25/tcp",
        rung=0,
        change=change,
        state=state,
        proposed_at_s=at_s + number,
    )


def incident(number: int = 1, *, onset_s: float = 90.0, ended_s: float | None = None) -> Incident:
    return Incident(
        id=f"edge-1-{number}",
        mode=Mode.SYN_FLOOD,
        severity=Severity.CRITICAL,
        firewall="edge-1",
        service="203.0.113.25:25/tcp",
        onset_s=onset_s,
        detected_s=onset_s + 1,
        ended_s=ended_s,
        evidence=(Evidence("syn_per_s", 75_000.0, EvidenceKind.TRAFFIC, "75,000 SYN/s"),),
        attribution=(Attribution("spoofed", "37669 sources", 1.0),),
        timeline=(TimelineEntry(onset_s, "began"), TimelineEntry(onset_s + 1, "syn-flood found")),
    )


def event(
    kind: EventType,
    of: Plan,
    *,
    at_s: float = 110.0,
    state: PlanState | None = None,
    receipt: Receipt | None = None,
    by: str = "",
    text: str = "so it was",
) -> MitigationEvent:
    after = of if state is None else msgspec.structs.replace(of, state=state)
    return MitigationEvent(time_s=at_s, type=kind, incident_id=of.incident_id, text=text, mode=of.mode, plan=after, receipt=receipt, by=by)


def receipt(of: Plan, *, applied_at_s: float = 105.0, life_s: float = 60.0, evicted: int = 12_000) -> Receipt:
    return Receipt(change_id=of.change.id, applied_at_s=applied_at_s, expires_at_s=applied_at_s + life_s, evicted=evicted)
