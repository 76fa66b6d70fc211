"""``service-silent``: a service's health is down and nothing else explains it. Says so honestly, with what was ruled out.

Three faces: asked and not answered (the server, or the path behind the firewall, is gone), answered with refusals (the server is there, its
program is not), and silence of everything (the link in front, or the tap, is gone). Each must last for some windows: a pause, a quick
restart or the end of a capture is no outage. A service that is asked less and answers what it is asked has a quiet night.
"""

from typing import Annotated

import msgspec

from netwatch.detect import facts
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.outage import Outage, answered, is_served
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class ServiceSilentSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/service-silent.toml``."""

    windows: Count = 3  # in a row without answers
    min_asked: Count = 30  # connections asked for in vain, where no normal is known
    min_sources: Count = 5  # behind them
    min_repeated_share: Share = 0.3  # of these SYNs: whoever gets no answer asks again
    max_one_sided_acks: Share = 0.5  # ACKs per SYN without any packet back: a tap that sees one side, not an outage


class _Silence:
    def __init__(self) -> None:
        self.outage = Outage()
        self.vain_windows = 0
        self.vain_since_s = 0.0
        self.vain_asked = 0
        self.vain_sources = 0


class ServiceSilent:
    mode = Mode.SERVICE_SILENT

    def __init__(self, settings: ServiceSilentSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._services: Subjects[_Silence] = Subjects(_Silence)

    def judge(self, window: Window) -> list[Finding]:
        return [finding for service in window.services if (finding := self._judge(window, service)) is not None]

    def _judge(self, window: Window, service: ServiceWindow) -> Finding | None:
        label = service.service.label
        silence = self._services.get(label)
        if silence is None:
            if _needs_no_memory(window, service):
                return None
            silence = self._services.touch(label)
        down = silence.outage.update(window, service) and silence.outage.windows >= self._settings.windows
        if not down and not self._is_asked_in_vain(silence, window, service):
            if silence.outage.forgettable and not silence.vain_windows:
                self._services.forget(label)
            return None
        normal = f"normally {facts.number(silence.outage.normal.level)}" if down else "no normal known yet"
        evidence = (self._health(window, service, normal), self._asked(window, service))
        return Finding(
            mode=self.mode,
            service=label,
            severity=facts.severity(evidence, hurts=True),
            at_s=window.end_s,
            onset_s=silence.outage.since_s if down else silence.vain_since_s,
            evidence=evidence,
        )

    def _is_asked_in_vain(self, silence: _Silence, window: Window, service: ServiceWindow) -> bool:
        """No normal is known, but many ask, ask again, and nobody is answered."""
        rules = self._settings
        if not service.syn and not silence.vain_windows:
            return False
        if service.handshakes_completed or service.synack or self._is_one_sided(service):
            silence.vain_windows = silence.vain_asked = silence.vain_sources = 0
            return False
        if service.syn:
            if silence.vain_windows == 0:
                silence.vain_since_s = window.start_s
            silence.vain_windows += 1
            silence.vain_asked += service.syn
            silence.vain_sources = max(silence.vain_sources, service.distinct_sources)
        if not service.warming or silence.vain_windows <= rules.windows:
            return False
        repeated = service.syn_retransmitted >= rules.min_repeated_share * service.syn > 0
        return repeated and silence.vain_asked >= rules.min_asked and silence.vain_sources >= rules.min_sources

    def _is_one_sided(self, service: ServiceWindow) -> bool:
        """Does the tap see nothing but the clients' side of sessions that go on?"""
        return service.packets_out == 0 and service.acks_in > self._settings.max_one_sided_acks * service.syn

    @staticmethod
    def _health(window: Window, service: ServiceWindow, normal: str) -> Evidence:
        per_s = answered(service) / window.duration_s
        what = "answers" if service.service.protocol == "udp" else "handshakes"
        dropped_per_s = window.firewall.dropped_full / window.duration_s
        table = f"{facts.fill(window.firewall)}, {facts.number(dropped_per_s)} new flows/s dropped"
        cause = table if dropped_per_s else f"no cause is seen ({table})"
        return facts.health("completed_per_s", per_s, f"{facts.number(per_s)} {what}/s completed, {normal}; {cause}")

    @staticmethod
    def _asked(window: Window, service: ServiceWindow) -> Evidence:
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
        back_per_s = service.packets_out / window.duration_s
        text = (
            f"{facts.number(asked_per_s)} attempts/s and {facts.number(repeated_per_s)} repeated, "
            f"{facts.number(back_per_s)} packets/s come back"
        )
        return facts.traffic("attempts_per_s", asked_per_s, text)


def _needs_no_memory(window: Window, service: ServiceWindow) -> bool:
    """Is a service that nothing is remembered of served, or answering while its normal is not known yet? UDP always needs a memory."""
    if service.warming:
        return service.service.protocol == "tcp" and (not service.syn or service.handshakes_completed + service.synack > 0)
    return is_served(window, service)
