"""Peers of one-sided flows, by prefix, whichever direction is the one that is seen."""

import numpy as np

from netwatch.measure import one_sided
from netwatch.measure.one_sided import NAMED, OneSidedPeers
from netwatch.measure.prefixes import key_text, prefix_key
from netwatch.model.tracked import TRACKED, FlowEvent
from netwatch.model.window import PrefixCount
from tests.builders import Built, as_block, halves, tcp

SERVER = "192.0.2.25"


def note(
    peers: OneSidedPeers, packets: list[Built], *, toward: bool = True, service: int = 3, event: FlowEvent = FlowEvent.ONE_SIDED
) -> None:
    block = as_block(packets)
    tracked = np.zeros(len(packets), TRACKED)
    tracked["flow_events"], tracked["service"], tracked["toward_service"] = event | FlowEvent.FIRST, service, toward
    peers.add(block.packets, tracked)


def asking(*sources: str) -> list[Built]:
    return [tcp(1.0, source, 40000, SERVER, 25) for source in sources]


def test_both_directions_count_for_the_peer_and_a_window_begins_empty() -> None:
    peers = OneSidedPeers()
    note(peers, asking("198.51.100.7", "198.51.100.9", "203.0.113.1"))
    note(peers, [tcp(1.0, SERVER, 25, "203.0.113.99", 40000)], toward=False)
    note(peers, [tcp(1.0, SERVER, 25, "203.0.113.99", 40000)], toward=False)
    assert peers.close() == {3: (PrefixCount("203.0.113.0/24", 3), PrefixCount("198.51.100.0/24", 2))}
    assert peers.close() == {}


def test_services_are_kept_apart_and_what_is_of_none_is_left_out() -> None:
    peers = OneSidedPeers()
    note(peers, asking("198.51.100.7"), service=1)
    note(peers, asking("198.51.100.7"), service=2)
    note(peers, asking("198.51.100.7"), service=0)
    note(peers, asking("198.51.100.7"), event=FlowEvent.TWO_SIDED)
    assert peers.close() == {number: (PrefixCount("198.51.100.0/24", 1),) for number in (1, 2)}


def test_a_prefix_is_that_of_the_sources_of_attempts() -> None:
    for address in ("2001:db8:77:1::5", "198.51.100.200", "255.255.255.255", "::1"):
        peers = OneSidedPeers()
        note(peers, asking(address))
        assert peers.close()[3][0].prefix == key_text(int(prefix_key(3, *map(np.uint64, halves(address)))))


def test_a_flood_of_them_is_bounded() -> None:
    peers = OneSidedPeers()
    for third in range(3):
        note(peers, asking(*(f"10.{number}.{third}.1" for number in range(250))))
    (named,) = peers.close().values()
    assert len(named) == NAMED
    assert one_sided.MOST_FLOWS < 1 << 20
