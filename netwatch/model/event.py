"""What a running netwatch tells: the event stream, from which sinks, pages and logs are fed.

The types of the stream are contracts: ``window``, ``finding``, ``incident.opened|updated|closed``, ``plan.…``, ``change.…``, ``error``.
What happens to a mitigation is a ``MitigationEvent`` of change.py. Every event has ``time_s`` (since the epoch) and ``type``.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from netwatch.model.canary import CanaryResult
from netwatch.model.change import MitigationEvent, Plan
from netwatch.model.firewall_state import FirewallState
from netwatch.model.incident import Finding, Incident
from netwatch.model.window import Window


class WindowClosed(msgspec.Struct, frozen=True, kw_only=True):
    """One second is over."""

    time_s: float
    window: Window
    state: FirewallState | None = None  # the newest poll of a live firewall
    canaries: tuple[CanaryResult, ...] = ()  # attempts that ended within the window
    type: Literal["window"] = "window"


class FindingMade(msgspec.Struct, frozen=True, kw_only=True):
    """A detector judged a window to be bad; once a window for as long as it is."""

    time_s: float
    finding: Finding
    type: Literal["finding"] = "finding"


class IncidentTold(msgspec.Struct, frozen=True, kw_only=True):
    """An incident was opened, has news, or is over; ``incident`` is all that is known now."""

    time_s: float
    type: Literal["incident.opened", "incident.updated", "incident.closed"]
    incident: Incident


class ErrorTold(msgspec.Struct, frozen=True, kw_only=True):
    """A part of netwatch is in trouble, or is well again (``over``)."""

    time_s: float
    part: str  # "capture", "state", "canary inbound-smtp", "sink influxdb", "journal" …
    text: str  # one sentence
    over: bool = False
    type: Literal["error"] = "error"


class StageReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a part of netwatch did since the start."""

    stage: str  # "capture", "decode", "track", "detect", "state", "canary", "sink influxdb", "journal" …
    taken: int = 0  # packets, polls, points …
    given: int = 0
    dropped: Mapping[str, int] = {}  # by reason
    queued: int = 0  # waiting now
    restarts: int = 0
    healthy: bool = True
    problem: str = ""


class SelfReported(msgspec.Struct, frozen=True, kw_only=True):
    """How netwatch itself does; once a second, for metrics only."""

    time_s: float
    stages: tuple[StageReport, ...]
    detection_delay_s: float  # from the end of the newest window by the packets' clock to its judgement
    mitigations: tuple[Plan, ...] = ()  # in force
    mitigation_ends_s: Mapping[str, float] = {}  # by plan, when the kernel disarms it if it is not renewed
    cpu_s: float = 0.0  # of this process since its start
    memory_bytes: int = 0
    type: Literal["self"] = "self"


Event = WindowClosed | FindingMade | IncidentTold | MitigationEvent | ErrorTold | SelfReported
