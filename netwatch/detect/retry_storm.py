"""``retry-storm``: an outage is over, and all who waited come back at once; their rush fills the table and makes the second outage.

Mail servers queue and try again; the longer the outage, the longer the queue. The sign is the sequence: a service did not answer, it
answers again, and then the same sources ask several times as often as they did before. A campaign brings new sources or follows no outage,
and after a restart of seconds there is no queue.
"""

from typing import Annotated

import msgspec

from netwatch.detect import attribution, facts, harm
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.level import Level
from netwatch.detect.outage import Outage, is_served
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import Normal, ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class RetryStormSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/retry-storm.toml``."""

    min_outage_s: Positive = 5.0
    times_normal: Positive = 2.5  # attempts after the outage, of the normal before it
    min_beyond_per_s: Positive = 8.0
    min_known_share: Share = 0.2  # of the sources, on average, those that were served before
    watch_s: Positive = 1800.0  # after an outage: mail servers try again within half an hour
    max_completion_ratio: Share = 0.7  # below, the rush hurts


class _Aftermath:
    """What is remembered of a service: its present outage, and the last one that was long enough for a queue."""

    def __init__(self) -> None:
        self.outage = Outage()
        self.usual = Normal(0.0, 0.0)  # attempts before the present outage
        self.before = Normal(0.0, 0.0)  # … and before the last one
        self.down = False
        self.ended_s = float("-inf")
        self.lasted_s = 0.0
        self.missed = 0.0
        self.known_share = Level()  # of the sources since then
        self.storm_since_s: float | None = None

    def follow(self, window: Window, service: ServiceWindow, min_outage_s: float) -> None:
        """Notice when an outage ends."""
        outage = self.outage
        was, since_s, missed = outage.windows, outage.since_s, outage.missed
        self.down = outage.update(window, service) or (self.down and not outage.healthy)
        if was == 0:
            self.usual = service.normal_attempts
        elif outage.healthy and window.start_s - since_s >= min_outage_s:
            if window.start_s - self.ended_s > min_outage_s or self.before.level == 0.0:
                self.before = self.usual
            self.ended_s, self.lasted_s, self.missed = window.start_s, window.start_s - since_s, missed
            self.known_share = Level()


class RetryStorm:
    mode = Mode.RETRY_STORM

    def __init__(self, settings: RetryStormSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._services: Subjects[_Aftermath] = Subjects(_Aftermath)

    def judge(self, window: Window) -> list[Finding]:
        return [finding for service in window.services if (finding := self._judge(window, service)) is not None]

    def _judge(self, window: Window, service: ServiceWindow) -> Finding | None:
        label = service.service.label
        after = self._services.get(label)
        if after is None:
            if service.warming or is_served(window, service) or service.service.protocol != "tcp":
                return None
            after = self._services.touch(label)
        after.follow(window, service, self._settings.min_outage_s)
        if after.down or window.start_s - after.ended_s > self._settings.watch_s:
            if after.outage.forgettable:
                self._services.forget(label)
            return None
        if not self._is_storm(after, window, service):
            after.storm_since_s = None
            return None
        if after.storm_since_s is None:
            after.storm_since_s = window.start_s
        evidence = self._evidence(after, window, service)
        return Finding(
            mode=self.mode,
            service=label,
            severity=facts.severity(evidence, hurts=self._hurts(window, service)),
            at_s=window.end_s,
            onset_s=after.storm_since_s,
            evidence=evidence,
            attribution=attribution.attribute(attribution.asked_of(service, window.duration_s)),
        )

    def _is_storm(self, after: _Aftermath, window: Window, service: ServiceWindow) -> bool:
        rules = self._settings
        attempts_per_s = service.new_attempts / window.duration_s
        if attempts_per_s < max(rules.times_normal * after.before.level, after.before.level + rules.min_beyond_per_s):
            return False
        after.known_share.learn(service.known_sources_share)
        return after.known_share.value >= rules.min_known_share

    def _hurts(self, window: Window, service: ServiceWindow) -> bool:
        firewall = window.firewall
        filling = harm.soon_full(firewall.fill_ratio, harm.time_to_full_s(firewall, 0.0))
        return harm.refuses_new_flows(firewall) or filling or service.completion_ratio < self._settings.max_completion_ratio

    @staticmethod
    def _evidence(after: _Aftermath, window: Window, service: ServiceWindow) -> tuple[Evidence, ...]:
        attempts_per_s = service.new_attempts / window.duration_s
        before, known = facts.number(after.before.level), facts.percent(after.known_share.value)
        text = f"{facts.number(attempts_per_s)} attempts/s; {known} of the sources are known"
        missed = f"follows an outage of {facts.duration(after.lasted_s)} in which {facts.number(after.missed)} handshakes were missed"
        new_per_s = window.firewall.new_sessions / window.duration_s
        return (
            facts.traffic("attempts_per_s", attempts_per_s, text),
            facts.health("outage_s", after.lasted_s, missed),
            facts.state("new_per_s", new_per_s, f"{facts.number(new_per_s)} new entries/s; {facts.fill(window.firewall)}"),
            facts.traffic("normal_attempts_per_s", after.before.level, f"{before} attempts/s before the outage"),
        )
