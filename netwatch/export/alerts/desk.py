"""From the event stream to what is told: the ledger of open pages, and before people the limiter. Pure, and resumed after a restart."""

import msgspec

from netwatch.export.alerts.ledger import Ledger, LedgerState
from netwatch.export.alerts.limiter import Limiter, LimiterState
from netwatch.export.alerts.page import Notice, Page
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.model.event import Event
from netwatch.model.incident import Severity


class DeskState(msgspec.Struct, frozen=True, kw_only=True):
    ledger: LedgerState = LedgerState()
    limiter: LimiterState = LimiterState()


class Desk:
    """``limited`` for what reaches people; a system that groups and silences by itself takes every page."""

    def __init__(self, policy: AlertPolicy, *, site: str, firewall: str, limited: bool, state: DeskState | None = None) -> None:
        state = state or DeskState()
        self._ledger = Ledger(site=site, min_severity=Severity(policy.min_severity), state=state.ledger)
        self._limiter = (
            Limiter(max_pages=policy.max_pages, per_s=policy.pages_per_s, site=site, firewall=firewall, state=state.limiter)
            if limited
            else None
        )
        self._now_s = float("-inf")

    @property
    def pages(self) -> list[Page]:
        """Those that are open."""
        return list(self._ledger.pages)

    @property
    def refused(self) -> int:
        """Pages that were too many to keep."""
        return self._ledger.refused

    @property
    def state(self) -> DeskState:
        return DeskState(ledger=self._ledger.state, limiter=self._limiter.state if self._limiter is not None else LimiterState())

    def take(self, event: Event) -> list[Notice]:
        """What is to be told now. Every event counts, if only since it says how late it is."""
        self._now_s = max(self._now_s, event.time_s)
        notices = self._ledger.take(event)
        return self._limiter.take(notices, self._now_s) if self._limiter is not None else notices
