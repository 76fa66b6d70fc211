"""A test message: clearly marked, of no severity, and gone again at once where the receiver keeps state."""

from netwatch.export.alerts.page import Notice, NoticeKind, Page, PageKind
from netwatch.export.figures import clock, day
from netwatch.export.sink import SinkContext
from netwatch.model.incident import Severity


def opened(context: SinkContext, now_s: float) -> Notice:
    page = Page(
        key=f"{context.site}-{context.firewall}-test-{now_s:.3f}",
        kind=PageKind.TEST,
        incident_id="",
        mode="",
        severity=Severity.INFO,
        site=context.site,
        firewall=context.firewall,
        since_s=now_s,
        summary=f"TEST message of netwatch at {day(now_s)} {clock(now_s)} UTC: nothing is wrong, nothing has to be done",
    )
    return Notice(kind=NoticeKind.OPEN, page=page, time_s=now_s, text=page.summary)


def resolved(notice: Notice) -> Notice:
    """The end of it."""
    return Notice(kind=NoticeKind.RESOLVED, page=notice.page, time_s=notice.time_s, text="the test is over")
