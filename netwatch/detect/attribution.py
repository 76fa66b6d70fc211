"""Who: the prefixes that opened more than they usually do, or a spoofed crowd in which nearly every attempt has a source of its own.

Shares are of the *excess*: a big sender that opens half of all sessions every day has no part in a flood that it did not join.
"""

from typing import NamedTuple

from netwatch.model.incident import Attribution
from netwatch.model.window import FirewallWindow, PrefixShare, ServiceWindow

MAX_PREFIXES = 8
MIN_SHARE = 0.05
SPOOFED_SOURCES_RATIO = 0.7
"""Distinct sources per new attempt: real clients and bots open several sessions each within a second of an attack, forged ones do not."""

MIN_SPOOFED_SOURCES = 30
CROWD_PREFIXES = 8
"""So many busiest prefixes inside one /16 (or /32) are no accident: the wider prefix is what attacks."""


class Asked(NamedTuple):
    """Who asked for new sessions in one window, and how many are usual."""

    attempts: int
    usual: float
    sources: int  # distinct addresses
    prefixes: tuple[PrefixShare, ...]
    duration_s: float

    @property
    def spoofed(self) -> bool:
        """Does nearly every attempt come from a source of its own?"""
        return self.sources >= MIN_SPOOFED_SOURCES and self.sources >= SPOOFED_SOURCES_RATIO * self.attempts


def asked_of(service: ServiceWindow, duration_s: float) -> Asked:
    """The new sessions of a service."""
    attempts = max(service.new_attempts, service.new_sessions)
    usual = 0.0 if service.warming else service.normal_attempts.level * duration_s
    return Asked(attempts, usual, service.distinct_sources, service.top_prefixes, duration_s)


def asked_elsewhere(firewall: FirewallWindow, duration_s: float) -> Asked:
    """The new sessions that belong to no service; none are usual."""
    return Asked(firewall.elsewhere_attempts, 0.0, firewall.elsewhere_sources, firewall.elsewhere_prefixes, duration_s)


def attribute(asked: Asked, *, sources_so_far: int = 0) -> tuple[Attribution, ...]:
    """Name who is behind the excess.

    Args:
        asked: the window's new sessions.
        sources_so_far: distinct sources of earlier windows of the same attack, for a spoofed crowd.
    """
    excess = asked.attempts - asked.usual
    if excess <= 0:
        return ()
    shares = [(entry.prefix, _share(entry, asked, excess)) for entry in asked.prefixes]
    named = sorted((item for item in shares if item[1] >= MIN_SHARE), key=lambda item: -item[1])[:MAX_PREFIXES]
    known = tuple(Attribution("prefix", prefix, round(share, 4)) for prefix, share in named)
    rest = 1.0 - sum(share for _, share in named)
    if asked.spoofed and rest >= 0.5:
        return (Attribution("spoofed", f"{asked.sources + sources_so_far} sources", round(rest, 4)), *known)
    if rest > 0.5 and (wide := _common_prefix([prefix for prefix, share in shares if share > 0])):
        return (Attribution("prefix", wide, 1.0),)
    return known


def _share(entry: PrefixShare, asked: Asked, excess: float) -> float:
    return min(1.0, max(0.0, entry.count - entry.normal_per_s * asked.duration_s) / excess)


def _common_prefix(prefixes: list[str]) -> str | None:
    """The /16 (IPv6: /32) that holds all of these busiest prefixes, if they are many."""
    if len(prefixes) < CROWD_PREFIXES:
        return None
    wide = {_wider(prefix) for prefix in prefixes}
    return wide.pop() if len(wide) == 1 else None


def _wider(prefix: str) -> str:
    address = prefix.partition("/")[0]
    if ":" in address:
        first, _, rest = address.partition(":")
        second = rest.partition(":")[0] or "0"
        return f"{first}:{second}::/32"
    return ".".join(address.split(".")[:2]) + ".0.0/16"
