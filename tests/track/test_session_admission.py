"""What-if: a fork of the table with a mitigation in force, what it lets in, what it refuses, and whom it hits."""

from typing import Any

import pytest

from netwatch.errors import ConfigError
from netwatch.model.plan import Admission, Eviction
from netwatch.model.service import Service
from netwatch.model.session import SessionState, Timeouts
from netwatch.model.tracked import InvalidReason, SessionEvent, Verdict
from netwatch.track.admission_rules import ranges_of, without
from netwatch.track.session_table import SessionTable
from tests.builders import Built, tcp, udp
from tests.track.tables import CLIENT, SECOND_NS, SERVER, address, closing, handshake, judged, profile, states, track, verdicts

NEW, ESTABLISHED, INVALID = Verdict.NEW, Verdict.ESTABLISHED, Verdict.INVALID
UNTRACKED, DROPPED, UNSEEN = Verdict.UNTRACKED, Verdict.DROPPED, Verdict.NONE
MAIL = Service("mail", SERVER, 25, "tcp")
SERVICES = {MAIL.label: 1}
SHED = (DROPPED, InvalidReason.NONE, SessionEvent.SHED)


def defended(admission: Admission, *before: Built, **fields: Any) -> SessionTable:
    """A table that saw some packets of the mail service, then a mitigation put in force."""
    table = SessionTable(profile(**fields), groups=2, services=SERVICES)
    track(table, *before, service=1)
    return table.fork(admission)


def talk(at_s: float, client: str = CLIENT, port: int = 40_000) -> list[Built]:
    """Payload both ways, after ``handshake``."""
    return [
        tcp(at_s, SERVER, 25, client, port, "PA", seq=901, ack=101, payload=20),
        tcp(at_s, client, port, SERVER, 25, "PA", seq=101, ack=921, payload=30),
    ]


def mail(table: SessionTable, *built: Built) -> list[Verdict]:
    """Judge packets as the pipeline would classify them: service 1, by their direction."""
    found = []
    for item in built:
        toward = bool(item.row["dport"][0] == 25)
        found.append(Verdict(track(table, item, service=1, toward=toward)[0]["verdict"]))
    return found


# Dropping prefixes


def test_what_comes_from_a_dropped_prefix_is_shed_before_the_table() -> None:
    table = defended(Admission(drop_prefixes=("10.0.0.0/24",)))
    assert judged(table, tcp(0.0, CLIENT, 1, SERVER, 25, "S")) == SHED
    assert verdicts(table, tcp(0.0, "10.0.1.1", 1, SERVER, 25, "S"), udp(0.0, "10.0.0.9", 1, SERVER, 53)) == [NEW, DROPPED]
    assert (table.shed, states(table, 0.0)) == (2, {"SYN_SENT": 1})


def test_the_answer_to_what_was_dropped_does_not_exist() -> None:
    table = defended(Admission(drop_prefixes=("10.0.0.0/24",)))
    syn, answer, _ = handshake(0.0)
    assert verdicts(table, syn, answer) == [DROPPED, UNSEEN]
    assert table.verdicts["invalid"] == 0


def test_never_block_cuts_its_prefixes_out_of_those_dropped() -> None:
    table = defended(Admission(drop_prefixes=("10.0.0.0/8",), never_block=("10.0.0.0/30",)))
    sent = [tcp(0.0, f"10.0.0.{host}", 1, SERVER, 25, "S") for host in (0, 1, 3, 4)]
    assert verdicts(table, *sent) == [NEW, NEW, NEW, DROPPED]


def test_ranges_are_merged_and_cut_exactly() -> None:
    dropped = without(ranges_of(("10.0.0.0/25", "10.0.0.128/25", "10.0.2.0/24", "2001:db8::/32")), ranges_of(("10.0.0.64/26",)))
    assert [last - first + 1 for first, last in dropped] == [64, 128, 256, 1 << 96]


def test_a_session_of_a_dropped_prefix_dies_of_silence() -> None:
    table = defended(Admission(drop_prefixes=("10.0.0.0/24",)), *handshake(0.0), *talk(0.1), timeouts=Timeouts(established_s=60.0))
    assert mail(table, *talk(50.0)) == [ESTABLISHED, DROPPED]
    assert mail(table, tcp(55.0, SERVER, 25, CLIENT, 40_000, "PA", seq=921, ack=131, payload=20)) == [UNSEEN]
    assert states(table, 110.1) == {}


def test_a_dropped_session_that_was_healthy_is_a_hit_and_counts_once() -> None:
    table = defended(Admission(drop_prefixes=("10.0.0.0/24",)), *handshake(0.0), *talk(0.1))
    mail(table, *talk(1.0), *talk(2.0))
    assert table.healthy_hit == 1


def test_a_flood_of_a_dropped_prefix_hits_nobody_healthy() -> None:
    table = defended(Admission(drop_prefixes=("10.0.0.0/8",)))
    for number in range(200):
        client = address(number)
        mail(table, *handshake(float(number), client)[:2])
    assert (table.shed, table.healthy_hit) == (200, 0)


# synproxy


def test_behind_synproxy_a_syn_makes_no_entry_and_the_last_ack_makes_an_established_one() -> None:
    table = defended(Admission(synproxy=(MAIL,)))
    syn, answer, ack = handshake(0.0)
    assert mail(table, syn, answer) == [UNTRACKED, UNTRACKED]
    assert states(table, 0.0) == {}
    row = track(table, ack, service=1)[0]
    created = SessionEvent.CREATED | SessionEvent.REPLIED | SessionEvent.ASSURED | SessionEvent.HANDSHAKE_COMPLETED
    assert (Verdict(row["verdict"]), SessionEvent(int(row["session_events"]))) == (NEW, created)
    assert mail(table, *talk(0.1), *closing(5.0)) == [ESTABLISHED] * 5
    assert table.group_counts(1).by_state[SessionState.TIME_WAIT] == 1


def test_behind_synproxy_an_ack_without_its_syn_is_refused() -> None:
    table = defended(Admission(synproxy=(MAIL,)))
    assert mail(table, tcp(0.0, CLIENT, 40_000, SERVER, 25, "A", seq=101, ack=901)) == [DROPPED]
    assert (table.shed, states(table, 0.0)) == (1, {})


def test_synproxy_leaves_other_services_and_live_sessions_alone() -> None:
    table = defended(Admission(synproxy=(MAIL,)), *handshake(0.0))
    assert mail(table, *talk(1.0)) == [ESTABLISHED, ESTABLISHED]
    assert verdicts(table, tcp(1.0, CLIENT, 5, SERVER, 443, "S")) == [NEW]


def test_synproxy_keeps_a_syn_flood_out_of_the_table() -> None:
    table = defended(Admission(synproxy=(MAIL,)), limit=1000)
    for number in range(3000):
        mail(table, tcp(number / 1000, address(number), 1, SERVER, 25, "S"))
    assert mail(table, *handshake(3.0, "10.9.9.9")) == [UNTRACKED, UNTRACKED, NEW]
    assert table.counts(0).all.entries == 1


def test_synproxy_forgets_a_syn_after_two_minutes() -> None:
    table = defended(Admission(synproxy=(MAIL,)))
    syn, _, ack = handshake(0.0)
    mail(table, syn)
    for later_s in (61.0, 122.0, 183.0):
        mail(table, tcp(later_s, "10.9.9.9", 1, SERVER, 25, "S"))
    late = tcp(184.0, CLIENT, 40_000, SERVER, 25, "A", seq=101, ack=901)
    assert ack.row["seq"] == late.row["seq"]
    assert mail(table, late) == [DROPPED]


# Time-outs


def test_new_time_outs_rule_new_entries_only() -> None:
    table = defended(Admission(new_timeouts=Timeouts(syn_sent_s=5.0)), tcp(0.0, "10.9.9.9", 1, SERVER, 25, "S"))
    track(table, tcp(0.0, CLIENT, 1, SERVER, 25, "S"), service=1)
    assert states(table, 4.9) == {"SYN_SENT": 2}
    assert states(table, 5.1) == {"SYN_SENT": 1}


def test_new_time_outs_may_be_of_one_service() -> None:
    table = defended(Admission(new_timeouts=Timeouts(syn_sent_s=5.0), new_timeouts_services=(MAIL,)))
    track(table, tcp(0.0, CLIENT, 1, SERVER, 25, "S"), service=1)
    track(table, tcp(0.0, CLIENT, 1, SERVER, 443, "S"))
    assert states(table, 5.1) == {"SYN_SENT": 1}


# Meters and limits


def test_a_meter_lets_a_burst_in_and_then_its_rate() -> None:
    table = defended(Admission(meter_per_s=10.0, meter_burst=5))
    at_once = [tcp(0.0, CLIENT, 1000 + number, SERVER, 25, "S") for number in range(8)]
    assert verdicts(table, *at_once) == [NEW] * 5 + [DROPPED] * 3
    later = [tcp(1.0 + number / 20, CLIENT, 2000 + number, SERVER, 25, "S") for number in range(20)]
    assert verdicts(table, *later).count(NEW) == 14, "a full bucket of 5, then 9 more in the second"


def test_a_meter_is_of_a_prefix_and_a_service() -> None:
    table = defended(Admission(meter_per_s=1.0, meter_burst=1, meter_services=(MAIL,)))
    sent = [("10.0.0.1", 1), ("10.0.0.2", 1), ("10.0.1.1", 1), ("10.0.0.3", 0)]
    rows = [track(table, tcp(0.0, client, 1, SERVER, 25, "S"), service=service)[0] for client, service in sent]
    assert [Verdict(row["verdict"]) for row in rows] == [NEW, DROPPED, NEW, NEW]


def test_a_meter_does_not_feel_packets_of_sessions() -> None:
    table = defended(Admission(meter_per_s=0.001, meter_burst=1), *handshake(0.0))
    assert mail(table, *(talk(1.0) * 10)) == [ESTABLISHED] * 20


def test_a_refused_syn_may_be_sent_again() -> None:
    table = defended(Admission(meter_per_s=1.0, meter_burst=1))
    mail(table, tcp(0.0, "10.0.0.9", 1, SERVER, 25, "S"))
    assert mail(table, *handshake(0.1)) == [DROPPED, UNSEEN, UNSEEN]
    assert mail(table, *handshake(3.0)) == [NEW, ESTABLISHED, ESTABLISHED]
    assert mail(table, *talk(3.1)) == [ESTABLISHED, ESTABLISHED]
    assert table.healthy_hit == 0


def test_a_refused_session_that_proves_healthy_is_a_hit() -> None:
    table = defended(Admission(meter_per_s=1.0, meter_burst=1))
    mail(table, tcp(0.0, "10.0.0.9", 1, SERVER, 25, "S"))
    assert set(mail(table, *handshake(0.1), *talk(0.2))) == {DROPPED, UNSEEN}
    assert (table.healthy_hit, table.shed) == (1, 1)


def test_a_connection_limit_counts_what_is_there_and_is_given_back() -> None:
    before = [item for host in (1, 2) for item in handshake(0.0, f"10.0.0.{host}")]
    table = defended(Admission(connection_limit=3, connection_limit_services=(MAIL,)), *before, timeouts=Timeouts(established_s=50.0))
    assert mail(table, *(tcp(1.0, f"10.0.0.{host}", 1, SERVER, 25, "S") for host in (3, 4))) == [NEW, DROPPED]
    assert mail(table, tcp(1.0, "10.0.1.1", 1, SERVER, 25, "S")) == [NEW], "another prefix"
    assert mail(table, tcp(51.0, "10.0.0.5", 1, SERVER, 25, "S")) == [NEW], "two of three have expired"


def test_never_block_is_not_metered_or_limited() -> None:
    table = defended(Admission(meter_per_s=1.0, meter_burst=1, connection_limit=1, never_block=("10.0.0.0/24",)))
    assert verdicts(table, *(tcp(0.0, CLIENT, port, SERVER, 25, "S") for port in range(5))) == [NEW] * 5


def test_a_service_learned_later_falls_under_its_rules() -> None:
    table = SessionTable(profile(), groups=2, services={}).fork(Admission(synproxy=(MAIL,)))
    assert mail(table, tcp(0.0, CLIENT, 1, SERVER, 25, "S")) == [NEW]
    table.assign([(1, MAIL)])
    assert mail(table, tcp(1.0, CLIENT, 2, SERVER, 25, "S")) == [UNTRACKED]


# Evictions


def evicting(eviction: Eviction, *before: Built, **fields: Any) -> SessionTable:
    return defended(Admission(evict=eviction), *before, **fields)


def test_an_eviction_takes_what_all_its_criteria_match() -> None:
    before = [
        *(tcp(0.0, f"10.0.0.{host}", 1, SERVER, 25, "S") for host in range(5)),
        *(tcp(0.0, f"10.0.1.{host}", 1, SERVER, 25, "S") for host in range(5)),
        *handshake(0.0, "10.0.0.9"),
    ]
    table = evicting(Eviction(states=("SYN_SENT",), prefixes=("10.0.0.0/24",)), *before)
    assert states(table, 0.0) == {"SYN_SENT": 5, "ESTABLISHED": 1}
    assert table.evicted == 5


def test_an_eviction_spares_who_spoke_lately_and_who_ever_sent_payload() -> None:
    before = [*handshake(0.0, "10.0.0.1"), *handshake(0.0, "10.0.0.2"), *talk(0.1, "10.0.0.2"), *handshake(8.0, "10.0.0.3")]
    table = evicting(Eviction(states=("ESTABLISHED",), min_idle_s=5.0, only_silent=True), *before)
    assert table.evicted == 1


def test_an_eviction_comes_again() -> None:
    table = evicting(Eviction(states=("SYN_SENT",), repeat_s=2.0))
    for second in range(4):
        track(table, tcp(second + 0.5, address(second), 1, SERVER, 25, "S"), service=1)
        table.advance((second + 1) * SECOND_NS)
    assert table.evicted >= 3


def test_an_eviction_spares_other_services_and_never_block() -> None:
    table = SessionTable(profile(), groups=2, services=SERVICES)
    track(table, tcp(0.0, "10.0.0.1", 1, SERVER, 25, "S"), tcp(0.0, "10.0.9.1", 1, SERVER, 25, "S"), service=1)
    track(table, tcp(0.0, "10.0.0.1", 1, SERVER, 443, "S"))
    fork = table.fork(Admission(evict=Eviction(services=(MAIL,)), never_block=("10.0.9.0/24",)))
    assert (fork.evicted, states(fork, 0.0)) == (1, {"SYN_SENT": 2})


def test_a_dead_session_that_is_evicted_is_no_hit() -> None:
    table = evicting(Eviction(states=("ESTABLISHED",)), *handshake(0.0), *talk(0.1))
    assert (table.evicted, table.healthy_hit) == (1, 0)


@pytest.mark.parametrize("strict", [False, True])
def test_an_evicted_session_that_goes_on_is_a_hit(strict: bool) -> None:
    table = evicting(Eviction(states=("ESTABLISHED",), repeat_s=1000.0), *handshake(0.0), *talk(0.1), strict=strict)
    first = mail(table, tcp(9.0, CLIENT, 40_000, SERVER, 25, "PA", seq=131, ack=921, payload=5))
    assert first == [INVALID if strict else NEW]
    mail(table, *talk(9.1))
    assert table.healthy_hit == 1


def test_a_handshake_evicted_halfway_is_a_hit_once_it_has_carried_payload() -> None:
    syn, answer, ack = handshake(0.0)
    table = evicting(Eviction(states=("SYN_RECV",), repeat_s=1000.0), syn, answer)
    mail(table, ack)
    assert table.healthy_hit == 0
    mail(table, *talk(1.0))
    assert table.healthy_hit == 1


def test_an_evicted_exchange_of_datagrams_that_goes_on_is_a_hit() -> None:
    ask, answer = (CLIENT, 5000, SERVER, 53), (SERVER, 53, CLIENT, 5000)
    table = evicting(Eviction(repeat_s=1000.0), udp(0.0, *ask, payload=10), udp(0.0, *answer, payload=10))
    assert (table.evicted, table.healthy_hit) == (1, 0)
    verdicts(table, udp(1.0, *ask, payload=10))
    assert table.healthy_hit == 1


def test_an_unknown_state_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="unknown session state 'OPEN'"):
        evicting(Eviction(states=("OPEN",)))


# Together


def test_the_table_that_was_forked_knows_nothing_of_it() -> None:
    table = SessionTable(profile(), groups=2, services=SERVICES)
    fork = table.fork(Admission(drop_prefixes=("10.0.0.0/8",), synproxy=(MAIL,), meter_per_s=1.0, connection_limit=1))
    assert verdicts(table, *handshake(0.0)) == [NEW, ESTABLISHED, ESTABLISHED]
    assert states(fork, 0.0) == {}


def test_an_admission_that_does_nothing_changes_nothing() -> None:
    table = SessionTable(profile(), groups=2, services=SERVICES)
    fork = table.fork(Admission())
    sent = [*handshake(0.0), *talk(0.1), *closing(1.0), udp(2.0, CLIENT, 5, SERVER, 53), tcp(3.0, SERVER, 99, CLIENT, 7, "SA")]
    assert track(fork, *sent).tolist() == track(table, *sent).tolist()


def test_a_flood_of_refusals_keeps_its_memory() -> None:
    table = defended(Admission(drop_prefixes=("10.0.0.0/8",)))
    before = sum(array.nbytes for array in table._guard._asdict().values())
    for number in range(3000):
        track(table, tcp(0.0, address(number * 77), number % 60_000, SERVER, 25, "S"))
    assert sum(array.nbytes for array in table._guard._asdict().values()) == before
    assert table.shed == 3000
