"""So many pages per time; what is over it becomes one digest. Pure: time comes with what it is given.

A person who is paged forty times in ten minutes reads none of it. Pages beyond the budget are put into one page, the digest, which opens
once, tells of newcomers at most once a minute, and is resolved when all that it speaks of is over. What is in a digest is told nowhere
else. A digest is a page too: another one is opened only ``per_s`` after the last.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from netwatch.export.alerts.drafting import RANK
from netwatch.export.alerts.page import Notice, NoticeKind, Page, PageKind
from netwatch.export.figures import duration, plural

DIGEST_UPDATE_S = 60.0
MOST_NAMED = 20


class LimiterState(msgspec.Struct, frozen=True, kw_only=True):
    """What outlives a restart."""

    paged_s: tuple[float, ...] = ()
    held_back: tuple[Page, ...] = ()
    digest: Page | None = None
    digest_opened_s: float | None = None
    told: tuple[str, ...] = ()  # of those held back, whom the digest has named
    told_s: float = 0.0


class Limiter:
    def __init__(self, *, max_pages: int, per_s: float, site: str, firewall: str, state: LimiterState | None = None) -> None:
        state = state or LimiterState()
        self._most = max_pages
        self._per_s = per_s
        self._site, self._firewall = site, firewall
        self._paged_s = deque(state.paged_s, max_pages)
        self._held_back = {page.key: page for page in state.held_back}
        self._digest = state.digest
        self._digest_opened_s = state.digest_opened_s
        self._told = set(state.told)
        self._told_s = state.told_s

    @property
    def state(self) -> LimiterState:
        return LimiterState(
            paged_s=tuple(self._paged_s),
            held_back=tuple(self._held_back.values()),
            digest=self._digest,
            digest_opened_s=self._digest_opened_s,
            told=tuple(sorted(self._told)),
            told_s=self._told_s,
        )

    def take(self, notices: Iterable[Notice], now_s: float) -> list[Notice]:
        """What is told of these, and what a digest has to tell by now."""
        passed = [told for notice in notices for told in self._one(notice, now_s)]
        return [*passed, *self._overdue(now_s), *self._tell_digest(now_s)]

    def _one(self, notice: Notice, now_s: float) -> list[Notice]:
        key = notice.page.key
        match notice.kind:
            case NoticeKind.OPEN if not self._may_page(now_s):
                self._held_back[key] = notice.page
            case NoticeKind.OPEN:
                self._paged_s.append(now_s)
                return [notice]
            case NoticeKind.RESOLVED if key in self._held_back:
                del self._held_back[key]
                self._told.discard(key)
            case _ if key in self._held_back:
                self._held_back[key] = notice.page
            case _:
                return [notice]
        return []

    def _may_page(self, now_s: float) -> bool:
        while self._paged_s and now_s - self._paged_s[0] >= self._per_s:
            self._paged_s.popleft()
        return len(self._paged_s) < self._most

    def _overdue(self, now_s: float) -> list[Notice]:
        """What was held back and told by no digest is told as soon as there is room."""
        passed: list[Notice] = []
        if self._digest is not None:
            return passed
        for page in list(self._held_back.values()):
            if not self._may_page(now_s):
                break
            del self._held_back[page.key]
            self._paged_s.append(now_s)
            passed.append(Notice(kind=NoticeKind.OPEN, page=page, time_s=now_s, text=page.summary))
        return passed

    def _tell_digest(self, now_s: float) -> list[Notice]:
        newcomers = self._held_back.keys() - self._told
        if self._digest is None:
            waited = self._digest_opened_s is None or now_s - self._digest_opened_s >= self._per_s
            if not (newcomers and waited):
                return []
            self._digest_opened_s = now_s
            return [self._speak(NoticeKind.OPEN, now_s)]
        if not self._held_back:
            over, self._digest = self._digest, None
            self._told.clear()
            return [Notice(kind=NoticeKind.RESOLVED, page=over, time_s=now_s, text="all that it told of is over")]
        if newcomers and now_s - self._told_s >= DIGEST_UPDATE_S:
            return [self._speak(NoticeKind.UPDATE, now_s)]
        return []

    def _speak(self, kind: NoticeKind, now_s: float) -> Notice:
        """Name all that is held back, the gravest first."""
        pages = sorted(self._held_back.values(), key=lambda page: (-RANK[page.severity], page.since_s))
        critical = sum(page.severity == pages[0].severity for page in pages)
        more = len(pages) - MOST_NAMED
        summary = (
            f"{plural(len(pages), 'more page')} within {duration(self._per_s)} ({critical} {pages[0].severity}), first: {pages[0].summary}"
        )
        opened_s = self._digest_opened_s or now_s
        before = self._digest
        self._digest = Page(
            key=f"{self._site}-{self._firewall}-digest-{opened_s:.3f}",
            kind=PageKind.DIGEST,
            incident_id="",
            mode="",
            severity=max((page.severity for page in [*pages, *([before] if before else [])]), key=RANK.__getitem__),
            site=self._site,
            firewall=self._firewall,
            since_s=min(page.since_s for page in pages),
            summary=summary,
            evidence=(*(page.summary for page in pages[:MOST_NAMED]), *([f"and {more} more"] if more > 0 else [])),
            updates=before.updates + 1 if before else 0,
        )
        self._told = set(self._held_back)
        self._told_s = now_s
        raised = before is not None and RANK[self._digest.severity] > RANK[before.severity]
        return Notice(kind=kind, page=self._digest, time_s=now_s, text=summary, raised=raised)
