"""How a page is made of what is known: of an incident, and of a change that failed."""

import msgspec

from netwatch.export import figures
from netwatch.export.alerts.page import Page, PageKind
from netwatch.export.alerts.sentence import summary
from netwatch.model.change import Plan
from netwatch.model.incident import Incident, Severity

RANK = {severity: rank for rank, severity in enumerate(Severity)}

MOST_LINES = 20
"""Of evidence, and of what was done: a pager shows less, and nobody reads more."""


def page_of(incident: Incident, *, site: str) -> Page:
    """The page of an incident that nobody was told of yet."""
    blank = Page(
        key=incident.id,
        kind=PageKind.INCIDENT,
        incident_id=incident.id,
        mode=incident.mode,
        severity=incident.severity,
        site=site,
        firewall=incident.firewall,
        since_s=incident.onset_s,
        summary="",
    )
    return told(blank, incident)


def told(page: Page, incident: Incident) -> Page:
    """The page with what is known of its incident now; it is never called less grave than it was."""
    severity = max(page.severity, incident.severity, key=RANK.__getitem__)
    recommended = incident.recommendation
    proposal = page.proposal
    if not proposal and recommended is not None:
        proposal = f"{recommended.playbook}: {'; '.join(recommended.changes)}"
    return with_(
        page,
        mode=incident.mode,
        service=incident.service,
        severity=severity,
        since_s=incident.onset_s,
        summary=summary(incident),
        evidence=tuple(figures.printable(item.text) for item in incident.evidence[:MOST_LINES]),
        proposal=figures.printable(proposal),
    )


def news_of(page: Page, incident: Incident) -> str:
    """What of an incident is worth an update of its page; empty if nothing is."""
    news = []
    if RANK[incident.severity] > RANK[page.severity]:
        news.append(f"now {incident.severity}")
    if incident.mode != page.mode:
        news.append(f"its cause is found: {incident.mode}, not {page.mode}")
    return f"{', '.join(news)}: {summary(incident)}" if news else ""


def failure_of(page: Page, *, key: str, mode: str, subject: str, text: str) -> Page:
    """The page of what did not end the incident of another page."""
    return Page(
        key=key,
        kind=PageKind.FAILURE,
        incident_id=page.incident_id,
        mode=mode,
        severity=page.severity,
        site=page.site,
        firewall=page.firewall,
        service=page.service,
        since_s=page.since_s,
        summary=figures.printable(f"{subject} did not end {page.mode} at {page.service or 'the firewall'}: {text}"),
        evidence=(page.summary, *page.evidence) if page.summary else (),
        done=page.done,
        subject=subject,
    )


def unknown_page(plan: Plan, *, site: str, at_s: float) -> Page:
    """What stands for the page of a plan's incident where there is none (any more)."""
    return Page(
        key=plan.incident_id,
        kind=PageKind.INCIDENT,
        incident_id=plan.incident_id,
        mode=plan.mode,
        severity=Severity.CRITICAL,
        site=site,
        firewall=plan.firewall,
        service=plan.service,
        since_s=at_s,
        summary="",
    )


def alike(page: Page, incident: Incident) -> bool:
    """The same firewall, and the same service unless one of them is of the whole firewall: a full table is seen before its cause."""
    if page.firewall != incident.firewall:
        return False
    return page.service == incident.service or page.service is None or incident.service is None


def line_added(page: Page, text: str) -> tuple[str, ...]:
    """What was done, with one line more."""
    return (*page.done, text)[-MOST_LINES:]


def with_(page: Page, **changes: object) -> Page:
    return msgspec.structs.replace(page, **changes)
