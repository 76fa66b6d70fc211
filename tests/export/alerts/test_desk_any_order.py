"""Whatever happens, in any order, with restarts at any moment: nobody is paged twice for one thing, nor too often, nor left with a page."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.export.alerts.desk import Desk, DeskState
from netwatch.export.alerts.page import Notice, NoticeKind, PageKind
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.model.change import EventType
from netwatch.model.event import Event
from netwatch.model.incident import Mode, Severity
from tests.export.alerts.story import ONSET_S, applied, closed, induced, mitigation, not_helped, opened, tick, updated, verified

POLICY = AlertPolicy(max_pages=3, pages_per_s=100.0)
NUMBERS = st.integers(1, 6)
SEVERITIES = st.sampled_from(list(Severity))
MODES = st.sampled_from([Mode.SYN_FLOOD, Mode.TABLE_FULL])

RESTART = "restart"
Step = tuple[float, str, int, Severity, Mode]
STEPS = st.lists(
    st.tuples(
        st.floats(0.0, 40.0),
        st.sampled_from(
            ["opened", "updated", "closed", "applied", "verified", "failed", "induced", "uninduced", "expired", "tick", RESTART]
        ),
        NUMBERS,
        SEVERITIES,
        MODES,
    ),
    max_size=60,
)


def service(number: int) -> str:
    return f"203.0.113.{number}:25/tcp"


def event(kind: str, number: int, at_s: float, severity: Severity, mode: Mode) -> Event:
    match kind:
        case "opened":
            return opened(number, at_s=at_s, severity=severity, mode=mode, service=service(number))
        case "updated":
            return updated(number, at_s=at_s, severity=severity, mode=mode, service=service(number))
        case "closed":
            return closed(number, at_s=at_s, severity=severity, mode=mode, service=service(number))
        case "applied":
            return applied(number, at_s=at_s)
        case "verified":
            return verified(number, at_s=at_s)
        case "failed":
            return not_helped(number, at_s=at_s)
        case "induced":
            return induced(EventType.INCIDENT_OPENED, number, at_s=at_s)
        case "uninduced":
            return induced(EventType.INCIDENT_CLOSED, number, at_s=at_s)
        case "expired":
            return mitigation(EventType.CHANGE_EXPIRED, "expired: its cause is gone", number, at_s=at_s)
        case _:
            return tick(at_s)


def played(steps: list[Step]) -> tuple[list[Notice], float]:
    """All notices of a story at whose end everything is over, and the time that it took."""
    desk, now_s, notices = Desk(POLICY, site="dc1", firewall="edge-1", limited=True), 0.0, []
    for pause_s, kind, number, severity, mode in steps:
        now_s += pause_s
        if kind == RESTART:
            state = msgspec.json.decode(msgspec.json.encode(desk.state), type=DeskState)
            desk = Desk(POLICY, site="dc1", firewall="edge-1", limited=True, state=state)
        else:
            notices += desk.take(event(kind, number, now_s, severity, mode))
    for number in range(1, 7):
        for kind in ("closed", "uninduced"):
            notices += desk.take(event(kind, number, now_s, Severity.WARNING, Mode.SYN_FLOOD))
    for later_s in (0.0, 200.0, 600.0):  # beyond the patience with what was forgotten over a restart
        notices += desk.take(tick(now_s + later_s))
    return notices, now_s


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_every_page_is_opened_once_told_while_open_and_resolved(steps: list[Step]) -> None:
    notices, _ = played(steps)
    standing: set[str] = set()
    over: set[str] = set()
    for notice in notices:
        key = notice.page.key
        if notice.kind is NoticeKind.OPEN:
            assert key not in standing | over
            standing.add(key)
        else:
            assert key in standing
        if notice.kind is NoticeKind.RESOLVED:
            standing.remove(key)
            over.add(key)
    assert not standing


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_nobody_is_paged_more_often_than_the_budget_allows_nor_for_what_is_only_worth_knowing(steps: list[Step]) -> None:
    notices, _ = played(steps)
    pages = [notice for notice in notices if notice.kind is NoticeKind.OPEN]
    assert all(notice.page.severity is not Severity.INFO for notice in notices)
    for first in pages:
        within = [page for page in pages if 0 <= page.time_s - first.time_s < POLICY.pages_per_s]
        digests = sum(page.page.kind is PageKind.DIGEST for page in within)
        assert len(within) - digests <= POLICY.max_pages
        assert digests <= 1


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_time_never_runs_back_and_a_severity_never_sinks(steps: list[Step]) -> None:
    notices, now_s = played(steps)
    assert [notice.time_s for notice in notices] == sorted(notice.time_s for notice in notices)
    assert all(ONSET_S <= notice.time_s <= ONSET_S + now_s + 600 for notice in notices)
    ranks: dict[str, int] = {}
    for notice in notices:
        rank = list(Severity).index(notice.page.severity)
        assert rank >= ranks.get(notice.page.key, 0)
        ranks[notice.page.key] = rank
