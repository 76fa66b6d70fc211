"""``udp-state-flood``: every UDP tuple takes an entry, 30 s if nobody answers, 120 s if the talk goes on; a flood of them fills the table.

The sign is attempts far beyond the normal that get no answer, measured in the rate that would fill what is free of the table within the
timeout, and added up as a CUSUM. A resolver under load is asked as much, but answers; there the flood is told only when its entries really
crowd the table. Packets to ports where no service was ever seen are judged together, for the whole firewall.
"""

from typing import Annotated

import msgspec

from netwatch.detect import attribution, facts, harm
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.growth import UDP, count
from netwatch.detect.level import Level
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile, SessionState
from netwatch.model.window import ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]

WHOLE_FIREWALL = ""


class UdpStateFloodSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/udp-state-flood.toml``."""

    min_unanswered_per_s: Positive = 40.0
    harmful_share: Share = 0.1  # of the rate that fills the free part of the table
    max_answered_ratio: Share = 0.3
    times_normal: Positive = 5.0  # an answered flood: this many times the normal rate …
    crowding_share: Share = 0.4  # … with UDP holding this share of the entries …
    crowding_fill_ratio: Share = 0.6  # … of a table this full
    cusum_drift: Share = 0.35
    min_strength: Share = 0.5  # of the least rate called a flood, in the window itself
    cusum_alarm: Positive = 1.05
    cusum_ceiling: Positive = 4.0


class _Usual(msgspec.Struct, frozen=True):
    """What is normal for one subject, attempts per second."""

    level: float
    spread: float
    warming: bool


class _Asked(msgspec.Struct, frozen=True):
    """One subject's part of a window, per second."""

    attempts: float
    answered: float
    usual: _Usual


class _Flood:
    def __init__(self) -> None:
        self.sum = 0.0
        self.onset_s = 0.0
        self.sources = 0
        self.usual = _Usual(0.0, 0.0, warming=True)  # when it began: a long flood must not become its own normal


class UdpStateFlood:
    mode = Mode.UDP_STATE_FLOOD

    def __init__(self, settings: UdpStateFloodSettings, profile: FirewallProfile) -> None:
        self._settings = settings
        self._profile = profile
        self._least_per_s = settings.cusum_drift * settings.min_unanswered_per_s  # attempts; fewer add nothing to a sum
        self._floods: Subjects[_Flood] = Subjects(_Flood)
        self._elsewhere = Level()  # new UDP entries per second outside every service

    def judge(self, window: Window) -> list[Finding]:
        found: list[Finding | None] = []
        at_services = 0
        for service in window.services:
            if service.service.protocol == "udp":
                at_services += service.new_sessions
                attempts_per_s = max(service.new_attempts, service.new_sessions) / window.duration_s
                if self._is_of_interest(service.service.label, attempts_per_s):
                    asked = self._of_service(window, service, attempts_per_s)
                    found.append(self._judge(window, service.service.label, asked, service))
        elsewhere_per_s = max(0, window.firewall.new_udp - at_services) / window.duration_s
        if self._is_of_interest(WHOLE_FIREWALL, elsewhere_per_s):
            found.append(self._judge(window, WHOLE_FIREWALL, self._of_the_rest(window, elsewhere_per_s), None))
        if self._floods.get(WHOLE_FIREWALL) is None:
            self._elsewhere.learn(elsewhere_per_s)
        return [finding for finding in found if finding is not None]

    def _is_of_interest(self, subject: str, attempts_per_s: float) -> bool:
        """Could this begin a flood, or does one last?"""
        return attempts_per_s >= self._least_per_s or self._floods.get(subject) is not None

    @staticmethod
    def _of_service(window: Window, service: ServiceWindow, attempts_per_s: float) -> _Asked:
        normal = service.normal_attempts
        usual = _Usual(normal.level, normal.spread, service.warming)
        return _Asked(attempts_per_s, service.two_sided_flows / window.duration_s, usual)

    def _of_the_rest(self, window: Window, per_s: float) -> _Asked:
        """Outside services nobody counts answers, but unanswered entries are the ones that stay unreplied."""
        unreplied = count(window, (SessionState.UDP_UNREPLIED,)) / max(count(window, UDP), 1)
        return _Asked(per_s, per_s * (1.0 - unreplied), _Usual(self._elsewhere.value, self._elsewhere.spread, not self._elsewhere.warm))

    def _judge(self, window: Window, subject: str, asked: _Asked, service: ServiceWindow | None) -> Finding | None:
        rules = self._settings
        flood = self._floods.get(subject)
        excess_per_s = self._excess_per_s(asked.usual if flood is None else flood.usual, window, asked)
        if flood is None:
            if excess_per_s < self._least_per_s:
                return None
            flood = self._floods.touch(subject)
            flood.onset_s, flood.usual = window.start_s, asked.usual
        strength = excess_per_s / max(rules.min_unanswered_per_s, rules.harmful_share * self._filling_per_s(window))
        gain = (strength - rules.cusum_drift) * window.duration_s
        flood.sum = min(max(0.0, flood.sum + gain), rules.cusum_ceiling)
        if flood.sum == 0.0:
            self._floods.forget(subject)
            return None
        if flood.sum < rules.cusum_alarm or strength < rules.min_strength:
            return None
        evidence = self._evidence(flood, window, asked, service)
        duration_s = window.duration_s
        asking = attribution.asked_of(service, duration_s) if service else attribution.asked_elsewhere(window.firewall, duration_s)
        who = attribution.attribute(asking, sources_so_far=flood.sources)
        flood.sources += asking.sources if asking.spoofed else 0
        return Finding(
            mode=self.mode,
            service=subject or None,
            severity=facts.severity(evidence, hurts=self._hurts(window, strength * rules.harmful_share)),
            at_s=window.end_s,
            onset_s=flood.onset_s,
            evidence=evidence,
            attribution=who,
        )

    def _excess_per_s(self, usual: _Usual, window: Window, asked: _Asked) -> float:
        """Attempts beyond the normal that are not answered; all beyond the normal where their entries crowd the table."""
        rules = self._settings
        normal_per_s = 0.0 if usual.warming else usual.level
        beyond_per_s = asked.attempts - (0.0 if usual.warming else usual.level + 2.0 * max(usual.spread, 0.1 * usual.level, 1.0))
        ratio = asked.answered / asked.attempts if asked.attempts else 1.0
        crowded = (
            window.firewall.fill_ratio >= rules.crowding_fill_ratio
            and count(window, UDP) >= rules.crowding_share * window.firewall.entries
            and asked.attempts >= rules.times_normal * normal_per_s
            and not usual.warming
        )
        if ratio >= rules.max_answered_ratio and not crowded:
            usually_answered_per_s = min(asked.answered, normal_per_s)
            beyond_ratio = (asked.answered - usually_answered_per_s) / max(beyond_per_s, 1.0)
            if beyond_ratio >= rules.max_answered_ratio:
                return 0.0
        return beyond_per_s if crowded else min(beyond_per_s, asked.attempts - asked.answered)

    def _filling_per_s(self, window: Window) -> float:
        """The rate whose unanswered entries alone fill what others leave free of the table, within their timeout."""
        limit = window.firewall.limit
        others = max(0, window.firewall.entries - count(window, UDP))
        return max(limit - others, 0.05 * limit) / max(self._profile.timeouts.udp_s, 1.0)

    def _hurts(self, window: Window, of_filling: float) -> bool:
        firewall = window.firewall
        if harm.refuses_new_flows(firewall):
            return True
        return of_filling >= 1.0 and harm.refusal_when_full(firewall.assured, firewall, self._profile) >= harm.REFUSED_SHARE_THAT_HURTS

    def _evidence(self, flood: _Flood, window: Window, asked: _Asked, service: ServiceWindow | None) -> tuple[Evidence, ...]:
        ratio = min(1.0, asked.answered / asked.attempts) if asked.attempts else 1.0
        base = "no normal known yet" if flood.usual.warming else f"normally {facts.number(flood.usual.level)}"
        where = "" if service is not None else " outside every service"
        text = f"{facts.number(asked.attempts)} new UDP flows/s{where}, {base}; {facts.percent(ratio)} answered"
        found = [facts.traffic("udp_new_per_s", asked.attempts, text)]
        entries = count(window, UDP)
        if entries >= self._settings.min_unanswered_per_s:
            share = entries / max(window.firewall.entries, 1)
            text = f"{facts.number(entries)} UDP entries, {facts.percent(share)} of all; {facts.fill(window.firewall)}"
            found.append(facts.state("udp_entries", entries, text))
        return tuple(found)
