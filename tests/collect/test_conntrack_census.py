"""A walk over a state table: against plain Python, and against ``conntrack -L`` of a real one."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.collect.census import TableCount
from netwatch.collect.table_dump import survey_table
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.errors import FirewallUnreachableError
from netwatch.measure.services import ServiceDirectory
from netwatch.model.address import halves
from netwatch.model.entry import ENTRY, NO_TIMEOUT, EntryStatus
from netwatch.model.firewall_state import TableSurvey
from netwatch.model.idle_age import idle_at_least_s, possible_timeouts
from netwatch.model.packet import Rows
from netwatch.model.service import Service
from netwatch.model.session import CENSUS_IDLE_EDGES_S, SessionState, Timeouts
from tests.collect.namespaces import namespaces, within
from tests.conftest import missing

POSSIBLE = possible_timeouts([Timeouts()])
ANSWERED = EntryStatus.CONFIRMED | EntryStatus.SEEN_REPLY
MAIL = Service("mail", "203.0.113.25", 25, "tcp")


def entry(
    source: str = "198.51.100.7",
    *,
    state: SessionState = SessionState.ESTABLISHED,
    left_s: int = 431_000,
    status: int = ANSWERED | EntryStatus.ASSURED,
    dport: int = 25,
    sent: tuple[int, int] | None = None,
) -> Rows:
    """One entry; ``sent`` is packets and bytes of its opener, if the kernel counts them."""
    row = np.zeros(1, ENTRY)
    row["src_hi"], row["src_lo"] = halves(source)
    row["dst_hi"], row["dst_lo"] = halves(MAIL.address)
    row["protocol"], row["dport"], row["state"], row["timeout_s"], row["status"] = 6, dport, state, left_s, status
    row["family"] = 10 if ":" in source else 2
    if sent is not None:
        row["accounted"], (row["original_packets"], row["original_bytes"]) = 1, sent
    return row


def survey(*entries: Rows, count: TableCount | None = None) -> TableSurvey:
    count = count or TableCount(POSSIBLE)
    for block in entries:
        count.add(block)
    return count.survey(at_s=1.0, duration_s=0.1, errors={})


def test_states_replies_and_assurance_are_counted() -> None:
    half_open = entry(state=SessionState.SYN_SENT, left_s=100, status=EntryStatus.CONFIRMED)
    found = survey(entry(), entry(), half_open).whole
    assert (found.entries, found.assured, found.unreplied, found.by_state[SessionState.SYN_SENT]) == (3, 2, 1, 1)
    assert found.by_state[SessionState.ESTABLISHED] == 2


def test_an_empty_table_is_a_survey_too() -> None:
    found = survey()
    assert (found.whole.entries, found.groups, found.census.top_prefixes) == (0, {}, ())


def test_idle_time_is_told_by_what_is_left_of_the_timer() -> None:
    found = survey(*(entry(left_s=432_000 - 1 - idle_s) for idle_s in (0, 10, 60, 300, 7200))).census
    assert found.established == 5
    assert found.idle_at_least == (4, 3, 2, 1, 1)


def test_entries_that_a_flowtable_keeps_count_as_busy() -> None:
    assert survey(entry(left_s=NO_TIMEOUT)).census.idle_at_least == (0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("sent", "silent"),
    [
        ((2, 40 + 20 + 40), True),  # SYN with as many options as a SYN has, ACK
        ((2, 60 + 52), True),  # with time stamps
        ((5, 60 + 4 * 52), True),  # and some acknowledgements of what the server said
        ((3, 60 + 52 + 52 + 17), False),  # a greeting
        ((3, 52 + 40 + 40 + 17), False),
        (None, False),  # nobody counts
    ],
)
def test_a_client_that_sent_only_headers_is_silent(sent: tuple[int, int] | None, silent: bool) -> None:
    assert survey(entry(sent=sent)).census.silent == silent


def test_silence_needs_two_seconds_and_an_established_session() -> None:
    assert survey(entry(sent=(2, 112), left_s=431_999)).census.silent == 0
    assert survey(entry(sent=(2, 112), state=SessionState.TIME_WAIT, left_s=10)).census.silent == 0


def test_silence_over_ipv6_reckons_with_longer_headers() -> None:
    assert survey(entry("2001:db8::1", sent=(2, 80 + 72))).census.silent == 1
    assert survey(entry("2001:db8::1", sent=(3, 80 + 72 + 72 + 17))).census.silent == 0


def test_the_prefixes_that_hold_the_most_come_first() -> None:
    sources = ["198.51.100.7"] * 2 + ["198.51.100.200"] + ["2001:db8:1::1", "2001:db8:1:ffff::2"] + ["192.0.2.1"]
    busiest = survey(*map(entry, sources)).census.top_prefixes
    assert [(one.prefix, one.entries, one.idle) for one in busiest] == [
        ("198.51.100.0/24", 3, 3),
        ("2001:db8:1::/48", 2, 2),
        ("192.0.2.0/24", 1, 1),
    ]


def test_at_most_sixteen_prefixes_are_named_and_no_real_one_is_missed() -> None:
    flood = [entry(f"10.{number % 256}.{number // 256}.1") for number in range(2000)]
    busiest = survey(*flood, *[entry()] * 3).census.top_prefixes
    assert len(busiest) == 16
    assert busiest[0].prefix == "198.51.100.0/24"


def test_entries_are_counted_by_service_as_the_directory_classifies() -> None:
    directory = ServiceDirectory([MAIL, Service("other", "203.0.113.0/24", 26, "tcp")], learn=False)
    count = TableCount(POSSIBLE, classify=directory.classify, groups=directory.capacity + 1)
    found = survey(entry(), entry(dport=26), entry(dport=26), entry(dport=27), count=count)
    assert {group: counts.entries for group, counts in found.groups.items()} == {0: 1, 1: 1, 2: 2}


@settings(deadline=None)  # the first call may compile
@given(st.lists(st.tuples(st.sampled_from(SessionState), st.sampled_from([NO_TIMEOUT, *range(0, 700, 7), *range(425_000, 432_005, 97)]))))
def test_idle_ages_are_those_of_the_model(made: list[tuple[SessionState, int]]) -> None:
    rows = np.concatenate([entry(state=state, left_s=left_s) for state, left_s in made] or [np.zeros(0, ENTRY)])
    established = rows[rows["state"] == SessionState.ESTABLISHED]
    idle_s = idle_at_least_s(established, POSSIBLE)
    assert survey(rows).census.idle_at_least == tuple(int((idle_s >= edge_s).sum()) for edge_s in CENSUS_IDLE_EDGES_S)


@pytest.fixture
def table() -> Iterator[str]:
    if shutil.which("conntrack") is None:
        missing("conntrack is not installed")
    with namespaces("firewall") as (name,):
        yield name


@pytest.mark.namespace
def test_a_real_table_is_surveyed_as_conntrack_lists_it(table: str) -> None:
    tcp = "-I -p tcp -s 198.51.100.{n} -d 203.0.113.25 --sport {p} --dport 25 -t {t} --state {s} -u {u}"
    lines = []
    for number in range(400):
        state, flags, left_s = (
            ("ESTABLISHED", "SEEN_REPLY,ASSURED", 431_500),
            ("SYN_SENT", "UNSET", 100),
            ("SYN_RECV", "SEEN_REPLY", 50),
            ("TIME_WAIT", "SEEN_REPLY,ASSURED", 90),
        )[number % 4]
        lines.append(tcp.format(n=number % 200 + 1, p=1000 + number, t=left_s, s=state, u=flags))
    lines += [f"-I -p udp -s 2001:db8::{number:x} -d 2001:db8:5::53 --sport 5{number:03} --dport 53 -t 20 -u UNSET" for number in range(30)]
    within(table, "conntrack", "-R", "-", stdin="\n".join(lines) + "\n")
    directory = ServiceDirectory([MAIL], learn=False)
    found = survey_table(EntryDecoder(), POSSIBLE, namespace=table, classify=directory.classify, groups=directory.capacity + 1)
    listed = within(table, "conntrack", "-L") + within(table, "conntrack", "-L", "-f", "ipv6")
    states = Counter(re.findall(r"(?m)^tcp +6 \d+ (\w+)", listed))
    assert found.whole.entries == int(within(table, "conntrack", "-C")) == 430
    assert {state.name: found.whole.by_state[state] for state in SessionState if found.whole.by_state[state]} == {
        **states,
        "UDP_UNREPLIED": 30,
    }
    assert found.whole.assured == listed.count("[ASSURED]") == 200
    assert found.groups[1].entries == 400
    assert found.census.idle_at_least == (100, 100, 100, 0, 0)
    assert [(one.prefix, one.entries) for one in found.census.top_prefixes] == [("198.51.100.0/24", 400), ("2001:db8::/48", 30)]
    assert found.errors == {}


@pytest.mark.namespace
def test_a_namespace_that_does_not_exist_is_said(table: str) -> None:
    with pytest.raises(FirewallUnreachableError, match="network namespace 'nw-none'"):
        survey_table(EntryDecoder(), POSSIBLE, namespace="nw-none")
