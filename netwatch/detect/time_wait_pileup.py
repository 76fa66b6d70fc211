"""``time-wait-pileup``: closed sessions, each kept for a while (TIME_WAIT 120 s on Linux), fill the table.

They are assured, so the packet path cannot evict them; only the collector can, once the table is 95 % full, and it may take a minute to
come round. At one session a mail a table of 262,144 is full at 2,185 closes a second. Below 60 % fill a pile of closed sessions is harmless
and normal; above, or where it will get there at this rate, it is not.
"""

from typing import Annotated

import msgspec

from netwatch.detect import attribution, facts, harm
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.growth import CLOSING, Growth, count, timeout_s
from netwatch.detect.health import FirewallHealth
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile, SessionState
from netwatch.model.window import ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class TimeWaitPileupSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/time-wait-pileup.toml``."""

    min_share: Share = 0.5  # of all entries
    min_fill_ratio: Share = 0.6  # harmless below
    min_entries: Annotated[int, msgspec.Meta(ge=1)] = 100
    forecast_fill_ratio: Share = 0.45  # from here on, if it will fill
    forecast_full_in_s: Positive = 60.0
    forecast_windows: Annotated[int, msgspec.Meta(ge=1)] = 2  # of growth in a row
    beyond_normal: Positive = 3.0  # spreads above the normal rate of new sessions
    subject_share: Share = 0.6  # of the closed entries: the service that holds as many is named


class TimeWaitPileup:
    mode = Mode.TIME_WAIT_PILEUP

    def __init__(self, settings: TimeWaitPileupSettings, profile: FirewallProfile) -> None:
        self._settings = settings
        self._profile = profile
        self._growth = Growth()
        self._health = FirewallHealth()
        self._onset_s: float | None = None

    def judge(self, window: Window) -> list[Finding]:
        firewall = window.firewall
        self._growth.update(window)
        health = self._health.update(window)
        closing = count(window, CLOSING)
        self._follow_onset(window)
        if firewall.limit <= 0 or closing < max(self._settings.min_entries, self._settings.min_share * firewall.entries):
            return []
        will_fill = firewall.fill_ratio >= self._settings.forecast_fill_ratio and self._will_fill(window)
        if firewall.fill_ratio < self._settings.min_fill_ratio and not will_fill:
            return []
        subject = self._subject(window)
        evidence = (*self._evidence(window, closing), *health)
        return [
            Finding(
                mode=self.mode,
                service=subject.service.label if subject else None,
                severity=facts.severity(evidence, hurts=harm.refuses_new_flows(firewall) or will_fill),
                at_s=window.end_s,
                onset_s=self._onset_s if self._onset_s is not None else window.start_s,
                evidence=evidence,
                attribution=attribution.attribute(attribution.asked_of(subject, window.duration_s)) if subject else (),
            )
        ]

    def _follow_onset(self, window: Window) -> None:
        """It began when closed sessions began to gather faster than they time out, and has not ended while they are many."""
        gathering = self._growth.states_per_s(CLOSING, 1) >= 0.5 * self._inflow_per_s(window) > 0
        if gathering and self._onset_s is None:
            self._onset_s = window.start_s
        elif not gathering and window.firewall.fill_ratio < 0.5 * self._settings.min_fill_ratio:
            self._onset_s = None

    @staticmethod
    def _inflow_per_s(window: Window) -> float:
        return window.firewall.new_tcp / window.duration_s

    def _will_fill(self, window: Window) -> bool:
        """At this rate, will closed sessions fill the table before the first of them time out, and soon?"""
        firewall = window.firewall
        growth_per_s = self._growth.states_per_s(CLOSING, self._settings.forecast_windows)
        if self._growth.streak < self._settings.forecast_windows or growth_per_s <= 0:
            return False
        others = firewall.entries - count(window, CLOSING)
        most = others + self._inflow_per_s(window) * timeout_s(SessionState.TIME_WAIT, self._profile)
        left_s = harm.time_to_full_s(firewall, growth_per_s)
        return most >= firewall.limit and left_s < self._settings.forecast_full_in_s

    def _subject(self, window: Window) -> ServiceWindow | None:
        """The service that holds most of them."""
        most = max(window.services, key=lambda service: service.time_wait, default=None)
        total = sum(service.time_wait for service in window.services)
        return most if most is not None and total and most.time_wait >= self._settings.subject_share * total else None

    def _evidence(self, window: Window, closing: int) -> tuple[Evidence, ...]:
        firewall = window.firewall
        share = closing / max(firewall.entries, 1)
        found = [
            facts.state(
                "closing_share", share, f"{facts.number(closing)} closed entries, {facts.percent(share)} of all; {facts.fill(firewall)}"
            )
        ]
        new_per_s = firewall.new_sessions / window.duration_s
        if window.warming or firewall.normal_new_sessions.excess(new_per_s) >= self._settings.beyond_normal:
            normally = facts.normally(firewall.normal_new_sessions, warming=window.warming)
            text = f"{facts.number(new_per_s)} sessions/s opened and closed, {normally}"
            found.append(facts.traffic("new_per_s", new_per_s, text))
        return tuple(found)
