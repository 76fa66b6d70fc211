"""Handshakes behind netfilter's synproxy, on a real kernel: what clients and server agree on, and that none is lost."""

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether

from captures.generator.scene import endpoint
from captures.generator.wire import ACK, PSH, RST, SYN, Packet
from captures.generator.wire import TCP as WIRE_TCP
from netwatch.collect.live import LiveCapture
from netwatch.collect.ring import InterfaceSettings
from netwatch.config import replay_settings
from netwatch.decode import Decoder
from netwatch.decode.ctnetlink import EntryDecoder
from netwatch.decode.reorder import Reordering
from netwatch.enforce.nftables import open_nftables
from netwatch.mitigate.effect import Synproxy
from netwatch.mitigate.ladder import draft_of, rungs
from netwatch.model.service import Service
from netwatch.pipeline import Pipeline
from netwatch.rulebook import all_playbooks, rules_folder
from tests.mitigate.site import ATTACKER, BANNER, CLIENT, CLIENT6, PORT, SERVER, SERVER6, Site, run
from tests.mitigate.test_playbook import incident

pytestmark = pytest.mark.namespace

MTU = 1420
"""Of the server's link, as behind a tunnel."""

SESSIONS = 5
OWN_ADDRESS = "203.0.113.1"
ETH_P_ALL = 3  # linux/if_ether.h

STATEFUL = """table inet edge {
  chain forward {
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ct state new tcp flags & (fin|syn|rst|ack) == syn accept
  }
}"""
QUIET = f"table inet quiet {{ chain out {{ type filter hook output priority 0; ip saddr {ATTACKER} tcp flags rst drop; }}; }}"


@pytest.fixture
def behind_a_tunnel(site: Site) -> Site:
    """The server has a smaller MTU and another window scale than the client."""
    site.on("server", "ip", "link", "set", "uplink", "mtu", str(MTU))
    site.on("server", "sysctl", "-qw", "net.ipv4.tcp_rmem=4096 131072 1048576")
    return site


@pytest.fixture(params=[(SERVER, CLIENT), (SERVER6, CLIENT6)], ids=["ipv4", "ipv6"])
def ends(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Server and client."""
    server, client = request.param
    return server, client


def learned(site: Site, service: Service, client: str) -> Service:
    """What netwatch knows of the service after some sessions, from its own capture at the clients' side of the firewall."""
    pipeline = Pipeline(msgspec.structs.replace(replay_settings(), services=(service,)))
    decoder, reordering = Decoder(), Reordering()
    with closing(LiveCapture([InterfaceSettings(interface="client")], namespace=site.names["firewall"])) as capture:
        for _ in range(SESSIONS):
            assert site.banner(server=service.address, source=client) == BANNER
        deadline_s = time.monotonic() + 5
        while not pipeline.services[0].mss and time.monotonic() < deadline_s:
            for block in capture.blocks(0.1):
                reordering.add(decoder.decode(block))
            pipeline.feed(reordering.take(time.time_ns()))
    return pipeline.services[0]


def agreed(site: Site, server: str, client: str) -> tuple[dict[str, object], dict[str, object]]:
    """The options of the SYN-ACK that a client gets, and of the one that the server gives, in one session."""
    with wire_of(site, "client") as outside, wire_of(site, "server") as inside:
        assert site.banner(server=server, source=client) == BANNER
        return _options(outside), _options(inside)


def _options(wire: socket.socket) -> dict[str, object]:
    wire.settimeout(3)
    while True:
        heard = Ether(wire.recv(2048))
        if TCP in heard and heard[TCP].sport == PORT and int(heard[TCP].flags) == SYN | ACK:
            return {name: value for name, value in heard[TCP].options if name not in ("NOP", "EOL")}


def armed(site: Site, service: Service) -> str:
    """Put the synproxy of netwatch's plan for this service in force; what the plan says of it."""
    draft = draft_of(rungs(["synproxy"], all_playbooks())[0], 0, incident(service=service), services=(service,), never_block=())
    assert draft is not None
    site.nft("\n".join(draft.nft))
    return draft.notes[0]


def test_behind_the_synproxy_both_ends_agree_on_what_the_server_takes(behind_a_tunnel: Site, ends: tuple[str, str]) -> None:
    site, (server, client) = behind_a_tunnel, ends
    alone, given = agreed(site, server, client)
    assert alone == given
    assert "WScale" in alone

    service = learned(site, Service("smtp", server, PORT, "tcp"), client)
    headers = 60 if ":" in server else 40
    assert service.mss == MTU - headers == alone["MSS"]
    assert f"an MSS of {MTU - headers}" in armed(site, service)

    told, given = agreed(site, server, client)
    assert site.counter("proxied") > 0
    # Neither SACK nor a window scale at either end: without time stamps the kernel cannot remember a client's in a cookie.
    assert told == given == {"MSS": MTU - headers}


def test_without_an_answer_of_the_server_a_cautious_mss_is_named(behind_a_tunnel: Site, ends: tuple[str, str]) -> None:
    server, client = ends
    assert "cautious" in armed(behind_a_tunnel, Service("smtp", server, PORT, "tcp"))
    told, _ = agreed(behind_a_tunnel, server, client)
    assert told == {"MSS": 1220 if ":" in server else 1240}


def test_every_tier_of_the_playbook_is_in_the_table() -> None:
    effect = all_playbooks()["synproxy"].effect
    assert isinstance(effect, Synproxy)
    text = (rules_folder() / "nftables" / "base.nft").read_text()
    assert re.findall(r"chain mss_(\d+) \{\n    synproxy mss (\d+)\n", text) == [(str(tier), str(tier)) for tier in effect.tiers]


@pytest.mark.parametrize("loose", ["0", "1"])
def test_a_client_that_uses_its_port_again_is_let_in_again(site: Site, loose: str) -> None:
    """The entry of its last session, in TIME_WAIT, shifts sequence numbers; it must not shift the cookie."""
    site.on("firewall", "sysctl", "-qw", f"net.netfilter.nf_conntrack_tcp_loose={loose}")
    site.nft(STATEFUL)
    site.nft(f"add element inet netwatch synproxy4 {{ {SERVER} . {PORT} timeout 60s }}")
    for session in range(4):
        assert session == 0 or "TIME_WAIT" in "".join(site.entries("-p", "tcp", "--orig-port-src", "5000"))
        assert site.banner(port=5000) == BANNER
        time.sleep(0.1)  # what comes within it looks like the old session's
    assert site.counter("proxied") == 4


def test_a_service_on_the_firewall_itself_is_proxied_too(site: Site) -> None:
    site.serve("firewall", OWN_ADDRESS)
    site.nft(f"add element inet netwatch synproxy4 {{ {OWN_ADDRESS} . {PORT} timeout 60s }}")
    assert site.banner(server=OWN_ADDRESS) == BANNER
    assert site.counter("proxied") >= 1


@pytest.mark.parametrize("loose", ["0", "1"])
@pytest.mark.parametrize("ends_by", ["undo", "expiry"])
def test_a_handshake_that_is_under_way_when_the_synproxy_is_disarmed_is_finished(site: Site, loose: str, ends_by: str) -> None:
    """Its last ACK has no entry, and the firewall's own rules drop what has none."""
    site.on("firewall", "sysctl", "-qw", f"net.netfilter.nf_conntrack_tcp_loose={loose}")
    site.nft(STATEFUL)
    with raw_client(site) as client:
        life_s = 60 if ends_by == "undo" else 2
        site.nft(f"add element inet netwatch synproxy4 {{ {SERVER} . {PORT} timeout {life_s}s }}")
        client.say(SYN, 1000, 0)
        answer = client.hear(SYN | ACK)
        if ends_by == "undo":
            site.nft(f"delete element inet netwatch synproxy4 {{ {SERVER} . {PORT} }}")
        else:
            time.sleep(2.1)
        client.say(ACK, 1001, answer.seq + 1)
        assert BANNER in bytes(client.hear(PSH).payload)
    assert site.banner() == BANNER


def test_who_stops_netwatch_waits_a_round_trip_for_the_handshake_that_is_under_way(site: Site, tmp_path: Path) -> None:
    base = (rules_folder() / "nftables" / "base.nft").read_text()
    site.nft(STATEFUL)
    driver = open_nftables(base, decoder=EntryDecoder(), state_folder=tmp_path, namespace=site.names["firewall"])
    with closing(driver), raw_client(site) as client, ThreadPoolExecutor(1) as stopping:
        driver.load()
        site.nft(f"add element inet netwatch synproxy4 {{ {SERVER} . {PORT} timeout 60s }}")
        client.say(SYN, 1000, 0)
        answer = client.hear(SYN | ACK)
        released = stopping.submit(driver.release)
        time.sleep(0.1)
        client.say(ACK, 1001, answer.seq + 1)
        assert BANNER in bytes(client.hear(PSH).payload)
        released.result()
    assert "netwatch" not in site.on("firewall", "nft", "list", "tables")


def test_after_the_last_handshake_strays_are_the_firewalls_own_affair_again(site: Site) -> None:
    site.on("firewall", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_loose=1")
    site.nft(f"add element inet netwatch synproxy4 {{ {SERVER} . {PORT} timeout 60s }}")
    assert site.banner() == BANNER
    site.nft(f"delete element inet netwatch synproxy4 {{ {SERVER} . {PORT} }}")
    time.sleep(3.5)
    with raw_client(site) as client:
        client.say(ACK, 1001, 77)
        assert client.hear(RST).seq == 77  # of the server, which knows no such session


class RawClient:
    """A peer by hand, packet by packet; its own kernel says nothing meanwhile."""

    def __init__(self, site: Site, wire: socket.socket) -> None:
        self._site = site
        self._wire = wire

    def say(self, flags: int, seq: int, ack: int) -> None:
        self._site.sent([Packet(0, endpoint(ATTACKER, 4000), endpoint(SERVER, PORT), WIRE_TCP, True, 0, flags, seq, ack, 64_240)])

    def hear(self, flags: int) -> TCP:
        """The next packet of the service with these flags."""
        deadline_s = time.monotonic() + 3
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._wire.settimeout(left_s)
            heard = Ether(self._wire.recv(2048))
            if TCP in heard and heard[TCP].sport == PORT and int(heard[TCP].flags) & flags == flags:
                return heard[TCP]
        raise AssertionError(f"nothing with flags {flags:#x} came back")


@contextmanager
def raw_client(site: Site) -> Iterator[RawClient]:
    run("ip", "netns", "exec", site.names["client"], "nft", "-f", "-", stdin=QUIET)
    with wire_of(site, "client") as wire:
        yield RawClient(site, wire)


def wire_of(site: Site, role: str) -> socket.socket:
    """All that passes somebody's link from now on."""
    with site.inside(role):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        wire.bind(("uplink", 0))
    return wire
