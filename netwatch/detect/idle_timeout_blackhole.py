"""``idle-timeout-blackhole``: a firewall forgets sessions that are silent for longer than its timeout T; who speaks again is not heard.

Both ends then repeat themselves for many minutes. The sign is a knee in one curve: of the sessions that speak again after a gap, those with
a gap below T are answered and those above are not. Two bins of gap lengths are compared, added up over the last minutes because sessions
that wake up are rare. Clients that simply go away (mobile phones) die at any gap length: no knee.
"""

from typing import Annotated

import msgspec

from netwatch.detect import facts
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.tracked import GAP_BIN_EDGES_S
from netwatch.model.window import NO_GAPS, ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class IdleTimeoutBlackholeSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/idle-timeout-blackhole.toml``."""

    min_below: Annotated[int, msgspec.Meta(ge=1)] = 10  # sessions that spoke again after shorter gaps
    min_above: Annotated[int, msgspec.Meta(ge=1)] = 10  # … and after longer ones, unanswered
    max_lost_below: Share = 0.1
    min_lost_above: Share = 0.5
    half_life_s: Positive = 600.0  # after which what was counted weighs half
    hold_s: Positive = 120.0  # a black hole is told until nothing has fallen into it for so long
    hurting_lost_per_min: Positive = 10.0


class _Gaps:
    """Sessions that spoke again, by gap length; counts fade."""

    def __init__(self) -> None:
        self.answered = [0.0] * len(GAP_BIN_EDGES_S)
        self.lost = [0.0] * len(GAP_BIN_EDGES_S)
        self.at_s = float("-inf")
        self.first_lost_s: float | None = None
        self.last_lost_s = float("-inf")
        self.lost_since = 0
        self.told = False

    def add(self, window: Window, service: ServiceWindow, half_life_s: float) -> None:
        fade = 0.5 ** ((window.end_s - self.at_s) / half_life_s) if self.at_s > float("-inf") else 1.0
        self.at_s = window.end_s
        for gap_bin in range(len(GAP_BIN_EDGES_S)):
            self.answered[gap_bin] = self.answered[gap_bin] * fade + service.resume_answered[gap_bin]
            self.lost[gap_bin] = self.lost[gap_bin] * fade + service.resume_unanswered[gap_bin]
        lost = sum(service.resume_unanswered)
        if lost:
            if window.end_s - self.last_lost_s > half_life_s:
                self.first_lost_s, self.lost_since = window.start_s, 0
            self.last_lost_s = window.end_s
            self.lost_since += lost


class _Knee(msgspec.Struct, frozen=True):
    edge_s: float
    lost_below: float
    lost_above: float
    above: float


class IdleTimeoutBlackhole:
    mode = Mode.IDLE_TIMEOUT_BLACKHOLE
    EASE = 0.5
    """What was told is told on with fewer sessions, since their counts fade."""

    def __init__(self, settings: IdleTimeoutBlackholeSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._services: Subjects[_Gaps] = Subjects(_Gaps)

    def judge(self, window: Window) -> list[Finding]:
        return [finding for service in window.services if (finding := self._judge(window, service)) is not None]

    def _judge(self, window: Window, service: ServiceWindow) -> Finding | None:
        woken = service.resume_answered != NO_GAPS or service.resume_unanswered != NO_GAPS
        if not woken and not len(self._services):
            return None
        label = service.service.label
        gaps = self._services.touch(label) if woken else self._services.get(label)
        if gaps is None:
            return None
        gaps.add(window, service, self._settings.half_life_s)
        if window.end_s - gaps.last_lost_s > self._settings.hold_s or gaps.first_lost_s is None:
            return None
        knee = self._knee(gaps)
        gaps.told = knee is not None
        if knee is None:
            return None
        evidence = self._evidence(gaps, knee, window, service)
        lost_per_min = gaps.lost_since / max((window.end_s - gaps.first_lost_s) / 60.0, 1.0)
        return Finding(
            mode=self.mode,
            service=label,
            severity=facts.severity(evidence, hurts=lost_per_min >= self._settings.hurting_lost_per_min),
            at_s=window.end_s,
            onset_s=gaps.first_lost_s,
            evidence=evidence,
        )

    def _knee(self, gaps: _Gaps) -> _Knee | None:
        """The edge with the sharpest step from answered to lost, if there is one sharp enough."""
        rules, best = self._settings, None
        ease = self.EASE if gaps.told else 1.0
        for edge in range(1, len(GAP_BIN_EDGES_S)):
            below_lost, below = sum(gaps.lost[:edge]), sum(gaps.answered[:edge]) + sum(gaps.lost[:edge])
            above_lost, above = sum(gaps.lost[edge:]), sum(gaps.answered[edge:]) + sum(gaps.lost[edge:])
            if below < ease * rules.min_below or above_lost < ease * rules.min_above:
                continue
            knee = _Knee(GAP_BIN_EDGES_S[edge], below_lost / below, above_lost / above, above)
            if knee.lost_below > rules.max_lost_below or knee.lost_above < rules.min_lost_above:
                continue
            if best is None or knee.lost_above - knee.lost_below > best.lost_above - best.lost_below:
                best = knee
        return best

    @staticmethod
    def _evidence(gaps: _Gaps, knee: _Knee, window: Window, service: ServiceWindow) -> tuple[Evidence, ...]:
        text = (
            f"after {facts.duration(knee.edge_s)} of silence {facts.percent(knee.lost_above)} of {facts.number(knee.above)} sessions "
            f"get no answer, after less {facts.percent(knee.lost_below)}"
        )
        found = [
            facts.traffic("lost_above_knee", knee.lost_above, text),
            facts.traffic("knee_s", knee.edge_s, f"the firewall forgets idle sessions after about {facts.duration(knee.edge_s)}"),
            facts.health("sessions_lost", gaps.lost_since, f"{facts.number(gaps.lost_since)} sessions spoke into the void"),
        ]
        strangers = service.invalid_no_session + service.picked_up
        if strangers:
            text = f"{facts.number(strangers / window.duration_s)} packets/s without a session"
            found.append(facts.state("strangers_per_s", strangers / window.duration_s, text))
        return tuple(found)
