"""The result in one sentence, the same in the terminal, in the JSON and on the report page.

It is what a person at three in the morning reads first and perhaps alone: what, against what, since when, by whom, what it did to the
table, and what would have ended it, in that order.
"""

from collections.abc import Iterable

from netwatch.export import figures
from netwatch.model.incident import Attribution, Incident, Severity
from netwatch.model.plan import WhatIfResult
from netwatch.model.replay import FirewallSummary, Replay

_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}

VICTIM = "service"
"""Kind of an attribution that names whom it hits, where an incident hits several services."""

UNNAMED_FIREWALL = "firewall"
"""What an incident's firewall is called while the configuration gives no name."""

NOTABLE_FILL = 0.5
"""Below half full the table's fill says nothing about the incident and is left out of the sentence."""


def verdict(replay: Replay) -> str:
    """One sentence without a full stop."""
    main = main_incident(replay.incidents)
    if main is None:
        return _no_incident(replay)
    facts = [fact for fact in (who(main.attribution), _table(main, replay.firewall)) if fact] or _first_fact(main)
    parts = [f"{_what(main, replay)}: {', '.join(facts)}" if facts else _what(main, replay)]
    if cure := _cure(replay):
        parts.append(cure)
    if others := len(replay.incidents) - 1:
        parts.append(f"{figures.plural(others, 'more incident')} below")
    return "; ".join(parts)


def main_incident(incidents: Iterable[Incident]) -> Incident | None:
    """The gravest, and among equals the one that began first: others more likely follow from it than the other way round."""
    return min(incidents, key=lambda incident: (_RANK[incident.severity], incident.onset_s, incident.id), default=None)


def who(attribution: tuple[Attribution, ...]) -> str:
    """``37,669 spoofed sources``, or ``198.51.100.0/24 (62 %) and 3 more prefixes (91 % together)``."""
    attribution = tuple(item for item in attribution if item.kind != VICTIM)
    if not attribution:
        return ""
    spoofed = [item for item in attribution if item.kind == "spoofed"]
    if spoofed:
        return spoofed_crowd(spoofed[0])
    first, others = attribution[0], attribution[1:]
    text = f"{figures.printable(first.value)} ({figures.percent(first.share)})"
    if others:
        together = min(1.0, sum(item.share for item in attribution))
        text += f" and {figures.plural(len(others), 'more prefix', 'more prefixes')} ({figures.percent(together)} together)"
    return text


def victims(incident: Incident) -> str:
    """``203.0.113.25:25/tcp and 2 more services``."""
    others = {item.value for item in incident.attribution if item.kind == VICTIM} - {incident.service}
    named = figures.printable(incident.service or "")
    return f"{named} and {figures.plural(len(others), 'more service')}" if others else named


def firewall_name(incident: Incident) -> str:
    """``firewall edge-1``; ``the firewall`` where nobody gave it a name."""
    return "the firewall" if incident.firewall in ("", UNNAMED_FIREWALL) else f"firewall {figures.printable(incident.firewall)}"


def spoofed_crowd(attribution: Attribution) -> str:
    """A crowd's value says how many sources; spoofed is what they are."""
    head, _, noun = attribution.value.partition(" ")
    if head.isdigit():
        return f"{int(head):,} spoofed {noun or 'sources'}"
    return f"spoofed: {figures.printable(attribution.value)}"


def cures(replay: Replay) -> list[WhatIfResult]:
    """What-ifs that leave no incident, the one that hurts the fewest healthy sessions first."""
    return sorted((result for result in _applied(replay) if result.incidents == 0), key=_cost)


def reliefs(replay: Replay) -> list[WhatIfResult]:
    """What-ifs with which nothing would have been dropped any more although the attack is still seen, the least costly first."""
    if not replay.firewall.dropped_full:
        return []
    return sorted((result for result in _applied(replay) if result.incidents and not result.dropped_full), key=_cost)


def _applied(replay: Replay) -> list[WhatIfResult]:
    return [one.result for one in replay.what_if if one.result.applied_at_s is not None]


def _cost(result: WhatIfResult) -> tuple[int, int, int]:
    return result.healthy_hit, result.dropped_full, result.peak_entries


def _what(incident: Incident, replay: Replay) -> str:
    subject = f"against {victims(incident)}" if incident.service else f"on {firewall_name(incident)}"
    many_days = len({figures.day(at_s) for at_s in _bounds(replay)} | {figures.day(incident.onset_s)}) > 1
    since = f"{figures.day(incident.onset_s)} {figures.clock(incident.onset_s)}" if many_days else figures.clock(incident.onset_s)
    if incident.ended_s is None:
        return f"{incident.mode} {subject} since {since} UTC"
    return f"{incident.mode} {subject} from {since} to {figures.clock(incident.ended_s)} UTC"


def _first_fact(incident: Incident) -> list[str]:
    """The strongest evidence, where neither a culprit nor the table says anything."""
    return [figures.printable(incident.evidence[0].text.partition(";")[0])] if incident.evidence else []


def _table(incident: Incident, firewall: FirewallSummary) -> str:
    if firewall.full_at_s is not None:
        if firewall.full_at_s <= incident.onset_s:
            return f"table of {firewall.limit:,} already full"
        if incident.ended_s is None or firewall.full_at_s <= incident.ended_s:
            return f"table of {firewall.limit:,} full {figures.duration(firewall.full_at_s - incident.onset_s)} later"
        return ""
    fill = firewall.peak_entries / firewall.limit if firewall.limit else 0.0
    return f"table of {firewall.limit:,} at most {figures.percent(fill)} full" if fill >= NOTABLE_FILL else ""


def _cure(replay: Replay) -> str:
    if best := cures(replay):
        return f"{figures.printable(best[0].playbook)} would have ended it{_at_a_cost(best[0])}"
    if best := reliefs(replay):
        return f"with {figures.printable(best[0].playbook)} nothing more would have been dropped{_at_a_cost(best[0])}"
    if tried := _applied(replay):
        return f"{' and '.join(figures.printable(result.playbook) for result in tried)} would not have ended it"
    return ""


def _at_a_cost(result: WhatIfResult) -> str:
    return f", at the cost of {figures.plural(result.healthy_hit, 'healthy session')}" if result.healthy_hit else ""


def _no_incident(replay: Replay) -> str:
    packets = sum(capture.packets for capture in replay.captures)
    if not packets:
        return "No packet in the capture: nothing to judge"
    first_s, *_, last_s = _bounds(replay) or [0.0, 0.0]
    firewall = replay.firewall
    fill = figures.percent(firewall.peak_entries / firewall.limit) if firewall.limit else figures.THIN
    watched = f"{figures.plural(len(replay.services), 'service')} watched" if replay.services else "no service seen"
    return f"No incident in {figures.duration(last_s - first_s)} of traffic: {watched}, table of {firewall.limit:,} at most {fill} full"


def _bounds(replay: Replay) -> list[float]:
    """First and last moment of all captures; empty without packets."""
    stamps = [at_s for capture in replay.captures for at_s in (capture.first_s, capture.last_s) if at_s is not None]
    return [min(stamps), max(stamps)] if stamps else []
