"""Sessions that no eviction may take: those whose clients spoke lately."""

import pytest

from netwatch.model.plan import Eviction
from netwatch.model.tuple_hash import FIXED_SEED
from netwatch.track.lively import LIVELY_NS, lively_hashes, silent_hashes
from netwatch.track.session_table import SECOND_NS, SessionTable
from tests.builders import as_block, tcp
from tests.track.tables import handshake, profile, track


@pytest.mark.parametrize(("client", "server"), [("10.0.0.1", "192.0.2.25"), ("2001:db8::1", "2001:db8::25")])
def test_a_client_that_spoke_lives_under_the_hash_of_its_packets(client: str, server: str) -> None:
    table = SessionTable(profile())
    spoken = tcp(1.0, client, 40_000, server, 25, "PA", seq=101, ack=901, payload=20)
    track(table, *handshake(0.0, client, server=server), spoken)

    found = lively_hashes(table, SECOND_NS, FIXED_SEED)

    assert found.tolist() == [as_block([spoken]).packets["hash"][0]]
    assert lively_hashes(table, LIVELY_NS + 2 * SECOND_NS, FIXED_SEED).size == 0
    assert lively_hashes(table, SECOND_NS, FIXED_SEED + 1).tolist() != found.tolist()


def test_a_banner_alone_makes_no_session_alive() -> None:
    table = SessionTable(profile())
    track(table, *handshake(0.0), tcp(0.5, "192.0.2.25", 25, "10.0.0.1", 40_000, "PA", seq=901, ack=101, payload=30))
    assert lively_hashes(table, SECOND_NS, FIXED_SEED).size == 0
    assert silent_hashes(table, FIXED_SEED).tolist() == [as_block(handshake(0.0)).packets["hash"][0]]


def test_neither_a_client_that_spoke_nor_half_a_handshake_is_silent() -> None:
    table = SessionTable(profile())
    track(table, *handshake(0.0), tcp(0.5, "10.0.0.1", 40_000, "192.0.2.25", 25, "PA", seq=101, ack=901, payload=30))
    track(table, *handshake(1.0, "10.0.0.2")[:2])
    assert silent_hashes(table, FIXED_SEED).size == 0


def test_what_a_live_firewall_has_evicted_leaves_the_model_too_without_any_mitigation_in_it() -> None:
    table = SessionTable(profile(limit=50_000))
    for number in range(2000):
        track(table, *handshake(0.0, f"10.{number >> 8}.{number & 255}.1"))
    track(table, *handshake(5.0, "192.0.2.200"))
    table.delete(Eviction(states=("ESTABLISHED",), min_idle_s=3.0, only_silent=True))
    assert table.counts(5 * SECOND_NS).all.entries == 1
