"""netwatch's static table against real packets: inert until armed, armed by an element alone, disarmed by its expiry."""

import random
import time

import pytest

from captures.generator.scene import endpoint
from captures.generator.wire import ACK, RST, SYN, TCP, UDP, Fragment, Packet
from tests.mitigate.site import ATTACKER, BANNER, PORT, SERVER, SERVER6, Site

pytestmark = pytest.mark.namespace

SERVICE = endpoint(SERVER, PORT)


def syns(count: int, *, prefix: str = "192.0.2") -> list[Packet]:
    """SYNs from one prefix to the service, each from a port of its own."""
    numbers = random.Random(count)
    sources = [endpoint(f"{prefix}.{10 + number % 200}", 1024 + number) for number in range(count)]
    return [Packet(0, source, SERVICE, TCP, True, 0, SYN, numbers.getrandbits(32), 0, 64_240) for source in sources]


def element(name: str, key: str, *, life_s: int = 60, value: str = "") -> str:
    return f"add element inet netwatch {name} {{ {key} timeout {life_s}s {value} }}"


def test_nothing_changes_until_an_element_arms_it(site: Site) -> None:
    assert site.banner() == BANNER
    site.sent(syns(200))
    assert len(site.entries("-p", "tcp", "-s", "192.0.2.0/24")) == 200
    assert site.counter("proxied") == site.counter("dropped_meter") == site.counter("dropped_prefix") == 0


def test_loading_it_again_neither_doubles_rules_nor_fails(site: Site) -> None:
    before = site.on("firewall", "nft", "-s", "list", "table", "inet", "netwatch")
    site.nft(element("blk4", "192.0.2.0/24"))
    from netwatch.rulebook import rules_folder

    site.nft_file(rules_folder() / "nftables" / "base.nft")
    assert site.on("firewall", "nft", "-s", "list", "table", "inet", "netwatch") == before


def test_synproxy_passes_clients_keeps_floods_out_of_the_table_and_expires(site: Site) -> None:
    site.nft(element("synproxy4", f"{SERVER} . {PORT}", life_s=4))
    site.sent(syns(500))
    assert site.banner() == BANNER
    assert site.counter("proxied") >= 501
    assert len(site.entries("-p", "tcp", "-s", "192.0.2.0/24")) == 0
    time.sleep(4.5)
    proxied = site.counter("proxied")
    site.sent(syns(100))
    assert site.banner() == BANNER
    assert site.counter("proxied") == proxied
    assert len(site.entries("-p", "tcp", "-s", "192.0.2.0/24")) == 100


def test_synproxy_passes_clients_over_ipv6(site: Site) -> None:
    site.nft(element("synproxy6", f"{SERVER6} . {PORT}"))
    assert site.banner(server=SERVER6, source="2001:db8:c::2") == BANNER
    assert site.counter("proxied") >= 1


def test_a_dropped_prefix_costs_no_entry_others_pass_and_expiry_ends_it(site: Site) -> None:
    site.nft(element("blk4", "192.0.2.0/24", life_s=3))
    assert site.banner(source=ATTACKER, patience_s=0.5) is None
    assert site.banner() == BANNER
    assert site.entries("-s", "192.0.2.0/24") == []
    time.sleep(3)
    assert site.banner(source=ATTACKER) == BANNER


def test_a_protected_prefix_is_never_dropped(site: Site) -> None:
    site.nft(element("blk4", "192.0.2.0/24") + f"\nadd element inet netwatch protect4 {{ {ATTACKER} }}")
    assert site.banner(source=ATTACKER) == BANNER


def test_a_prefix_over_its_meter_is_dropped_and_others_pass(site: Site) -> None:
    site.nft(element("meter4", f"{SERVER} . tcp . {PORT}", value=": jump meter_10"))
    site.sent(syns(300))
    assert 20 <= len(site.entries("-p", "tcp", "-s", "192.0.2.0/24")) <= 60  # burst 20, then 10/s
    assert site.counter("dropped_meter") >= 240
    assert site.banner() == BANNER


def test_a_prefix_over_its_connection_limit_is_refused_and_others_pass(site: Site) -> None:
    site.nft(element("hold4", f"{SERVER} . tcp . {PORT}", value=": jump hold_50"))
    site.sent(syns(120))
    assert len(site.entries("-p", "tcp", "-s", "192.0.2.0/24")) == 50
    assert site.banner(source=ATTACKER) == b""
    assert site.banner() == BANNER


def test_admission_is_ramped_for_a_whole_service(site: Site) -> None:
    site.nft(element("ramp4", f"{SERVER} . {PORT}", value=': "ramp_25"'))
    site.sent(syns(150) + syns(150, prefix="198.51.100"))
    assert site.counter("dropped_ramp") >= 200


def test_new_entries_of_a_service_get_short_timeouts(site: Site) -> None:
    site.nft(element("short4", f"{SERVER} . tcp . {PORT}"))
    site.sent(syns(20))
    lines = site.entries("-p", "tcp", "-s", "192.0.2.0/24")
    assert len(lines) == 20
    assert all(int(line.split()[2]) <= 10 for line in lines)


def test_udp_of_a_service_is_not_tracked_in_either_direction(site: Site) -> None:
    client, server = endpoint(ATTACKER, 4000), endpoint(SERVER, 53)
    site.nft(element("notrack4", f"{SERVER} . udp . 53"))
    site.sent([Packet(0, client, server, UDP, True, 40)])
    assert site.entries("-p", "udp") == []
    assert site.counter("untracked") >= 1


def test_fragments_to_a_service_are_dropped_before_they_are_collected(site: Site) -> None:
    first = Fragment(7, 0, more=True, datagram_payload=2000)
    site.nft(element("fragments4", SERVER))
    site.sent([Packet(0, endpoint(ATTACKER, 4000), endpoint(SERVER, 53), UDP, True, 1472, fragment=first)])
    assert site.counter("dropped_fragment") == 1
    assert site.banner() == BANNER


def test_packets_without_a_session_are_answered_by_a_reset(site: Site) -> None:
    site.on("firewall", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=0")
    site.nft(element("reset4", f"{SERVER} . {PORT}"))
    site.sent([Packet(0, endpoint(ATTACKER, 4000), SERVICE, TCP, True, 10, ACK, 1, 1, 500)])
    assert site.counter("reset_sent") == 1


def test_a_peer_on_a_one_way_path_is_not_tracked(site: Site) -> None:
    site.nft(element("stateless4", "192.0.2.0/24"))
    assert site.banner(source=ATTACKER) == BANNER
    assert site.entries("-p", "tcp", "-s", ATTACKER) == []


def test_a_service_on_one_way_paths_is_not_tracked(site: Site) -> None:
    site.nft(element("notrack4", f"{SERVER} . tcp . {PORT}"))
    assert site.banner() == BANNER
    assert site.entries("-p", "tcp") == []


def test_a_strict_service_takes_no_session_from_the_middle(site: Site) -> None:
    stray = [Packet(0, endpoint(ATTACKER, 4000 + number), SERVICE, TCP, True, 0, ACK, 1, 1, 500) for number in range(20)]
    site.nft(element("strict4", f"{SERVER} . {PORT}"))
    site.sent(stray)
    assert site.counter("dropped_stray") == 20
    assert site.entries("-p", "tcp") == []
    assert site.banner() == BANNER


def test_resets_of_one_prefix_are_metered(site: Site) -> None:
    site.nft(element("calm4", f"{SERVER} . {PORT}"))
    site.sent([Packet(0, endpoint(ATTACKER, 4000 + number), SERVICE, TCP, True, 0, RST, 1, 0, 0) for number in range(200)])
    assert 150 <= site.counter("dropped_reset") <= 190
