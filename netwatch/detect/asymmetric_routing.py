"""``asymmetric-routing``: since a change of paths the firewall sees one direction only, and calls what it sees invalid or half-open.

A stateful firewall needs both directions. Client to server only: the SYN's entry stays in SYN_SENT and the ACK that follows is invalid.
Server to client only: a SYN-ACK without a SYN is invalid, and later data is picked up as a session of its own. The sign is a *step*: of the
new sessions of a service, which all had two sides, many have one, and yet go on (four packets, an ACK among them, and no answer). Often
only some networks' path has changed, so a part of the sessions is enough. What is one-sided since the watch began is not told: a tap that
is mirrored one way looks the same for ever.

What looks alike and is not: a server that is down gets SYNs, but nobody sends it data; in a flood there are no sessions that go on.
"""

from collections import deque
from typing import Annotated, NamedTuple

import msgspec

from netwatch.detect import facts
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.level import Level
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class AsymmetricRoutingSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/asymmetric-routing.toml``."""

    min_one_sided: Count = 8  # new sessions that go on without an answer, in the last windows
    min_one_sided_share: Share = 0.15  # of the new sessions in the last windows …
    times_usual: Annotated[float, msgspec.Meta(gt=1)] = 3.0  # … and so many times the usual share
    hurting_share: Share = 0.25  # of the new sessions: more is harm, since a firewall refuses what is invalid
    warm_flows: Count = 50  # before a share is called usual


class _Sides(NamedTuple):
    """One window's new sessions, and the packets of theirs that no session explains."""

    start_s: float
    one_sided: int
    two_sided: int
    strangers: int
    duration_s: float


class _Paths:
    RECENT_WINDOWS = 5

    def __init__(self) -> None:
        self.recent: deque[_Sides] = deque(maxlen=self.RECENT_WINDOWS)
        self.usual = Level()  # share of one-sided sessions
        self.strangers = Level()  # per second
        self.flows = 0
        self.onset_s: float | None = None


class AsymmetricRouting:
    mode = Mode.ASYMMETRIC_ROUTING

    def __init__(self, settings: AsymmetricRoutingSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._services: Subjects[_Paths] = Subjects(_Paths)

    def judge(self, window: Window) -> list[Finding]:
        return [finding for service in window.services if (finding := self._judge(window, service)) is not None]

    def _judge(self, window: Window, service: ServiceWindow) -> Finding | None:
        label = service.service.label
        paths = self._services.get(label)
        if paths is None:
            if service.one_sided_flows + service.two_sided_flows == 0:
                return None
            paths = self._services.touch(label)
        strangers = service.invalid + service.picked_up
        now = _Sides(window.start_s, service.one_sided_flows, service.two_sided_flows, strangers, window.duration_s)
        paths.recent.append(now)
        one_sided = sum(sides.one_sided for sides in paths.recent)
        flows = one_sided + sum(sides.two_sided for sides in paths.recent)
        share = one_sided / flows if flows else 0.0
        if not self._has_stepped(paths, one_sided, share):
            self._learn(paths, now, share)
            return None
        if paths.onset_s is None:
            paths.onset_s = next(sides.start_s for sides in paths.recent if sides.one_sided)
        evidence = self._evidence(paths, one_sided, flows)
        return Finding(
            mode=self.mode,
            service=label,
            severity=facts.severity(evidence, hurts=share >= self._settings.hurting_share),
            at_s=window.end_s,
            onset_s=paths.onset_s,
            evidence=evidence,
        )

    def _has_stepped(self, paths: _Paths, one_sided: int, share: float) -> bool:
        rules = self._settings
        if paths.flows < rules.warm_flows or one_sided < rules.min_one_sided:
            return False
        return share >= max(rules.min_one_sided_share, rules.times_usual * paths.usual.value)

    def _learn(self, paths: _Paths, now: _Sides, share: float) -> None:
        """Learn what is usual, but not from windows that already look like a step: half of the way there is enough to be careful."""
        paths.onset_s = None
        if paths.flows >= self._settings.warm_flows and share >= max(0.5 * self._settings.min_one_sided_share, 2.0 * paths.usual.value):
            return
        flows = now.one_sided + now.two_sided
        paths.flows += flows
        paths.strangers.learn(now.strangers / now.duration_s)
        if flows:
            paths.usual.learn(now.one_sided / flows)

    @staticmethod
    def _evidence(paths: _Paths, one_sided: int, flows: int) -> tuple[Evidence, ...]:
        span_s = sum(sides.duration_s for sides in paths.recent)
        share = one_sided / max(flows, 1)
        text = (
            f"{facts.percent(share)} of {facts.number(flows)} new sessions in {facts.duration(span_s)} go on without an answer, "
            f"normally {facts.percent(paths.usual.value)}"
        )
        found = [facts.traffic("one_sided_share", share, text)]
        per_s = sum(sides.strangers for sides in paths.recent) / max(span_s, 1e-9)
        if per_s > 2.0 * paths.strangers.value + 1.0:
            text = f"{facts.number(per_s)} packets/s are invalid or picked up mid-stream, normally {facts.number(paths.strangers.value)}"
            found.append(facts.state("strangers_per_s", per_s, text))
        return tuple(found)
