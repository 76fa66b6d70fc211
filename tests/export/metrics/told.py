"""Events with quiet defaults: what a test names is what differs."""

from typing import Any

from netwatch.model.canary import CanaryOutcome, CanaryResult
from netwatch.model.change import Change, EventType, MitigationEvent, Plan, PlanState
from netwatch.model.event import IncidentTold, SelfReported, StageReport, WindowClosed
from netwatch.model.firewall_state import FirewallState, ReassemblyCounts, SoftnetCounts, SynproxyCounts, TableEvents
from netwatch.model.incident import Evidence, EvidenceKind, Incident, Mode, Severity
from netwatch.model.service import Service
from netwatch.model.session import STATE_COUNT
from netwatch.model.window import FirewallWindow, ServiceWindow, Window

START_S = 1_764_000_000.0
SMTP = Service("inbound-smtp", "203.0.113.25", 25, "tcp")


def firewall(**counts: Any) -> FirewallWindow:
    return FirewallWindow(**{"entries": 700, "limit": 1_000, "by_state": (0,) * STATE_COUNT, **counts})


def service(of: Service = SMTP, **counts: Any) -> ServiceWindow:
    return ServiceWindow(service=of, warming=False, **counts)


def window(
    end_s: float = START_S,
    *,
    duration_s: float = 1.0,
    of: FirewallWindow | None = None,
    services: tuple[ServiceWindow, ...] = (),
    state: FirewallState | None = None,
    canaries: tuple[CanaryResult, ...] = (),
    **more: Any,
) -> WindowClosed:
    closed = Window(start_s=end_s - duration_s, duration_s=duration_s, warming=False, firewall=of or firewall(), services=services, **more)
    return WindowClosed(time_s=end_s, window=closed, state=state, canaries=canaries)


def poll(at_s: float = START_S, **parts: Any) -> FirewallState:
    quiet: dict[str, Any] = {
        "at_s": at_s,
        "interval_s": 1.0,
        "entries": 700,
        "limit": 1_000,
        "table": TableEvents(),
        "counters": {},
        "interfaces": {},
        "softnet": SoftnetCounts(),
        "synproxy": SynproxyCounts(),
        "reassembly": ReassemblyCounts(),
    }
    return FirewallState(**{**quiet, **parts})


def canary(outcome: CanaryOutcome = CanaryOutcome.ANSWERED, *, at_s: float = START_S, latency_s: float = 0.01) -> CanaryResult:
    return CanaryResult(service=SMTP.label, at_s=at_s, outcome=outcome, latency_s=latency_s)


def incident(name: str = "one", **parts: Any) -> Incident:
    usual: dict[str, Any] = {
        "id": name,
        "mode": Mode.SYN_FLOOD,
        "severity": Severity.CRITICAL,
        "firewall": "edge-1",
        "service": SMTP.label,
        "onset_s": START_S - 5,
        "detected_s": START_S,
        "ended_s": None,
        "evidence": (Evidence("syn_per_s", 2_000.0, EvidenceKind.TRAFFIC, "2,000 SYN/s"),),
        "attribution": (),
        "timeline": (),
    }
    return Incident(**{**usual, **parts})


def opened(of: Incident | None = None, time_s: float = START_S) -> IncidentTold:
    return IncidentTold(time_s=time_s, type="incident.opened", incident=of or incident())


def updated(of: Incident, time_s: float = START_S + 1) -> IncidentTold:
    return IncidentTold(time_s=time_s, type="incident.updated", incident=of)


def closed(of: Incident, time_s: float = START_S + 2) -> IncidentTold:
    return IncidentTold(time_s=time_s, type="incident.closed", incident=of)


def plan(name: str = "plan-1", *, playbook: str = "synproxy", state: PlanState = PlanState.APPLIED) -> Plan:
    change = Change(id=f"{name}-change", playbook=playbook, life_s=300.0)
    return Plan(
        id=name,
        incident_id="one",
        mode=Mode.SYN_FLOOD,
        firewall="edge-1",
        service=SMTP.label,
        rung=0,
        change=change,
        state=state,
        proposed_at_s=START_S,
    )


def happened(kind: EventType, of: Plan | None = None, time_s: float = START_S) -> MitigationEvent:
    return MitigationEvent(time_s=time_s, type=kind, incident_id="one", text="it happened", mode="syn-flood", plan=of or plan())


def itself(*stages: StageReport, time_s: float = START_S, **more: Any) -> SelfReported:
    return SelfReported(**{"time_s": time_s, "stages": stages, "detection_delay_s": 0.1, **more})
