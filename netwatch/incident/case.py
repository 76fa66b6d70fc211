"""A case: one open incident while its findings come in. It keeps the best finding of each mode and service, and writes the timeline."""

from netwatch.incident.causality import CAUSAL_RANK, SHARED, explains
from netwatch.model.incident import Attribution, Evidence, Finding, Incident, Mode, Severity, TimelineEntry

SEVERITY_RANK = {severity: rank for rank, severity in enumerate(Severity)}
MAX_TIMELINE = 64
"""Entries; an incident that has more to tell than that has told enough."""

WORTH_TELLING = 1.5
"""A value that has grown by so much since it was last told is news."""

Thread = tuple[Mode, str | None]
"""A mode at a service, or at the whole firewall."""


def strength(finding: Finding) -> tuple[int, float]:
    """Which of two findings of one mode says more: the graver one, else the one with the larger first figure."""
    return SEVERITY_RANK[finding.severity], finding.evidence[0].value if finding.evidence else 0.0


class Case:
    """Findings of one cause."""

    def __init__(self, case_id: str, firewall: str, finding: Finding) -> None:
        self.id = case_id
        self.mode = finding.mode
        self.service = finding.service
        self.severity = finding.severity
        self.onset_s = finding.onset_s
        self.detected_s = finding.at_s
        self.last_s = finding.at_s
        self.ended_s: float | None = None
        self._firewall = firewall
        self._best: dict[Thread, Finding] = {(finding.mode, finding.service): finding}
        self._crowd: tuple[Attribution, ...] = ()  # the newest spoofed one: its number of sources has grown
        self._told = strength(finding)
        self._timeline: list[TimelineEntry] = []
        self._once: set[str] = set()
        self.say(finding.at_s, f"{finding.mode} found ({finding.severity}): {_headline(finding)}")

    def has(self, finding: Finding) -> bool:
        return (finding.mode, finding.service) in self._best

    def explains(self, finding: Finding) -> bool:
        """Does this finding follow from the case's cause? A shared table reaches every service."""
        if not explains(self.mode, finding.mode):
            return False
        modes = {mode for mode, _ in self._best}
        reaches_all = self.service is None or finding.service is None or bool(modes & SHARED)
        return reaches_all or finding.service in {service for _, service in self._best}

    def add(self, finding: Finding) -> bool:
        """Take in a finding of this case; is there anything new to tell?"""
        thread = (finding.mode, finding.service)
        news = False
        if thread not in self._best:
            self._best[thread] = finding
            if finding.mode != self.mode:
                self.say(finding.at_s, f"{finding.mode} follows: {_headline(finding)}")
            else:
                self.say(finding.at_s, f"also {finding.service or 'elsewhere'}: {_headline(finding)}")
            news = True
        elif strength(finding) > strength(self._best[thread]):
            self._best[thread] = finding
        if SEVERITY_RANK[finding.severity] > SEVERITY_RANK[self.severity]:
            self.severity = finding.severity
            self.say(finding.at_s, f"now {finding.severity}: {_headline(finding)}")
            news = True
        if thread == (self.mode, self.service) and strength(finding)[1] >= WORTH_TELLING * self._told[1] > 0:
            self._told = strength(finding)
            news = True
        if finding.mode == self.mode:
            self.onset_s = min(self.onset_s, finding.onset_s)
        self.last_s = max(self.last_s, finding.at_s)
        self._crowd = _crowd(finding) or self._crowd if finding.mode == self.mode else self._crowd
        return news

    def adopt(self, finding: Finding) -> None:
        """The cause is found: what the case was opened for follows from it."""
        self.mode, self.service = finding.mode, finding.service
        # Its own reckoning of when it began is the better one: a forecast may have been made for another reason a while before.
        self.onset_s, self.detected_s = finding.onset_s, finding.at_s
        self._told = strength(finding)
        self._best[(finding.mode, finding.service)] = finding
        self.say(finding.at_s, f"cause found: {finding.mode}: {_headline(finding)}")
        self.add(finding)

    def absorb(self, other: "Case") -> None:
        """Another case has the same cause."""
        for finding in other._best.values():
            self.add(finding)

    def say(self, at_s: float, text: str) -> None:
        if len(self._timeline) < MAX_TIMELINE:
            self._timeline.append(TimelineEntry(at_s, text))

    def say_once(self, topic: str, at_s: float, text: str) -> bool:
        """Say what is news only the first time."""
        if topic in self._once:
            return False
        self._once.add(topic)
        self.say(at_s, text)
        return True

    def end(self) -> None:
        """Nothing was found any more after ``last_s``."""
        self.ended_s = self.last_s
        self._timeline.append(TimelineEntry(self.last_s, "nothing found any more"))

    def incident(self) -> Incident:
        """The case as it stands."""
        timeline = (TimelineEntry(self.onset_s, "began"), *self._timeline)
        return Incident(
            id=self.id,
            mode=self.mode,
            severity=self.severity,
            firewall=self._firewall,
            service=self.service,
            onset_s=self.onset_s,
            detected_s=self.detected_s,
            ended_s=self.ended_s,
            evidence=self._evidence(),
            attribution=self._attribution(),
            timeline=tuple(sorted(timeline, key=lambda entry: entry.at_s)),
            consequences=self._consequences(),
        )

    @property
    def lead(self) -> Finding:
        """The finding that the case is named after."""
        return self._causes()[0]

    def _causes(self) -> list[Finding]:
        """The best findings of the cause, the case's own service first, then the strongest."""
        found = [finding for (mode, _), finding in self._best.items() if mode == self.mode]
        return sorted(found, key=lambda finding: (finding.service != self.service, *(-value for value in strength(finding))))

    def _consequences(self) -> tuple[Mode, ...]:
        return tuple(sorted({mode for mode, _ in self._best if mode != self.mode}, key=CAUSAL_RANK.__getitem__))

    def _evidence(self) -> tuple[Evidence, ...]:
        """The cause's own facts first; names are told once."""
        followers = [finding for mode in self._consequences() for finding in self._best.values() if finding.mode == mode]
        by_name: dict[str, Evidence] = {}
        for finding in (*self._causes(), *followers):
            for item in finding.evidence:
                by_name.setdefault(item.name, item)
        return tuple(by_name.values())

    def _attribution(self) -> tuple[Attribution, ...]:
        causes = self._causes()
        who = next((finding.attribution for finding in causes if finding.attribution), ())
        if who and who[0].kind == "spoofed":
            who = self._crowd or who
        if len(causes) < 2:
            return who
        total = sum(strength(finding)[1] for finding in causes)
        victims = ((finding.service, strength(finding)[1] / total) for finding in causes if total > 0)
        return (*who, *(Attribution("service", service, round(share, 4)) for service, share in victims if service is not None))


def _crowd(finding: Finding) -> tuple[Attribution, ...]:
    """The attribution, if it is a spoofed crowd first of all."""
    return finding.attribution if finding.attribution and finding.attribution[0].kind == "spoofed" else ()


def _headline(finding: Finding) -> str:
    return finding.evidence[0].text if finding.evidence else "no figures"
