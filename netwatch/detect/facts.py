"""Facts that detectors put forward, each with its kind, its value and a sentence with unit and base."""

from netwatch.model.incident import Evidence, EvidenceKind, Severity
from netwatch.model.window import FirewallWindow, Normal


def traffic(name: str, value: float, text: str) -> Evidence:
    """What packets or flow records show."""
    return Evidence(name, value, EvidenceKind.TRAFFIC, text)


def state(name: str, value: float, text: str) -> Evidence:
    """What the firewall's table and counters show."""
    return Evidence(name, value, EvidenceKind.STATE, text)


def health(name: str, value: float, text: str) -> Evidence:
    """What the users of the service feel."""
    return Evidence(name, value, EvidenceKind.HEALTH, text)


def number(value: float) -> str:
    """``9,800``; one decimal below ten."""
    return f"{value:,.0f}" if abs(value) >= 10 or value == int(value) else f"{value:,.1f}"


def percent(ratio: float) -> str:
    """``4 %``; one decimal below one per cent, so that little is not called nothing."""
    return f"{ratio * 100:.1f} %" if 0 < ratio < 0.01 else f"{ratio * 100:.0f} %"


def normally(normal: Normal, *, warming: bool) -> str:
    """The base of a rate: ``normally 120``, or why there is none."""
    return "no normal known yet" if warming else f"normally {number(normal.level)}"


def fill(firewall: FirewallWindow) -> str:
    """``table 91 % of 262,144``."""
    return f"table {percent(firewall.fill_ratio)} of {firewall.limit:,}"


def duration(seconds: float) -> str:
    """``40 s``, ``3 min``, ``2.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def severity(evidence: tuple[Evidence, ...], *, hurts: bool) -> Severity:
    """Critical needs two kinds of evidence that agree, and harm done or about to be done; anything less is a warning."""
    return Severity.CRITICAL if hurts and len({item.kind for item in evidence}) >= 2 else Severity.WARNING
