"""``fragment-exhaustion``: fragments whose datagram never gets complete hold memory for 30 s; when it is used up, honest ones are lost too.

Linux gives all incomplete datagrams 4 MiB (``ipfrag_high_thresh``) and a stateful firewall puts fragments together before its first rule.
The sign is not the number of fragments, since big DNS answers and NFS are made of them, but that their bytes stay: honest datagrams are
complete within milliseconds.
"""

from typing import Annotated

import msgspec

from netwatch.detect import facts
from netwatch.detect.detector import DetectorSettings
from netwatch.model.incident import Attribution, Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class FragmentExhaustionSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/fragment-exhaustion.toml``."""

    min_fragments_per_s: Positive = 100.0
    beyond_normal: Positive = 6.0  # spreads above the normal rate of fragments
    min_stuck_share: Share = 0.5  # of the fragments' bytes, those still waiting when the window ends
    min_failed: Annotated[int, msgspec.Meta(ge=1)] = 20  # datagrams given up in a window …
    min_failed_share: Share = 0.2  # … and of all that came to an end
    memory_bytes: Positive = 4_194_304.0  # net.ipv4.ipfrag_high_thresh
    full_ratio: Share = 0.75
    hurting_full_in_s: Positive = 60.0
    victim_share: Share = 0.6  # of the fragments: the service that gets as many is named


class FragmentExhaustion:
    mode = Mode.FRAGMENT_EXHAUSTION
    REMEMBER_S = 10.0

    def __init__(self, settings: FragmentExhaustionSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._held_bytes = 0
        self._onset_s = 0.0
        self._last_s = float("-inf")

    def judge(self, window: Window) -> list[Finding]:
        firewall, rules = window.firewall, self._settings
        stuck_bytes = firewall.reassembly_bytes - self._held_bytes
        self._held_bytes = firewall.reassembly_bytes
        per_s = firewall.fragments / window.duration_s
        if per_s < rules.min_fragments_per_s:
            return []
        if window.start_s - self._last_s > self.REMEMBER_S:
            if not window.warming and firewall.normal_fragments.excess(per_s) < rules.beyond_normal:
                return []
            self._onset_s = window.start_s
        failing = self._failing(window)
        stuck = stuck_bytes >= rules.min_stuck_share * max(firewall.fragment_bytes, 1)
        full = firewall.reassembly_bytes >= rules.full_ratio * rules.memory_bytes
        if not (failing or stuck or full):
            return []
        self._last_s = window.end_s
        free_bytes = max(rules.memory_bytes - firewall.reassembly_bytes, 0.0)
        soon = stuck and free_bytes < rules.hurting_full_in_s * stuck_bytes / window.duration_s
        evidence = self._evidence(window)
        return [
            Finding(
                mode=self.mode,
                service=None,
                severity=facts.severity(evidence, hurts=failing or full or soon),
                at_s=window.end_s,
                onset_s=self._onset_s,
                evidence=evidence,
                attribution=self._aimed_at(window),
            )
        ]

    def _failing(self, window: Window) -> bool:
        failed, complete = window.firewall.reassembly_failed, window.firewall.reassembled
        return failed >= self._settings.min_failed and failed > self._settings.min_failed_share * (failed + complete)

    def _aimed_at(self, window: Window) -> tuple[Attribution, ...]:
        """The memory is everybody's, so the whole firewall is meant; but most fragments may be aimed at one service."""
        most = max(window.services, key=lambda service: service.fragments, default=None)
        if most is None or most.fragments < max(1.0, self._settings.victim_share * window.firewall.fragments):
            return ()
        return (Attribution("service", most.service.label, round(min(1.0, most.fragments / window.firewall.fragments), 4)),)

    def _evidence(self, window: Window) -> tuple[Evidence, ...]:
        firewall, rules = window.firewall, self._settings
        per_s = firewall.fragments / window.duration_s
        held = firewall.reassembly_bytes / rules.memory_bytes
        normally = facts.normally(firewall.normal_fragments, warming=window.warming)
        found = [
            facts.traffic("fragments_per_s", per_s, f"{facts.number(per_s)} fragments/s, {normally}"),
            facts.state(
                "reassembly_bytes",
                firewall.reassembly_bytes,
                f"incomplete datagrams hold {facts.percent(held)} of the {rules.memory_bytes / 2**20:.0f} MiB that reassembly may use",
            ),
        ]
        ended = firewall.reassembly_failed + firewall.reassembled
        if firewall.reassembly_failed:
            share = firewall.reassembly_failed / ended
            text = f"{facts.number(firewall.reassembly_failed)} datagrams given up, {facts.percent(share)} of those that came to an end"
            found.append(facts.state("reassembly_failed", firewall.reassembly_failed, text))
        return tuple(found)
