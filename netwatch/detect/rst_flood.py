"""``rst-flood``: RSTs that try to kill sessions. One inside the window does; all others are invalid, or cut its life to 300 s.

An attacker off the path must guess sequence numbers: half of his RSTs lie below the window and are invalid, the other half above it,
where netfilter lets them pass without effect. That is the sign, beside a rate far beyond the normal. One who knows the numbers kills
sessions that were carrying data, many of different clients within a second.

What looks alike and is not: a server that restarts resets all its sessions in one burst, from its own side and with the right numbers, and
is not there to finish handshakes for a moment; clients that give up in a hurry do it at a normal rate.
"""

from typing import Annotated

import msgspec

from netwatch.detect import facts
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import Normal, ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class RstFloodSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/rst-flood.toml``."""

    min_resets_per_s: Positive = 50.0
    beyond_normal: Positive = 6.0  # spreads above the normal rate of RSTs
    min_guessed_share: Share = 0.3  # of the RSTs, those that hit no session or lie below its window
    min_killed_per_s: Positive = 20.0  # sessions with data reset
    killing_windows: Annotated[int, msgspec.Meta(ge=1)] = 3  # in a row: a restart is over by then
    client_side_share: Share = 0.7  # RSTs toward the service: its clients do not all give up at once


class _Flood:
    def __init__(self) -> None:
        self.onset_s = 0.0
        self.last_s = float("-inf")
        self.normal = Normal(0.0, 0.0)
        self.warming = False
        self.killing = 0
        self.aimed = 0  # sessions with data that got an RST, right or not


class RstFlood:
    mode = Mode.RST_FLOOD
    REMEMBER_S = 10.0

    def __init__(self, settings: RstFloodSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._floods: Subjects[_Flood] = Subjects(_Flood)

    def judge(self, window: Window) -> list[Finding]:
        return [finding for service in window.services if (finding := self._judge(window, service)) is not None]

    def _judge(self, window: Window, service: ServiceWindow) -> Finding | None:
        rules = self._settings
        resets = service.resets_in + service.resets_out
        if resets < rules.min_resets_per_s * window.duration_s:
            if len(self._floods) and (quiet := self._floods.get(service.service.label)) is not None:
                quiet.killing = 0
            return None
        label = service.service.label
        flood = self._floods.touch(label)
        if window.start_s - flood.last_s > self.REMEMBER_S:
            flood.onset_s, flood.normal, flood.warming, flood.aimed = window.start_s, service.normal_resets, service.warming, 0
        if not flood.warming and flood.normal.excess(resets / window.duration_s) < rules.beyond_normal:
            return None
        guessed = min(resets, service.invalid_bad_rst + service.invalid_no_session)
        guessing = guessed >= rules.min_guessed_share * resets
        killing = not guessing and service.resets_with_data >= rules.min_killed_per_s * window.duration_s
        flood.killing = flood.killing + 1 if killing else 0
        if not guessing and not self._kills(flood, service, killing=killing):
            return None
        flood.aimed += service.resets_with_data
        flood.last_s = window.end_s
        evidence = self._evidence(flood, window, service, guessed, killing=killing)
        return Finding(
            mode=self.mode,
            service=label,
            severity=facts.severity(evidence, hurts=killing),
            at_s=window.end_s,
            onset_s=flood.onset_s,
            evidence=evidence,
        )

    def _kills(self, flood: _Flood, service: ServiceWindow, *, killing: bool) -> bool:
        """Are sessions with data reset by many clients' side at once, or again and again while the server goes on answering?"""
        if not killing:
            return False
        if service.resets_in >= self._settings.client_side_share * (service.resets_in + service.resets_out):
            return True
        return flood.killing >= self._settings.killing_windows and service.handshakes_completed > 0

    @staticmethod
    def _evidence(flood: _Flood, window: Window, service: ServiceWindow, guessed: int, *, killing: bool) -> tuple[Evidence, ...]:
        resets = service.resets_in + service.resets_out
        resets_per_s = resets / window.duration_s
        normally = facts.normally(flood.normal, warming=flood.warming)
        found = [facts.traffic("resets_per_s", resets_per_s, f"{facts.number(resets_per_s)} RST/s, {normally}")]
        if guessed:
            share = guessed / resets
            text = f"{facts.percent(share)} of the RSTs hit no session or lie below its window"
            found.append(facts.state("guessed_share", share, text))
        if killing:
            text = f"{facts.number(flood.aimed)} sessions that were carrying data have been reset"
            found.append(facts.health("sessions_reset", flood.aimed, text))
        elif flood.aimed:
            text = f"{facts.number(flood.aimed)} sessions that were carrying data were aimed at"
            found.append(facts.traffic("sessions_aimed_at", flood.aimed, text))
        return tuple(found)
