"""A replayed incident at one site, and at another a minute of a running netwatch for what no replay can have."""

from collections.abc import Callable, Iterator

from netwatch.collect import expand, open_capture
from netwatch.config import replay_settings
from netwatch.export.metrics.points import Points
from netwatch.export.metrics.schema import Point
from netwatch.model.canary import CanaryOutcome
from netwatch.model.change import EventType, PlanState
from netwatch.model.event import Event, IncidentTold, StageReport
from netwatch.model.firewall_state import Counted, InterfaceCounts, SoftnetCounts, SynproxyCounts
from netwatch.model.incident import Incident
from netwatch.model.session import Census, PrefixEntries
from netwatch.model.window import PrefixShare
from netwatch.replay import replay_captures
from tests.conftest import ROOT
from tests.export.metrics import told

CAPTURE = ROOT / "captures" / "syn-flood" / "attack.pcap.zst"
REPLAYED, LIVE = "replayed", "live"
"""Sites."""

LIVE_S = 60
BAD_FROM_S, BLIND_FROM_S, STUCK_FROM_S = 30, 42, 45
"""From then on the live netwatch suffers; closes no window any more; has a mitigation in force that is past its end."""


def replayed() -> tuple[list[Point], list[Incident]]:
    """The points of the capture, and its incidents as they were in the end."""
    points: list[Point] = []
    incidents: dict[str, Incident] = {}
    of = Points(site=REPLAYED, firewall="edge-1").of

    def tell(event: Event) -> None:
        points.extend(of(event))
        if isinstance(event, IncidentTold):
            incidents[event.incident.id] = event.incident

    captures = [open_capture(path) for path in expand([str(CAPTURE)])]
    replay_captures(captures, replay_settings(limit=4_000), tell=tell)
    return points, list(incidents.values())


def live(begin_s: float) -> tuple[list[Point], Incident]:
    """A minute of a running netwatch, and an incident of it that is over."""
    of: Callable[[Event], list[Point]] = Points(site=LIVE, firewall="edge-2").of
    over = told.incident("over", onset_s=begin_s + 12.25, detected_s=begin_s + 15, ended_s=begin_s + 27)
    return [point for second in range(LIVE_S) for event in _second(second, begin_s + second, over) for point in of(event)], over


def _second(number: int, now_s: float, over: Incident) -> Iterator[Event]:
    match number:
        case 15:
            yield told.opened(over, now_s)
        case 27:
            yield told.closed(over, now_s)
    if number < BLIND_FROM_S:
        yield _window(number, now_s)
    yield from _changes(number, now_s)
    bad = number >= BAD_FROM_S
    stuck = number >= STUCK_FROM_S
    in_force = (told.plan(),) if 20 <= number < 28 or stuck else ()
    yield told.itself(
        StageReport(stage="capture", taken=1_000 * number, given=990 * number, dropped={"ring": 10 * number}),
        StageReport(stage="sink influxdb", taken=20 * number, given=19 * number, queued=number, healthy=not bad, restarts=number // 20),
        StageReport(stage="exporter 192.0.2.7", taken=50 * number, given=48 * number, dropped={"sequence gap": 2 * number}),
        time_s=now_s,
        mitigations=in_force,
        mitigation_ends_s={plan.id: now_s + (-10 if stuck else 300) for plan in in_force},
        cpu_s=0.2 * number,
        memory_bytes=200_000_000,
    )


def _window(number: int, now_s: float) -> Event:
    bad = number >= BAD_FROM_S
    state = told.poll(
        now_s,
        counters={"dropped_meter": Counted(60, 6_000)},
        interfaces={"eth0": InterfaceCounts(received=900, received_bytes=90_000, receive_dropped=3, sent=0, sent_bytes=0, send_dropped=0)},
        softnet=SoftnetCounts(processed=(900,), dropped=(1,), squeezed=(2,)),
        synproxy=SynproxyCounts(syn_received=50, cookie_valid=5, cookie_invalid=1),
    )
    outcome = CanaryOutcome.FILTERED if bad else CanaryOutcome.ANSWERED
    service = told.service(syn=20, top_prefixes=(PrefixShare("10.0.0.0/24", 9, 0.5, 1.0),))
    return told.window(
        now_s,
        of=told.firewall(packets=1_000, time_to_full_s=90.0),
        services=(service,),
        state=state,
        canaries=(told.canary(outcome, at_s=now_s - 0.5),),
        census=Census(now_s, 5, (5, 4, 3, 2, 1), 2, (PrefixEntries("10.0.0.0/24", 9, 1, 1),)),
        lost_packets=200 if bad else 0,
    )


def _changes(number: int, now_s: float) -> Iterator[Event]:
    plan, other = told.plan(), told.plan("plan-2", playbook="evict-half-open", state=PlanState.FAILED)
    match number:
        case 16:
            yield told.happened(EventType.PLAN_PROPOSED, plan, now_s)
            yield told.happened(EventType.PLAN_PROPOSED, other, now_s)
        case 20:
            yield told.happened(EventType.CHANGE_APPLIED, plan, now_s)
            yield told.happened(EventType.PLAN_FAILED, other, now_s)
        case 24:
            yield told.happened(EventType.CHANGE_VERIFIED, plan, now_s)
        case 28:
            yield told.happened(EventType.CHANGE_UNDONE, plan, now_s)
