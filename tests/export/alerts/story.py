"""An incident as the event stream tells it, one readable line an event."""

from pathlib import Path

import msgspec

from netwatch.export.alerts.policy import AlertPolicy
from netwatch.export.sink import SinkContext
from netwatch.model.change import MITIGATION_INDUCED, Change, EventType, MitigationEvent, Plan, PlanState
from netwatch.model.event import IncidentTold, SelfReported
from netwatch.model.incident import Attribution, Evidence, EvidenceKind, Incident, Mode, Severity

ONSET_S = 1_709_823_621.0
"""2024-03-07 15:00:21 UTC."""

SMTP = "203.0.113.25:25/tcp"


def incident(number: int = 1, **changes: object) -> Incident:
    quiet = Incident(
        id=f"edge-1-20240307T150022-{number}",
        mode=Mode.SYN_FLOOD,
        severity=Severity.WARNING,
        firewall="edge-1",
        service=SMTP,
        onset_s=ONSET_S,
        detected_s=ONSET_S + 1,
        ended_s=None,
        evidence=(Evidence("syn_per_s", 5000.0, EvidenceKind.TRAFFIC, "5,000 SYN/s, normally 40"),),
        attribution=(Attribution("spoofed", "37669 sources", 1.0),),
        timeline=(),
    )
    return msgspec.structs.replace(quiet, **changes)


def opened(number: int = 1, *, at_s: float = 1.0, **changes: object) -> IncidentTold:
    return IncidentTold(time_s=ONSET_S + at_s, type="incident.opened", incident=incident(number, **changes))


def updated(number: int = 1, *, at_s: float = 2.0, **changes: object) -> IncidentTold:
    return IncidentTold(time_s=ONSET_S + at_s, type="incident.updated", incident=incident(number, **changes))


def closed(number: int = 1, *, at_s: float = 60.0, **changes: object) -> IncidentTold:
    ended = incident(number, ended_s=ONSET_S + at_s - 5, **changes)
    return IncidentTold(time_s=ONSET_S + at_s, type="incident.closed", incident=ended)


def tick(at_s: float) -> SelfReported:
    """What comes every second and tells nobody anything."""
    return SelfReported(time_s=ONSET_S + at_s, stages=(), detection_delay_s=0.1)


def plan(number: int = 1, rung: int = 1, *, playbook: str = "synproxy", state: PlanState = PlanState.APPLIED, reason: str = "") -> Plan:
    told = incident(number)
    return Plan(
        id=f"{told.id}.{rung}",
        incident_id=told.id,
        mode=told.mode,
        firewall=told.firewall,
        service=told.service,
        rung=rung - 1,
        change=Change(id=f"{told.id}.{rung}", playbook=playbook, nft=("add element …",), undo=("delete element …",), life_s=60.0),
        state=state,
        reason=reason,
    )


def mitigation(
    kind: EventType,
    text: str,
    number: int = 1,
    rung: int = 1,
    *,
    at_s: float = 3.0,
    playbook: str = "synproxy",
    state: PlanState = PlanState.APPLIED,
    reason: str = "",
    failed: bool = False,
    by: str = "",
) -> MitigationEvent:
    told = plan(number, rung, playbook=playbook, state=state, reason=reason)
    return MitigationEvent(
        time_s=ONSET_S + at_s, type=kind, incident_id=told.incident_id, text=text, mode=told.mode, plan=told, failed=failed, by=by
    )


def applied(number: int = 1, rung: int = 1, *, at_s: float = 3.0, playbook: str = "synproxy") -> MitigationEvent:
    return mitigation(EventType.CHANGE_APPLIED, f"{playbook} is in force", number, rung, at_s=at_s, playbook=playbook)


def verified(number: int = 1, rung: int = 1, *, at_s: float = 6.0) -> MitigationEvent:
    text = "no more: handshakes are missing"
    return mitigation(EventType.CHANGE_VERIFIED, text, number, rung, at_s=at_s, state=PlanState.VERIFIED)


def not_helped(number: int = 1, rung: int = 1, *, at_s: float = 10.0, playbook: str = "synproxy") -> MitigationEvent:
    text = "undone: not better after 7 s: handshakes are missing"
    return mitigation(EventType.CHANGE_UNDONE, text, number, rung, at_s=at_s, playbook=playbook, state=PlanState.UNDONE, failed=True)


def induced(kind: EventType, number: int = 1, rung: int = 1, *, at_s: float = 5.0) -> MitigationEvent:
    told = plan(number, rung)
    return MitigationEvent(
        time_s=ONSET_S + at_s,
        type=kind,
        incident_id=f"{told.id}-induced",
        text="it made things worse: 2 handshakes/s completed, 80 before",
        mode=MITIGATION_INDUCED,
        plan=told,
        failed=True,
    )


def context(state_dir: Path, **policy: object) -> SinkContext:
    alerts = msgspec.convert({"runbook_url": "https://wiki.example.net/modes/", **policy}, AlertPolicy)
    return SinkContext(site="dc1", firewall="edge-1", state_dir=state_dir, alerts=alerts)
