"""A page: what one person is woken for, once, and the notices about it.

One incident is one page, and what becomes of it (graver, a change applied, verified, taken back) are updates of that page: they carry its
key, by which the receiver knows it again. A change that failed is a page of its own, since it asks for a person.
"""

from enum import StrEnum

import msgspec

from netwatch.model.incident import Severity


class PageKind(StrEnum):
    INCIDENT = "incident"
    FAILURE = "failure"  # netwatch could not end an incident, or made it worse
    DIGEST = "digest"  # more pages than a person can take, told as one
    TEST = "test"


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of it now."""

    key: str  # of deduplication: the incident's id, for a failure with what failed
    kind: PageKind
    incident_id: str  # of a failure: the incident that it was made for
    mode: str  # slug; empty for a digest and a test
    severity: Severity  # the gravest that it ever was
    site: str
    firewall: str
    service: str | None = None
    since_s: float  # onset
    summary: str  # one sentence
    evidence: tuple[str, ...] = ()
    done: tuple[str, ...] = ()  # what became of it, with the time, the newest last
    proposal: str = ""  # what would end it, and the command for it
    held: bool = False  # a change is in force and helps
    updates: int = 0  # told so far
    subject: str = ""  # of a failure: what failed

    @property
    def title(self) -> str:
        """For a pager's display or a subject line: where, and what."""
        return f"{self.site}/{self.firewall}: {self.summary}"


class NoticeKind(StrEnum):
    OPEN = "open"  # pages
    UPDATE = "update"
    HELD = "held"  # a change was verified: nobody has to hurry
    RESOLVED = "resolved"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to tell about a page."""

    kind: NoticeKind
    page: Page  # as it is after this
    time_s: float
    text: str  # what is new, in one sentence
    raised: bool = False  # it is graver than it was told before
