"""The table as a whole: its limit, its clock, its collector, its services, and what a census says."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.errors import ConfigError
from netwatch.model.packet import PACKET, QUOTED, DecodeStatus, Layer
from netwatch.model.plan import Admission
from netwatch.model.service import Service
from netwatch.model.session import CENSUS_IDLE_EDGES_S, SessionState, Timeouts
from netwatch.model.tracked import TRACKED, InvalidReason, SessionEvent, Verdict
from netwatch.track.session_table import SessionTable
from tests.builders import Built, as_block, fragment, icmp_echo, icmp_error, packet, tcp, udp
from tests.track.tables import CLIENT, SECOND_NS, SERVER, address, closing, events, handshake, judged, profile, states, track, verdicts

NEW, ESTABLISHED, RELATED, INVALID = Verdict.NEW, Verdict.ESTABLISHED, Verdict.RELATED, Verdict.INVALID
UNTRACKED, DROPPED, UNSEEN = Verdict.UNTRACKED, Verdict.DROPPED, Verdict.NONE
ASK, ANSWER = (CLIENT, 5000, SERVER, 53), (SERVER, 53, CLIENT, 5000)


def syns(at_s: float, count: int, base: str = "10.1.0.0") -> list[Built]:
    """SYNs of as many sources, none of which will be answered."""
    return [tcp(at_s, address(number, base), 1000, SERVER, 25, "S", seq=1) for number in range(count)]


def handshakes(at_s: float, count: int, base: str = "10.2.0.0") -> list[Built]:
    return [item for number in range(count) for item in handshake(at_s, address(number, base))]


# Protocols


def test_udp_is_replied_then_a_stream_once_it_is_two_seconds_old() -> None:
    table, seen = SessionTable(profile()), []
    for at_s, ends in ((0.0, ASK), (0.1, ANSWER), (1.9, ASK), (2.1, ANSWER)):
        seen.append((judged(table, udp(at_s, *ends, payload=20))[0], *states(table, at_s)))
    assert seen == [(NEW, "UDP_UNREPLIED"), (ESTABLISHED, "UDP_REPLIED"), (ESTABLISHED, "UDP_REPLIED"), (ESTABLISHED, "UDP_STREAM")]
    assert states(table, 122.0) == {"UDP_STREAM": 1}
    assert states(table, 122.2) == {}


def test_udp_one_way_stays_unreplied_however_long() -> None:
    table = SessionTable(profile())
    assert verdicts(table, *(udp(float(at_s), *ASK) for at_s in range(0, 100, 10))) == [NEW] * 10
    assert states(table, 119.9) == {"UDP_UNREPLIED": 1}
    assert states(table, 120.1) == {}


@pytest.mark.parametrize(("client", "server"), [(CLIENT, SERVER), ("2001:db8::1", "2001:db8::25")])
def test_pings_are_told_apart_by_their_identifier(client: str, server: str) -> None:
    table = SessionTable(profile())
    sent = [
        icmp_echo(0.0, client, server, identifier=7),
        icmp_echo(0.1, client, server, identifier=8),
        icmp_echo(0.2, server, client, identifier=7, reply=True),
        icmp_echo(0.3, client, server, identifier=7),
        icmp_echo(0.4, server, client, identifier=9, reply=True),
    ]
    assert verdicts(table, *sent) == [NEW, NEW, ESTABLISHED, ESTABLISHED, INVALID]
    assert states(table, 0.4) == {"ICMP": 2}
    assert states(table, 30.35) == {}


def test_a_ping_the_other_way_with_the_same_identifier_is_another_session() -> None:
    table = SessionTable(profile())
    assert verdicts(table, icmp_echo(0.0, CLIENT, SERVER, identifier=7), icmp_echo(0.1, SERVER, CLIENT, identifier=7)) == [NEW, NEW]


@pytest.mark.parametrize("router", ["192.0.2.1", SERVER])
def test_an_icmp_error_about_a_session_is_related(router: str) -> None:
    table, sent = SessionTable(profile()), udp(0.0, *ASK)
    assert verdicts(table, sent, icmp_error(0.1, router, CLIENT, sent)) == [NEW, RELATED]
    assert table.counts(0).all.unreplied == 1, "an error is no answer"


def test_an_icmp_error_about_nothing_known_is_invalid() -> None:
    table = SessionTable(profile())
    unknown = icmp_error(0.1, SERVER, CLIENT, udp(0.0, *ASK))
    assert judged(table, unknown) == (INVALID, InvalidReason.UNRELATED_ERROR, SessionEvent(0))


def test_an_icmp_error_to_somebody_else_than_the_sender_is_invalid() -> None:
    table, sent = SessionTable(profile()), udp(0.0, *ASK)
    assert verdicts(table, sent, icmp_error(0.1, SERVER, "10.9.9.9", sent)) == [NEW, INVALID]


@pytest.mark.parametrize("kind", [133, 134, 135, 136, 143])
def test_neighbour_discovery_is_not_tracked(kind: int) -> None:
    table = SessionTable(profile())
    assert verdicts(table, packet(0.0, "fe80::1", "ff02::1", 58, icmp_type=kind)) == [UNTRACKED]
    assert states(table, 0.0) == {}


@pytest.mark.parametrize("kind", [0, 14, 9, 19])
def test_icmp_that_asks_nothing_opens_nothing(kind: int) -> None:
    assert verdicts(SessionTable(profile()), packet(0.0, CLIENT, SERVER, 1, icmp_type=kind)) == [INVALID]


@pytest.mark.parametrize(("protocol", "life_s"), [(2, 600.0), (50, 600.0), (47, 30.0), (132, 10.0), (136, 30.0)])
def test_other_protocols_have_entries_too(protocol: int, life_s: float) -> None:
    table = SessionTable(profile())
    assert verdicts(table, packet(0.0, CLIENT, SERVER, protocol), packet(0.0, CLIENT, SERVER, protocol)) == [NEW, NEW]
    assert states(table, life_s - 0.1) == {"OTHER_UNREPLIED": 1}
    assert states(table, life_s + 0.1) == {}


@pytest.mark.parametrize(("protocol", "life_s", "assured"), [(50, 600.0, 0), (47, 180.0, 1), (132, 210.0, 1)])
def test_answered_they_live_their_own_time(protocol: int, life_s: float, assured: int) -> None:
    table = SessionTable(profile())
    there, back = packet(0.0, CLIENT, SERVER, protocol), packet(0.0, SERVER, CLIENT, protocol)
    assert verdicts(table, there, back, there) == [NEW, ESTABLISHED, ESTABLISHED]
    assert table.counts(round((life_s - 0.1) * SECOND_NS)).all.assured == assured
    assert states(table, life_s + 0.1) == {}


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"status": DecodeStatus.NOT_IP, "layers": 0}, UNSEEN),
        ({"status": DecodeStatus.CUT_IP_HEADER, "layers": 0}, UNSEEN),
        ({"status": DecodeStatus.BAD_IP_LENGTH, "layers": Layer.IPV4}, UNSEEN),
        ({"layers": Layer.IPV4 | Layer.FRAGMENT | Layer.FIRST_FRAGMENT | Layer.HELD}, UNSEEN),
        ({"layers": Layer.IPV4 | Layer.TRANSPORT | Layer.FRAGMENT | Layer.REASSEMBLED}, NEW),
        ({"status": DecodeStatus.CUT_TRANSPORT_HEADER, "layers": Layer.IPV4}, INVALID),
        ({"status": DecodeStatus.BAD_TRANSPORT_LENGTH, "layers": Layer.IPV4 | Layer.TRANSPORT}, INVALID),
        ({"status": DecodeStatus.CUT_TUNNEL_HEADER, "layers": Layer.IPV4 | Layer.TRANSPORT | Layer.TUNNEL}, NEW),
    ],
)
def test_what_ip_drops_is_never_shown_and_what_is_malformed_is_invalid(fields: dict[str, Any], verdict: Verdict) -> None:
    table = SessionTable(profile())
    assert verdicts(table, udp(0.0, *ASK, **fields)) == [verdict]
    assert table.counts(0).created == (verdict is NEW)


def test_ipv6_without_a_next_header_is_invalid() -> None:
    assert verdicts(SessionTable(profile()), packet(0.0, "2001:db8::1", "2001:db8::2", 59)) == [INVALID]


def test_a_later_fragment_that_reassembly_lets_pass_is_invalid() -> None:
    later = fragment(0.0, "2001:db8::1", "2001:db8::2", identification=1, offset=1480, more=True, payload=101)
    assert verdicts(SessionTable(profile()), later) == [INVALID]


# The clock


def test_a_late_packet_happens_now() -> None:
    table = SessionTable(profile())
    track(table, udp(100.0, *ASK), udp(50.0, *ASK))
    assert states(table, 129.0) == {"UDP_UNREPLIED": 1}


def test_what_has_expired_is_a_new_session_when_it_speaks_again() -> None:
    table = SessionTable(profile())
    row = track(table, udp(0.0, *ASK), udp(30.0, *ANSWER))[1]
    assert (Verdict(row["verdict"]), row["session_events"]) == (NEW, SessionEvent.CREATED)
    assert table.counts(0).expired == 1


@pytest.mark.parametrize("lagging", [False, True])
def test_a_jump_of_days_ends_what_has_ended_and_nothing_else(lagging: bool) -> None:
    table = SessionTable(profile(lagging_collection=lagging))
    track(table, *handshakes(0.0, 300), *syns(0.0, 3000))
    three_days_s = 3 * 86_400.0
    assert states(table, three_days_s) == {"ESTABLISHED": 300}
    assert states(table, 6 * 86_400.0) == {}
    assert table.counts(0).expired == 3300


def test_a_time_stamp_beyond_all_reason_is_survived() -> None:
    table = SessionTable(profile())
    far = udp(0.0, *ASK, ts_ns=(1 << 63) - 1)
    track(table, *handshakes(0.0, 10), far, udp(1.0, *ANSWER))
    assert states(table, 0.0) == {"UDP_REPLIED": 1}


def test_without_expiry_nothing_ever_ends() -> None:
    table = SessionTable(profile(), expiry=False)
    track(table, *syns(0.0, 10), udp(0.0, *ASK), udp(10.0, *ANSWER), udp(1e6, *ASK))
    assert states(table, 1e7) == {"SYN_SENT": 10, "UDP_REPLIED": 1}


def test_silence_before_the_first_packet_is_no_time() -> None:
    table = SessionTable(profile())
    table.advance(5 * SECOND_NS)
    track(table, *syns(10.0, 1))
    assert states(table, 129.0) == {"SYN_SENT": 1}


# The collector


def test_expired_entries_count_until_the_collector_comes_by() -> None:
    table = SessionTable(profile(lagging_collection=True), first_collection_s=60.0)
    track(table, udp(0.0, *ASK), *syns(0.0, 500))
    assert states(table, 59.9) == {"UDP_UNREPLIED": 1, "SYN_SENT": 500}
    assert states(table, 60.1) == {"SYN_SENT": 500}


def test_the_collector_sleeps_for_the_average_time_left() -> None:
    def counted(life_s: float) -> list[int]:
        limits = Timeouts(udp_s=life_s)
        table = SessionTable(profile(lagging_collection=True, timeouts=limits), first_collection_s=1.0)
        sources = [udp(0.5, address(number), 1, SERVER, 53) for number in range(2000)]
        track(table, udp(0.0, *ASK), *sources)
        return [sum(states(table, at_s).values()) for at_s in (life_s + 0.4, life_s + 1.0, life_s + 25.0)]

    assert counted(3.0) == [2001, 2001, 0]  # asleep for about six seconds, since it starts as if it had seen 100 entries of a minute
    assert counted(20.0) == [2001, 2001, 0]


def test_the_collector_takes_257_a_jiffy() -> None:
    table = SessionTable(profile(lagging_collection=True), first_collection_s=31.0)
    track(table, *(udp(0.0, address(number), 1, SERVER, 53) for number in range(2000)))
    seen = [sum(states(table, 31.0 + later_s).values()) for later_s in (0.0, 0.001, 0.005, 0.009, 1.0)]
    assert seen == [2000 - 257, 2000 - 257, 2000 - 2 * 257, 2000 - 3 * 257, 0]


def test_a_packet_removes_the_expired_entries_of_its_bucket() -> None:
    table = SessionTable(profile(lagging_collection=True, buckets=64), first_collection_s=60.0)
    track(table, *(udp(0.0, address(number), 1, SERVER, 53) for number in range(1000)))
    track(table, *(icmp_echo(40.0, CLIENT, SERVER, identifier=number) for number in range(640)))
    left = states(table, 40.0)
    assert left["ICMP"] == 640
    assert left.get("UDP_UNREPLIED", 0) < 20, "640 lookups in the space of 32 buckets' worth of chains"


# The limit


def test_a_full_table_of_assured_entries_drops_whoever_is_new() -> None:
    table = SessionTable(profile(limit=100, buckets=100))
    track(table, *handshakes(0.0, 100))
    newcomer = tcp(1.0, "10.9.9.9", 1000, SERVER, 25, "S", seq=1)
    assert judged(table, newcomer) == (DROPPED, InvalidReason.NONE, SessionEvent(0))
    counts = table.counts(0)
    assert (counts.dropped_full, counts.early_dropped, counts.all.entries) == (1, 0, 100)
    assert (counts.peak_entries, counts.full_at_s) == (100, 0.0)


def test_established_sessions_do_not_feel_a_full_table() -> None:
    table = SessionTable(profile(limit=100, buckets=100))
    track(table, *handshakes(0.0, 100))
    assert verdicts(table, tcp(1.0, address(5, "10.2.0.0"), 40_000, SERVER, 25, "PA", seq=101, ack=901, payload=5)) == [ESTABLISHED]


def test_a_table_full_of_half_open_entries_makes_room() -> None:
    table = SessionTable(profile(limit=4096, buckets=4096))
    track(table, *syns(0.0, 4096))
    row = track(table, *handshake(1.0))[0]
    assert row["session_events"] == SessionEvent.CREATED | SessionEvent.EARLY_DROPPED
    counts = table.counts(0)
    assert counts.dropped_full == 0
    assert counts.early_dropped > 0
    assert counts.all.entries == 4096 + 1 - counts.early_dropped


@pytest.mark.parametrize("unassured", [64, 128, 256])
def test_the_share_of_newcomers_dropped_is_the_formulas(unassured: int) -> None:
    limit, tables, newcomers = 2048, 40, 25
    table = SessionTable(profile(limit=limit, buckets=limit))
    track(table, *handshakes(0.0, limit - unassured), *syns(0.0, unassured, "10.3.0.0"))
    dropped = 0
    for number in range(tables):  # a newcomer that is let in is unassured itself: after a few the table would be another
        fresh = table.fork(Admission())
        track(fresh, *syns(1.0, newcomers, address(number * newcomers, "10.4.0.0")))
        dropped += fresh.dropped_full
    assert dropped / (tables * newcomers) == pytest.approx(np.exp(-16 * unassured / limit), rel=0.2)


def test_without_early_drop_a_full_table_drops_even_beside_half_open_entries() -> None:
    table = SessionTable(profile(limit=64, early_drop=False))
    track(table, *syns(0.0, 64))
    assert verdicts(table, udp(1.0, *ASK)) == [DROPPED]


def test_room_is_made_before_the_tracker_is_asked() -> None:
    table = SessionTable(profile(limit=64, buckets=64))
    track(table, *handshakes(0.0, 64))
    assert verdicts(table, tcp(1.0, *ANSWER, "SA", seq=1, ack=1)) == [DROPPED], "as in netfilter, though it would be invalid"


def test_only_the_collector_evicts_closing_entries_and_only_after_a_failed_early_drop() -> None:
    table = SessionTable(profile(limit=1000, buckets=1000, lagging_collection=True), first_collection_s=30.0)
    for number in range(1000):
        client = address(number, "10.2.0.0")
        track(table, *handshake(0.0, client), *closing(0.1, client))
    assert states(table, 1.0) == {"TIME_WAIT": 1000}
    assert verdicts(table, udp(29.0, *ASK)) == [DROPPED]
    assert states(table, 31.0)["TIME_WAIT"] == 949, "down to 95 % of the limit"
    assert verdicts(table, udp(32.0, *ASK)) == [NEW]


def test_the_first_moment_at_the_limit_is_kept() -> None:
    table = SessionTable(profile(limit=50))
    track(table, *syns(0.0, 49), *syns(7.0, 1, "10.3.0.0"), *syns(9.0, 5, "10.4.0.0"))
    assert table.counts(10 * SECOND_NS).full_at_s == 7.0


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="limit must be 1"):
        SessionTable(profile(limit=0))


# Memory


def test_it_grows_and_finds_everything_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netwatch.track.session_table.START_ROWS", 100)
    table = SessionTable(profile())
    packets = syns(0.0, 6000)
    track(table, *packets)
    assert states(table, 0.0) == {"SYN_SENT": 6000}
    assert set(verdicts(table, *packets)) == {NEW}
    assert table.counts(0).created == 6000


def test_sessions_that_come_and_go_at_once_leave_no_memory_behind() -> None:
    table = SessionTable(profile())
    pair = [tcp(0.0, CLIENT, 1000, SERVER, 25, "S", seq=1), tcp(0.0, SERVER, 25, CLIENT, 1000, "RA", ack=2)]
    packets = np.tile(as_block(pair).packets, 100_000)
    sizes = []
    for _ in range(2):
        table.track(packets, np.zeros(0, QUOTED), np.zeros(len(packets), TRACKED))
        sizes.append({name: array.nbytes for name, array in table._arrays._asdict().items()})
    assert table.counts(0).created == 200_000
    assert sizes[0] == sizes[1]
    assert sizes[0]["pages"] < 1_000_000


def test_pieces_of_a_block_give_the_same_as_the_block() -> None:
    packets = [*handshakes(0.0, 50), *syns(1.0, 50), udp(2.0, *ASK)]
    whole, pieces = SessionTable(profile()), SessionTable(profile())
    expected = track(whole, *packets)
    found = np.concatenate([track(pieces, *packets[begin : begin + 7]) for begin in range(0, len(packets), 7)])
    assert found.tolist() == expected.tolist()


def test_rows_of_any_bytes_are_survived() -> None:
    random = np.random.default_rng(5)
    packets = np.frombuffer(random.bytes(3000 * PACKET.itemsize), PACKET).copy()
    packets["ts_ns"] = np.arange(len(packets)) * 10_000_000
    packets["status"] %= len(DecodeStatus)
    packets["protocol"] = random.choice((1, 6, 17, 47, 58, 132, 136, 255), len(packets))
    packets["hash"] %= 64  # everything in few places
    tracked = np.frombuffer(random.bytes(3000 * TRACKED.itemsize), TRACKED).copy()
    quoted = np.frombuffer(random.bytes(5 * QUOTED.itemsize), QUOTED).copy()
    for table in (SessionTable(profile(limit=100)), SessionTable(profile(limit=100)).fork(Admission(drop_prefixes=("0.0.0.0/1",)))):
        table.track(packets, quoted, tracked.copy())
        counts = table.counts(packets["ts_ns"][-1]).all
        assert counts.entries == sum(counts.by_state) <= 100
        assert sum(table.verdicts.values()) <= len(packets)


def test_rows_that_do_not_match_are_refused() -> None:
    block = as_block(syns(0.0, 3))
    with pytest.raises(ValueError, match="3 packets need as many rows"):
        SessionTable(profile()).track(block.packets, block.quoted, np.zeros(2, TRACKED))


# Services


def test_entries_belong_to_the_service_of_the_packet_that_made_them() -> None:
    table = SessionTable(profile(), groups=3)
    track(table, *handshake(0.0), service=2)
    track(table, udp(0.0, *ASK), service=1)
    assert (table.group_counts(2).by_state[SessionState.ESTABLISHED], table.group_counts(1).unreplied) == (1, 1)
    assert table.counts(0).all.entries == 2


def test_a_learned_service_takes_over_its_entries_and_no_others() -> None:
    table = SessionTable(profile(), groups=2)
    track(table, *handshakes(0.0, 5), udp(0.0, *ASK), tcp(0.0, SERVER, 25, "10.7.7.7", 3, "A", seq=1, ack=1))
    table.assign([(1, Service("mail", SERVER, 25, "tcp"))])
    assert table.group_counts(1).entries == 6, "an entry that the service's packet made is the service's too"
    track(table, tcp(1.0, SERVER, 25, "10.7.7.7", 3, "PA", seq=1, ack=1, payload=5))
    assert table.census(10 * SECOND_NS).silent == 6, "and its client the one who answers"
    assert table.group_counts(0).entries == 1


def test_a_service_beyond_the_known_ones_makes_place_for_itself() -> None:
    table = SessionTable(profile())
    track(table, *handshake(0.0))
    table.assign([(7, Service("mail", "192.0.2.0/24", 25, "tcp"))])
    assert table.group_counts(7).entries == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.sampled_from(("S", "A", "R", "FA", "udp"))), max_size=60))
@settings(max_examples=60, deadline=None)
def test_the_counts_of_services_add_up_to_the_table(steps: list[tuple[int, int, str]]) -> None:
    table = SessionTable(profile(), groups=3)
    for number, (service, client, what) in enumerate(steps):
        ends = (address(client), 1000, SERVER, 25)
        made = udp(float(number), *ends) if what == "udp" else tcp(float(number), *ends, what, seq=1, ack=1 if "A" in what else 0)
        track(table, made, service=service)
    whole, parts = table.counts(len(steps) * SECOND_NS).all, [table.group_counts(index) for index in range(3)]
    assert whole.entries == sum(part.entries for part in parts) == sum(whole.by_state)
    assert whole.by_state == tuple(sum(states) for states in zip(*(part.by_state for part in parts), strict=True))
    assert min(min(part.by_state) for part in parts) >= 0


# The census


def test_a_census_tells_ages_and_silence() -> None:
    table = SessionTable(profile())
    track(table, *handshakes(0.0, 3, "10.2.0.0"))
    track(table, tcp(40.0, "10.2.0.0", 40_000, SERVER, 25, "PA", seq=101, ack=901, payload=10))
    track(table, tcp(50.0, SERVER, 25, "10.2.0.1", 40_000, "PA", seq=901, ack=101, payload=10))
    census = table.census(65 * SECOND_NS)
    assert census.established == 3
    assert dict(zip(CENSUS_IDLE_EDGES_S, census.idle_at_least, strict=True)) == {10.0: 3, 60.0: 1, 300.0: 0, 1800.0: 0, 7200.0: 0}
    assert census.silent == 2, "what the server sends does not make the client speak"


def test_a_census_names_the_prefixes_that_hold_the_most() -> None:
    table = SessionTable(profile())
    held = Counter({"10.5.1.0/24": 200, "10.5.2.0/24": 100, "2001:db8:7::/48": 50})
    track(table, *(tcp(0.0, address(number, "10.5.1.0"), 1, SERVER, 25, "S") for number in range(200)))
    track(table, *(tcp(0.0, address(number, "10.5.2.0"), 1, SERVER, 25, "S") for number in range(100)))
    track(table, *(tcp(0.0, f"2001:db8:7:{number:x}::1", 1, "2001:db8::25", 25, "S") for number in range(50)))
    track(table, *(tcp(0.0, address(256 * number, "11.0.0.0"), 1, SERVER, 25, "S") for number in range(5000)))
    top = table.census(SECOND_NS).top_prefixes
    assert len(top) == 16
    found = {prefix.prefix: prefix.entries for prefix in top}
    assert held == {prefix: found[prefix] for prefix in held}
    assert [prefix.entries for prefix in top] == sorted((prefix.entries for prefix in top), reverse=True)


def test_the_client_of_a_picked_up_session_is_who_does_not_serve() -> None:
    table = SessionTable(profile(), groups=2)
    served = tcp(0.0, SERVER, 25, CLIENT, 40_000, "PA", seq=1, ack=1, payload=100)
    track(table, served, service=1, toward=False)
    assert table.census(10 * SECOND_NS).silent == 1
    track(table, tcp(11.0, CLIENT, 40_000, SERVER, 25, "PA", seq=1, ack=101, payload=5), service=1)
    assert table.census(20 * SECOND_NS).silent == 0


# Forks


def test_a_fork_goes_its_own_way() -> None:
    table = SessionTable(profile())
    track(table, *handshakes(0.0, 10))
    fork = table.fork(Admission())
    track(fork, *syns(1.0, 7))
    track(table, udp(2.0, *ASK))
    assert states(fork, 2.0) == {"ESTABLISHED": 10, "SYN_SENT": 7}
    assert states(table, 2.0) == {"ESTABLISHED": 10, "UDP_UNREPLIED": 1}


def test_a_forks_peak_counts_from_its_beginning() -> None:
    table = SessionTable(profile(limit=20))
    track(table, *syns(0.0, 20))
    fork = table.fork(Admission())
    counts = fork.counts(121 * SECOND_NS)
    assert (counts.all.entries, counts.peak_entries, counts.full_at_s) == (0, 20, 0.0)
    later = fork.fork(Admission()).counts(122 * SECOND_NS)
    assert (later.peak_entries, later.full_at_s) == (0, None)


def test_events_are_edges() -> None:
    table = SessionTable(profile())
    replies = [events(table, udp(at_s, *ANSWER if at_s else ASK)) for at_s in (0.0, 1.0, 1.5, 2.5, 3.0)]
    created, replied, assured = SessionEvent.CREATED, SessionEvent.REPLIED, SessionEvent.ASSURED
    assert replies == [created, replied, SessionEvent(0), assured, SessionEvent(0)]
