"""The nftables driver where a real firewall matters: others' tables, others' hands on ours, and packets."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from captures.generator.scene import endpoint
from captures.generator.wire import SYN, TCP, Packet
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.enforce.ctnetlink import StateTable
from netwatch.enforce.driver import Loaded
from netwatch.enforce.eviction import Evictor
from netwatch.enforce.libnftables import Libnftables, library
from netwatch.enforce.libnftables import nft as nft_of
from netwatch.enforce.nftables import Nftables, open_nftables
from netwatch.enforce.ruleset import Ruleset, TableState
from netwatch.enforce.sysctl import Sysctls
from netwatch.errors import EnforceError, FirewallRefusedError, FirewallUnreachableError
from netwatch.model.plan import Eviction
from netwatch.model.service import Service
from netwatch.model.session import Timeouts
from tests.enforce.changes import change, element, of_every_kind, synproxy
from tests.enforce.rigs import NEVER_BLOCK, nft
from tests.enforce.table import entries
from tests.mitigate.site import BANNER, PORT, SERVER, SERVER6, Site

pytestmark = pytest.mark.namespace

OTHERS = """
table inet firewall {
  set synproxy4 { type ipv4_addr . inet_service; flags interval,timeout; elements = { 203.0.113.99 . 25 }; }
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport 22 accept
  }
}
table ip netwatch {
  chain keep { }
}
"""


@pytest.fixture
def driver(base: str, namespace: str, tmp_path: Path) -> Iterator[Nftables]:
    with closing(opened(base, namespace, tmp_path)) as driver:
        yield driver


def opened(base: str, namespace: str, folder: Path) -> Nftables:
    return open_nftables(base, decoder=EntryDecoder(), state_folder=folder, namespace=namespace, never_block=NEVER_BLOCK)


def places(driver: Nftables) -> list[tuple[str, str]]:
    return [(one.set, one.key) for one in driver.in_force()]


def test_nothing_of_others_is_touched(driver: Nftables, namespace: str) -> None:
    nft(namespace, OTHERS)
    before = nft(namespace, "list ruleset")
    driver.load()
    driver.apply(of_every_kind(), now_s=1000.0)
    driver.renew(of_every_kind(), now_s=1000.0, life_s=30)
    assert places(driver).count(("synproxy4", "203.0.113.99 . 25")) == 0
    driver.undo(of_every_kind())
    driver.release()
    assert nft(namespace, "list ruleset") == before


def test_who_is_never_to_be_touched_is_protected_from_the_first_moment_on(driver: Nftables, namespace: str) -> None:
    driver.load()
    assert "elements = { 198.51.100.0/24 }" in nft(namespace, "list set inet netwatch protect4")
    assert "2001:db8:1::/48" in nft(namespace, "list set inet netwatch protect6")


def test_a_restart_keeps_what_is_armed_and_follows_new_settings(driver: Nftables, base: str, namespace: str, tmp_path: Path) -> None:
    driver.load()
    driver.apply(synproxy(), now_s=1000.0)
    later = open_nftables(base, decoder=EntryDecoder(), state_folder=tmp_path, namespace=namespace, never_block=("192.0.2.0/24",))
    with closing(later):
        assert later.load() is Loaded.KEPT
        assert places(later) == [("synproxy4", "203.0.113.25 . 25")]
    protected = nft(namespace, "list set inet netwatch protect4")
    assert "192.0.2.0/24" in protected
    assert "198.51.100.0" not in protected


def test_a_table_of_another_version_is_loaded_anew(driver: Nftables, base: str, namespace: str, tmp_path: Path) -> None:
    with closing(opened(base + "# an older version\n", namespace, tmp_path)) as older:
        older.load()
        older.apply(synproxy(), now_s=1000.0)
    assert driver.load() is Loaded.FRESH
    assert places(driver) == []


def test_a_load_that_was_cut_off_is_done_again(driver: Nftables, base: str, namespace: str) -> None:
    nft(namespace, base)
    assert driver.load() is Loaded.FRESH


@pytest.mark.parametrize(
    ("meddling", "state"),
    [
        ("flush ruleset", TableState.MISSING),
        ("delete table inet netwatch", TableState.MISSING),
        ("flush table inet netwatch", TableState.DAMAGED),
        ("flush chain inet netwatch opening", TableState.DAMAGED),
        ("insert rule inet netwatch opening accept", TableState.DAMAGED),
        ("add table inet another", TableState.INTACT),
        ("add element inet netwatch blk4 { 192.0.2.0/24 timeout 5s }", TableState.INTACT),
    ],
)
def test_hands_of_others_are_noticed_and_mended(driver: Nftables, namespace: str, meddling: str, state: TableState) -> None:
    driver.load()
    assert driver.table_state() is TableState.INTACT
    nft(namespace, meddling)
    assert driver.table_state() is driver.table_state() is state
    assert driver.load() is (Loaded.KEPT if state is TableState.INTACT else Loaded.FRESH)
    assert driver.table_state() is TableState.INTACT


def test_a_table_that_another_loaded_anew_is_noticed(driver: Nftables, base: str, namespace: str, tmp_path: Path) -> None:
    driver.load()
    driver.apply(synproxy(), now_s=1000.0)
    nft(namespace, base)
    assert driver.table_state() is TableState.REPLACED
    assert places(driver) == []


def test_the_firewalls_own_words_are_told_and_nothing_is_left(driver: Nftables, namespace: str) -> None:
    driver.load()
    driver.apply(change(element("blk4", "192.0.2.0/24")), now_s=1000.0)
    overlapping = change(element("synproxy4", "203.0.113.25 . 25"), element("blk4", "192.0.2.128/25"))
    for method in (driver.check, lambda one: driver.apply(one, now_s=1000.0)):
        with pytest.raises(FirewallRefusedError, match="interval overlaps with an existing one"):
            method(overlapping)
    assert places(driver) == [("blk4", "192.0.2.0/24")]


def test_what_is_armed_is_disarmed_if_the_eviction_fails(base: str, namespace: str, tmp_path: Path) -> None:
    class Unreadable(StateTable):
        def dump(self, *_: object) -> Iterator[tuple[object, object]]:  # type: ignore[override]
            raise EnforceError("the state table cannot be read")

    driver = Nftables(
        base,
        nft=nft_of(namespace),
        ruleset=Ruleset(namespace),
        evictor=Evictor(Unreadable(namespace), EntryDecoder(), timeouts=Timeouts),
        sysctls=Sysctls(tmp_path / "s.json", namespace),
    )
    loose = "net.netfilter.nf_conntrack_tcp_loose=0"
    wanted = change(element("synproxy4", "203.0.113.25 . 25"), evict=Eviction(states=("SYN_SENT",)), sysctl=(loose,))
    with closing(driver):
        driver.load()
        with pytest.raises(EnforceError, match="cannot be read"):
            driver.apply(wanted, now_s=1000.0)
        assert places(driver) == []


def test_a_missing_namespace_is_told(base: str, tmp_path: Path) -> None:
    with pytest.raises(FirewallUnreachableError, match="network namespace 'nw-nowhere'"):
        opened(base, "nw-nowhere", tmp_path)


def test_a_context_stays_in_its_namespace(namespace: str) -> None:
    found = library()
    assert found is not None
    with closing(Libnftables(found, namespace)) as there, closing(Libnftables(found)) as here:
        there.run("add table inet only_there")
        assert "only_there" in nft(namespace, "list tables")
        assert "only_there" not in here.run("list tables")


def test_a_dynamic_set_full_of_prefixes_is_never_fetched(driver: Nftables, namespace: str) -> None:
    driver.load()
    full = ", ".join(f"203.0.113.25 . tcp . 25 . 10.{n >> 8}.{n & 255}.0 limit rate over 20/second burst 40 packets" for n in range(500))
    nft(namespace, f"add element inet netwatch metered4 {{ {full} }}")
    driver.apply(synproxy(), now_s=1000.0)
    assert places(driver) == [("synproxy4", "203.0.113.25 . 25")]
    assert driver.load() is Loaded.KEPT


def test_an_armed_synproxy_lets_clients_through_and_keeps_a_flood_out(site: Site, base: str, tmp_path: Path) -> None:
    firewall = site.names["firewall"]
    flood = [
        Packet(0, endpoint(f"192.0.2.{10 + n % 200}", 1024 + n), endpoint(SERVER, PORT), TCP, True, 0, SYN, n, 0, 100) for n in range(400)
    ]
    site.sent(flood)
    assert len(entries(firewall, "-p", "tcp", "-s", "192.0.2.0/24")) == 400
    service = Service("smtp", SERVER, PORT, "tcp")
    cure = change(
        element("synproxy4", f"{SERVER} . {PORT}"),
        element("synproxy6", f"{SERVER6} . {PORT}"),
        evict=Eviction(states=("SYN_SENT", "SYN_RECV"), services=(service,)),
    )
    driver = open_nftables(base, decoder=EntryDecoder(), state_folder=tmp_path, namespace=firewall)
    with closing(driver):
        driver.load()
        receipt = driver.apply(cure, now_s=time.time())
        assert receipt.evicted == 400
        site.sent(flood)
        assert site.banner() == BANNER
        assert site.banner(server=SERVER6, source="2001:db8:c::2") == BANNER
        assert entries(firewall, "-p", "tcp", "-s", "192.0.2.0/24") == []
        assert site.counter("proxied") >= 402
        driver.undo(cure)
        proxied = site.counter("proxied")
        assert site.banner() == BANNER
        assert site.counter("proxied") == proxied
