"""``failover-without-sync``: the state table lost its entries at once, and what was open hangs.

The loss itself only the firewall can tell (``entries_lost``; a replay has no such window). Where sessions are picked up in the middle
(``nf_conntrack_tcp_loose``) it hurts nobody. Where they are not, packets go toward the services and nothing comes back: that is the harm,
and it lasts as long as the clients' patience, a quarter of an hour for TCP. Measured on kernel 6.18: refused by a reset instead of dropped,
a client opens a new session at once.
"""

from typing import Annotated

import msgspec

from netwatch.detect import facts
from netwatch.detect.detector import DetectorSettings
from netwatch.model.incident import Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class FailoverWithoutSyncSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/failover-without-sync.toml``."""

    min_lost: Count = 20  # entries
    watch_s: Positive = 60.0  # after the loss
    min_unheard: Count = 20  # packets toward a service in a window …
    max_answered_ratio: Share = 0.3  # … with fewer packets back than this, for each


class FailoverWithoutSync:
    mode = Mode.FAILOVER_WITHOUT_SYNC

    def __init__(self, settings: FailoverWithoutSyncSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._lost = 0
        self._lost_at_s = float("-inf")

    def judge(self, window: Window) -> list[Finding]:
        if window.firewall.entries_lost >= self._settings.min_lost:
            self._lost, self._lost_at_s = window.firewall.entries_lost, window.start_s
        if window.end_s - self._lost_at_s > self._settings.watch_s:
            return []
        return [self._finding(window, service) for service in window.services if self._is_unheard(service)]

    def _is_unheard(self, service: ServiceWindow) -> bool:
        rules = self._settings
        return service.packets_in >= rules.min_unheard and service.packets_out < rules.max_answered_ratio * service.packets_in

    def _finding(self, window: Window, service: ServiceWindow) -> Finding:
        ago_s = window.end_s - self._lost_at_s
        out_per_s, in_per_s = service.packets_out / window.duration_s, service.packets_in / window.duration_s
        evidence = (
            facts.state("entries_lost", float(self._lost), f"{self._lost:,} entries went at once, {facts.duration(ago_s)} ago"),
            facts.health(
                "answered_ratio",
                service.packets_out / service.packets_in,
                f"{facts.number(in_per_s)} packets/s toward the service, {facts.number(out_per_s)} packets/s come back",
            ),
        )
        return Finding(
            mode=self.mode,
            service=service.service.label,
            severity=facts.severity(evidence, hurts=True),
            at_s=window.end_s,
            onset_s=self._lost_at_s,
            evidence=evidence,
        )
