"""``table-full``: the table reaches its limit and packets of new flows are dropped before any rule; established ones go on.

The count alone says little. Full of half-open entries, early drop finds a victim for nearly every newcomer; full of assured ones (stuck
sessions, TIME_WAIT) it finds none and every new flow is dropped. So the severity follows what is dropped, or will be, and the forecast
looks at whether the entries that gather can fill the table before they time out.
"""

from typing import Annotated

import msgspec

from netwatch.detect import facts, harm
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.growth import Growth, timeout_s
from netwatch.detect.health import FirewallHealth
from netwatch.model.incident import Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile, SessionState
from netwatch.model.window import Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class TableFullSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/table-full.toml``."""

    full_ratio: Share = 0.98
    growing_windows: Annotated[int, msgspec.Meta(ge=1)] = 3  # in a row, before a forecast is believed
    beyond_normal: Annotated[float, msgspec.Meta(gt=0)] = 3.0  # spreads above the normal rate of new sessions


class TableFull:
    mode = Mode.TABLE_FULL

    def __init__(self, settings: TableFullSettings, profile: FirewallProfile) -> None:
        self._settings = settings
        self._profile = profile
        self._growth = Growth()
        self._health = FirewallHealth()
        self._onset_s: float | None = None

    def judge(self, window: Window) -> list[Finding]:
        firewall = window.firewall
        self._growth.update(window)
        if firewall.limit <= 0:
            return []
        health = self._health.update(window)
        if firewall.fill_ratio >= self._settings.full_ratio or firewall.dropped_full >= harm.MIN_REFUSED:
            evidence, hurts = self._full(window), harm.refuses_new_flows(firewall)
        elif (left_s := self._forecast_s(window)) is not None:
            refused = self._refused_when_full(window)
            hurts = refused >= harm.REFUSED_SHARE_THAT_HURTS
            evidence = self._filling(window, left_s, refused, hurts=hurts)
        else:
            self._onset_s = None
            return []
        evidence = (*evidence, *self._traffic(window), *health)
        if self._onset_s is None:
            self._onset_s = window.start_s
        return [
            Finding(
                mode=self.mode,
                service=None,
                severity=facts.severity(evidence, hurts=hurts),
                at_s=window.end_s,
                onset_s=self._onset_s,
                evidence=evidence,
            )
        ]

    def _forecast_s(self, window: Window) -> float | None:
        """Seconds until full, if that is soon and what gathers can really fill the table."""
        firewall = window.firewall
        if self._growth.streak < self._settings.growing_windows:
            return None
        recent_per_s = self._growth.entries_per_s(self._settings.growing_windows)
        if recent_per_s < 0.5 * self._growth.entries_per_s():
            return None  # it is flattening out
        left_s = harm.time_to_full_s(firewall, recent_per_s)
        if not harm.soon_full(firewall.fill_ratio, left_s):
            return None
        fastest = self._growth.fastest_state()
        tcp_only = fastest <= SessionState.SYN_SENT2
        ceiling = self._growth.ceiling((fastest,), timeout_s(fastest, self._profile), tcp_only=tcp_only)
        return left_s if ceiling >= firewall.limit else None

    def _refused_when_full(self, window: Window) -> float:
        """Of new flows, those for which early drop will find no victim, if the table fills with the present mix."""
        firewall = window.firewall
        assured_when_full = firewall.limit * firewall.assured / max(firewall.entries, 1)
        return harm.refusal_when_full(assured_when_full, firewall, self._profile)

    def _full(self, window: Window) -> tuple[Evidence, ...]:
        firewall = window.firewall
        assured_ratio = firewall.assured / max(firewall.entries, 1)
        dropped_per_s = firewall.dropped_full / window.duration_s
        full = f"{facts.fill(firewall)}, {facts.percent(assured_ratio)} of it assured"
        dropped = (
            f"{facts.number(dropped_per_s)} packets/s of new flows dropped, {facts.percent(harm.refused_share(firewall))} of the new; "
            f"{facts.number(firewall.early_dropped / window.duration_s)} entries/s evicted to make room"
        )
        return (
            facts.state("fill_ratio", firewall.fill_ratio, full),
            facts.state("dropped_per_s", dropped_per_s, dropped),
        )

    def _filling(self, window: Window, left_s: float, refused: float, *, hurts: bool) -> tuple[Evidence, ...]:
        firewall = window.firewall
        slope_per_s = max(firewall.fill_slope_per_s, self._growth.entries_per_s(self._settings.growing_windows))
        text = f"full in {facts.duration(left_s)} at {facts.number(slope_per_s)} entries/s; {facts.fill(firewall)}"
        when_full = facts.state("refused_when_full", refused, f"{facts.percent(refused)} of new flows would be dropped then")
        if not hurts:
            when_full = facts.state(
                "early_drop_makes_room", 1.0 - refused, f"early drop will make room for {facts.percent(1.0 - refused)} of new flows"
            )
        return (
            facts.state("time_to_full_s", left_s, text),
            when_full,
            facts.state("fill_ratio", firewall.fill_ratio, facts.fill(firewall)),
        )

    def _traffic(self, window: Window) -> tuple[Evidence, ...]:
        firewall = window.firewall
        asked_per_s = (firewall.new_sessions + firewall.dropped_full) / window.duration_s
        if window.warming or firewall.normal_new_sessions.excess(asked_per_s) < self._settings.beyond_normal:
            return ()
        text = f"{facts.number(asked_per_s)} new flows/s, {facts.normally(firewall.normal_new_sessions, warming=False)}"
        return (facts.traffic("new_per_s", asked_per_s, text),)
