"""Findings for tests: a warning of traffic by default, in which a test names only what differs."""

from collections.abc import Sequence

from netwatch.model.incident import Attribution, Evidence, EvidenceKind, Finding, Mode, Severity
from netwatch.model.window import FirewallWindow, Window

T0 = 1_750_000_000.0
A, B = "203.0.113.25:25/tcp", "203.0.113.93:993/tcp"


def window(second: float, *, entries: int = 15_000, dropped_full: int = 0) -> Window:
    firewall = FirewallWindow(entries=entries, limit=30_000, dropped_full=dropped_full)
    return Window(start_s=T0 + second, duration_s=1.0, warming=False, firewall=firewall, services=())


def finding(
    mode: Mode,
    second: float,
    service: str | None = A,
    *,
    onset: float | None = None,
    severity: Severity = Severity.WARNING,
    value: float = 100.0,
    kinds: Sequence[EvidenceKind] = (EvidenceKind.TRAFFIC,),
    name: str | None = None,
    attribution: Sequence[Attribution] = (),
) -> Finding:
    """What a detector says of the window that begins at ``second``."""
    evidence = tuple(Evidence(f"{name or mode}_{kind}", value, kind, f"{value:.0f} of {mode}") for kind in kinds)
    return Finding(
        mode=mode,
        service=None if mode == Mode.TABLE_FULL else service,
        severity=severity,
        at_s=T0 + second + 1.0,
        onset_s=T0 + (second if onset is None else onset),
        evidence=evidence,
        attribution=tuple(attribution),
    )
