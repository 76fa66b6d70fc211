"""Findings to incidents: those of one cause become one incident, which opens at once and closes when nothing was found for some seconds.

A consequence may be seen before its cause (the table's forecast a second before the flood's own sign): the cause then adopts the incident,
which keeps its identifier. Everything is decided from the findings and the windows' time, so that a replay gives the same incidents always.
"""

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime

from netwatch.incident.case import SEVERITY_RANK, Case, strength
from netwatch.incident.causality import CAUSAL_RANK, explains
from netwatch.model.incident import Finding, Incident, Mode, Severity
from netwatch.model.window import Window

HOLD_S = 5.0
"""Nothing found for so long ends an incident: shorter pauses are the same attack."""

ADOPT_S = 10.0
"""A cause that began at most so long after its supposed effect may be its cause; a forecast and a first partial second account for less."""

SAME_ONSET_S = 5.0
"""Two services with the same mode since the same moment have the same cause."""

REMEMBERED = 1000
"""Closed incidents; a daemon writes each down when it closes."""

FILLING = frozenset(
    {
        Mode.TABLE_FULL,
        Mode.SYN_FLOOD,
        Mode.UDP_STATE_FLOOD,
        Mode.ACK_FLOOD,
        Mode.ESTABLISHED_CREEP,
        Mode.TIME_WAIT_PILEUP,
        Mode.RETRY_STORM,
    }
)
"""Modes whose incidents tell when the table became full."""


class Correlator:
    """The incidents of one firewall."""

    def __init__(self, firewall: str, *, hold_s: float = HOLD_S) -> None:
        self.firewall = firewall
        self._hold_s = hold_s
        self._open: list[Case] = []
        self._closed: deque[Incident] = deque(maxlen=REMEMBERED)
        self._opened = 0

    @property
    def incidents(self) -> Sequence[Incident]:
        """Closed and open ones, by onset."""
        return sorted([*self._closed, *self.lasting], key=lambda incident: (incident.onset_s, incident.id))

    @property
    def lasting(self) -> list[Incident]:
        """Those that are open now."""
        return [case.incident() for case in self._open]

    def update(self, window: Window, findings: Sequence[Finding]) -> list[Incident]:
        """Take in the findings of a window; return the incidents that were opened, closed or have something new to tell."""
        changed: dict[str, Incident] = {}
        news: list[Case] = []
        for finding in sorted(findings, key=_causes_first):
            case = self._place(finding)
            if case is not None and case not in news:
                news.append(case)
                self._gather(case, changed)
        for case in self._open:
            if self._tell_of_table(case, window) and case not in news:
                news.append(case)
        for case in news:
            changed[case.id] = case.incident()
        for case in self._expired(window.end_s):
            changed[case.id] = case.incident()
        return list(changed.values())

    def finish(self, now_s: float) -> list[Incident]:
        """The data end: what has been quiet for long enough is closed, the rest still lasts."""
        return [case.incident() for case in self._expired(now_s)]

    def _place(self, finding: Finding) -> Case | None:
        """Put a finding where it belongs; return the case if that is news."""
        for case in self._open:
            if case.has(finding) or (case.explains(finding) and finding.onset_s >= case.onset_s - ADOPT_S):
                return case if case.add(finding) else None
        for case in self._open:
            if self._is_effect(case, finding):
                case.adopt(finding)
                return case
        for case in self._open:
            if case.mode == finding.mode and abs(case.onset_s - finding.onset_s) <= SAME_ONSET_S:
                return case if case.add(finding) else None
        if finding.severity == Severity.INFO:
            return None
        self._opened += 1
        case = Case(self._identifier(finding), self.firewall, finding)
        self._open.append(case)
        return case

    @staticmethod
    def _is_effect(case: Case, finding: Finding) -> bool:
        """Could the finding be the cause of what this case was opened for?"""
        if not explains(finding.mode, case.mode) or finding.onset_s > case.onset_s + ADOPT_S:
            return False
        return finding.service is None or case.service is None or case.service == finding.service

    def _gather(self, case: Case, changed: dict[str, Incident]) -> None:
        """Other open cases that follow from what this one has become are told with it."""
        for other in [one for one in self._open if one is not case]:
            if case.explains(other.lead) and other.onset_s >= case.onset_s - ADOPT_S:
                case.absorb(other)
                other.say(case.last_s, f"same cause as {case.id}, told there")
                other.ended_s = case.last_s
                self._open.remove(other)
                changed[other.id] = other.incident()

    def _tell_of_table(self, case: Case, window: Window) -> bool:
        firewall = window.firewall
        if case.mode not in FILLING or not firewall.limit:
            return False
        news = False
        if firewall.entries >= firewall.limit:
            news = case.say_once("full", window.end_s, f"table full: {firewall.entries:,} of {firewall.limit:,} entries")
        if firewall.dropped_full:
            text = f"first new flows dropped: {firewall.dropped_full:,} packets in {window.duration_s:.0f} s"
            news = case.say_once("dropped", window.end_s, text) or news
        return news

    def _expired(self, now_s: float) -> list[Case]:
        quiet = [case for case in self._open if now_s - case.last_s >= self._hold_s]
        for case in quiet:
            case.end()
            self._open.remove(case)
            self._closed.append(case.incident())
        return quiet

    def _identifier(self, finding: Finding) -> str:
        """Of event time and order, so that a replay gives the same one; the mode may still change and has no place in it."""
        return f"{self.firewall}-{datetime.fromtimestamp(finding.at_s, UTC):%Y%m%dT%H%M%S}-{self._opened}"


def _causes_first(finding: Finding) -> tuple[int, int, float, str]:
    _, value = strength(finding)
    return CAUSAL_RANK[finding.mode], -SEVERITY_RANK[finding.severity], -value, finding.service or ""
