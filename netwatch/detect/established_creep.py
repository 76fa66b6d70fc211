"""``established-creep``: sessions are opened and never closed; each stays for days (432,000 s on Linux), assured: nothing evicts it.

No packet rate shows it: 0.61 leaked sessions a second fill a default table. It is told in three ways. A *burst* is seen in its first
second: established entries grow as fast as handshakes complete, and the clients behind them never send a byte. A *leak* in normal use is
seen by a step in one balance: of the sessions opened, few used to stay, now most do, and the entries are idle. A table *stuck* full of idle
established entries is still this mode when its cause is long over (measured: 0 of 20 new connections for as long as one looks).

What looks alike and is not: mail clients that wait in IDLE are established and idle too, and stay; but they always did.
"""

from collections import deque
from typing import Annotated

import msgspec

from netwatch.detect import attribution, facts, harm
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.health import FirewallHealth
from netwatch.detect.level import Level
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Attribution, Evidence, Finding, Mode
from netwatch.model.session import Census, FirewallProfile
from netwatch.model.window import FirewallWindow, ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class EstablishedCreepSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/established-creep.toml``."""

    min_kept_share: Share = 0.7  # of the sessions opened, those that stay
    min_burst_per_s: Positive = 5.0  # established entries gained by one service
    max_used_share: Share = 0.3  # of the sessions opened in a burst, those whose client sent anything
    burst_full_in_s: Positive = 60.0  # a burst matters if it fills the table within this time
    min_leak_per_s: Positive = 1.0
    usual_kept_share: Share = 0.3  # a leak is a step from below this share to above the one above
    min_idle_share: Share = 0.5  # of established entries, idle for at least 10 s
    leak_full_in_s: Positive = 600.0
    stuck_fill_ratio: Share = 0.9
    stuck_established_share: Share = 0.5  # of all entries


class _Balance(msgspec.Struct, frozen=True, gc=False):
    """One service at the end of a window."""

    at_s: float
    established: int
    opened: int  # handshakes completed since it was first seen
    picked_up: int  # entries made mid-stream since then: they were not opened here


class _Sessions:
    LEAK_WINDOWS = 20
    """Some sessions last for seconds; a balance over less time would call each of them kept."""

    def __init__(self) -> None:
        self.balance: deque[_Balance] = deque(maxlen=self.LEAK_WINDOWS + 1)
        self.kept: float | None = None  # share of the sessions opened over that span; None while that means nothing
        self.usual_kept = Level()
        self.suspect_s: float | None = None  # since when more is kept than usual
        self.grows = False
        self.forget()

    def forget(self) -> None:
        """What was there has gone, or begins anew."""
        self.onset_s: float | None = None  # of the growth that led here
        self.opened = 0  # since then
        self.used = 0
        self.told = False
        self.most = 0  # established entries since then
        self.who: tuple[Attribution, ...] = ()

    def growth_per_s(self, windows: int) -> float:
        first = self.balance[max(0, len(self.balance) - 1 - windows)]
        last = self.balance[-1]
        return (last.established - first.established) / max(last.at_s - first.at_s, 1e-9)

    def kept_share(self) -> float | None:
        """Of the sessions opened over the whole span, those that stayed; ``None`` while that means nothing."""
        if len(self.balance) <= self.LEAK_WINDOWS:
            return None
        first, last = self.balance[0], self.balance[-1]
        opened = last.opened - first.opened
        if opened < self.LEAK_WINDOWS:
            return None
        return (last.established - first.established - last.picked_up + first.picked_up) / opened


class EstablishedCreep:
    mode = Mode.ESTABLISHED_CREEP

    def __init__(self, settings: EstablishedCreepSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._services: Subjects[_Sessions] = Subjects(_Sessions)
        self._health = FirewallHealth()

    def judge(self, window: Window) -> list[Finding]:
        health, stuck = self._health.update(window), self._may_be_stuck(window.firewall)
        return [finding for service in window.services if (finding := self._judge(window, service, health, stuck=stuck)) is not None]

    def _judge(self, window: Window, service: ServiceWindow, health: tuple[Evidence, ...], *, stuck: bool) -> Finding | None:
        label = service.service.label
        sessions = self._services.get(label)
        if sessions is None:
            if service.established + service.handshakes_completed == 0:
                return None
            sessions = self._services.touch(label)
            # What was there when the watch began did not grow before our eyes.
            sessions.balance.append(_Balance(window.start_s, service.established - service.handshakes_completed, 0, 0))
        self._follow(sessions, window, service)
        if self._is_burst(sessions, window, service):
            evidence, hurts = self._burst(sessions, window, service), True
            who = attribution.attribute(attribution.asked_of(service, window.duration_s))
            sessions.who = who or sessions.who
        elif stuck and self._is_stuck(sessions, window, service):
            evidence, hurts = self._stuck(sessions, window, service), harm.refuses_new_flows(window.firewall)
        elif self._is_leak(sessions, window):
            evidence = self._leak(sessions, window, service)
            left_s = harm.time_to_full_s(window.firewall, sessions.growth_per_s(sessions.LEAK_WINDOWS))
            hurts = harm.soon_full(window.firewall.fill_ratio, left_s)
            sessions.onset_s = sessions.suspect_s
        else:
            return None
        evidence = (*evidence, *health)
        sessions.told = True
        return Finding(
            mode=self.mode,
            service=label,
            severity=facts.severity(evidence, hurts=hurts),
            at_s=window.end_s,
            onset_s=sessions.onset_s if sessions.onset_s is not None else window.start_s,
            evidence=evidence,
            attribution=sessions.who or _holders(window.census),
        )

    def _follow(self, sessions: _Sessions, window: Window, service: ServiceWindow) -> None:
        """Take in the window; what is usual is learned only from a balance that is not suspicious."""
        before = sessions.balance[-1]
        opened, picked_up = before.opened + service.handshakes_completed, before.picked_up + service.picked_up
        sessions.balance.append(_Balance(window.end_s, service.established, opened, picked_up))
        grows = service.established - before.established >= self._settings.min_burst_per_s * window.duration_s
        if service.established < 0.5 * sessions.most:
            sessions.forget()
        if grows and not sessions.grows and not sessions.told:
            sessions.forget()
            sessions.onset_s = window.start_s
        if grows:
            sessions.opened += service.handshakes_completed
            sessions.used += service.first_payloads
        sessions.grows = grows
        if sessions.most < service.established:
            sessions.most = service.established
        sessions.kept = kept = sessions.kept_share()
        if kept is None:
            return
        if kept < 0.5 * (self._settings.usual_kept_share + self._settings.min_kept_share) or not sessions.usual_kept.warm:
            sessions.usual_kept.learn(kept)
            sessions.suspect_s = None
        elif sessions.suspect_s is None:
            # A step in the balance shows when half of the span lies behind it.
            sessions.suspect_s = sessions.balance[len(sessions.balance) // 2].at_s

    def _is_burst(self, sessions: _Sessions, window: Window, service: ServiceWindow) -> bool:
        rules, completed = self._settings, service.handshakes_completed
        if completed == 0 or service.first_payloads > rules.max_used_share * completed:
            return False
        growth_per_s = sessions.growth_per_s(1)
        if growth_per_s < max(rules.min_burst_per_s, rules.min_kept_share * (completed / window.duration_s)):
            return False
        return harm.time_to_full_s(window.firewall, growth_per_s) < rules.burst_full_in_s

    def _may_be_stuck(self, firewall: FirewallWindow) -> bool:
        """Is the table full of assured entries? Those picked up mid-stream and never answered early drop can evict."""
        rules = self._settings
        return firewall.fill_ratio >= rules.stuck_fill_ratio and firewall.assured >= rules.stuck_established_share * firewall.entries

    def _is_stuck(self, sessions: _Sessions, window: Window, service: ServiceWindow) -> bool:
        rules, census = self._settings, window.census
        if service.established < rules.stuck_established_share * window.firewall.entries:
            return False
        return sessions.told or (census is not None and _idle_share(census) >= rules.min_idle_share)

    def _is_leak(self, sessions: _Sessions, window: Window) -> bool:
        rules, census = self._settings, window.census
        if sessions.kept is None or sessions.suspect_s is None or census is None or sessions.kept < rules.min_kept_share:
            return False
        growth_per_s = sessions.growth_per_s(sessions.LEAK_WINDOWS)
        return (
            sessions.usual_kept.value <= rules.usual_kept_share
            and growth_per_s >= rules.min_leak_per_s
            and _idle_share(census) >= rules.min_idle_share
            and harm.time_to_full_s(window.firewall, growth_per_s) < rules.leak_full_in_s
        )

    def _burst(self, sessions: _Sessions, window: Window, service: ServiceWindow) -> tuple[Evidence, ...]:
        completed_per_s = service.handshakes_completed / window.duration_s
        normally = facts.normally(service.normal_completed, warming=service.warming)
        used = facts.percent(sessions.used / max(sessions.opened, 1))
        text = f"{facts.number(completed_per_s)} sessions/s opened, {normally}; {used} of their clients sent anything"
        return (
            facts.traffic("opened_per_s", completed_per_s, text),
            _established(window, service, growth_per_s=sessions.growth_per_s(1)),
        )

    def _stuck(self, sessions: _Sessions, window: Window, service: ServiceWindow) -> tuple[Evidence, ...]:
        found = [_established(window, service, growth_per_s=0.0)]
        if sessions.opened:
            used = sessions.used / sessions.opened
            text = f"{facts.number(sessions.opened)} sessions opened while it grew, {facts.percent(used)} of their clients sent anything"
            found.append(facts.traffic("used_share", used, text))
        return (*found, *_idle(window.census))

    def _leak(self, sessions: _Sessions, window: Window, service: ServiceWindow) -> tuple[Evidence, ...]:
        kept = sessions.kept or 0.0
        text = f"{facts.percent(kept)} of the sessions opened stay open, normally {facts.percent(max(sessions.usual_kept.value, 0.0))}"
        return (
            facts.traffic("kept_share", kept, text),
            _established(window, service, growth_per_s=sessions.growth_per_s(sessions.LEAK_WINDOWS)),
            *_idle(window.census),
        )


def _established(window: Window, service: ServiceWindow, *, growth_per_s: float) -> Evidence:
    share = service.established / max(window.firewall.limit, 1)
    text = f"{facts.number(service.established)} established entries, {facts.percent(share)} of {window.firewall.limit:,}"
    if growth_per_s > 0:
        left_s = harm.time_to_full_s(window.firewall, growth_per_s)
        text += f", growing by {facts.number(growth_per_s)}/s: full in {facts.duration(left_s)}"
    return facts.state("established", service.established, text)


def _idle_share(census: Census) -> float:
    return census.idle_at_least[0] / max(census.established, 1)


def _idle(census: Census | None) -> tuple[Evidence, ...]:
    if census is None or not census.established:
        return ()
    share = _idle_share(census)
    text = f"{facts.percent(share)} of {facts.number(census.established)} established entries idle for 10 s or more"
    return (facts.state("idle_share", share, text),)


def _holders(census: Census | None) -> tuple[Attribution, ...]:
    """The prefixes that hold most idle or silent entries."""
    if census is None or not census.established:
        return ()
    shares = [(holder.prefix, min(1.0, max(holder.idle, holder.silent) / census.established)) for holder in census.top_prefixes]
    named = sorted((item for item in shares if item[1] >= attribution.MIN_SHARE), key=lambda item: -item[1])
    return tuple(Attribution("prefix", prefix, round(share, 4)) for prefix, share in named[: attribution.MAX_PREFIXES])
