"""Alert rules for those who are called by Grafana: the table fills, a service suffers, netwatch does not see.

netwatch tells incidents itself, with cause and remedy (docs/alerting.md); these fire by plain figures, also when netwatch itself fails.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Final

from netwatch.export.grafana.query import FIREWALL, PLAYBOOK, SERVICE, STAGE, Over, Query
from netwatch.export.metrics.measurements import CanaryPoint, ChangePoint, FirewallPoint, SelfPoint, ServicePoint


@dataclass(frozen=True)
class Condition:
    """The newest value of a query compared with a number."""

    query: Query
    sign: str  # < or >
    than: float


@dataclass(frozen=True)
class Alert:
    """Fires when all conditions hold for ``for_s`` seconds, once for each series."""

    uid: str
    title: str
    _: KW_ONLY
    conditions: tuple[Condition, ...]
    for_s: int
    severity: str
    summary: str  # a template of Grafana; by .Labels, since a dollar would be taken for a variable of the environment
    text: str
    board: str  # uid of the board that shows it
    panel: str  # title of the panel there
    no_data: str = "OK"  # or Alerting: where silence is bad


WHOLE = {"stage": "netwatch"}

ALERTS: Final = (
    Alert(
        "netwatch-table-filling",
        "Table is about to be full",
        conditions=(
            Condition(Query(FirewallPoint, "time_to_full_s", over=Over.LAST), "<", 60),
            Condition(Query(FirewallPoint, "fill_ratio", over=Over.LAST), ">", 0.5),
        ),
        for_s=10,
        severity="critical",
        summary="The state table of {{ .Labels.firewall }} at {{ .Labels.site }} is full within a minute",
        text="When it is full, it drops the packets of all new sessions. `netwatch incidents` says who fills it and what ends it.",
        board="netwatch-firewall",
        panel="Time to full",
    ),
    Alert(
        "netwatch-table-full",
        "Table is nearly full",
        conditions=(Condition(Query(FirewallPoint, "fill_ratio", over=Over.LAST), ">", 0.9),),
        for_s=30,
        severity="critical",
        summary="The state table of {{ .Labels.firewall }} at {{ .Labels.site }} has been filled to more than 90 % for 30 s",
        text="Linux evicts from 95 % on and drops at 100 %. The board shows by state what it is full of.",
        board="netwatch-firewall",
        panel="Fill",
    ),
    Alert(
        "netwatch-service-unhealthy",
        "Service completes less than half",
        conditions=(
            Condition(Query(ServicePoint, "completion_ratio", over=Over.LAST, per=SERVICE), "<", 0.5),
            Condition(Query(ServicePoint, "attempts_per_s", over=Over.LAST, per=SERVICE), ">", 1),
        ),
        for_s=10,
        severity="warning",
        summary="{{ .Labels.service }} behind {{ .Labels.firewall }} completes less than half of what is asked of it",
        text="A flood from false addresses looks like this, and a service that is down. The board shows which: do known sources complete?",
        board="netwatch-service",
        panel="Completed of asked",
    ),
    Alert(
        "netwatch-service-unreachable",
        "Canary gets no answer",
        conditions=(Condition(Query(CanaryPoint, "success", over=Over.LAST, per=SERVICE), "<", 1),),
        for_s=20,
        severity="critical",
        summary="{{ .Labels.service }} behind {{ .Labels.firewall }} does not answer netwatch's canary",
        text="The newest attempts to use it through the firewall failed, for 20 s: users feel the same.",
        board="netwatch-service",
        panel="Canary: answered",
    ),
    Alert(
        "netwatch-blind",
        "netwatch is blind",
        conditions=(Condition(Query(SelfPoint, "window_age_s", over=Over.LAST, where=WHOLE), ">", 10),),
        for_s=20,
        severity="critical",
        summary="netwatch at {{ .Labels.site }} does not see {{ .Labels.firewall }}",
        text="No window was closed for 10 s, or netwatch is not heard at all. An incident would not be found. `netwatch doctor` says why.",
        board="netwatch-itself",
        panel="Age of the newest window",
        no_data="Alerting",
    ),
    Alert(
        "netwatch-part-down",
        "A part of netwatch does not work",
        conditions=(Condition(Query(SelfPoint, "healthy", over=Over.LAST, per=STAGE), "<", 1),),
        for_s=60,
        severity="warning",
        summary="{{ .Labels.stage }} of netwatch at {{ .Labels.site }} does not work",
        text="A capture: it is partly blind. A sink: what it should get waits in a bounded spool or queue. netwatch's log has the reason.",
        board="netwatch-itself",
        panel="Health of its parts",
    ),
    Alert(
        "netwatch-mitigation-stuck",
        "A mitigation does not end",
        conditions=(
            Condition(Query(ChangePoint, "remaining_s", over=Over.LAST, per=PLAYBOOK), "<", -5),
            Condition(Query(ChangePoint, "in_force", over=Over.LAST, per=PLAYBOOK), ">", 0),
        ),
        for_s=10,
        severity="critical",
        summary="Mitigation {{ .Labels.playbook }} on {{ .Labels.firewall }} is past its end and still in force",
        text="Look at it with `netwatch incidents`, and end it with `netwatch undo --all`.",
        board="netwatch-incident",
        panel="Remaining life",
    ),
    Alert(
        "netwatch-lossy",
        "netwatch loses packets",
        conditions=(Condition(Query(FirewallPoint, "lost_packets_per_s", beside="packets_per_s", per=FIREWALL), ">", 0.01),),
        for_s=30,
        severity="warning",
        summary="netwatch at {{ .Labels.site }} does not see more than 1 % of the packets of {{ .Labels.firewall }}",
        text="Its counts are too low by them. Raise `sample` of the [[capture]], or give it a processor of its own.",
        board="netwatch-itself",
        panel="Packets lost by netwatch",
    ),
)
