"""The life of a mitigation, told as plays: from an incident to a change that helped, or was undone."""

from netwatch.mitigate.events import Tick
from netwatch.mitigate.ladder import with_life
from netwatch.mitigate.orders import Apply, Intend, Rehearse
from netwatch.mitigate.settings import OperatingMode
from netwatch.model.incident import EvidenceKind, Mode, Severity
from netwatch.model.service import Service
from tests.mitigate.play import (
    ATTACKER,
    CURE,
    IMAP,
    LEVEL_PER_S,
    SECOND,
    THIRD,
    Play,
    adopted,
    answers,
    applied,
    applies,
    approved,
    closed,
    declined,
    failed,
    flushed,
    intends,
    kept,
    not_kept,
    opened,
    probed,
    proposes,
    rehearsed,
    rehearses,
    renewed,
    renews,
    state_lost,
    stopping,
    tells,
    ticks,
    undo_asked,
    undo_failed,
    undoes,
    undone,
    windows,
)

UNKNOWN = Service("dns", "203.0.113.53", 53, "udp")
HURT = 0.4 * LEVEL_PER_S


def until_applied(play: Play, **changes: object) -> Play:
    """An incident hurts; its first rung is applied."""
    play >> windows(1, HURT) >> opened(**changes) << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept() << applies()
    play >> applied() << tells("change.applied", CURE)
    return play


def until_verified(play: Play, **changes: object) -> Play:
    """The first rung helps."""
    until_applied(play, **changes)
    play >> windows(2) << tells("change.verified", "no more: handshakes are missing")
    return play


# --- it helps ---


def test_a_change_is_rehearsed_journalled_applied_and_verified_in_this_order() -> None:
    (
        Play()
        >> windows(1, HURT)
        >> opened()
        << rehearses()
        >> rehearsed()
        << proposes(CURE)
        << intends(CURE)
        >> kept()
        << applies(CURE)
        >> applied(evicted=12_000)
        << tells("change.applied", "12,000 entries deleted")
        >> windows(2)
        << tells("change.verified", "no more: handshakes are missing")
    )


def test_a_forecast_is_verified_when_the_table_stops_to_fill_and_nobody_was_hurt() -> None:
    play = Play()
    play >> windows(1, entries=5_000) >> windows(1, entries=9_000) >> opened() << rehearses() >> rehearsed() << proposes(CURE)
    play << intends() >> kept() << applies() >> applied() << tells("change.applied")
    play >> windows(1, entries=9_100) >> windows(1, entries=9_100) << tells("change.verified", "will be full soon")


def test_a_forecast_is_not_verified_while_the_table_goes_on_filling() -> None:
    play = Play()
    play >> windows(1, entries=1_000) >> windows(1, entries=3_000) >> opened() << rehearses() >> rehearsed() << proposes(CURE)
    play << intends() >> kept() << applies() >> applied() << tells("change.applied")
    for entries in range(5_000, 19_000, 2_000):
        play >> windows(1, entries=entries)
    play >> windows(1, entries=19_000) << undoes()


def test_a_forecast_made_when_the_attack_had_just_begun_does_not_undo_what_stopped_it() -> None:
    """Before the change the table grew by 400 a second on average, then by 2,000 until entries were old enough, then by 300."""
    play = Play()
    play >> windows(1, entries=1_000) >> windows(1, entries=1_800) >> opened(mode=Mode.ESTABLISHED_CREEP) << rehearses() >> rehearsed()
    play << proposes("evict-silent") << intends() >> kept() << applies() >> applied() << tells("change.applied")
    for entries in range(3_800, 9_801, 2_000):
        play >> windows(1, entries=entries)
    for entries in (10_100, 10_400, 10_700):
        play >> windows(1, entries=entries)
    play >> windows(1, entries=11_000) << tells("change.verified", "will be full soon")
    for entries in range(11_300, 15_000, 300):
        play >> windows(1, entries=entries)


def test_where_nobody_is_hurt_a_change_must_stay_harmless_for_the_whole_trial() -> None:
    play = Play()
    play >> opened(mode=Mode.RST_FLOOD) << proposes("reset-meter") << intends() >> kept() << applies() >> applied()
    play << tells("change.applied") >> windows(5) << tells("change.verified", "nobody was hurt")


def test_a_failing_canary_must_come_about_again() -> None:
    play = Play()
    play >> probed(True, False, False) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept()
    play << applies() >> applied() << tells("change.applied") >> windows(3)
    play >> probed(True) << tells("change.verified", "canary connections fail")


def test_what_is_in_force_is_renewed_at_two_thirds_of_its_life_while_the_cause_lasts() -> None:
    play = until_verified(Play())
    applied_s = play.now_s - 2
    assert applied_s + 40 - play.now_s == play.waited_s(windows(1))
    play << renews(life_s=60) >> renewed() << tells("change.renewed")
    play.quietly(600)
    assert play.told.count("change.renewed") == 16


def test_what_is_evicted_is_evicted_again_while_it_lasts() -> None:
    play = until_verified(Play())
    play.quietly(30)
    assert play.evictions_s == [12 + 2 * number for number in range(16)]


def test_what_is_evicted_each_second_is_so_although_ticks_come_a_little_sooner_or_later() -> None:
    play = Play()
    play >> opened(mode=Mode.ESTABLISHED_CREEP) << rehearses() >> rehearsed() << proposes("evict-silent") << intends() >> kept()
    play << applies() >> applied() << tells("change.applied")
    late_s = (0.004, 0.001, 0.003, 0.0, 0.002, 0.001, 0.0)
    begin_s = play.now_s
    play >> (lambda play: [Tick(begin_s + second + late) for second, late in enumerate(late_s, 1)])
    assert [int(at_s - begin_s) for at_s in play.evictions_s] == list(range(1, 8))


def test_a_mitigation_outlives_its_cause_by_the_hold_down_and_then_expires() -> None:
    play = until_verified(Play(hold_down_s=120))
    play >> closed()
    play.quietly(119)
    assert "change.expired" not in play.told
    assert play.waited_s(windows(1)) <= 60
    play << tells("change.expired", "its cause is gone")
    assert play.life.plans == ()


def test_an_attack_that_comes_back_within_the_hold_down_finds_its_mitigation_still_in_force() -> None:
    play = until_verified(Play())
    play >> closed()
    play.quietly(60)
    play >> opened(number=2)
    play.quietly(200)
    assert "change.expired" not in play.told
    assert play.told.count("plan.proposed") == 1


def test_a_maximum_life_ends_it_whatever_goes_on_and_new_harm_is_a_new_decision() -> None:
    play = until_verified(Play(max_life_s=100))
    play.quietly(97)
    play >> windows(1) << tells("change.expired", "its maximum life is over")
    play >> windows(5) >> windows(1, HURT) << rehearses() >> rehearsed() << proposes(CURE) << intends()


def test_no_life_is_longer_than_the_maximum() -> None:
    play = until_applied(Play(max_life_s=20))
    assert play.change.life_s == 20.0
    assert "timeout 20s" in play.change.nft[0]


def test_the_last_renewal_is_as_short_as_the_maximum_life_asks() -> None:
    play = until_verified(Play(max_life_s=90))
    play.waited_s(windows(1))
    play << renews(life_s=50) >> renewed(with_life(play.change, 50)) << tells("change.renewed")
    assert play.waited_s(windows(1)) == 50
    play << tells("change.expired", "its maximum life is over")


# --- it does not help, or hurts ---


def test_a_change_that_does_not_help_in_time_is_undone_and_the_next_rung_tried() -> None:
    play = until_applied(Play())
    assert play.waited_s(windows(1, HURT)) == 8  # five seconds, and three until half-open entries have been evicted
    play << undoes() >> undone() << tells("change.undone", "not better after 8 s")
    play << rehearses() >> rehearsed() << proposes(SECOND) << intends() >> kept() << applies(SECOND)


def test_complaints_that_end_just_before_the_trial_does_give_a_change_the_windows_that_it_lacks() -> None:
    play = until_applied(Play())
    play >> windows(7, HURT)
    assert play.waited_s(windows(1)) == 2
    play << tells("change.verified")


def test_a_change_that_makes_things_worse_is_undone_within_two_windows_and_told_as_an_incident() -> None:
    play = Play()
    play >> windows(1, 80) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept() << applies()
    play >> applied() << tells("change.applied") >> windows(1, 2) << undoes()
    play << tells("incident.opened", "handshakes/s completed", mode="mitigation-induced")
    play >> undone() << tells("change.undone") << tells("incident.closed", mode="mitigation-induced")
    play << rehearses() >> rehearsed() << proposes(SECOND)


def test_only_what_did_not_do_what_it_was_made_for_is_told_as_a_failure() -> None:
    useless = until_applied(Play())
    assert useless.waited_s(windows(1, HURT)) == 8
    useless << undoes() >> undone() << tells("change.undone", "not better")
    assert useless.failures == ["change.undone"]
    refused = Play() >> windows(1, HURT) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept() << applies()
    refused >> failed() << tells("plan.failed")
    assert refused.failures == ["plan.failed"]
    taken_back = until_verified(Play())
    taken_back >> undo_asked() << answers("is being undone") << undoes() >> undone() << tells("change.undone", "ana")
    assert not taken_back.failures


def test_what_made_things_worse_is_not_tried_again_however_long_the_incident_lasts() -> None:
    play = Play(retry_s=10, changes_per_s=1)
    play >> windows(1, 80) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept() << applies()
    play >> applied() << tells("change.applied") >> windows(1, 2) << undoes() << tells("incident.opened")
    play >> undone() << tells("change.undone") << tells("incident.closed")
    tried = []
    for _ in range(300):
        asked, play.pending = play.pending, []
        for order in asked:
            match order:
                case Rehearse():
                    play >> rehearsed()
                case Intend(plan):
                    tried.append(plan.change.playbook)
                    play >> kept()
                case Apply():
                    play >> failed()
                case _:
                    pass
        if not play.pending:
            play >> windows(1, HURT)
    assert set(tried) == {SECOND, THIRD}
    assert tried.count(SECOND) > 10


def test_canaries_that_fail_one_after_the_other_are_enough_to_undo() -> None:
    play = Play()
    play >> probed(True, True, True, True) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept()
    play << applies() >> applied() << tells("change.applied") >> probed(False) >> probed(False) << undoes()
    play << tells("incident.opened", "2 canary connections in a row failed", mode="mitigation-induced")


def test_a_loss_of_what_was_beyond_the_normal_is_no_harm() -> None:
    """The attacker's own sessions stop: that is the cure."""
    play = Play()
    attacked = 40 * LEVEL_PER_S
    play >> windows(2, attacked, dropped=5000) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept()
    play << applies() >> applied() << tells("change.applied") >> windows(2) << tells("change.verified", "drops new flows")


def test_without_any_figures_a_change_does_not_stay() -> None:
    play = until_applied(Play())
    assert play.waited_s(ticks(1)) == 8
    play << undoes()


def test_a_mitigation_that_stops_to_help_is_replaced_by_the_next_rung() -> None:
    play = until_verified(Play())
    assert play.waited_s(windows(1, HURT)) == 6
    play << undoes() >> undone() << tells("change.undone", "does not help any more")
    play << rehearses() >> rehearsed() << proposes(SECOND)


def test_when_no_rung_is_left_a_person_is_called_once() -> None:
    play = Play()
    play >> opened(mode=Mode.IDLE_TIMEOUT_BLACKHOLE, service=UNKNOWN) << tells("plan.rejected", "needs a person") >> windows(100, HURT)
    assert not play.pending


def test_a_cause_found_later_replaces_a_change_on_trial_that_is_not_for_it() -> None:
    play = Play()
    play >> windows(1, HURT) >> opened(mode=Mode.TABLE_FULL, service=None) << rehearses() >> rehearsed()
    play << proposes("evict-half-open") << intends() >> kept() << applies() >> applied() << tells("change.applied")
    play >> opened() << undoes() >> undone() << tells("change.undone", "the cause is found: syn-flood")
    play << rehearses() >> rehearsed() << proposes(CURE)


def test_an_incident_that_follows_from_another_does_not_keep_its_cure_waiting() -> None:
    play = Play()
    play >> windows(1, HURT) >> opened(mode=Mode.TABLE_FULL, service=None) << rehearses() >> rehearsed()
    play << proposes("evict-half-open") << intends() >> kept() << applies() >> applied() << tells("change.applied")
    play >> opened(number=2, consequences=(Mode.TABLE_FULL,)) << rehearses() >> rehearsed() << proposes(CURE)
    play << tells("plan.proposed", "edge-1-1.1 comes first") >> closed(mode=Mode.TABLE_FULL, service=None) << undoes()
    play >> undone("edge-1-1.1") << tells("change.undone", "same cause as edge-1-2") << intends(CURE)


def test_what_is_clearly_better_but_not_well_is_kept_for_want_of_anything_better() -> None:
    play = Play()
    play >> windows(2, 10) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept() << applies()
    play >> applied() << tells("change.applied")
    assert play.waited_s(windows(1, 60)) == 8
    play << tells("change.verified", "better, but not well: 60.0 handshakes/s completed, 10.0/s before")
    play >> windows(30, 60)
    assert not play.pending


# --- guards and people ---


def test_observe_tells_and_never_applies() -> None:
    play = Play(OperatingMode.OBSERVE)
    play >> windows(1, HURT) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed", "observe")
    play >> windows(120, HURT) >> approved() << answers("mitigate.mode is observe", ok=False)
    play >> closed() << tells("plan.rejected", "the incident is over")


def test_a_dry_run_driver_changes_nothing() -> None:
    play = Play(dry_run=True)
    play >> opened() << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed", "dry-run") >> windows(30, HURT)
    assert not play.pending


def test_suggest_waits_for_a_person() -> None:
    play = Play(OperatingMode.SUGGEST)
    play >> opened() << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed", "waits for an approval")
    play >> windows(20, HURT) >> approved() << answers("is approved") << tells("plan.approved", "ana") << intends(CURE)


def test_what_was_rehearsed_long_ago_is_rehearsed_again_before_it_is_applied() -> None:
    play = Play(OperatingMode.SUGGEST)
    play >> opened() << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed", "waits for an approval")
    play >> windows(40, HURT) >> approved() << answers("is approved") << tells("plan.approved") << rehearses()
    play >> rehearsed(hit=200) << tells("plan.rejected", "healthy-sessions")


def test_a_declined_plan_is_not_proposed_again_but_the_next_rung_is() -> None:
    play = Play(OperatingMode.SUGGEST)
    play >> opened() << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed") >> declined()
    play << answers("is declined") << tells("plan.rejected", "declined by ana") << rehearses() >> rehearsed()
    play << proposes(SECOND) << tells("plan.proposed")


def test_a_person_who_takes_a_change_back_has_the_incident_from_then_on() -> None:
    play = until_verified(Play())
    play >> undo_asked() << answers("is being undone") << undoes() >> undone() << tells("change.undone", "ana") >> windows(60, HURT)
    assert not play.pending


def test_undo_all_takes_back_everything_and_stops_what_is_planned() -> None:
    play = until_verified(Play())
    play >> undo_asked(everything=True) << answers("1 in force") << undoes() >> undone() << tells("change.undone") >> windows(60, HURT)
    assert not play.pending


def test_undo_all_declines_what_still_waits() -> None:
    play = until_verified(Play(max_changes=1))
    play >> opened(number=2, service=IMAP) << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed")
    play >> undo_asked(everything=True) << answers("1 in force") << undoes() << tells("plan.rejected", "taken back by ana")
    play >> undone("edge-1-1.1") << tells("change.undone") >> windows(700, HURT)
    assert not play.pending


def test_a_plan_that_is_not_there_is_answered_by_those_that_are() -> None:
    play = until_verified(Play())
    play >> undo_asked("edge-1-99.1") << answers("there is no plan edge-1-99.1; plans that have not ended: edge-1-1.1", ok=False)


def test_weak_evidence_waits_until_there_is_more() -> None:
    play = Play()
    play >> opened(severity=Severity.WARNING) << rehearses() >> rehearsed() << proposes(CURE)
    play << tells("plan.proposed", "no harm is forecast") >> windows(3) >> opened() << intends(CURE)


def test_a_person_may_approve_what_only_lacks_evidence() -> None:
    play = Play()
    play >> opened(kinds=(EvidenceKind.TRAFFIC,)) << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed", "alone")
    play >> approved() << answers("is approved") << tells("plan.approved") << intends()


def test_a_plan_that_would_hit_healthy_sessions_is_refused_and_the_next_rung_tried() -> None:
    play = Play()
    play >> opened() << rehearses() >> rehearsed(hit=60) << proposes(CURE) << tells("plan.rejected", "60 of 1,000 healthy sessions")
    play << rehearses() >> rehearsed() << proposes(SECOND) << intends()


def test_a_rehearsal_that_never_comes_is_not_waited_for() -> None:
    play = Play()
    play >> windows(1, HURT) >> opened() << rehearses()
    assert play.waited_s(ticks(1)) == 3
    play << proposes(CURE) << intends()


def test_an_info_is_no_reason_to_change_a_firewall() -> None:
    play = Play()
    play >> opened(severity=Severity.INFO) >> windows(10)
    assert not play.pending


def test_two_incidents_are_dealt_with_one_after_the_other() -> None:
    play = until_applied(Play())
    play >> opened(number=2, service=IMAP) << rehearses() >> rehearsed() << proposes(CURE)
    play << tells("plan.proposed", "edge-1-1.1 comes first") >> windows(2) << tells("change.verified") << intends(CURE)


def test_so_many_changes_and_no_more() -> None:
    play = until_verified(Play(max_changes=1, changes_per_s=595))
    play >> opened(number=2, service=IMAP) << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed", "1 changes within")
    play.quietly(592)
    play >> windows(1) << rehearses() >> rehearsed() << intends(CURE)


def test_synproxy_is_taken_back_when_the_firewall_loses_its_state() -> None:
    play = until_verified(Play())
    play >> state_lost() << undoes() >> undone() << tells("change.undone", "must be picked up") << rehearses()
    play >> rehearsed() << proposes(SECOND)


def test_a_new_aim_replaces_a_plan_that_still_waits() -> None:
    play = Play()
    play >> opened(severity=Severity.WARNING) << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed")
    play >> declined() << answers("declined") << tells("plan.rejected") << rehearses() >> rehearsed() << proposes(SECOND)
    play << tells("plan.proposed") >> opened(prefixes=(ATTACKER,)) << tells("plan.rejected", "has changed") << rehearses()
    play >> rehearsed() << proposes(SECOND) << intends(SECOND)
    assert any("meter4" in line for line in play.change.nft)


# --- what goes wrong around it ---


def test_without_a_journal_nothing_is_changed_and_it_is_tried_again_later() -> None:
    play = Play()
    play >> windows(1, HURT) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> not_kept()
    play << tells("plan.failed", "disk full")
    assert play.waited_s(windows(1, HURT)) == 10
    play << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept() << applies()


def test_a_journal_that_does_not_answer_is_not_waited_for_and_its_late_answer_changes_nothing() -> None:
    play = Play()
    play >> windows(1, HURT) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> ticks(10)
    play << tells("plan.failed", "did not answer") >> kept()
    assert not play.pending


def test_what_the_firewall_refuses_is_not_tried_again_but_the_next_rung_is() -> None:
    play = Play()
    play >> windows(1, HURT) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept() << applies()
    play >> failed() << tells("plan.failed", "no such set") << rehearses() >> rehearsed() << proposes(SECOND) << intends()


def test_a_driver_that_does_not_answer_may_have_applied_it_so_it_is_undone() -> None:
    play = Play()
    play >> windows(1, HURT) >> opened() << rehearses() >> rehearsed() << proposes(CURE) << intends() >> kept() << applies()
    play >> ticks(10) << undoes() >> applied() >> undone() << tells("change.undone", "did not answer")


def test_an_undo_that_fails_is_tried_again_until_the_kernel_has_disarmed_it() -> None:
    play = until_verified(Play())
    applied_s = play.now_s - 2
    play >> undo_asked() << answers("undone") << undoes() >> undo_failed() << tells("error", "busy")
    while play.waited_s(ticks(1)) == 2 and "change.expired" not in play.told:
        play << undoes() >> undo_failed()
    play << tells("change.expired", "ana")
    assert play.now_s == applied_s + 60
    assert play.life.plans == ()


def test_a_renewal_that_fails_is_tried_again_and_told_once() -> None:
    play = until_verified(Play())
    play.waited_s(windows(1))
    play << renews() >> failed("busy") << tells("error", "could not be renewed") >> ticks(2) << renews()
    play >> failed("busy") >> ticks(2) << renews() >> renewed() << tells("change.renewed")


def test_what_could_not_be_renewed_expires_and_is_proposed_again() -> None:
    play = until_verified(Play())
    play.waited_s(windows(1))
    play << renews() >> failed("busy") << tells("error", "could not be renewed")
    while play.waited_s(windows(1)) == 2 and "change.expired" not in play.told:
        play << renews() >> failed("busy")
    play << tells("change.expired", "could not be renewed") << rehearses()


def test_what_somebody_else_removed_is_put_back_once_and_then_left_to_people() -> None:
    play = until_verified(Play())
    play >> flushed() << tells("change.undone", "nft flush ruleset") << rehearses() >> rehearsed() << proposes(CURE) << intends()
    play >> kept() << applies() >> applied() << tells("change.applied") >> flushed() << tells("change.undone") >> windows(30, HURT)
    assert not play.pending


def test_a_change_of_an_earlier_netwatch_is_held_for_the_hold_down() -> None:
    play = Play(hold_down_s=50)
    play >> adopted(ago_s=20) << tells("change.verified", "was in force when netwatch started")
    assert play.waited_s(windows(1)) == 20
    play << renews() >> renewed() << tells("change.renewed")
    assert play.waited_s(windows(1)) == 60
    play << tells("change.expired", "its cause is gone")


def test_an_attack_that_is_found_again_after_a_restart_keeps_the_mitigation_it_has() -> None:
    play = Play()
    play >> adopted() << tells("change.verified") >> opened(number=8)
    play.quietly(300)
    assert "plan.proposed" not in play.told


def test_what_nobody_watches_any_more_does_not_stay() -> None:
    play = until_verified(Play())
    play >> stopping() << undoes() >> undone() << tells("change.undone", "netwatch stops") >> windows(10, HURT)
    assert not play.pending


def test_a_restart_may_leave_to_its_successor_what_is_in_force() -> None:
    play = until_verified(Play())
    play >> stopping(release=False) >> windows(30)
    assert not play.pending
    assert play.life.in_force


def test_nothing_is_begun_while_netwatch_stops() -> None:
    play = Play(OperatingMode.SUGGEST)
    play >> opened() << rehearses() >> rehearsed() << proposes(CURE) << tells("plan.proposed") >> stopping()
    play << tells("plan.rejected", "netwatch stops") >> opened(number=2, service=IMAP) >> windows(5, HURT)
    assert not play.pending


def test_an_eviction_that_turns_out_not_to_keep_up_is_undone_before_its_trial_is_over() -> None:
    play = Play()
    play >> windows(1, HURT) >> opened(mode=Mode.TABLE_FULL, service=None) << rehearses() >> rehearsed()
    play << proposes("evict-half-open") << intends() >> kept() << applies() >> applied() << tells("change.applied")
    play >> windows(1, HURT, dropped=50_000) << undoes() >> undone() << tells("change.undone", "it cannot keep up")
