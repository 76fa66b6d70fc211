"""Evictions against a real state table: what is dead goes, what lives and what was not named stays."""

import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address

import numpy as np
import pytest

from captures.generator.scene import endpoint
from captures.generator.wire import SYN, TCP, UDP, Packet
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.enforce.ctnetlink import Filter, StateTable
from netwatch.enforce.eviction import Evicted, Evictor
from netwatch.enforce.filter_probe import NO_FILTER_DELETION, Conversation, FilterDeletion, can_filter_delete
from netwatch.enforce.selection import Hashes
from netwatch.errors import EnforceError
from netwatch.kernel.timeouts import timeouts
from netwatch.model.plan import Eviction
from netwatch.model.service import Service
from netwatch.model.session import TcpState, Timeouts
from tests.enforce.changes import SMTP, SMTP6
from tests.enforce.table import OTHER, SERVER, SERVER6, entries, established, fill, half_open, set_sysctl, sources
from tests.mitigate.site import ATTACKER, CLIENT, Site
from tests.mitigate.site import SERVER as SITE_SERVER

pytestmark = pytest.mark.namespace

HALF_OPEN = ("SYN_SENT", "SYN_RECV")
Evict = Callable[..., Evicted]


@pytest.fixture
def evict(namespace: str) -> Evict:
    """Evict from the namespace's table: ``evict(Eviction, never_block=..., filter_deletion=...)``."""

    def run(
        eviction: Eviction,
        *,
        protected: Hashes | None = None,
        policies: tuple[Timeouts, ...] = (),
        never_block: tuple[str, ...] = (),
        filter_deletion: FilterDeletion = NO_FILTER_DELETION,
    ) -> Evicted:
        evictor = Evictor(
            StateTable(namespace),
            EntryDecoder(),
            timeouts=partial(timeouts, namespace),
            policies=policies,
            never_block=never_block,
            filter_deletion=filter_deletion,
        )
        return evictor.evict(eviction, protected=protected)

    return run


def test_half_open_entries_of_a_service_go_in_one_message_and_all_others_stay(namespace: str, evict: Evict) -> None:
    fill(namespace, [*half_open(500), *half_open(300, port=26), *half_open(200, server=OTHER), *established(50)])
    works = can_filter_delete()
    assert works.ipv4, works.reason
    outcome = evict(Eviction(states=HALF_OPEN, services=(SMTP,)), filter_deletion=works)
    assert (outcome.seen, outcome.deleted) == (500, 500)
    assert len(entries(namespace, "-p", "tcp", "--state", "SYN_SENT")) == 500
    assert len(entries(namespace, "-p", "tcp", "--state", "ESTABLISHED")) == 50


def test_half_open_entries_over_ipv6_go_and_all_others_stay_whatever_the_kernel_can(namespace: str, evict: Evict) -> None:
    fill(namespace, [*half_open(50, server=SERVER6), *half_open(30, server=SERVER6, port=26), *half_open(20, server="2001:db8:5::26")])
    outcome = evict(Eviction(states=HALF_OPEN, services=(SMTP6,)), filter_deletion=can_filter_delete())
    assert outcome.deleted == 50
    left = entries(namespace, "-f", "ipv6")
    assert len(left) == 50
    assert not any("dst=2001:db8:5::25 " in line and "dport=25 " in line for line in left)


def test_a_kernel_that_cannot_filter_gets_each_deletion_by_name(namespace: str, evict: Evict) -> None:
    fill(namespace, [*half_open(700), *half_open(300, port=26), *established(50)])
    outcome = evict(Eviction(states=HALF_OPEN, services=(SMTP,)), filter_deletion=NO_FILTER_DELETION)
    assert outcome.deleted == 700
    assert outcome.seen == 700, "the kernel shows no others"
    assert len(entries(namespace)) == 350


def test_only_handshakes_that_rest_go_if_an_idle_time_is_asked_for(namespace: str, evict: Evict) -> None:
    fill(namespace, [*half_open(40, left_s=119), *half_open(60, port=26, left_s=116)])
    outcome = evict(Eviction(states=HALF_OPEN, min_idle_s=2.0), filter_deletion=FilterDeletion(ipv4=True, ipv6=True))
    assert outcome.deleted == 60
    assert len(entries(namespace)) == 40


def test_idle_sessions_of_the_blamed_prefix_leave_a_table_of_20_000(namespace: str, evict: Evict) -> None:
    fill(namespace, established(16_000))
    fill(namespace, established(2_000, prefix="192.0.3"))
    fill(namespace, established(1_000, port=26))
    fill(namespace, live())
    outcome = evict(Eviction(states=("ESTABLISHED",), min_idle_s=10.0, prefixes=("192.0.2.0/24",), services=(SMTP,)))
    assert outcome.deleted == 16_000
    assert len(entries(namespace)) == 4_000
    assert "192.0.2.1" in sources(namespace, "-p", "tcp", "--dport", "26")


def live() -> Iterator[Conversation]:
    """Sessions of the blamed prefix that rest for less than ten seconds, or wait for an acknowledgement."""
    for number in range(1_000):
        left_s = 431_995 if number % 2 else 297
        client = ip_address(f"192.0.2.{1 + number % 254}")
        yield Conversation(client, SERVER, 25, 60_000 + number // 254, TcpState.ESTABLISHED, assured=True, life_s=left_s)


def test_a_policy_that_gives_entries_shorter_times_is_taken_into_account(namespace: str, evict: Evict) -> None:
    fill(namespace, [*established(5, left_s=7438), *established(5, prefix="192.0.3", left_s=7300)])
    eviction = Eviction(states=("ESTABLISHED",), min_idle_s=60.0, services=(SMTP,))
    assert evict(eviction, policies=(Timeouts(established_s=7440),)).deleted == 5
    assert sources(namespace)[0].startswith("192.0.2.")


def test_timeouts_are_those_of_the_namespace(namespace: str, evict: Evict) -> None:
    set_sysctl(namespace, "net.netfilter.nf_conntrack_tcp_timeout_established", "3600")
    fill(namespace, [*established(5, left_s=3598), *established(5, prefix="192.0.3", left_s=3500)])
    assert evict(Eviction(states=("ESTABLISHED",), min_idle_s=60.0, services=(SMTP,))).deleted == 5


def test_nobody_who_is_never_to_be_touched_goes(namespace: str, evict: Evict) -> None:
    fill(namespace, [*half_open(100), *half_open(100, server=SERVER6)])
    eviction = Eviction(states=HALF_OPEN, services=(SMTP, SMTP6))
    works = FilterDeletion(ipv4=True, ipv6=True)
    outcome = evict(eviction, never_block=("10.0.0.0/27", "2001:db8:bad::/123"), filter_deletion=works)
    assert (outcome.deleted, outcome.kept.never_block) == (200 - 32 - 31, 63)
    assert "10.0.0.31" in sources(namespace)
    assert "10.0.0.32" not in sources(namespace)


def test_sessions_that_the_caller_knows_to_live_stay(namespace: str, evict: Evict) -> None:
    fill(namespace, established(300))
    rows = np.concatenate([rows.copy() for _, rows in StateTable(namespace).dump(EntryDecoder(), Filter())])
    outcome = evict(Eviction(states=("ESTABLISHED",), min_idle_s=10.0, services=(SMTP,)), protected=rows["hash"][:120])
    assert (outcome.deleted, outcome.kept.protected) == (180, 120)


def test_a_service_that_is_a_prefix_is_evicted_from(namespace: str, evict: Evict) -> None:
    fill(namespace, [*half_open(30), *half_open(20, server=OTHER), *half_open(10, port=26)])
    subnet = Service("mail", "203.0.113.0/27", 25, "tcp")
    works = FilterDeletion(ipv4=True, ipv6=True)
    assert evict(Eviction(states=HALF_OPEN, services=(subnet,)), filter_deletion=works).deleted == 50


def test_many_services_are_served_by_one_dump(namespace: str, evict: Evict) -> None:
    fill(namespace, [*half_open(30), *half_open(10, port=99)])
    services = tuple(Service(f"s{port}", "203.0.113.25", port, "tcp") for port in range(20, 30))
    outcome = evict(Eviction(states=HALF_OPEN, services=services))
    assert (outcome.seen, outcome.deleted) == (40, 30)


def test_udp_and_icmp_entries_go_by_their_own_tuples(site: Site) -> None:
    site.sent([Packet(0, endpoint(ATTACKER, 4000 + number), endpoint(SITE_SERVER, 53), UDP, True, 40) for number in range(20)])
    site.on("client", "ping", "-c", "1", "-W", "1", SITE_SERVER)
    time.sleep(1.1)
    firewall = site.names["firewall"]
    assert len(entries(firewall, "-p", "udp")) == 20
    evictor = Evictor(StateTable(firewall), EntryDecoder(), timeouts=partial(timeouts, firewall))
    everything = Eviction(states=("UDP_UNREPLIED", "ICMP"), min_idle_s=0.1)
    time.sleep(1.0)
    assert evictor.evict(everything).deleted == 21
    assert entries(firewall, "-p", "udp") == entries(firewall, "-p", "icmp") == []


def test_with_accounting_whoever_just_spoke_stays_and_who_never_did_goes(site: Site) -> None:
    firewall = site.names["firewall"]
    set_sysctl(firewall, "net.netfilter.nf_conntrack_acct", "1")
    with site.inside("server"):
        mute = socket.create_server((SITE_SERVER, 2525))  # the kernel shakes hands, and nobody says a word
    with site.inside("client"):
        silent, speaking = (socket.create_connection((SITE_SERVER, 2525), source_address=(source, 0)) for source in (CLIENT, ATTACKER))
    speaking.sendall(b"EHLO " + bytes(200))
    time.sleep(3.2)
    evictor = Evictor(StateTable(firewall), EntryDecoder(), timeouts=partial(timeouts, firewall))
    outcome = evictor.evict(Eviction(states=("ESTABLISHED",), min_idle_s=1.0, only_silent=True))
    assert outcome.deleted == outcome.kept.lively == 1
    assert evictor.evict(Eviction(states=("ESTABLISHED",), min_idle_s=1.0)).kept.lively == 1
    assert sources(firewall, "-p", "tcp") == [ATTACKER]
    for opened in (silent, speaking, mute):
        opened.close()


def test_without_accounting_nobody_is_taken_for_silent(namespace: str, evict: Evict) -> None:
    fill(namespace, established(10))
    outcome = evict(Eviction(states=("ESTABLISHED",), min_idle_s=10.0, only_silent=True, services=(SMTP,)))
    assert (outcome.deleted, outcome.kept.unaccounted) == (0, 10)


def test_a_flood_that_goes_on_is_evicted_while_it_arrives(site: Site) -> None:
    firewall = site.names["firewall"]
    flood = [
        Packet(0, endpoint(f"192.0.2.{10 + n % 200}", 1024 + n), endpoint(SITE_SERVER, 26), TCP, True, 0, SYN, n, 0, 100)
        for n in range(500)
    ]
    site.sent(flood)
    evictor = Evictor(StateTable(firewall), EntryDecoder(), timeouts=partial(timeouts, firewall), filter_deletion=can_filter_delete())
    evictor.evict(Eviction(states=HALF_OPEN, services=(Service("s", SITE_SERVER, 26, "tcp"),)))
    assert entries(firewall, "-p", "tcp", "--dport", "26") == []


def test_a_deletion_without_a_filter_is_never_sent(namespace: str) -> None:
    fill(namespace, half_open(3))
    table = StateTable(namespace)
    with pytest.raises(EnforceError, match="would empty the state table"):
        table.delete_matching(Filter())
    assert table.count() == 3


def test_entries_that_went_meanwhile_are_counted_and_are_no_failure(namespace: str) -> None:
    fill(namespace, half_open(10))
    table = StateTable(namespace)
    ((block, rows),) = list(table.dump(EntryDecoder(), Filter()))
    assert table.delete(block, rows[:4]).deleted == 4
    outcome = table.delete(block, rows)
    assert (outcome.sent, outcome.deleted, outcome.gone, outcome.failed) == (10, 6, 4, 0)


def test_another_entry_of_the_same_tuple_is_not_hit(namespace: str) -> None:
    fill(namespace, half_open(10))
    table = StateTable(namespace)
    ((block, rows),) = list(table.dump(EntryDecoder(), Filter()))
    rows["id"] += 1
    assert (table.delete(block, rows).gone, table.count()) == (10, 10)
