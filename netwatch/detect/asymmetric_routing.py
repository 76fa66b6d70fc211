"""``asymmetric-routing``: since a change of paths the firewall sees one direction only, and calls what it sees invalid or half-open.

A stateful firewall needs both directions. Client to server only: the SYN's entry stays in SYN_SENT and the ACK that follows is invalid.
Server to client only: a SYN-ACK without a SYN is invalid, and later data is picked up as a session of its own. The sign is a *step*: of the
new sessions of a service, which all had two sides, many have one, and yet go on (four packets, an ACK among them, and no answer). Often
only some networks' path has changed, so a part of the sessions is enough. What is one-sided since the watch began is not told: a tap that
is mirrored one way looks the same for ever.

Named are the prefixes of the peers whose sessions became one-sided, by their part in what is beyond the usual.

What looks alike and is not: a server that is down gets SYNs, but nobody sends it data; in a flood there are no sessions that go on.
"""

from typing import Annotated

import msgspec

from netwatch.detect import facts
from netwatch.detect.attribution import MAX_PREFIXES, MIN_SHARE
from netwatch.detect.detector import DetectorSettings
from netwatch.detect.level import Level
from netwatch.detect.subjects import Subjects
from netwatch.model.incident import Attribution, Evidence, Finding, Mode
from netwatch.model.session import FirewallProfile
from netwatch.model.window import PrefixCount, ServiceWindow, Window

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class AsymmetricRoutingSettings(DetectorSettings, frozen=True):
    """Thresholds of ``rules/detectors/asymmetric-routing.toml``."""

    memory_s: Positive = 2.5  # after which what was recent counts half
    min_one_sided: Positive = 8.0  # recent new sessions that go on without an answer
    min_one_sided_share: Share = 0.15  # of the recent new sessions …
    times_usual: Annotated[float, msgspec.Meta(gt=1)] = 3.0  # … and so many times the usual share
    hurting_share: Share = 0.25  # of the new sessions: more is harm, since a firewall refuses what is invalid
    warm_flows: Annotated[int, msgspec.Meta(ge=1)] = 50  # before a share is called usual


MOST_PEERS = 256
"""Prefixes remembered for one service; those with the fewest flows are forgotten first."""


class _Paths:
    """One service: its recent new sessions, which fade, and what is usual."""

    def __init__(self) -> None:
        self.one_sided = 0.0
        self.two_sided = 0.0
        self.strangers = 0.0  # packets that no session explains
        self.since_s = 0.0  # the first of the recent one-sided sessions
        self.told = False
        self.flows = 0
        self.usual_one_sided = 0
        self.usual_strangers = Level()  # per second
        self.peers: dict[str, float] = {}  # one_sided, by prefix
        self.usual_peers: dict[str, float] = {}  # usual_one_sided, by prefix

    def who(self) -> tuple[Attribution, ...]:
        """The prefixes with a part in the one-sided sessions beyond the usual ones."""
        flows = self.one_sided + self.two_sided
        beyond = {prefix: recent - flows * self.usual_peers.get(prefix, 0.0) / max(self.flows, 1) for prefix, recent in self.peers.items()}
        excess = max(self.one_sided - flows * self.usual_share, 1.0)
        shares = sorted(((min(1.0, more / excess), prefix) for prefix, more in beyond.items()), reverse=True)
        return tuple(Attribution("prefix", prefix, round(share, 4)) for share, prefix in shares[:MAX_PREFIXES] if share >= MIN_SHARE)

    @property
    def share(self) -> float:
        flows = self.one_sided + self.two_sided
        return self.one_sided / flows if flows else 0.0

    @property
    def usual_share(self) -> float:
        return self.usual_one_sided / self.flows if self.flows else 0.0


class AsymmetricRouting:
    mode = Mode.ASYMMETRIC_ROUTING
    EASE = 0.4
    """What was told is told on down to this part of the thresholds, so that chance does not end it."""

    def __init__(self, settings: AsymmetricRoutingSettings, _profile: FirewallProfile) -> None:
        self._settings = settings
        self._services: Subjects[_Paths] = Subjects(_Paths)

    def judge(self, window: Window) -> list[Finding]:
        keep = 0.5 ** (window.duration_s / self._settings.memory_s)
        found = []
        for service in window.services:
            if service.two_sided_flows or service.one_sided_flows:
                paths = self._services.touch(service.service.label)
                self._follow(paths, window, service, keep)
                if self._has_stepped(paths):
                    found.append(self._finding(paths, window, service))
                else:
                    self._learn(paths, window, service)
        return found

    def _follow(self, paths: _Paths, window: Window, service: ServiceWindow, keep: float) -> None:
        if paths.one_sided < 0.5 and not paths.told:
            paths.since_s = window.start_s
        paths.one_sided = paths.one_sided * keep + service.one_sided_flows
        paths.two_sided = paths.two_sided * keep + service.two_sided_flows
        paths.strangers = paths.strangers * keep + service.invalid + service.picked_up
        paths.peers = _with(paths.peers, service.one_sided_prefixes, keep)

    def _has_stepped(self, paths: _Paths) -> bool:
        rules = self._settings
        ease = self.EASE if paths.told else 1.0
        if paths.one_sided < ease * rules.min_one_sided or paths.flows < rules.warm_flows:
            return False
        return paths.share >= ease * max(rules.min_one_sided_share, rules.times_usual * paths.usual_share)

    def _learn(self, paths: _Paths, window: Window, service: ServiceWindow) -> None:
        """Learn what is usual, but not from what already looks like a step."""
        paths.told = False
        if paths.flows >= self._settings.warm_flows and self._is_suspicious(paths):
            return
        paths.flows += service.one_sided_flows + service.two_sided_flows
        paths.usual_one_sided += service.one_sided_flows
        paths.usual_peers = _with(paths.usual_peers, service.one_sided_prefixes, 1.0)
        paths.usual_strangers.learn((service.invalid + service.picked_up) / window.duration_s)

    def _is_suspicious(self, paths: _Paths) -> bool:
        """Half of the way to a step is enough to be careful."""
        return paths.share >= 0.5 * self._settings.min_one_sided_share and paths.share >= 2.0 * paths.usual_share

    def _finding(self, paths: _Paths, window: Window, service: ServiceWindow) -> Finding:
        paths.told = True
        evidence = self._evidence(paths)
        return Finding(
            mode=self.mode,
            service=service.service.label,
            severity=facts.severity(evidence, hurts=paths.share >= self._settings.hurting_share),
            at_s=window.end_s,
            onset_s=paths.since_s,
            evidence=evidence,
            attribution=paths.who(),
        )

    def _evidence(self, paths: _Paths) -> tuple[Evidence, ...]:
        text = f"{facts.percent(paths.share)} of the new sessions go on without an answer, normally {facts.percent(paths.usual_share)}"
        found = [facts.traffic("one_sided_share", paths.share, text)]
        # Fading sums of a steady rate come to rate / (1 - 0.5 ** (1 / memory)) at one window a second.
        per_s = paths.strangers * (1.0 - 0.5 ** (1.0 / self._settings.memory_s))
        usual_per_s = paths.usual_strangers.value
        if per_s > 2.0 * usual_per_s + 1.0:
            text = f"{facts.number(per_s)} packets/s are invalid or picked up mid-stream, normally {facts.number(usual_per_s)}"
            found.append(facts.state("strangers_per_s", per_s, text))
        return tuple(found)


def _with(peers: dict[str, float], more: tuple[PrefixCount, ...], keep: float) -> dict[str, float]:
    """The flows by prefix after another window, those of before weighed by ``keep``."""
    if not peers and not more:
        return peers
    summed = {prefix: kept for prefix, flows in peers.items() if (kept := flows * keep) >= 0.05}
    for one in more:
        summed[one.prefix] = summed.get(one.prefix, 0.0) + one.flows
    if len(summed) > MOST_PEERS:
        summed = dict(sorted(summed.items(), key=lambda item: -item[1])[:MOST_PEERS])
    return summed
