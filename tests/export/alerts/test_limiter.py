"""So many pages per time; what is over it becomes one digest."""

from netwatch.export.alerts.desk import Desk
from netwatch.export.alerts.page import Notice, PageKind
from netwatch.export.alerts.policy import AlertPolicy
from netwatch.model.event import Event
from netwatch.model.incident import Severity
from tests.export.alerts.story import closed, incident, opened, tick, updated


def desk(*, max_pages: int = 2, limited: bool = True) -> Desk:
    return Desk(AlertPolicy(max_pages=max_pages, pages_per_s=600.0), site="dc1", firewall="edge-1", limited=limited)


def told(at: Desk, *events: Event) -> list[Notice]:
    return [notice for event in events for notice in at.take(event)]


def service(number: int) -> str:
    return f"203.0.113.{number}:25/tcp"


def flood_of(count: int, *, at_s: float = 1.0) -> list[Event]:
    return [opened(number, at_s=at_s + number / 100, service=service(number)) for number in range(1, count + 1)]


def test_forty_incidents_at_once_are_two_pages_and_one_digest() -> None:
    notices = told(desk(), *flood_of(40), tick(62))
    assert [notice.kind.value for notice in notices] == ["open", "open", "open", "update"]
    assert [notice.page.kind for notice in notices] == [PageKind.INCIDENT, PageKind.INCIDENT, PageKind.DIGEST, PageKind.DIGEST]
    digest = notices[-1].page
    assert digest.summary.startswith("38 more pages within 10 min 00 s (38 warning), first: syn-flood against 203.0.113.3:25/tcp")
    assert digest.evidence[-1] == "and 18 more"


def test_who_is_in_a_digest_is_told_nowhere_else_and_ends_with_it() -> None:
    at = desk()
    told(at, *flood_of(4), tick(62))
    graver = updated(3, at_s=70, service=service(3), severity=Severity.CRITICAL)
    assert told(at, graver, closed(3, at_s=80, service=service(3))) == []
    ended = told(at, closed(4, at_s=90, service=service(4)))
    assert [(notice.kind.value, notice.page.kind) for notice in ended] == [("resolved", PageKind.DIGEST)]
    singly = told(at, closed(1, at_s=91, service=service(1)))
    assert [(notice.kind.value, notice.page.key) for notice in singly] == [("resolved", incident(1).id)]


def test_there_is_room_again_when_the_time_is_over() -> None:
    at = desk(max_pages=1)
    told(at, opened(1, service=service(1)), closed(1, at_s=20, service=service(1)))
    assert [notice.page.kind for notice in told(at, opened(2, at_s=30, service=service(2)))] == [PageKind.DIGEST]
    told(at, closed(2, at_s=40, service=service(2)))
    assert told(at, opened(3, at_s=50, service=service(3))) == []  # a digest a few seconds after the last would be a page too many
    late = told(at, tick(630))
    assert [(notice.kind.value, notice.page.key) for notice in late] == [("open", incident(3).id)]


def test_what_came_and_went_while_there_was_no_room_is_not_told() -> None:
    at = desk(max_pages=1)
    told(at, opened(1, service=service(1)), opened(2, at_s=2, service=service(2)), closed(2, at_s=10, service=service(2)))
    assert told(at, opened(3, at_s=20, service=service(3)), closed(3, at_s=30, service=service(3)), tick(700)) == []


def test_a_system_that_groups_by_itself_is_told_everything() -> None:
    assert len(told(desk(limited=False), *flood_of(40))) == 40
