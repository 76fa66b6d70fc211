"""``ack-flood``: pure ACKs that belong to no session. Where the firewall picks sessions up mid-stream (``tcp_loose``), each takes an entry.

Measured: to a host that stays silent one ESTABLISHED, unreplied entry of 300 s per ACK; to a live one its RST deletes the entry at once; a
strict firewall keeps none but must look each up and calls it invalid. So the sign is that nearly every packet toward the service is a pure
ACK and nearly every one opens a session or finds none.

What looks alike and is not: sessions that were there before the watch began, or before a failover, are picked up too, but they carry data
both ways; a path that is seen one way only has several packets a session.
"""

from typing import Annotated

import msgspec

from netwatch.detect import attribution, facts, harm
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Attribution, Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import Normal, ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class AckFloodSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/ack-flood.toml``."""

    min_stray_per_s: Positive = 100.0  # ACKs without a session
    beyond_normal: Positive = 6.0  # spreads above the normal rate of pure ACKs
    min_stray_share: Share = 0.7  # of the ACKs beyond the normal, those that open a session or find none
    max_talk_ratio: Share = 0.3  # packets from the service other than RST, per packet toward it beyond the normal


class _Flood:
    def __init__(self) -> None:
        self.onset_s = 0.0
        self.last_s = float("-inf")
        self.normal_acks = Normal(0.0, 0.0)
        self.normal_packets = Normal(0.0, 0.0)
        self.warming = False


class AckFlood:
    mode = Mode.ACK_FLOOD
    REMEMBER_S = 10.0
    """A pause this long ends one flood; what comes later has an onset of its own."""

    def __init__(self, settings: AckFloodSettings, profile: FirewallProfile) -> None:
        self._settings = settings
        self._profile = profile
        self._floods: Subjects[_Flood] = Subjects(_Flood)

    def judge(self, window: Window) -> list[Finding]:
        return [finding for service in window.services if (finding := self._judge(window, service)) is not None]

    def _judge(self, window: Window, service: ServiceWindow) -> Finding | None:
        least = self._settings.min_stray_per_s * window.duration_s
        if service.acks_in < least or (stray := _stray(service)) < least:
            return None
        label = service.service.label
        flood = self._floods.touch(label)
        if window.start_s - flood.last_s > self.REMEMBER_S:
            # Keep the normals of this moment: a long flood must not become its own normal.
            flood.onset_s, flood.warming = window.start_s, service.warming
            flood.normal_acks, flood.normal_packets = service.normal_acks, service.normal_packets
        if not self._is_flood(flood, window, service, stray):
            return None
        flood.last_s = window.end_s
        evidence = self._evidence(flood, window, service, stray)
        return Finding(
            mode=self.mode,
            service=label,
            severity=facts.severity(evidence, hurts=self._hurts(window, service)),
            at_s=window.end_s,
            onset_s=flood.onset_s,
            evidence=evidence,
            attribution=self._who(window, service),
        )

    def _is_flood(self, flood: _Flood, window: Window, service: ServiceWindow, stray: int) -> bool:
        rules = self._settings
        acks_per_s = service.acks_in / window.duration_s
        usual_acks = 0.0 if flood.warming else flood.normal_acks.level * window.duration_s
        usual_packets = 0.0 if flood.warming else flood.normal_packets.level * window.duration_s
        if not flood.warming and flood.normal_acks.excess(acks_per_s) < rules.beyond_normal:
            return False
        beyond = service.acks_in - usual_acks
        if min(stray, service.acks_in) < rules.min_stray_share * beyond or stray < rules.min_stray_per_s * window.duration_s:
            return False
        talk = service.packets_out - service.resets_out - 0.5 * usual_packets
        others = service.packets_in - service.acks_in - 0.5 * usual_packets
        return max(talk, others) <= rules.max_talk_ratio * max(beyond, 1.0)

    def _hurts(self, window: Window, service: ServiceWindow) -> bool:
        """Picked-up entries are unassured, but stay for five minutes."""
        firewall = window.firewall
        if harm.refuses_new_flows(firewall):
            return True
        kept_per_s = (service.picked_up - min(service.resets_out, service.picked_up)) / window.duration_s
        filling_per_s = max(firewall.limit - firewall.entries, 0.05 * firewall.limit) / self._profile.timeouts.unacknowledged_s
        return (
            kept_per_s >= filling_per_s
            and harm.refusal_when_full(firewall.assured, firewall, self._profile) >= harm.REFUSED_SHARE_THAT_HURTS
        )

    @staticmethod
    def _who(window: Window, service: ServiceWindow) -> tuple[Attribution, ...]:
        """Only entries have known sources; where nothing is picked up, nothing is said."""
        return attribution.attribute(attribution.asked_of(service, window.duration_s)) if service.picked_up else ()

    @staticmethod
    def _evidence(flood: _Flood, window: Window, service: ServiceWindow, stray: int) -> tuple[Evidence, ...]:
        acks_per_s = service.acks_in / window.duration_s
        normally = facts.normally(flood.normal_acks, warming=flood.warming)
        text = (
            f"{facts.number(acks_per_s)} pure ACKs/s, {normally}; {facts.percent(min(1.0, stray / service.acks_in))} belong to no session"
        )
        found = [facts.traffic("ack_per_s", acks_per_s, text)]
        if service.picked_up:
            picked_per_s = service.picked_up / window.duration_s
            text = (
                f"{facts.number(picked_per_s)} sessions/s picked up mid-stream; {facts.number(service.unreplied)} entries without a reply"
            )
            found.append(facts.state("picked_up_per_s", picked_per_s, f"{text}; {facts.fill(window.firewall)}"))
        if service.invalid_no_session:
            invalid_per_s = service.invalid_no_session / window.duration_s
            found.append(facts.state("invalid_per_s", invalid_per_s, f"{facts.number(invalid_per_s)} packets/s called invalid: no session"))
        if refused := _refused(service):
            refused_per_s = refused / window.duration_s
            text = f"{facts.number(refused_per_s)} packets/s without a session found no room for one; {facts.fill(window.firewall)}"
            found.append(facts.state("refused_per_s", refused_per_s, text))
        return tuple(found)


def _stray(service: ServiceWindow) -> int:
    """Packets without a session: picked up, invalid, or refused for want of room."""
    return service.picked_up + service.invalid_no_session + _refused(service)


def _refused(service: ServiceWindow) -> int:
    """What a full table drops and is no SYN would have been picked up."""
    return max(0, service.dropped_full - service.syn)
