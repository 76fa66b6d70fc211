"""The pages that are open, and what each event makes of them. Pure: time comes with the events.

::

    incident found ─► OPEN ─► UPDATE (graver, other cause, plan waits, change applied, taken back) ─► RESOLVED
                          └─► HELD (change verified)
    change failed ─► OPEN of another page ─► RESOLVED with its incident

A netwatch that was restarted finds an attack that lasts anew, and gives it a new identifier. Nobody is woken twice for it: a page from
before the restart of which nothing was heard since takes up the incident that looks like it, under the old key. What nothing takes up
within ``ORPHAN_S`` is resolved.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

from netwatch.export import figures
from netwatch.export.alerts.drafting import RANK, alike, failure_of, line_added, news_of, page_of, told, unknown_page, with_
from netwatch.export.alerts.page import Notice, NoticeKind, Page, PageKind
from netwatch.export.alerts.sentence import lasted, summary
from netwatch.model.change import EventType, MitigationEvent, PlanState
from netwatch.model.event import Event, IncidentTold
from netwatch.model.incident import Incident, Severity

ORPHAN_S = 300.0
"""After a restart normals are learned anew, which takes a minute or two; what is not found again by then is over."""

MOST_PAGES = 1000
MOST_UPDATES = 50
"""Of one page; whoever has read fifty looks at netwatch itself. The last, that it is over, is always told."""

MOST_REMEMBERED = 1000


class LedgerState(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives a restart."""

    pages: tuple[Page, ...] = ()
    taken_up: dict[str, str] = {}  # incident -> key of the page that has taken it up
    over: tuple[str, ...] = ()  # incidents that were resolved: what still happens to their mitigations wakes nobody


class Ledger:
    def __init__(self, *, site: str, min_severity: Severity, state: LedgerState | None = None) -> None:
        state = state or LedgerState()
        self._site = site
        self._least = max(RANK[min_severity], RANK[Severity.WARNING])
        self._pages = {page.key: page for page in state.pages}
        self._taken_up = dict(state.taken_up)
        self._over = deque(state.over, MOST_REMEMBERED)
        self._orphans = set(self._pages)
        self._orphans_until_s: float | None = None
        self._now_s = float("-inf")
        self.refused = 0  # pages beyond MOST_PAGES

    @property
    def pages(self) -> Sequence[Page]:
        """Those that are open."""
        return list(self._pages.values())

    @property
    def state(self) -> LedgerState:
        return LedgerState(pages=tuple(self._pages.values()), taken_up=dict(self._taken_up), over=tuple(self._over))

    def take(self, event: Event) -> list[Notice]:
        """What an event is worth telling. Events that tell of no incident only say how late it is."""
        self._now_s = max(self._now_s, event.time_s)
        notices = self._let_go_of_orphans()
        match event:
            case IncidentTold():
                notices += self._incident(event.incident, over=event.type == "incident.closed" or event.incident.ended_s is not None)
            case MitigationEvent():
                notices += self._mitigation(event)
            case _:
                pass
        return notices

    # --- incidents ---

    def _incident(self, incident: Incident, *, over: bool) -> list[Notice]:
        page = self._page_of(incident.id)
        if page is None:
            if over or incident.id in self._over or RANK[incident.severity] < self._least:
                return []
            return self._taken_up_by_orphan(incident) or self._open(page_of(incident, site=self._site), summary(incident))
        self._heard(page.key)
        if over:
            return self._resolve(told(page, incident), lasted(incident))
        news = news_of(page, incident)
        raised = RANK[incident.severity] > RANK[page.severity]
        page = told(page, incident)
        return self._update(page, news, raised=raised) if news else self._keep(page)

    def _taken_up_by_orphan(self, incident: Incident) -> list[Notice]:
        """Is this an incident of before the restart, found again? The most alike first."""
        orphans = [page for page in self._pages.values() if page.key in self._orphans and page.kind is PageKind.INCIDENT]
        candidates = [page for page in orphans if alike(page, incident)]
        if not candidates:
            return []
        page = max(candidates, key=lambda page: (page.mode == incident.mode, page.service == incident.service, page.since_s))
        self._taken_up[incident.id] = page.key
        self._heard(page.key)
        raised = RANK[incident.severity] > RANK[page.severity]
        return self._update(told(page, incident), f"found again after a restart of netwatch: {summary(incident)}", raised=raised)

    # --- mitigations ---

    def _mitigation(self, event: MitigationEvent) -> list[Notice]:
        page = self._page_of(event.incident_id)
        if page is not None:
            self._heard(page.key)
        match event.type:
            case EventType.INCIDENT_OPENED:
                return self._induced(event)
            case EventType.INCIDENT_CLOSED:
                return self._resolve(page, event.text) if page is not None and not self._parent_is_open(event) else []
            case _ if page is None:
                return []
            case _ if event.failed:
                return self._failure(page, event)
            case _:
                return self._step(page, event)

    def _step(self, page: Page, event: MitigationEvent) -> list[Notice]:
        """Something became of a plan that an open page is about."""
        plan = event.plan
        text = figures.printable(event.text)
        playbook = plan.change.playbook if plan is not None else "the change"
        match event.type:
            case EventType.PLAN_PROPOSED if plan is not None:
                waits = plan.state is PlanState.PROPOSED and plan.reason != ""
                said = f"{playbook} {text}" if waits else text
                proposal = f"{said}; to approve it: netwatch approve {plan.id}"
                news = waits and not any(line.endswith(f" {said}") for line in page.done)  # each reason once: they may come and go
                page = with_(self._noted(page, said) if news else page, proposal=proposal)
                return self._update(page, said) if news else self._keep(page)
            case EventType.PLAN_APPROVED:
                return self._update(self._noted(page, f"{playbook} {text}"), f"{playbook} {text}")
            case EventType.CHANGE_APPLIED if plan is not None:
                page = with_(page, proposal=f"{playbook} is in force; to take it back: netwatch undo {plan.id}")
                return self._update(self._noted(page, text), text)
            case EventType.CHANGE_VERIFIED:
                page = with_(self._noted(page, f"{playbook} helps: {text}"), held=True)
                return self._update(page, f"{playbook} is in force and helps: {text}", kind=NoticeKind.HELD)
            case EventType.CHANGE_UNDONE | EventType.CHANGE_EXPIRED:
                page = with_(self._noted(page, f"{playbook}: {text}"), held=False, proposal="")
                return self._update(page, f"{playbook}: {text}")
            case EventType.PLAN_REJECTED if event.by:
                page = with_(self._noted(page, f"{playbook} {text}"), proposal="")
                return self._update(page, f"{playbook} {text}")
            case EventType.ERROR:
                return self._update(self._noted(page, text), text)
            case _:  # renewed as planned; refused by a guard, and the next rung is tried
                return self._keep(page)

    def _failure(self, page: Page, event: MitigationEvent) -> list[Notice]:
        """What was to end it did not: a page of its own, once for each thing that failed."""
        text = figures.printable(event.text)
        subject = event.plan.change.playbook if event.plan is not None else "every playbook"
        page = with_(self._noted(page, f"{subject}: {text}"), held=False, proposal="")
        self._keep(page)
        induced = self._pages.get(f"{event.plan.id}-induced") if event.plan is not None else None
        if induced is not None:
            return self._update(self._noted(induced, text), text)
        failure = failure_of(page, key=f"{page.key}-failed-{subject.replace(' ', '-')}", mode=page.mode, subject=subject, text=text)
        if failure.key in self._pages:
            return self._keep(self._noted(self._pages[failure.key], text))
        return self._open(failure, text)

    def _induced(self, event: MitigationEvent) -> list[Notice]:
        """A change made things worse: the gravest that netwatch can tell."""
        if event.incident_id in self._pages or event.incident_id in self._over or event.plan is None:
            return []
        parent = self._page_of(event.plan.incident_id)
        plan, text = event.plan, figures.printable(event.text)
        about = parent or unknown_page(plan, site=self._site, at_s=event.time_s)
        page = failure_of(about, key=event.incident_id, mode=event.mode, subject=plan.change.playbook, text=text)
        return self._open(with_(page, severity=Severity.CRITICAL, since_s=event.time_s), text)

    # --- the book ---

    def _page_of(self, incident_id: str) -> Page | None:
        return self._pages.get(self._taken_up.get(incident_id, incident_id))

    def _parent_is_open(self, event: MitigationEvent) -> bool:
        return event.plan is not None and self._page_of(event.plan.incident_id) is not None

    def _heard(self, key: str) -> None:
        self._orphans.discard(key)

    def _noted(self, page: Page, text: str) -> Page:
        return with_(page, done=line_added(page, f"{figures.clock(self._now_s)} {text}"))

    def _keep(self, page: Page) -> list[Notice]:
        """Nothing to tell, but known from now on."""
        self._pages[page.key] = page
        return []

    def _open(self, page: Page, text: str) -> list[Notice]:
        if len(self._pages) >= MOST_PAGES:
            self.refused += 1
            return []
        self._pages[page.key] = page
        return [Notice(kind=NoticeKind.OPEN, page=page, time_s=self._now_s, text=text)]

    def _update(self, page: Page, text: str, *, kind: NoticeKind = NoticeKind.UPDATE, raised: bool = False) -> list[Notice]:
        if page.updates >= MOST_UPDATES:
            return self._keep(page)
        page = with_(page, updates=page.updates + 1)
        self._pages[page.key] = page
        return [Notice(kind=kind, page=page, time_s=self._now_s, text=text, raised=raised)]

    def _resolve(self, page: Page, text: str) -> list[Notice]:
        """A page is over, and with an incident what failed about it."""
        notices = []
        failures = [other for other in self._pages.values() if other.kind is PageKind.FAILURE and other.incident_id == page.incident_id]
        for ended in [page, *(failures if page.kind is PageKind.INCIDENT else ())]:
            self._pages.pop(ended.key, None)
            self._orphans.discard(ended.key)
            self._over.append(ended.key)
            over = with_(ended, proposal="")  # nothing is left to be done
            notices.append(Notice(kind=NoticeKind.RESOLVED, page=over, time_s=self._now_s, text=text))
        again = [incident_id for incident_id, key in self._taken_up.items() if key == page.key]
        for incident_id in again:
            del self._taken_up[incident_id]
            self._over.append(incident_id)
        return notices

    def _let_go_of_orphans(self) -> list[Notice]:
        if not self._orphans:
            return []
        if self._orphans_until_s is None:
            self._orphans_until_s = self._now_s + ORPHAN_S
        if self._now_s < self._orphans_until_s:
            return []
        notices = []
        for key in sorted(self._orphans):
            page = self._pages.get(key)
            if page is not None and (page.kind is PageKind.INCIDENT or self._page_of(page.incident_id) is None):
                notices += self._resolve(page, "not found again since netwatch was restarted")
        self._orphans.clear()
        return notices
