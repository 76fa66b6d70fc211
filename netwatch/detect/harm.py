"""Does it hurt, or will it within minutes? The three ways a firewall's state hurts: new flows dropped, soon full, service health down.

A full table by itself does not hurt where early drop finds victims: with U unassured entries in B buckets a new flow is dropped with
probability exp(-16 U / B), since the packet path looks at 8 neighbouring buckets and an entry sits in two (nf_conntrack_core.c,
``NF_CT_EVICTION_RANGE``; measured 0.277 against 0.295 computed at U = 20,000 and B = 262,144).
"""

from math import exp

from netwatch.model.session import FirewallProfile
from netwatch.model.window import FirewallWindow, Window

REFUSED_SHARE_THAT_HURTS = 0.01
"""Of new flows: one in a hundred dropped is what users of a mail edge report."""

MIN_REFUSED = 5
"""Packets dropped in one window; fewer are not called harm."""

SOON_S = 60.0
SOON_FILL_RATIO = 0.4
LATER_S = 300.0
LATER_FILL_RATIO = 0.7
"""Soon full: in less than a minute from 40 % on, in less than five minutes from 70 % on."""


def refused_share(firewall: FirewallWindow) -> float:
    """Of the window's new flows, those dropped because the table was full."""
    asked = firewall.dropped_full + firewall.new_sessions
    return firewall.dropped_full / asked if asked else 0.0


def refuses_new_flows(firewall: FirewallWindow) -> bool:
    return firewall.dropped_full >= MIN_REFUSED and refused_share(firewall) >= REFUSED_SHARE_THAT_HURTS


def refusal_when_full(assured: float, firewall: FirewallWindow, profile: FirewallProfile) -> float:
    """The probability that a new flow will be dropped once the table is full with so many assured entries in it."""
    if not profile.early_drop:
        return 1.0
    return exp(-16.0 * max(firewall.limit - assured, 0.0) / max(profile.buckets, 1))


def time_to_full_s(firewall: FirewallWindow, growth_per_s: float) -> float:
    """At this growth, or at the slope of the last windows if that is faster."""
    fastest_per_s = max(growth_per_s, firewall.fill_slope_per_s)
    free = max(firewall.limit - firewall.entries, 0)
    return free / fastest_per_s if fastest_per_s > 0 else float("inf")


def soon_full(fill_ratio: float, time_to_full_s: float) -> bool:
    """Is there too little time left for a person to act?"""
    return (fill_ratio >= LATER_FILL_RATIO and time_to_full_s < LATER_S) or (fill_ratio >= SOON_FILL_RATIO and time_to_full_s < SOON_S)


class MissingHandshakes:
    """How many handshakes one service lacks against its normal: a CUSUM that small services and single gaps do not set off.

    Each second adds what completed below 70 % of the normal and takes off what completed above it. A service of 120/s that stops is down
    within a second, one of 5/s within three; a bursty one needs a gap longer than its bursts are apart.
    """

    EXPECTED_SHARE = 0.7
    MANY_SHARE = 0.5
    MIN_MISSING = 10.0
    SPREADS = 3.0
    MOST = 3.0

    def __init__(self) -> None:
        self.missing = 0.0

    def update(self, window: Window, *, completed: int, level_per_s: float, spread_per_s: float) -> bool:
        """Add one window; is the service's health down?"""
        expected_per_s = self.EXPECTED_SHARE * level_per_s
        missing = self.missing + (expected_per_s * window.duration_s - completed)
        if missing <= 0.0:
            self.missing = 0.0
            return False
        alarm = self.SPREADS * spread_per_s
        if alarm < self.MIN_MISSING:  # not max(): its call takes as long as all the rest, and this is asked of every service
            alarm = self.MIN_MISSING
        self.missing = missing
        # The ceiling lets a service that works again be healthy again within a few windows.
        ceiling = self.MOST * alarm + expected_per_s
        if missing > ceiling:
            self.missing = ceiling
        return missing >= alarm
