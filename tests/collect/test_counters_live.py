"""The poll of a real firewall in a namespace, against what ``conntrack`` and ``nft`` say."""

import os
import re
import shutil
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from netwatch.collect.firewall_state import FirewallPoll
from netwatch.collect.kernel_profile import kernel_profile
from netwatch.errors import FirewallUnreachableError
from netwatch.kernel.namespace import entered
from netwatch.model.firewall_state import TableEvents
from netwatch.model.session import Timeouts
from tests.collect.namespaces import add_veth, namespaces, within
from tests.conftest import missing

pytestmark = pytest.mark.namespace

RULES = """
add table inet netwatch
add counter inet netwatch dropped_prefix
add counter inet netwatch proxied
add chain inet netwatch inward { type filter hook prerouting priority -150; }
add rule inet netwatch inward ct state new counter name proxied
add rule inet netwatch inward udp dport 9 counter name dropped_prefix drop
"""


@pytest.fixture
def firewall() -> Iterator[str]:
    for program in ("nft", "conntrack"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    with namespaces("firewall") as (name,):
        within(name, "nft", "-f", "-", stdin=RULES)
        yield name


def entry(number: int) -> list[str]:
    words = f"-I -p tcp -s 10.0.0.1 -d 10.0.0.2 --sport {number} --dport 25 --state ESTABLISHED -t 1000 -u SEEN_REPLY,ASSURED"
    return words.split()


def test_entries_and_limit_are_the_kernels(firewall: str) -> None:
    with FirewallPoll(firewall) as poll:
        assert poll.poll().entries == 0
        for number in range(1, 6):
            within(firewall, "conntrack", *entry(number))
        state = poll.poll()
        assert state.entries == int(within(firewall, "conntrack", "-C")) == 5
        assert state.limit == int(within(firewall, "sysctl", "-n", "net.netfilter.nf_conntrack_max"))
        assert state.fill_ratio == 5 / state.limit


def test_counts_of_an_interval_are_what_conntrack_counts(firewall: str) -> None:
    within(firewall, "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0")
    with FirewallPoll(firewall) as poll:
        before, first = statistics(firewall), poll.poll()
        assert (first.interval_s, first.table) == (0.0, TableEvents())
        send_stray_acks(firewall, 7)
        state, after = poll.poll(), statistics(firewall)
        assert state.interval_s > 0
        assert state.table.invalid == after["invalid"] - before["invalid"] >= 7
        for field, name in (("insert_failed", "insert_failed"), ("dropped", "drop"), ("collisions", "found"), ("icmp_errors", "error")):
            assert getattr(state.table, field) == after[name] - before[name], field
        assert poll.poll().table == TableEvents()


def send_stray_acks(namespace: str, count: int) -> None:
    """Segments of no session, which a strict table calls invalid."""
    segment = struct.pack(">HHIIBBHHH", 1234, 25, 1, 1, 5 << 4, 0x10, 512, 0, 0)
    with entered(namespace), closing(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)) as raw:
        for _ in range(count):
            raw.sendto(segment, ("127.0.0.1", 0))


def statistics(namespace: str) -> dict[str, int]:
    """``conntrack -S``, over all processors."""
    totals: dict[str, int] = {}
    for name, count in re.findall(r"(\w+)=(\d+)", within(namespace, "conntrack", "-S")):
        totals[name] = totals.get(name, 0) + int(count)
    return totals


def test_named_counters_are_netwatchs_own_and_of_the_interval(firewall: str) -> None:
    within(firewall, "nft", "add table inet other; add counter inet other foreign")
    with FirewallPoll(firewall) as poll:
        poll.poll()
        within(firewall, "bash", "-c", "for i in 1 2 3; do echo x > /dev/udp/127.0.0.1/9; done")
        state = poll.poll()
        assert set(state.counters) == {"dropped_prefix", "proxied"}
        assert state.counters["dropped_prefix"].packets == 3
        assert state.counters["dropped_prefix"].bytes == 3 * 30
        assert poll.poll().counters["dropped_prefix"].packets == 0
        within(firewall, "nft", "delete table inet netwatch")
        assert poll.poll().counters == {}


def test_interfaces_and_reassembly_are_those_of_the_namespace(firewall: str) -> None:
    with namespaces("peer") as (peer,), FirewallPoll(firewall) as poll:
        add_veth(peer, firewall, names=("veth0", "outside"), addresses=("10.0.0.1/24", "10.0.0.2/24"))
        before = poll.poll()
        assert set(before.interfaces) == {"lo", "outside"}
        within(peer, "ping", "-q", "-c", "2", "-i", "0.01", "-s", "4000", "10.0.0.2")
        state = poll.poll()
        assert state.reassembly.fragments == 6, "two questions of three fragments each"
        assert (state.reassembly.completed, state.reassembly.failed, state.reassembly.bytes_held) == (2, 0, 0)
        outside = state.interfaces["outside"]
        assert outside.received >= 6
        assert outside.received_bytes > 8000
        assert sum(state.softnet.processed) >= 6


def test_a_poll_in_another_thread_reads_the_same_namespace(firewall: str) -> None:
    within(firewall, "conntrack", *entry(1))
    seen: list[int] = []
    with FirewallPoll(firewall) as poll:
        thread = threading.Thread(target=lambda: seen.append(len(poll.poll().interfaces)))
        thread.start()
        thread.join()
        assert [len(poll.poll().interfaces)] == seen == [1]


def test_the_profile_is_what_the_sysctls_say(firewall: str) -> None:
    defaults = kernel_profile(firewall)
    assert defaults.timeouts == Timeouts()
    assert (defaults.strict, defaults.window_tracking, defaults.max_retrans) == (False, True, 3)
    assert defaults.limit == int(within(firewall, "sysctl", "-n", "net.netfilter.nf_conntrack_max"))
    for line in ("tcp_loose=0", "tcp_be_liberal=1", "tcp_timeout_time_wait=20", "udp_timeout_stream=90", "tcp_timeout_max_retrans=60"):
        within(firewall, "sysctl", "-qw", f"net.netfilter.nf_conntrack_{line}")
    changed = kernel_profile(firewall)
    assert (changed.strict, changed.window_tracking) == (True, False)
    assert (changed.timeouts.time_wait_s, changed.timeouts.udp_stream_s, changed.timeouts.max_retrans_s) == (20.0, 90.0, 60.0)


def test_what_cannot_be_asked_says_so(firewall: str) -> None:
    with pytest.raises(FirewallUnreachableError, match="network namespace 'nw-none': No such file"):
        FirewallPoll("nw-none")
    with entered(firewall):
        os.seteuid(65534)
        try:
            with FirewallPoll() as poll, pytest.raises(FirewallUnreachableError, match="Operation not permitted; CAP_NET_ADMIN"):
                poll.poll()
        finally:
            os.seteuid(0)
