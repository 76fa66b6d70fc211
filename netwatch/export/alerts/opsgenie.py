"""Opsgenie, by its Alert API: an alert under an ``alias`` is created, noted upon, acknowledged and closed.

The API takes requests and works on them later: its word is 202, and anything else was not taken. An alert with the alias of an open one
only counts up. Lengths are those that Opsgenie documents.
"""

import hashlib
import ssl
from urllib.parse import quote

import msgspec

from netwatch.export.alerts import text, trial
from netwatch.export.alerts.page import Notice, NoticeKind, Page, PageKind
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.export.alerts.post import Poster
from netwatch.export.alerts.settings import OpsgenieSettings
from netwatch.export.secret import Secret
from netwatch.export.sink import SinkContext
from netwatch.model.incident import Severity

MOST_MESSAGE, MOST_ALIAS, MOST_DESCRIPTION, MOST_ENTITY, MOST_NOTE = 130, 512, 15_000, 512, 25_000
MOST_TAG, MOST_TAGS, MOST_DETAIL = 50, 20, 1_000
SOURCE = "netwatch"
ACCEPTED = 202

PRIORITIES = {Severity.CRITICAL: "P1", Severity.WARNING: "P3", Severity.INFO: "P5"}


class Opsgenie:
    def __init__(self, settings: OpsgenieSettings, name: str, context: SinkContext, *, api_key: Secret, tls: ssl.SSLContext) -> None:
        self.name = name
        self._alerts = f"{settings.url.rstrip('/')}/v2/alerts"
        self._acknowledge = settings.acknowledge
        self._tags = settings.tags
        self._context = context
        self._poster = Poster(
            name=name,
            timeout_s=settings.timeout_s,
            tls=tls,
            headers={"Authorization": f"GenieKey {api_key.reveal()}"},
            secrets=[api_key],
        )

    async def deliver(self, item: Notice) -> None:
        for method, path, payload in requests_for(item, self._context.alerts, tags=self._tags, acknowledge=self._acknowledge):
            await self._poster.send(f"{self._alerts}{path}", msgspec.json.encode(payload), method=method, expected=ACCEPTED)

    async def send_test(self, now_s: float) -> None:
        notice = trial.opened(self._context, now_s)
        await self.deliver(notice)
        await self.deliver(trial.resolved(notice))

    async def close(self) -> None:
        await self._poster.close()


def requests_for(
    notice: Notice, policy: AlertPolicy, *, tags: tuple[str, ...], acknowledge: bool
) -> list[tuple[str, str, dict[str, object]]]:
    """Method, path below ``/v2/alerts`` and payload of each request; what may be repeated without harm comes first."""
    page = notice.page
    note: dict[str, object] = {"source": SOURCE, "note": notice.text[:MOST_NOTE]}
    match notice.kind:
        case NoticeKind.OPEN:
            return [("POST", "", creation(page, policy, tags))]
        case NoticeKind.UPDATE | NoticeKind.HELD:
            graver: dict[str, object] = {"priority": priority(page)}
            raised = [("PUT", _path(page, "priority"), graver)] if notice.raised else []
            held = notice.kind is NoticeKind.HELD and acknowledge
            return [*raised, ("POST", _path(page, "acknowledge" if held else "notes"), note)]
        case NoticeKind.RESOLVED:
            return [("POST", _path(page, "close"), note)]


def creation(page: Page, policy: AlertPolicy, tags: tuple[str, ...]) -> dict[str, object]:
    """The payload of a new alert."""
    linked = {name.lower(): address for name, address in text.links(page, policy)}
    details = {"incident": page.incident_id, "site": page.site, "firewall": page.firewall, "service": page.service or "", "mode": page.mode}
    named = ("netwatch", page.mode, f"site:{page.site}", *tags)
    return {
        "message": page.title[:MOST_MESSAGE],
        "alias": alias(page.key),
        "description": text.description(page)[:MOST_DESCRIPTION],
        "entity": (page.service or page.firewall)[:MOST_ENTITY],
        "source": SOURCE,
        "priority": priority(page),
        "tags": [tag[:MOST_TAG] for tag in dict.fromkeys(named) if tag][:MOST_TAGS],
        "details": {name: value[:MOST_DETAIL] for name, value in (details | linked).items() if value},
    }


def priority(page: Page) -> str:
    """P1 to P5; a cure that failed is one graver than what it was for."""
    if page.kind is PageKind.FAILURE and page.severity is Severity.WARNING:
        return "P2"
    return PRIORITIES[page.severity]


def alias(key: str) -> str:
    """A key that is too long is replaced by its hash, so that two never become one."""
    return key if len(key) <= MOST_ALIAS else hashlib.sha256(key.encode()).hexdigest()


def _path(page: Page, action: str) -> str:
    return f"/{quote(alias(page.key), safe='')}/{action}?identifierType=alias"
