"""Counters as values: what was added between two readings, the kernel's texts, and the causes of drops."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.collect import kernel_files
from netwatch.collect.differences import Differences
from netwatch.model.firewall_state import DropCause, TableEvents

SNMP = """\
Ip: Forwarding DefaultTTL ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs
Ip: 1 64 2 900 400 7 0
Icmp: InMsgs InErrors
Icmp: 5 0
Tcp: RtoAlgorithm MaxConn
Tcp: 1 -1
"""
DEVICES = """\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       2    0    0    0     0          0         0      100       2    0    0    0     0       0          0
a:b.1:1234567890    9876    1    5    0     0          0         3   222333    4444    0    6    0     0       0          0
"""
SOFTNET = """\
000000ff 00000001 00000002 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000003 00000000 00000004 00000000 00000000
00000010 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000
"""
SYNPROXY = """\
entries\t\tsyn_received\tcookie_invalid\tcookie_valid\tcookie_retrans\tconn_reopened
00000000\t00001771\t00000002\t00000001\t00000003\t00000004
00000000\t00000001\t00000000\t00000001\t00000000\t00000000
"""


def test_the_first_reading_has_added_nothing() -> None:
    counters: Differences[str] = Differences(32)
    assert counters.since({"drop": 17}) == {"drop": 0}
    assert counters.since({"drop": 20, "found": 5}) == {"drop": 3, "found": 0}


def test_a_counter_that_wraps_goes_on() -> None:
    counters: Differences[str] = Differences(32)
    counters.since({"drop": 0xFFFF_FFF0})
    assert counters.since({"drop": 16}) == {"drop": 32}


def test_a_counter_that_began_anew_has_added_what_it_shows() -> None:
    wide: Differences[str] = Differences(64)
    wide.since({"packets": 1_000_000})
    assert wide.since({"packets": 12}) == {"packets": 12}


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 2**31 - 1), max_size=20))
def test_steps_add_up_over_any_number_of_wraps(start: int, steps: list[int]) -> None:
    counters: Differences[str] = Differences(32)
    counters.since({"drop": start})
    total, added = start, 0
    for step in steps:
        total += step
        added += counters.since({"drop": total % 2**32})["drop"]
    assert added == sum(steps)


def test_what_is_no_longer_there_is_forgotten() -> None:
    counters: Differences[str] = Differences(64)
    counters.since({"veth1": 50})
    assert counters.since({}) == {}
    assert counters.since({"veth1": 60}) == {"veth1": 0}


def test_reassembly_is_read_by_name() -> None:
    assert kernel_files.reassembly4(SNMP) == {
        ("fragments", "ipv4"): 900,
        ("completed", "ipv4"): 400,
        ("failed", "ipv4"): 7,
        ("timed_out", "ipv4"): 2,
    }
    text = "Ip6InReceives \t9\nIp6ReasmTimeout \t1\nIp6ReasmReqds \t2\nIp6ReasmOKs \t3\nIp6ReasmFails \t4\n"
    assert kernel_files.reassembly6(text)["failed", "ipv6"] == 4
    assert kernel_files.fragment_memory("TCP: inuse 4 orphan 0\nFRAG: inuse 2 memory 4096\n") == {("bytes_held", "FRAG:"): 4096}


def test_interfaces_are_read_by_place_whatever_their_names() -> None:
    found = kernel_files.device(DEVICES)
    assert found["received", "a:b.1"] == 9876
    assert found["received_bytes", "a:b.1"] == 1_234_567_890
    assert (found["receive_dropped", "a:b.1"], found["sent", "a:b.1"], found["send_dropped", "a:b.1"]) == (5, 4444, 6)
    assert found["sent_bytes", "lo"] == 100


def test_processors_are_told_by_their_number_not_by_their_line() -> None:
    found = kernel_files.softnet(SOFTNET)
    assert (found["processed", "4"], found["dropped", "4"], found["squeezed", "4"], found["flow_limited", "4"]) == (255, 1, 2, 3)
    assert found["processed", "1"] == 16
    short = kernel_files.softnet("00000001 00000000 00000000 0 0 0 0 0 0 0 0\n")
    assert short["processed", "0"] == 1


def test_synproxy_counts_are_read_by_name() -> None:
    found = kernel_files.synproxy(SYNPROXY)
    assert (found["syn_received", "0"], found["cookie_valid", "0"], found["cookie_valid", "1"]) == (0x1771, 1, 1)
    assert found["reopened", "0"] == 4


def test_a_file_that_the_kernel_does_not_have_counts_nothing() -> None:
    assert kernel_files.read("no/such/file", kernel_files.synproxy) == {}


@pytest.mark.parametrize(
    ("events", "new_sessions", "causes"),
    [
        (TableEvents(), 100, {}),
        (TableEvents(dropped=50), 100, {DropCause.TABLE_FULL: 50}),
        (TableEvents(dropped=5, insert_failed=5, collisions=20), 100, {DropCause.CLASH: 5}),
        (TableEvents(dropped=5, insert_failed=5, collisions=20_000), 100, {DropCause.PORTS_EXHAUSTED: 5}),
        (TableEvents(dropped=5, insert_failed=5, collisions=20_000), None, {DropCause.CLASH: 5}),
        (TableEvents(insert_failed=7, chain_too_long=7), 100, {DropCause.BUCKET_SKEW: 7}),
        (
            TableEvents(dropped=60, insert_failed=17, chain_too_long=7),
            100,
            {DropCause.TABLE_FULL: 50, DropCause.CLASH: 10, DropCause.BUCKET_SKEW: 7},
        ),
    ],
)
def test_the_causes_of_drops_are_told_apart(events: TableEvents, new_sessions: int | None, causes: dict[DropCause, int]) -> None:
    assert events.drops(new_sessions) == causes
