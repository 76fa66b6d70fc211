"""``service-silent``: a service's health is down and nothing else explains it. Says so honestly, with what was ruled out.

Three faces: asked and not answered (the server, or the path behind the firewall, is gone), answered with refusals (the server is there, its
program is not), and silence of everything (the link in front, or the tap, is gone). Each must last for some windows: a pause, a quick
restart or the end of a capture is no outage. A service that is asked less and answers what it is asked has a quiet night.
"""

from typing import Annotated

import msgspec

from netwatch.detect import facts, harm
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.level import Level
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class ServiceSilentSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/service-silent.toml``."""

    windows: Annotated[int, msgspec.Meta(ge=1)] = 3  # in a row
    down_share: Share = 0.5  # of the normal handshakes (or answers): less is down
    max_answered_share: Share = 0.5  # of what is asked: more is answered, if less often than usual
    min_unasked_per_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0  # normal handshakes of a service that is missed when nobody asks
    min_asked: Annotated[int, msgspec.Meta(ge=1)] = 30  # connections asked for in vain, where no normal is known
    min_sources: Annotated[int, msgspec.Meta(ge=1)] = 5  # behind them
    max_one_sided_acks: Share = 0.5  # ACKs per SYN without any packet back: a tap that sees one side, not an outage


class _Silence:
    def __init__(self) -> None:
        self.missing = harm.MissingHandshakes()
        self.answers = Level()  # of a UDP service, per second
        self.windows = 0
        self.vain_windows = 0
        self.vain_since_s = 0.0
        self.vain_asked = 0
        self.vain_sources = 0
        self.level = 0.0  # normal handshakes (or answers) when it began


class ServiceSilent:
    mode = Mode.SERVICE_SILENT

    def __init__(self, settings: ServiceSilentSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._services: Subjects[_Silence] = Subjects(_Silence)

    def judge(self, window: Window) -> list[Finding]:
        return [finding for service in window.services if (finding := self._judge(window, service)) is not None]

    def _judge(self, window: Window, service: ServiceWindow) -> Finding | None:
        silence = self._services.touch(service.service.label)
        udp = service.service.protocol == "udp"
        completed = service.two_sided_flows if udp else service.handshakes_completed
        down = self._is_down(silence, window, service, completed, udp=udp)
        in_vain = not down and not udp and self._is_asked_in_vain(silence, window, service)
        if udp and silence.windows == 0:
            silence.answers.learn(completed / window.duration_s)
        if not down and not in_vain:
            return None
        evidence = self._evidence(silence, window, service, completed, known_normal=down)
        return Finding(
            mode=self.mode,
            service=service.service.label,
            severity=facts.severity(evidence, hurts=True),
            at_s=window.end_s,
            onset_s=silence.missing.since_s if down else silence.vain_since_s,
            evidence=evidence,
        )

    def _is_down(self, silence: _Silence, window: Window, service: ServiceWindow, completed: int, *, udp: bool) -> bool:
        """Far fewer handshakes than normal, for several windows."""
        if service.warming or (udp and not silence.answers.warm):
            return False
        if silence.windows == 0:
            silence.level = silence.answers.value if udp else service.normal_completed.level
        spread_per_s = silence.answers.spread if udp else service.normal_completed.spread
        missing = silence.missing.update(window, completed=completed, level_per_s=silence.level, spread_per_s=spread_per_s)
        low = completed < self._settings.down_share * silence.level * window.duration_s and self._is_missed(
            silence, window, service, completed
        )
        silence.windows = silence.windows + 1 if low else 0
        return missing and silence.windows >= self._settings.windows

    def _is_missed(self, silence: _Silence, window: Window, service: ServiceWindow, completed: int) -> bool:
        """Is it asked and does not answer; or is nothing at all seen, or nothing of a service that is never left alone?"""
        asked = max(service.new_attempts, service.syn - service.syn_retransmitted) + service.syn_retransmitted
        if asked:
            return completed <= self._settings.max_answered_share * asked
        return window.firewall.packets == 0 or silence.level >= self._settings.min_unasked_per_s

    def _is_asked_in_vain(self, silence: _Silence, window: Window, service: ServiceWindow) -> bool:
        """No normal is known, but many ask, ask again, and nobody is answered."""
        rules = self._settings
        one_sided = service.packets_out == 0 and service.acks_in > rules.max_one_sided_acks * service.syn
        if service.handshakes_completed or service.synack or one_sided:
            silence.vain_windows = silence.vain_asked = silence.vain_sources = 0
            return False
        if service.syn:
            if silence.vain_windows == 0:
                silence.vain_since_s = window.start_s
            silence.vain_windows += 1
            silence.vain_asked += service.syn
            silence.vain_sources = max(silence.vain_sources, service.distinct_sources)
        repeated = service.syn_retransmitted >= 0.3 * service.syn > 0
        enough = silence.vain_asked >= rules.min_asked and silence.vain_sources >= rules.min_sources
        return service.warming and repeated and enough and silence.vain_windows > rules.windows

    def _evidence(
        self, silence: _Silence, window: Window, service: ServiceWindow, completed: int, *, known_normal: bool
    ) -> tuple[Evidence, ...]:
        per_s = completed / window.duration_s
        normally = f"normally {facts.number(silence.level)}" if known_normal else "no normal known yet"
        what = "answers" if service.service.protocol == "udp" else "handshakes"
        table = f"{facts.fill(window.firewall)}, {facts.number(window.firewall.dropped_full / window.duration_s)} new flows/s dropped"
        return (
            facts.health("completed_per_s", per_s, f"{facts.number(per_s)} {what}/s completed, {normally}; no cause is seen ({table})"),
            self._asked(window, service),
        )

    def _asked(self, window: Window, service: ServiceWindow) -> Evidence:
        """Which of the three faces it is."""
        asked_per_s = max(service.new_attempts, service.syn - service.syn_retransmitted) / window.duration_s
        repeated_per_s = service.syn_retransmitted / window.duration_s
        if asked_per_s + repeated_per_s == 0:
            others_per_s = window.firewall.packets / window.duration_s
            others = (
                f"others go on at {facts.number(others_per_s)} packets/s" if others_per_s else "nothing at all is seen: the link or the tap"
            )
            text = f"nobody asks, normally {facts.number(service.normal_attempts.level)} attempts/s; {others}"
            return facts.traffic("attempts_per_s", 0.0, text)
        if service.resets_out >= 0.5 * max(service.new_attempts, 1):
            refused_per_s = service.resets_out / window.duration_s
            text = f"{facts.number(asked_per_s)} attempts/s, {facts.number(refused_per_s)} answered with RST: the server refuses"
            return facts.traffic("refused_per_s", refused_per_s, text)
        text = (
            f"{facts.number(asked_per_s)} attempts/s and {facts.number(repeated_per_s)} repeated, "
            f"{facts.number(service.packets_out / window.duration_s)} packets/s come back"
        )
        return facts.traffic("attempts_per_s", asked_per_s, text)
