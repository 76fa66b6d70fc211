"""PagerDuty, by its Events API v2: ``trigger``, ``acknowledge`` and ``resolve`` under one ``dedup_key``.

A trigger with the key of an open alert updates it and pages nobody. Lengths are those that PagerDuty documents; what is longer is cut here,
since it would be refused there.
"""

import hashlib
import ssl

import msgspec

from netwatch.export.alerts import text, trial
from netwatch.export.alerts.page import Notice, NoticeKind, Page, PageKind
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.export.alerts.post import Poster
from netwatch.export.alerts.settings import PagerDutySettings
from netwatch.export.figures import moment
from netwatch.export.secret import Secret
from netwatch.export.sink import SinkContext
from netwatch.model.incident import Severity

MOST_KEY = 255
MOST_SUMMARY = 1024

ACCEPTED = 202


class PagerDuty:
    def __init__(self, settings: PagerDutySettings, name: str, context: SinkContext, *, routing_key: Secret, tls: ssl.SSLContext) -> None:
        self.name = name
        self._address = f"{settings.url.rstrip('/')}/v2/enqueue"
        self._acknowledge = settings.acknowledge
        self._context = context
        self._routing_key = routing_key
        self._poster = Poster(name=name, timeout_s=settings.timeout_s, tls=tls, secrets=[routing_key])

    async def deliver(self, item: Notice) -> None:
        action = action_for(item.kind, acknowledge=self._acknowledge)
        event = {"routing_key": self._routing_key.reveal(), **event_of(item, action, self._context.alerts)}
        await self._poster.send(self._address, msgspec.json.encode(event), expected=ACCEPTED)

    async def send_test(self, now_s: float) -> None:
        notice = trial.opened(self._context, now_s)
        await self.deliver(notice)
        await self.deliver(trial.resolved(notice))

    async def close(self) -> None:
        await self._poster.close()


def action_for(kind: NoticeKind, *, acknowledge: bool) -> str:
    match kind:
        case NoticeKind.OPEN | NoticeKind.UPDATE:
            return "trigger"
        case NoticeKind.HELD:
            return "acknowledge" if acknowledge else "trigger"
        case NoticeKind.RESOLVED:
            return "resolve"


def event_of(notice: Notice, action: str, policy: AlertPolicy) -> dict[str, object]:
    """The event without its routing key."""
    page = notice.page
    event: dict[str, object] = {"event_action": action, "dedup_key": dedup_key(page.key)}
    if action != "trigger":
        return event
    payload = {
        "summary": page.title[:MOST_SUMMARY],
        "severity": severity_of(page),
        "source": page.firewall or page.site,
        "component": page.service or page.firewall,
        "group": page.site,
        "class": page.mode or page.kind.value,
        "custom_details": details(notice, policy),
    }
    if (since := moment(page.since_s)) is not None:
        payload["timestamp"] = since.isoformat(timespec="milliseconds")
    event |= {"payload": payload, "client": "netwatch"}
    if linked := text.links(page, policy):
        event["links"] = [{"href": address, "text": name} for name, address in linked]
        event["client_url"] = linked[-1][1]
    return event


def details(notice: Notice, policy: AlertPolicy) -> dict[str, object]:
    """What the responder reads below the summary; empty values are left out."""
    page = notice.page
    told = {
        "news": notice.text if notice.text != page.summary else "",
        "incident": page.incident_id,
        "meaning": text.meaning(page),
        "evidence": list(page.evidence),
        "done": list(page.done),
        "next": page.proposal,
        "runbook": policy.runbook(page.mode),
    }
    return {name: value for name, value in told.items() if value}


def severity_of(page: Page) -> str:
    """PagerDuty knows one more than netwatch: an error is a cure that failed."""
    if page.kind is PageKind.FAILURE and page.severity is Severity.WARNING:
        return "error"
    return page.severity.value


def dedup_key(key: str) -> str:
    """A key that is too long is replaced by its hash, so that two never become one."""
    return key if len(key) <= MOST_KEY else hashlib.sha256(key.encode()).hexdigest()
