"""What clients and server agree on behind netfilter's synproxy, on a real kernel: the MSS is the server's own, learned beforehand."""

import re
import socket
import time
from contextlib import closing

import msgspec
import pytest

from netwatch.collect.live import LiveCapture
from netwatch.collect.ring import InterfaceSettings
from netwatch.config import replay_settings
from netwatch.decode import Decoder
from netwatch.decode.reorder import Reordering
from netwatch.mitigate.effect import Synproxy
from netwatch.mitigate.ladder import draft_of, rungs
from netwatch.model.service import Service
from netwatch.pipeline import Pipeline
from netwatch.rulebook import all_playbooks, rules_folder
from tests.mitigate.site import BANNER, CLIENT, CLIENT6, PORT, SERVER, SERVER6, Site
from tests.mitigate.test_playbook import incident

pytestmark = pytest.mark.namespace

MTU = 1420
"""Of the server's link, as behind a tunnel."""

SESSIONS = 5


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


def agreed(site: Site, server: str, client: str) -> tuple[dict[str, int], dict[str, int]]:
    """What ``ss`` tells of one session at the client and at the server: MSS of what they send, and scales if there are any."""
    with site.inside("client"):
        session = socket.create_connection((server, PORT), timeout=3, source_address=(client, 0))
    with session:
        assert session.recv(100) == BANNER
        port = session.getsockname()[1]
        at_client = site.on("client", "ss", "-Htin", "sport", "=", f":{port}")
        at_server = site.on("server", "ss", "-Htin", "dport", "=", f":{port}")
    return _numbers(at_client), _numbers(at_server)


def _numbers(text: str) -> dict[str, int]:
    found = {"mss": int(re.findall(r"\bmss:(\d+)", text)[0])}
    scales = re.findall(r"\bwscale:(\d+),(\d+)", text)
    return found | ({"sends": int(scales[0][0]), "takes": int(scales[0][1])} if scales else {})


def armed(site: Site, service: Service) -> str:
    """Put the synproxy of netwatch's plan for this service in force; what the plan says of it."""
    draft = draft_of(rungs(["synproxy"], all_playbooks())[0], 0, incident(service=service), services=(service,), never_block=())
    assert draft is not None
    site.nft("\n".join(draft.nft))
    return draft.notes[0]


def test_behind_the_synproxy_both_ends_agree_on_what_the_server_takes(behind_a_tunnel: Site, ends: tuple[str, str]) -> None:
    site, (server, client) = behind_a_tunnel, ends
    alone, _ = agreed(site, server, client)
    assert {"sends", "takes"} <= set(alone)

    service = learned(site, Service("smtp", server, PORT, "tcp"), client)
    headers = 60 if ":" in server else 40
    assert service.mss == MTU - headers
    assert f"an MSS of {MTU - headers}" in armed(site, service)

    at_client, at_server = agreed(site, server, client)
    assert site.counter("proxied") > 0
    # No scale at one end and none at the other: the kernel cannot remember a client's in a cookie without time stamps.
    assert at_client == {"mss": MTU - headers}
    assert at_server.keys() == {"mss"}
    assert at_server["mss"] <= MTU - headers


def test_without_an_answer_of_the_server_a_cautious_mss_is_named(behind_a_tunnel: Site, ends: tuple[str, str]) -> None:
    server, client = ends
    assert "cautious" in armed(behind_a_tunnel, Service("smtp", server, PORT, "tcp"))
    at_client, _ = agreed(behind_a_tunnel, server, client)
    assert at_client == {"mss": 1220 if ":" in server else 1240}


def test_every_tier_of_the_playbook_is_in_the_table() -> None:
    effect = all_playbooks()["synproxy"].effect
    assert isinstance(effect, Synproxy)
    text = (rules_folder() / "nftables" / "base.nft").read_text()
    assert re.findall(r"chain mss_(\d+) \{\n    synproxy mss (\d+)\n", text) == [(str(tier), str(tier)) for tier in effect.tiers]
