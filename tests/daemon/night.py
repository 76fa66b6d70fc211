"""A night on call: a drill with all that a NOC has around netwatch, each of it real but the pager: both databases, Alertmanager, webhooks.

They stand in the firewall's namespace, where each has its usual port for itself. The pager speaks PagerDuty's Events API; it and the
receivers of webhooks are HTTP servers that note what they get, and when.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwatch.kernel.namespace import entered
from netwatch.lab import plan
from netwatch.lab.plan import Role
from tests.daemon.edge import Edge, edge
from tests.export.alerts.receivers import Answer, Receiver, Request, serving
from tests.export.servers import Alertmanager, Influx1, VictoriaMetrics, started

DATABASE = "netwatch"
KINDS = ("incident.opened", "incident.updated", "incident.closed", "change.applied", "change.verified", "change.undone", "change.expired")
CALM_S, FLOOD_PER_S = 3.0, 6_000.0
FLOOD_S = 30.0
"""At most: it ends when the change that answers it was verified."""

SETTINGS = """
[service.canary]
namespace = "{client}"
source = "{source}"
interval_s = 0.5
timeout_s = 1.5
[alerts]
runbook_url = "https://wiki.example.net/modes/"
[[sink]]
type = "influxdb"
url = "http://127.0.0.1:8428"
org = "noc"
bucket = "netwatch"
[[sink]]
type = "influxdb1"
url = "http://127.0.0.1:8086"
database = "{database}"
[[sink]]
type = "alertmanager"
url = "http://127.0.0.1:9093"
[[sink]]
type = "pagerduty"
url = "{pager}"
routing_key_file = "{key}"
[[sink]]
type = "webhook"
url = "{hook}"
secret_file = "{key}"
"""
ROUTES = """
route: {receiver: oncall, group_by: [incident], group_wait: 100ms, group_interval: 500ms, repeat_interval: 1h}
receivers: [{name: oncall, webhook_configs: [{url: "%s/", send_resolved: true}]}]
"""


@dataclass
class Night:
    """What was told, by whom; all times are of this machine's clock, seconds since the epoch."""

    begin_s: float
    end_s: float
    events: list[dict[str, Any]]  # netwatch's own
    pager: Receiver
    hook: Receiver
    oncall: Receiver  # whom Alertmanager tells
    influx: Influx1
    victoria: VictoriaMetrics

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] in kinds]

    @property
    def pages(self) -> list[Request]:
        return self.pager.taken

    def told(self, status: str) -> list[Request]:
        """Alertmanager's notifications of a status."""
        return [request for request in self.oncall.taken if request.json["status"] == status]


@contextmanager
def night(folder: Path) -> Iterator[Night]:
    """Run it to its end; the databases can be asked afterwards."""
    with ExitStack() as stack:
        one = stack.enter_context(edge(folder))
        namespace = one.world.namespace(Role.FIREWALL)
        pager, hook, oncall = Receiver(usual=Answer(202)), Receiver(usual=Answer(200)), Receiver(usual=Answer(200))
        with entered(namespace):
            for receiver in (pager, hook, oncall):
                stack.enter_context(serving(receiver))
        victoria, influx = VictoriaMetrics(namespace, folder / "vm"), Influx1(namespace, folder / "influx")
        for server in (victoria, influx, Alertmanager(namespace, folder / "am", ROUTES % oncall.url)):
            stack.enter_context(started(server))
        with entered(namespace):
            influx.create(DATABASE)
        _configure(one, folder, pager, hook)
        begin_s = time.time()
        one.clients(60)
        one.start()
        time.sleep(CALM_S)
        flood = one.flood(FLOOD_S, FLOOD_PER_S)
        one.wait(lambda: one.events("change.verified"))
        flood.terminate()
        _over(one, pager, oncall)
        end_s = time.time()
        one.stop()
        victoria.get("/internal/force_flush")
        yield Night(begin_s, end_s, one.events(*KINDS), pager, hook, oncall, influx, victoria)


def _configure(one: Edge, folder: Path, pager: Receiver, hook: Receiver) -> None:
    key = folder / "key"
    key.write_text("0123456789abcdef0123456789abcdef\n")
    values = {
        "client": one.world.namespace(Role.CLIENT),
        "source": plan.CLIENTS[-1],
        "database": DATABASE,
        "pager": pager.url,
        "hook": hook.url,
        "key": key,
    }
    one.configure(more=SETTINGS.format(**values))


def _over(one: Edge, pager: Receiver, oncall: Receiver) -> None:
    """Everything that was opened is closed, and everybody knows."""
    one.wait(lambda: len(one.events("incident.closed")) >= len(one.events("incident.opened")))
    one.wait(lambda: any(request.json["event_action"] == "resolve" for request in pager.taken))
    one.wait(lambda: any(request.json["status"] == "resolved" for request in oncall.taken))
