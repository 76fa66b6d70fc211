"""Alertmanager, by its API v2: what is open is said again and again, and what is over is said once.

Alertmanager knows an alert by its labels. Labels that change (a graver severity, the cause found) make another alert, so the one of before
is ended in the same request; ``incident`` is the same in all of them, and is what to group by. Grouping, silences, inhibition and repeating
are Alertmanager's part: every page gets there, none is limited here. An alert ends by itself ``ends_after_s`` after netwatch's last word.
"""

import ssl
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from netwatch.export import figures
from netwatch.export.alerts import text, trial
from netwatch.export.alerts.page import Page, PageKind
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.export.alerts.post import Poster
from netwatch.export.alerts.settings import AlertmanagerSettings
from netwatch.export.secret import Secret
from netwatch.export.sink import SinkContext

ALERT_NAMES = {
    PageKind.INCIDENT: "NetwatchIncident",
    PageKind.FAILURE: "NetwatchMitigationFailed",
    PageKind.TEST: "NetwatchTest",
}

Alert = dict[str, object]
Labels = tuple[tuple[str, str], ...]


class AlertmanagerMember:
    """One Alertmanager; of a cluster each member is told everything, as Prometheus does."""

    def __init__(
        self,
        url: str,
        settings: AlertmanagerSettings,
        name: str,
        context: SinkContext,
        *,
        tls: ssl.SSLContext,
        headers: dict[str, str],
        secrets: Sequence[Secret],
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = name
        self._address = f"{url.rstrip('/')}/api/v2/alerts"
        self._ends_after_s = settings.ends_after_s
        self._context = context
        self._wall_clock = wall_clock
        self._poster = Poster(name=name, timeout_s=settings.timeout_s, tls=tls, headers=headers, secrets=secrets)
        self._standing: dict[str, tuple[Labels, Page]] = {}  # by key: as it was told last

    async def tell(self, open_pages: Sequence[Page]) -> None:
        """Say what is open now; what was open when it was told last and is not any more is ended.

        Raises:
            Undelivered: nothing was taken; the next call says all of it again.
        """
        now_s = self._wall_clock()
        policy = self._context.alerts
        standing = {page.key: (labels_of(page), page) for page in open_pages}
        alerts = [alert_of(page, policy, ends_s=now_s + self._ends_after_s) for page in open_pages]
        for key, (labels, page) in self._standing.items():
            if key not in standing or standing[key][0] != labels:
                alerts.append(alert_of(page, policy, ends_s=now_s))
        if alerts:
            await self._poster.send(self._address, msgspec.json.encode(alerts))
        self._standing = standing

    async def send_test(self, now_s: float) -> None:
        page = trial.opened(self._context, now_s).page
        for ends_s in (now_s + self._ends_after_s, now_s):
            await self._poster.send(self._address, msgspec.json.encode([alert_of(page, self._context.alerts, ends_s=ends_s)]))

    async def close(self) -> None:
        await self._poster.close()


def alert_of(page: Page, policy: AlertPolicy, *, ends_s: float) -> Alert:
    alert: Alert = {
        "labels": dict(labels_of(page)),
        "annotations": annotations_of(page, policy),
        "startsAt": _rfc3339(min(page.since_s, ends_s)),
        "endsAt": _rfc3339(ends_s),
    }
    if report := policy.report(page.incident_id):
        alert["generatorURL"] = report
    return alert


def labels_of(page: Page) -> Labels:
    """What an alert is known, routed, silenced and inhibited by; an empty label is no label."""
    labels = {
        "alertname": ALERT_NAMES[page.kind],
        "mode": page.mode,
        "severity": page.severity.value,
        "site": page.site,
        "firewall": page.firewall,
        "service": page.service or "",
        "incident": page.incident_id or page.key,
        "playbook": page.subject,
    }
    return tuple((name, figures.printable(value)) for name, value in labels.items() if value)


def annotations_of(page: Page, policy: AlertPolicy) -> dict[str, str]:
    annotations = {
        "summary": page.summary,
        "description": text.meaning(page),
        "evidence": "\n".join(page.evidence),
        "done": "\n".join(page.done),
        "recommendation": page.proposal,
        "runbook_url": policy.runbook(page.mode),
        "report_url": policy.report(page.incident_id),
    }
    return {name: value for name, value in annotations.items() if value}


def _rfc3339(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
