"""One incident is one page, and what becomes of it are updates of that page."""

from collections.abc import Iterable

import msgspec
import pytest

from netwatch.export.alerts.ledger import MOST_UPDATES, ORPHAN_S, Ledger, LedgerState
from netwatch.export.alerts.page import Notice
from netwatch.model.change import MITIGATION_INDUCED, EventType, MitigationEvent, PlanState
from netwatch.model.event import Event
from netwatch.model.incident import Mode, Severity
from tests.export.alerts.story import (
    ONSET_S,
    SMTP,
    applied,
    closed,
    incident,
    induced,
    mitigation,
    not_helped,
    opened,
    plan,
    tick,
    updated,
    verified,
)

KEY = incident().id


def ledger(state: LedgerState | None = None, *, min_severity: Severity = Severity.WARNING) -> Ledger:
    return Ledger(site="dc1", min_severity=min_severity, state=state)


def told(book: Ledger, *events: Event) -> list[Notice]:
    return [notice for event in events for notice in book.take(event)]


def kinds(notices: Iterable[Notice]) -> list[tuple[str, str]]:
    """What was told, and of which page: the key without the incident that all of these tests have."""
    return [(notice.kind.value, notice.page.key.removeprefix(KEY)) for notice in notices]


def restarted(book: Ledger) -> Ledger:
    return ledger(msgspec.json.decode(msgspec.json.encode(book.state), type=LedgerState))


def test_an_incident_pages_once_and_is_resolved_under_the_same_key() -> None:
    notices = told(ledger(), opened(), updated(at_s=2), updated(at_s=3), closed())
    assert kinds(notices) == [("open", ""), ("resolved", "")]
    assert notices[0].page.title == f"dc1/edge-1: syn-flood against {SMTP} since 15:00:21 UTC: 37,669 spoofed sources"
    assert notices[1].text == "ended at 15:01:16 UTC after 55.0 s"


def test_what_is_only_worth_knowing_never_pages_until_it_gets_worse() -> None:
    book = ledger()
    assert told(book, opened(severity=Severity.INFO), updated(severity=Severity.INFO)) == []
    assert kinds(told(book, updated(severity=Severity.WARNING))) == [("open", "")]


def test_a_site_may_be_paged_for_critical_incidents_only() -> None:
    book = ledger(min_severity=Severity.CRITICAL)
    assert told(book, opened()) == []
    assert kinds(told(book, updated(severity=Severity.CRITICAL))) == [("open", "")]


def test_a_graver_severity_is_an_update_and_a_lesser_one_is_none() -> None:
    notices = told(ledger(), opened(), updated(severity=Severity.CRITICAL), updated(severity=Severity.WARNING))
    assert kinds(notices) == [("open", ""), ("update", "")]
    assert notices[1].raised
    assert notices[1].text.startswith("now critical: syn-flood against")
    assert notices[1].page.severity is Severity.CRITICAL


def test_the_cause_that_is_found_later_is_an_update_of_the_same_page() -> None:
    notices = told(ledger(), opened(mode=Mode.TABLE_FULL, service=None), updated())
    assert kinds(notices) == [("open", ""), ("update", "")]
    assert "its cause is found: syn-flood, not table-full" in notices[1].text
    assert notices[1].page.service == SMTP


def test_changes_that_netwatch_makes_are_updates_and_one_that_helps_holds_the_page() -> None:
    notices = told(
        ledger(),
        opened(),
        applied(),
        verified(),
        mitigation(EventType.CHANGE_RENEWED, "synproxy stays in force", at_s=40),
        mitigation(EventType.CHANGE_UNDONE, "undone: taken back by ana", at_s=50, state=PlanState.UNDONE),
        closed(),
    )
    assert kinds(notices) == [("open", ""), ("update", ""), ("held", ""), ("update", ""), ("resolved", "")]
    assert [notice.page.held for notice in notices] == [False, False, True, False, False]
    assert notices[1].page.proposal == f"synproxy is in force; to take it back: netwatch undo {KEY}.1"
    assert notices[3].page.done == (
        "15:00:24 synproxy is in force",
        "15:00:27 synproxy helps: no more: handshakes are missing",
        "15:01:11 synproxy: undone: taken back by ana",
    )


def test_each_reason_for_which_a_plan_waits_is_told_once_however_often_they_come_and_go() -> None:
    reasons = ["traffic evidence alone", "mitigate.mode is suggest: waits for an approval"]
    waiting = [mitigation(EventType.PLAN_PROPOSED, f"waits: {why}", state=PlanState.PROPOSED, reason=why) for why in reasons * 5]
    notices = told(ledger(), opened(), *waiting)
    assert [notice.text for notice in notices[1:]] == [f"synproxy waits: {why}" for why in reasons]


def test_a_plan_that_waits_for_a_person_is_told_once_with_its_command() -> None:
    rehearsed = "synproxy: would have hit 0 of 900 healthy sessions of the last 60 s"
    waits = "waits: mitigate.mode is suggest: waits for an approval"
    proposed = mitigation(EventType.PLAN_PROPOSED, rehearsed, state=PlanState.PROPOSED)
    waiting = mitigation(EventType.PLAN_PROPOSED, waits, state=PlanState.PROPOSED, reason="mitigate.mode is suggest")
    notices = told(ledger(), opened(), proposed, waiting, waiting)
    assert kinds(notices) == [("open", ""), ("update", "")]
    assert notices[1].page.proposal == f"synproxy {waits}; to approve it: netwatch approve {KEY}.1"


def test_a_change_that_failed_is_a_page_of_its_own_and_ends_with_its_incident() -> None:
    notices = told(ledger(), opened(), applied(), not_helped(), closed())
    assert kinds(notices) == [
        ("open", ""),
        ("update", ""),
        ("open", "-failed-synproxy"),
        ("resolved", ""),
        ("resolved", "-failed-synproxy"),
    ]
    assert "synproxy did not end syn-flood at 203.0.113.25:25/tcp: undone: not better after 7 s" in notices[2].page.summary


def test_the_same_failure_again_and_again_pages_once() -> None:
    failures = [
        mitigation(EventType.PLAN_FAILED, "not applied, since its intent is not on disk: full", rung=rung, at_s=rung * 10, failed=True)
        for rung in range(1, 6)
    ]
    assert kinds(told(ledger(), opened(), *failures)) == [("open", ""), ("open", "-failed-synproxy")]


def test_an_exhausted_ladder_asks_for_a_person() -> None:
    text = "no rung of the ladder of syn-flood is left that fits and was not tried: this needs a person"
    exhausted = MitigationEvent(time_s=ONSET_S + 9, type=EventType.PLAN_REJECTED, incident_id=KEY, text=text, mode="syn-flood", failed=True)
    notices = told(ledger(), opened(), exhausted, exhausted)
    assert kinds(notices) == [("open", ""), ("open", "-failed-every-playbook")]


def test_a_change_that_made_things_worse_is_one_critical_page_until_the_incident_is_over() -> None:
    notices = told(
        ledger(),
        opened(),
        applied(),
        induced(EventType.INCIDENT_OPENED),
        not_helped(at_s=6),
        induced(EventType.INCIDENT_CLOSED, at_s=6),
        closed(),
    )
    assert kinds(notices) == [
        ("open", ""),
        ("update", ""),
        ("open", ".1-induced"),
        ("update", ".1-induced"),
        ("resolved", ""),
        ("resolved", ".1-induced"),
    ]
    assert notices[2].page.mode == MITIGATION_INDUCED
    assert notices[2].page.severity is Severity.CRITICAL


def test_a_change_that_made_things_worse_pages_even_if_its_incident_is_over() -> None:
    notices = told(ledger(), opened(), closed(), induced(EventType.INCIDENT_OPENED), induced(EventType.INCIDENT_CLOSED))
    assert kinds(notices)[2:] == [("open", ".1-induced"), ("resolved", ".1-induced")]


def test_what_happens_to_a_mitigation_after_its_incident_wakes_nobody() -> None:
    book = ledger()
    told(book, opened(), applied(), verified(), closed())
    late = mitigation(EventType.CHANGE_EXPIRED, "expired: its cause is gone", at_s=180, state=PlanState.EXPIRED)
    assert told(book, late, not_helped(at_s=190), updated(at_s=200)) == []


def test_a_page_that_has_told_enough_is_silent_until_its_end() -> None:
    events = [applied(at_s=3.0 + turn) for turn in range(2 * MOST_UPDATES)]
    notices = told(ledger(), opened(), *events, closed(at_s=300))
    assert len(notices) == 1 + MOST_UPDATES + 1
    assert notices[-1].kind == "resolved"


def test_after_a_restart_the_incident_of_before_is_not_opened_again() -> None:
    book = ledger()
    told(book, opened(), applied())
    after = restarted(book)
    assert told(after, tick(100), updated(at_s=101), opened(at_s=102)) == []
    assert kinds(told(after, closed(at_s=200))) == [("resolved", "")]


def test_an_attack_that_is_found_again_after_a_restart_goes_on_under_its_old_key() -> None:
    book = ledger()
    told(book, opened())
    after = restarted(book)
    again = told(after, tick(100), opened(number=7, at_s=101), updated(number=7, at_s=102), applied(number=7, at_s=103))
    assert kinds(again) == [("update", ""), ("update", "")]
    assert again[0].text.startswith("found again after a restart of netwatch: syn-flood")
    twice = restarted(after)
    assert kinds(told(twice, tick(104), closed(number=7, at_s=200))) == [("resolved", "")]
    assert twice.state.pages == ()


def test_another_service_is_another_page_after_a_restart_too() -> None:
    book = ledger()
    told(book, opened())
    notices = told(restarted(book), opened(number=7, at_s=101, service="203.0.113.26:25/tcp"))
    assert [notice.kind for notice in notices] == ["open"]


@pytest.mark.parametrize("failed", [False, True])
def test_what_is_not_found_again_after_a_restart_is_resolved(failed: bool) -> None:
    book = ledger()
    told(book, opened(), *([not_helped()] if failed else []))
    after = restarted(book)
    assert told(after, tick(100), tick(100 + ORPHAN_S - 1)) == []
    notices = told(after, tick(100 + ORPHAN_S))
    assert {notice.kind.value for notice in notices} == {"resolved"}
    assert after.pages == []


def test_text_of_strangers_cannot_act_on_a_terminal() -> None:
    nasty = mitigation(EventType.PLAN_FAILED, "the firewall did not take it: \x1b[2J\u202e", failed=True)
    notices = told(ledger(), opened(service="203.0.113.25:25/tcp\x1b[31m"), nasty)
    shown = "".join((notices[0].page.summary, notices[1].page.summary, *notices[1].page.done, notices[1].text))
    assert shown.isprintable()


def test_plans_are_known_by_their_playbook() -> None:
    notices = told(ledger(), opened(), not_helped(), not_helped(rung=2, playbook="short-timeouts+evict-half-open"))
    assert kinds(notices)[1:] == [("open", "-failed-synproxy"), ("open", "-failed-short-timeouts+evict-half-open")]
    assert plan().change.playbook == "synproxy"
