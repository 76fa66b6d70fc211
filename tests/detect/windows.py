"""Windows for tests: a quiet second of a mail site by default, in which a test names only what differs.

Quiet is: 120 connections a second to one SMTP service, all of them answered and closed, in a table of 262,144 that is 6 % full.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from netwatch.detect.detector import Detector
from netwatch.model.incident import Finding
from netwatch.model.service import Service
from netwatch.model.session import STATE_COUNT, Census, FirewallProfile, PrefixEntries, SessionState
from netwatch.model.window import FirewallWindow, Normal, PrefixShare, ServiceWindow, Window

T0 = 1_750_000_000.0
LIMIT = 262_144
LINUX = FirewallProfile(name="linux", description="netfilter with its defaults")
NO_EARLY_DROP = FirewallProfile(name="plain", description="drops every new flow when full", early_drop=False)

SMTP = Service("inbound-smtp", "203.0.113.25", 25, "tcp")
IMAPS = Service("imaps", "203.0.113.93", 993, "tcp")
DNS = Service("dns", "203.0.113.53", 53, "udp")

USUAL_PREFIXES = tuple(PrefixShare(f"198.18.{number}.0/24", 12, 0.1, 12.0) for number in range(1, 9))


def service(of: Service = SMTP, **differs: Any) -> ServiceWindow:
    """One quiet second of a TCP service."""
    quiet = ServiceWindow(
        service=of,
        warming=False,
        packets_in=1_300,
        packets_out=1_250,
        bytes_in=400_000,
        bytes_out=150_000,
        syn=121,
        syn_retransmitted=1,
        synack=120,
        handshakes_completed=119,
        new_sessions=120,
        new_attempts=120,
        resets_in=3,
        fins=236,
        acks_in=500,
        retransmitted=4,
        two_sided_flows=120,
        first_payloads=118,
        distinct_sources=100,
        known_sources_share=0.9,
        source_entropy=0.8,
        top_prefixes=USUAL_PREFIXES,
        entries=14_900,
        half_open=12,
        unreplied=2,
        established=480,
        time_wait=14_280,
        normal_syn=Normal(121.0, 11.0),
        normal_attempts=Normal(120.0, 11.0),
        normal_completed=Normal(119.0, 11.0),
        normal_resets=Normal(3.0, 2.0),
        normal_acks=Normal(500.0, 50.0),
        normal_packets=Normal(2_550.0, 200.0),
    )
    return msgspec.structs.replace(quiet, **differs)


def resolver(**differs: Any) -> ServiceWindow:
    """One quiet second of a UDP service: 60 questions, all answered."""
    quiet = ServiceWindow(
        service=DNS,
        warming=False,
        packets_in=60,
        packets_out=60,
        bytes_in=4_000,
        bytes_out=12_000,
        new_sessions=60,
        new_attempts=60,
        two_sided_flows=60,
        distinct_sources=40,
        known_sources_share=0.9,
        source_entropy=0.8,
        top_prefixes=USUAL_PREFIXES,
        entries=1_800,
        normal_attempts=Normal(60.0, 8.0),
        normal_packets=Normal(120.0, 16.0),
    )
    return msgspec.structs.replace(quiet, **differs)


def states(**entries: int) -> tuple[int, ...]:
    """``by_state`` of a table, by names of ``SessionState`` in lower case; a quiet one by default."""
    quiet = {"syn_sent": 2, "syn_recv": 10, "established": 480, "time_wait": 14_280, "close": 30, "udp_replied": 0}
    by_name = quiet | entries
    return tuple(by_name.get(SessionState(state).name.lower(), 0) for state in range(STATE_COUNT))


def census(at_s: float, *, established: int = 480, idle: int = 20, silent: int = 2, prefixes: Sequence[PrefixEntries] = ()) -> Census:
    return Census(at_s, established, (idle, 0, 0, 0, 0), silent, tuple(prefixes))


def window(second: float, *services: ServiceWindow, duration_s: float = 1.0, warming: bool = False, **differs: Any) -> Window:
    """One second of the firewall; ``census`` and ``FirewallWindow``'s fields may differ."""
    found = differs.pop("census", census(T0 + second))
    quiet = FirewallWindow(
        packets=2_600,
        bytes=560_000,
        entries=15_000,
        limit=LIMIT,
        new_sessions=122,
        new_tcp=120,
        new_udp=2,
        expired=122,
        assured=14_800,
        unreplied=14,
        by_state=states(),
        normal_new_sessions=Normal(122.0, 11.0),
        normal_fragments=Normal(0.0, 0.0),
    )
    return Window(
        start_s=T0 + second,
        duration_s=duration_s,
        warming=warming,
        firewall=msgspec.structs.replace(quiet, **differs),
        services=services or (service(),),
        census=found,
    )


def quiet(seconds: Iterable[float] = range(20), *services: ServiceWindow, **differs: Any) -> list[Window]:
    """Some quiet seconds, for what a detector learns by itself."""
    return [window(second, *services, **differs) for second in seconds]


def judged(detector: Detector, windows: Iterable[Window]) -> list[Finding]:
    """All findings of some windows in turn."""
    return [finding for one in windows for finding in detector.judge(one)]


def fired_at(findings: Sequence[Finding]) -> list[float]:
    """The ends of the windows in which something was found, in seconds after ``T0``."""
    return [finding.at_s - T0 for finding in findings]


def evidence(finding: Finding) -> dict[str, float]:
    return {item.name: item.value for item in finding.evidence}


def growing(make: Callable[[float], Window], seconds: Iterable[float]) -> list[Window]:
    """Windows that follow each other, each made from its second."""
    return [make(second) for second in seconds]
