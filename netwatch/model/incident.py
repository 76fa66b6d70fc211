"""Findings and incidents: a detector's judgement of one window, and findings of one cause put together."""

from enum import StrEnum

import msgspec


class Mode(StrEnum):
    """Slugs of the failure-mode catalogue; the identifier of a mode everywhere."""

    TABLE_FULL = "table-full"
    SYN_FLOOD = "syn-flood"
    ESTABLISHED_CREEP = "established-creep"
    TIME_WAIT_PILEUP = "time-wait-pileup"
    UDP_STATE_FLOOD = "udp-state-flood"
    ACK_FLOOD = "ack-flood"
    RST_FLOOD = "rst-flood"
    ASYMMETRIC_ROUTING = "asymmetric-routing"
    IDLE_TIMEOUT_BLACKHOLE = "idle-timeout-blackhole"
    FRAGMENT_EXHAUSTION = "fragment-exhaustion"
    RETRY_STORM = "retry-storm"
    FAILOVER_WITHOUT_SYNC = "failover-without-sync"
    SERVICE_SILENT = "service-silent"


LIVE_ONLY = frozenset({Mode.FAILOVER_WITHOUT_SYNC})
"""Modes that only the firewall itself can tell, so that no replay finds them."""


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class EvidenceKind(StrEnum):
    """The three kinds of evidence that are kept apart: acting needs two that agree."""

    TRAFFIC = "traffic"
    STATE = "state"
    HEALTH = "health"


class Evidence(msgspec.Struct, frozen=True):
    """One measured fact, by name and value; ``text`` puts it in a sentence with unit and base."""

    name: str
    value: float
    kind: EvidenceKind
    text: str


class Attribution(msgspec.Struct, frozen=True):
    """Who: a source prefix, or a spoofed crowd."""

    kind: str  # "prefix", "spoofed" or "service"
    value: str  # "198.51.100.0/24", "37669 sources", …
    share: float  # of the excess, 0…1


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One detector's judgement of one window."""

    mode: Mode
    service: str | None  # Service.label; None when the whole firewall is meant
    severity: Severity
    at_s: float  # end of the window
    onset_s: float  # since when, by this detector's own reckoning
    evidence: tuple[Evidence, ...]
    attribution: tuple[Attribution, ...] = ()

    @property
    def kinds(self) -> frozenset[EvidenceKind]:
        return frozenset(item.kind for item in self.evidence)


class TimelineEntry(msgspec.Struct, frozen=True):
    at_s: float
    text: str


class Recommendation(msgspec.Struct, frozen=True):
    """What would end it: a playbook, and the exact text it would push."""

    playbook: str
    changes: tuple[str, ...]
    undo: tuple[str, ...] = ()  # the text that takes it back before it expires


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Findings of one cause. Each update is a new value; ``id`` stays."""

    id: str
    mode: Mode
    severity: Severity
    firewall: str
    service: str | None
    onset_s: float
    detected_s: float
    ended_s: float | None  # None while it lasts
    evidence: tuple[Evidence, ...]
    attribution: tuple[Attribution, ...]
    timeline: tuple[TimelineEntry, ...]
    consequences: tuple[Mode, ...] = ()  # other modes that follow from this one and are told with it
    recommendation: Recommendation | None = None
