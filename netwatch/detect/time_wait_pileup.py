"""``time-wait-pileup``: closed sessions, each kept for a while (TIME_WAIT 120 s on Linux), fill the table.

They are assured, so the packet path cannot evict them; only the collector can, once the table is 95 % full, and it may take a minute to
come round. At one session a mail a table of 262,144 is full at 2,185 closes a second. A pile whose first entries time out before it reaches
the limit is normal and harmless; one that will get there is told early, at the latest at 60 % fill.
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

    min_entries: Annotated[int, msgspec.Meta(ge=1)] = 100
    min_share: Share = 0.5  # of all entries
    forecast_fill_ratio: Share = 0.45  # from here on, if at this rate it is full within …
    forecast_full_in_s: Positive = 60.0
    min_fill_ratio: Share = 0.6  # from here on, however long it takes until it is full
    crowded_fill_ratio: Share = 0.85  # from here on, even if it will not get full, if closed sessions take min_fill_ratio of it
    beyond_normal: Positive = 3.0  # spreads above the normal rate of new sessions
    subject_share: Share = 0.6  # of the closed entries: the service that holds as many is named


class TimeWaitPileup:
    mode = Mode.TIME_WAIT_PILEUP
    OPENED_WEIGHT = 0.25
    """Of the newest window in the rate of opened sessions: it follows a rush within seconds."""

    QUIET_WINDOWS = 3
    """A rush of closes is over when so many windows in a row bring no more than usual."""

    def __init__(self, settings: TimeWaitPileupSettings, profile: FirewallProfile) -> None:
        self._settings = settings
        self._time_wait_s = timeout_s(SessionState.TIME_WAIT, profile)
        self._growth = Growth()
        self._health = FirewallHealth()
        self._onset_s: float | None = None
        self._quiet = 0
        self._opened_per_s = 0.0  # smoothed

    def judge(self, window: Window) -> list[Finding]:
        firewall = window.firewall
        self._growth.update(window)
        health = self._health.update(window)
        opened_per_s = sum(service.handshakes_completed for service in window.services) / window.duration_s
        self._opened_per_s += self.OPENED_WEIGHT * (opened_per_s - self._opened_per_s)
        closing = count(window, CLOSING)
        piled = firewall.limit > 0 and closing >= max(self._settings.min_entries, self._settings.min_share * firewall.entries)
        self._follow_onset(window, piled=piled)
        if not piled or not self._is_harmful(window, closing):
            return []
        subject = self._subject(window)
        evidence = (*self._evidence(window, closing), *health)
        hurts = harm.refuses_new_flows(firewall) or (self._will_fill(window) and self._time_to_full_s(window) < harm.LATER_S)
        return [
            Finding(
                mode=self.mode,
                service=subject.service.label if subject else None,
                severity=facts.severity(evidence, hurts=hurts),
                at_s=window.end_s,
                onset_s=window.start_s if self._onset_s is None else self._onset_s,
                evidence=evidence,
                attribution=attribution.attribute(attribution.asked_of(subject, window.duration_s)) if subject else (),
            )
        ]

    def _follow_onset(self, window: Window, *, piled: bool) -> None:
        """It began with the rush of sessions that closed; where there was no rush, when the pile became large."""
        rules, firewall = self._settings, window.firewall
        rush = not window.warming and firewall.normal_new_sessions.excess(firewall.new_sessions / window.duration_s) >= rules.beyond_normal
        large = piled and firewall.fill_ratio >= rules.forecast_fill_ratio
        self._quiet = 0 if rush or large else self._quiet + 1
        if (rush or large) and self._onset_s is None:
            self._onset_s = window.start_s
        elif self._quiet >= self.QUIET_WINDOWS:
            self._onset_s = None

    def _is_harmful(self, window: Window, closing: int) -> bool:
        rules, fill_ratio = self._settings, window.firewall.fill_ratio
        if fill_ratio >= rules.crowded_fill_ratio and closing >= rules.min_fill_ratio * window.firewall.limit:
            return True
        if fill_ratio < rules.forecast_fill_ratio or not self._will_fill(window):
            return False
        return fill_ratio >= rules.min_fill_ratio or self._time_to_full_s(window) < rules.forecast_full_in_s

    def _will_fill(self, window: Window) -> bool:
        """At this rate, will closed sessions fill the table before the first of them time out?"""
        firewall = window.firewall
        others = firewall.entries - count(window, CLOSING)
        # Only sessions that came about can close: a flood's attempts do not end here.
        return self._growth.states_per_s(CLOSING) > 0 and others + self._opened_per_s * self._time_wait_s >= firewall.limit

    def _time_to_full_s(self, window: Window) -> float:
        return harm.time_to_full_s(window.firewall, self._growth.states_per_s(CLOSING))

    def _subject(self, window: Window) -> ServiceWindow | None:
        """The service that holds most of them."""
        most = max(window.services, key=lambda service: service.time_wait, default=None)
        total = sum(service.time_wait for service in window.services)
        return most if most is not None and total and most.time_wait >= self._settings.subject_share * total else None

    def _evidence(self, window: Window, closing: int) -> tuple[Evidence, ...]:
        firewall = window.firewall
        share = closing / max(firewall.entries, 1)
        text = f"{facts.number(closing)} closed entries, {facts.percent(share)} of all; {facts.fill(firewall)}"
        found = [facts.state("closing_share", share, text)]
        new_per_s = firewall.new_sessions / window.duration_s
        if window.warming or firewall.normal_new_sessions.excess(new_per_s) >= self._settings.beyond_normal:
            normally = facts.normally(firewall.normal_new_sessions, warming=window.warming)
            text = f"{facts.number(new_per_s)} sessions/s opened and closed, {normally}"
            found.append(facts.traffic("new_per_s", new_per_s, text))
        return tuple(found)
