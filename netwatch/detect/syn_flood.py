"""``syn-flood``: SYNs that nobody will ever finish, each holding a half-open entry until its timeout (60 s answered, 120 s not).

The sign is the gap between SYNs and finished handshakes, added up as a non-parametric CUSUM (Wang, Zhang, Shin, INFOCOM 2002; a = 0.35,
N = 1.05) over seconds instead of the papers' 20 s. The gap is measured in the rate that would do harm: so many SYN/s that their half-open
entries alone fill what is free of the table within the half-open timeout. Five times that is seen in a fraction of a second, a fifth of it
in a few seconds.

What looks alike and is not: a flash crowd finishes its handshakes; a server that is down is asked by those who always ask, no more often
than before save for repeated SYNs (see ``service_silent``); a closed port answers with RST, which leaves no entry; a tap that sees only the
clients' side sees no SYN-ACKs but goes on seeing ACKs.

Of sampled packets the estimate is judged (see ``sampled``): SYNs times N against ACKs, and no sooner than chance allows.
"""

from typing import Annotated

import msgspec

from netwatch.detect import attribution, facts, harm, sampled
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import Normal, ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class SynFloodSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/syn-flood.toml``."""

    min_unfinished_per_s: Positive = 40.0  # fewer half-open entries hurt neither a firewall nor a server
    harmful_share: Share = 0.1  # of the rate that fills the free part of the table with half-open entries
    max_completion_ratio: Share = 0.3  # of what is asked beyond the normal
    max_repeated_share: Share = 0.4  # SYNs that repeat an earlier one: more is a crowd waiting for a server
    outage_known_share: Share = 0.6  # sources that completed sessions before, while nothing completes: its own clients, waiting
    outage_times_usual: Annotated[float, msgspec.Meta(gt=1)] = 6.0  # sampled, nothing answered: up to so many SYNs are its own clients'
    cusum_drift: Share = 0.35
    min_strength: Share = 0.5  # of the least rate called a flood, in the window itself
    cusum_alarm: Positive = 1.05
    cusum_ceiling: Positive = 4.0  # so that the end of a flood is seen within seconds


SERVED_WITHIN_S = 3.0
"""After an outage: so long the clients that waited may be more than are served."""


class _Flood:
    """What is remembered of one service: the CUSUM, since when it is above zero, and the normals of that moment."""

    def __init__(self) -> None:
        self.sum = 0.0
        self.onset_s = 0.0
        self.sources = 0
        self.outage_s = float("-inf")  # end of the last window in which the service did not answer its own clients
        self.normal_syn = Normal(0.0, 0.0)
        self.normal_completed = Normal(0.0, 0.0)
        self.warming = False
        self.missing = harm.MissingHandshakes()


class SynFlood:
    mode = Mode.SYN_FLOOD

    def __init__(self, settings: SynFloodSettings, profile: FirewallProfile) -> None:
        self._settings = settings
        self._profile = profile
        self._floods: Subjects[_Flood] = Subjects(_Flood)

    def judge(self, window: Window) -> list[Finding]:
        calm_below = self._settings.cusum_drift * self._settings.min_unfinished_per_s * window.duration_s
        found = []
        for seen in window.services:
            if seen.service.protocol == "tcp":
                service = seen if window.sampled_one_in == 1 else sampled.estimated(seen, window.sampled_one_in)
                calm = service.syn - service.syn_retransmitted - service.handshakes_completed < calm_below
                flood = self._floods.get(service.service.label) if calm else self._floods.touch(service.service.label)
                if flood is not None and (finding := self._judge(flood, window, seen, service)) is not None:
                    found.append(finding)
        return found

    def _judge(self, flood: _Flood, window: Window, seen: ServiceWindow, service: ServiceWindow) -> Finding | None:
        """``service`` is what was ``seen``, or of sampled packets what it stands for."""
        label, one_in = service.service.label, window.sampled_one_in
        if flood.sum == 0.0:
            self._begin(flood, window, service)
        whole = one_in == 1  # else it is not known what was completed
        down = (
            whole
            and not flood.warming
            and flood.missing.update(
                window,
                completed=service.handshakes_completed,
                level_per_s=flood.normal_completed.level,
                spread_per_s=flood.normal_completed.spread,
            )
        )
        excess_per_s = self._excess_per_s(flood, window, service)
        filling_per_s = self._filling_per_s(window, service)
        # Where health is down already, little more than nothing is enough to be its cause.
        needed_per_s = max(self._settings.min_unfinished_per_s, 0.0 if down else self._settings.harmful_share * filling_per_s)
        strength = excess_per_s / needed_per_s
        gain = (strength - self._settings.cusum_drift) * window.duration_s
        if not whole:
            gain = min(
                gain, sampled.certainty(excess_per_s * window.duration_s, flood.normal_syn.level * window.duration_s, service, one_in)
            )
        flood.sum = min(max(0.0, flood.sum + gain), self._settings.cusum_ceiling)
        if flood.sum == 0.0:
            if flood.missing.missing == 0.0:
                self._floods.forget(label)
            return None
        waiting = self._is_waiting_crowd(flood, window, service)
        if flood.sum < self._settings.cusum_alarm or strength < self._settings.min_strength:
            return None
        if waiting or self._is_answered(flood, window, service):
            return None
        if service.synack == 0 and window.start_s == flood.onset_s and excess_per_s < filling_per_s:
            return None  # a crowd before a server that is down looks the same until it repeats its SYNs, a second later
        evidence = self._evidence(flood, window, service, down=down)
        asked = attribution.asked_of(seen, window.duration_s)
        who = attribution.attribute(asked, sources_so_far=flood.sources)
        flood.sources += asked.sources if asked.spoofed else 0
        return Finding(
            mode=self.mode,
            service=label,
            severity=facts.severity(evidence, hurts=down or self._hurts(window, _entering(service) * excess_per_s / filling_per_s)),
            at_s=window.end_s,
            onset_s=flood.onset_s,
            evidence=evidence,
            attribution=who,
        )

    def _begin(self, flood: _Flood, window: Window, service: ServiceWindow) -> None:
        """Keep the normals of this moment: a long flood must not become its own normal."""
        flood.onset_s = window.start_s
        flood.sources = 0
        flood.warming = service.warming
        flood.normal_syn = service.normal_syn
        flood.normal_completed = service.normal_completed

    def _excess_per_s(self, flood: _Flood, window: Window, service: ServiceWindow) -> float:
        """SYNs that are both beyond the normal number and neither finished nor refused."""
        asked_per_s = (service.syn - service.syn_retransmitted) / window.duration_s
        refused = min(service.resets_out, max(0, service.syn - service.synack))
        unfinished_per_s = asked_per_s - (service.handshakes_completed + refused) / window.duration_s
        if service.dropped_full:
            # A full table, whatever filled it, leaves everybody's SYN unfinished; only a flood holds half-open entries at the same time.
            unfinished_per_s = min(unfinished_per_s, service.half_open / window.duration_s)
        if flood.warming:
            return unfinished_per_s
        syn, completed = flood.normal_syn, flood.normal_completed
        spread_per_s = max(syn.spread, 0.1 * syn.level, 1.0)
        usually_unfinished_per_s = max(0.0, syn.level - completed.level)
        return min(unfinished_per_s - usually_unfinished_per_s, asked_per_s - syn.level - 2.0 * spread_per_s)

    def _filling_per_s(self, window: Window, service: ServiceWindow) -> float:
        """The rate whose half-open entries alone fill what others leave free of the table, within their timeout."""
        answered = service.synack >= 0.5 * service.syn
        half_open_s = self._profile.timeouts.syn_recv_s if answered else self._profile.timeouts.syn_sent_s
        limit = window.firewall.limit
        others = max(0, window.firewall.entries - service.half_open)
        return max(limit - others, 0.05 * limit) / max(half_open_s, 1.0)

    def _is_answered(self, flood: _Flood, window: Window, service: ServiceWindow) -> bool:
        """Do those beyond the normal finish their handshakes, or do the clients go on talking where the tap sees only their side?"""
        asked = service.syn - service.syn_retransmitted
        if service.packets_out == 0 and service.acks_in >= 0.5 * asked:
            return True
        usual = 0.0 if flood.warming else flood.normal_syn.level * window.duration_s
        usual_completed = 0.0 if flood.warming else flood.normal_completed.level * window.duration_s
        beyond = max(asked - usual, 1.0)
        return (service.handshakes_completed - usual_completed) / beyond >= self._settings.max_completion_ratio

    def _is_waiting_crowd(self, flood: _Flood, window: Window, service: ServiceWindow) -> bool:
        """In an outage, or in the first seconds after it, when those who waited are served one after the other."""
        if self._is_outage(flood, window, service):
            flood.outage_s = window.end_s
            return True
        return window.end_s - flood.outage_s <= SERVED_WITHIN_S and service.known_sources_share >= self._settings.outage_known_share

    def _is_outage(self, flood: _Flood, window: Window, service: ServiceWindow) -> bool:
        """Is it the service's own crowd, waiting for a server that does not answer?"""
        if window.sampled_one_in > 1:
            return self._may_be_outage(flood, window, service)
        if service.syn_retransmitted > self._settings.max_repeated_share * service.syn:
            return True
        served = service.handshakes_completed >= 0.3 * flood.normal_completed.level and not flood.warming
        answered = service.synack >= 0.3 * service.syn  # fewer: it may have gone away or come back within the window
        return service.known_sources_share >= self._settings.outage_known_share and not served and not answered

    def _may_be_outage(self, flood: _Flood, window: Window, service: ServiceWindow) -> bool:
        """Of sampled packets: could all these SYNs be its own clients', who repeat them four or five times before they give up?"""
        usual = flood.normal_syn.level * window.duration_s
        times = self._settings.outage_times_usual
        return service.synack < 0.3 * service.syn and (
            flood.warming or sampled.may_repeat(service.syn, usual, times, window.sampled_one_in)
        )

    def _hurts(self, window: Window, of_filling: float) -> bool:
        """Are new flows dropped, or will they be before its half-open entries time out?"""
        firewall = window.firewall
        if harm.refuses_new_flows(firewall):
            return True
        return of_filling >= 1.0 and harm.refusal_when_full(firewall.assured, firewall, self._profile) >= harm.REFUSED_SHARE_THAT_HURTS

    def _evidence(self, flood: _Flood, window: Window, service: ServiceWindow, *, down: bool) -> tuple[Evidence, ...]:
        syn_per_s = service.syn / window.duration_s
        normally = facts.normally(flood.normal_syn, warming=flood.warming)
        ratio = service.completion_ratio
        if window.sampled_one_in == 1:
            text = f"{facts.number(syn_per_s)} SYN/s, {normally}; {facts.percent(ratio)} completed"
            finished = facts.traffic("completion_ratio", ratio, f"{facts.percent(ratio)} of the handshakes asked for were completed")
        else:
            text = f"about {facts.number(syn_per_s)} SYN/s, {normally}; one packet in {window.sampled_one_in:,} was seen"
            finished = facts.traffic("acknowledged_ratio", ratio, f"ACKs of clients for {facts.percent(ratio)} of the handshakes asked for")
        found = [facts.traffic("syn_per_s", syn_per_s, text), finished]
        if service.half_open >= self._settings.min_unfinished_per_s:
            share = service.half_open / max(window.firewall.limit, 1)
            text = (
                f"{facts.number(service.half_open)} half-open entries, {facts.percent(share)} of {window.firewall.limit:,}; "
                f"{facts.fill(window.firewall)}"
            )
            found.append(facts.state("half_open", service.half_open, text))
        if down:
            completed_per_s = service.handshakes_completed / window.duration_s
            text = f"{facts.number(completed_per_s)} handshakes/s completed, {facts.normally(flood.normal_completed, warming=False)}"
            found.append(facts.health("completed_per_s", completed_per_s, text))
        return tuple(found)


def _entering(service: ServiceWindow) -> float:
    """Of what was asked, the share that made entries: with a mitigation in force most of a flood fills nothing."""
    return min(1.0, service.new_sessions / max(service.new_attempts, 1))
