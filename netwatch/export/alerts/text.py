"""A page in words: what the mail, the chat message and the pager's description share."""

from netwatch.export import figures
from netwatch.export.alerts.page import Notice, NoticeKind, Page, PageKind
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.export.meanings import MEANINGS
from netwatch.model.change import MITIGATION_INDUCED
from netwatch.model.incident import Mode

WORDS = {NoticeKind.OPEN: "", NoticeKind.UPDATE: "update: ", NoticeKind.HELD: "under control: ", NoticeKind.RESOLVED: "resolved: "}

INDUCED_MEANING = "A change that netwatch made cost more handshakes than it saved; netwatch takes it back by itself."


def subject_line(notice: Notice) -> str:
    """``[netwatch] critical: dc1/edge-1: syn-flood against …``; the same for all notices of a page but for one word."""
    return f"[netwatch] {WORDS[notice.kind]}{notice.page.severity}: {notice.page.title}"


def meaning(page: Page) -> str:
    """What its mode means, for somebody who meets it for the first time."""
    if page.mode == MITIGATION_INDUCED:
        return INDUCED_MEANING
    return MEANINGS[Mode(page.mode)] if page.mode in set(Mode) else ""


def description(page: Page) -> str:
    """All that is known, one thing a line."""
    lines = [page.summary]
    if page.kind is PageKind.INCIDENT and (means := meaning(page)):
        lines += ["", means]
    lines += _section("Told by it" if page.kind is PageKind.DIGEST else "Evidence", page.evidence)
    lines += _section("What was done", page.done)
    if page.proposal:
        lines += ["", f"Next: {page.proposal}"]
    return "\n".join(lines)


def links(page: Page, policy: AlertPolicy) -> list[tuple[str, str]]:
    """Name and address of what the page links to; only what a browser elsewhere can open."""
    named = [("Runbook", policy.runbook(page.mode)), ("Report", policy.report(page.incident_id))]
    return [(name, address) for name, address in named if address.startswith(("http://", "https://"))]


def message(notice: Notice, policy: AlertPolicy) -> str:
    """What is new first, then all that is known: for a mail or a chat."""
    page = notice.page
    new = notice.text.removesuffix(page.summary).removesuffix(": ")
    news = [new, ""] if new else []
    where = f"site {page.site} · firewall {page.firewall}" + (f" · service {figures.printable(page.service)}" if page.service else "")
    runbook = policy.runbook(page.mode)
    footer = [f"since {figures.day(page.since_s)} {figures.clock(page.since_s)} UTC · {where}"]
    footer += [f"Runbook: {runbook}"] if runbook else []
    footer += [f"Report: {report}"] if (report := policy.report(page.incident_id)) else []
    footer += [f"Page: {page.key}"]
    return "\n".join([*news, description(page), "", *footer])


def _section(name: str, lines: tuple[str, ...]) -> list[str]:
    return ["", f"{name}:", *(f"- {line}" for line in lines)] if lines else []
