"""``retry-storm``: an outage is over, and all who waited come back at once; their rush fills the table and makes the second outage.

Mail servers queue and try again; the longer the outage, the longer the queue. The sign is the sequence: health was down, it came back, and
then the same sources ask several times as often as they did before. A campaign brings new sources or follows no outage.
"""

from typing import Annotated

import msgspec

from netwatch.detect import attribution, facts, harm
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import Normal, ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class RetryStormSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/retry-storm.toml``."""

    min_outage_s: Positive = 3.0
    recovered_share: Share = 0.3  # of the normal handshakes: the service works again
    times_normal: Positive = 2.5  # attempts after the outage, of the normal before it
    min_beyond_per_s: Positive = 8.0
    min_known_share: Share = 0.5  # of the sources, those seen before
    watch_s: Positive = 1800.0  # after an outage: mail servers try again within half an hour
    max_completion_ratio: Share = 0.7  # below, the rush hurts


class _Outage:
    def __init__(self) -> None:
        self.missing = harm.MissingHandshakes()
        self.down = False
        self.since_s = 0.0
        self.ended_s = float("-inf")
        self.missed = 0.0
        self.lasted_s = 0.0
        self.attempts = Normal(0.0, 0.0)
        self.completed = Normal(0.0, 0.0)
        self.storm_since_s: float | None = None


class RetryStorm:
    mode = Mode.RETRY_STORM

    def __init__(self, settings: RetryStormSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._outages: Subjects[_Outage] = Subjects(_Outage)

    def judge(self, window: Window) -> list[Finding]:
        return [finding for service in window.services if (finding := self._judge(window, service)) is not None]

    def _judge(self, window: Window, service: ServiceWindow) -> Finding | None:
        label = service.service.label
        outage = self._outages.get(label)
        if outage is None:
            if service.warming or service.normal_completed.level * window.duration_s <= service.handshakes_completed:
                return None
            outage = self._outages.touch(label)
        self._follow(outage, window, service)
        if outage.down or window.start_s - outage.ended_s > self._settings.watch_s:
            if not outage.down and outage.missing.missing == 0.0:
                self._outages.forget(label)
            return None
        if not self._is_storm(outage, window, service):
            outage.storm_since_s = None
            return None
        if outage.storm_since_s is None:
            outage.storm_since_s = window.start_s
        evidence = self._evidence(outage, window, service)
        return Finding(
            mode=self.mode,
            service=label,
            severity=facts.severity(evidence, hurts=self._hurts(window, service)),
            at_s=window.end_s,
            onset_s=outage.storm_since_s,
            evidence=evidence,
            attribution=attribution.attribute(attribution.asked_of(service, window.duration_s)),
        )

    def _follow(self, outage: _Outage, window: Window, service: ServiceWindow) -> None:
        """Keep the normals from before the outage, when it began and when it ended."""
        if not outage.down and outage.missing.missing == 0.0 and window.start_s - outage.ended_s > self._settings.watch_s:
            outage.attempts, outage.completed = service.normal_attempts, service.normal_completed
        level_per_s = outage.completed.level
        down = outage.missing.update(
            window, completed=service.handshakes_completed, level_per_s=level_per_s, spread_per_s=outage.completed.spread
        )
        works = service.handshakes_completed >= self._settings.recovered_share * level_per_s * window.duration_s
        if outage.down and works:
            outage.down = False
            outage.lasted_s = window.start_s - outage.since_s
            if outage.lasted_s >= self._settings.min_outage_s:
                outage.ended_s = window.start_s
            outage.missing = harm.MissingHandshakes()
        elif down and not works and not outage.down:
            outage.down, outage.since_s, outage.missed = True, outage.missing.since_s, outage.missing.missing
        elif outage.down:
            outage.missed += level_per_s * window.duration_s - service.handshakes_completed

    def _is_storm(self, outage: _Outage, window: Window, service: ServiceWindow) -> bool:
        rules = self._settings
        attempts_per_s = service.new_attempts / window.duration_s
        least_per_s = max(rules.times_normal * outage.attempts.level, outage.attempts.level + rules.min_beyond_per_s)
        return attempts_per_s >= least_per_s and service.known_sources_share >= rules.min_known_share

    def _hurts(self, window: Window, service: ServiceWindow) -> bool:
        firewall = window.firewall
        filling = harm.soon_full(firewall.fill_ratio, harm.time_to_full_s(firewall, 0.0))
        return harm.refuses_new_flows(firewall) or filling or service.completion_ratio < self._settings.max_completion_ratio

    @staticmethod
    def _evidence(outage: _Outage, window: Window, service: ServiceWindow) -> tuple[Evidence, ...]:
        attempts_per_s = service.new_attempts / window.duration_s
        before = facts.number(outage.attempts.level)
        known = facts.percent(service.known_sources_share)
        text = f"{facts.number(attempts_per_s)} attempts/s, {before} before the outage; {known} of the sources are known"
        missed = f"follows an outage of {facts.duration(outage.lasted_s)} in which {facts.number(outage.missed)} handshakes were missed"
        found = [
            facts.traffic("attempts_per_s", attempts_per_s, text),
            facts.health("outage_s", outage.lasted_s, missed),
        ]
        if window.firewall.new_sessions:
            per_s = window.firewall.new_sessions / window.duration_s
            found.append(facts.state("new_per_s", per_s, f"{facts.number(per_s)} new entries/s; {facts.fill(window.firewall)}"))
        return tuple(found)
