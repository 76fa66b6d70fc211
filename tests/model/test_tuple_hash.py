"""The hash of 5-tuples: the same both ways, keyed, evenly spread, and not to be steered by who chooses the addresses."""

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.model.packet import IPV4_MAPPED
from netwatch.model.tuple_hash import FIXED_SEED, tuple_hash
from tests.builders import WORD, halves, tuple_hash_slowly

Half = tuple[int, int]
words, ports, protocols = st.integers(0, WORD), st.integers(0, 65535), st.integers(0, 255)
mapped = st.integers(0, 2**32 - 1).map(lambda address: (0, IPV4_MAPPED | address))
addresses = st.one_of(mapped, st.tuples(words, words))


def hashed(src: Half, dst: Half, sport: int, dport: int, protocol: int = 6, seed: int = FIXED_SEED) -> int:
    key = np.uint64(seed)
    return int(tuple_hash(np.uint64(src[0]), np.uint64(src[1]), np.uint64(dst[0]), np.uint64(dst[1]), sport, dport, protocol, key))


@settings(deadline=None)
@given(addresses, addresses, ports, ports, protocols, words)
def test_it_is_that_of_the_slow_twin_and_the_same_in_both_directions(
    src: Half, dst: Half, sport: int, dport: int, protocol: int, seed: int
) -> None:
    expected = tuple_hash_slowly(src, dst, sport, dport, protocol, seed)
    assert hashed(src, dst, sport, dport, protocol, seed) == expected
    assert hashed(dst, src, dport, sport, protocol, seed) == expected


SERVER, SERVER6 = halves("203.0.113.25"), halves("2001:db8::25")
CROWDS = {
    "one client's ports": [hashed(halves("198.51.100.7"), SERVER, port, 25) for port in range(8192)],
    "a /19 of clients": [hashed((0, SERVER[1] - 9000 + number), SERVER, 40_000, 25) for number in range(8192)],
    "clients 65536 apart": [hashed((0, IPV4_MAPPED | (number << 16)), SERVER, 40_000, 25) for number in range(8192)],
    "ports that grow against each other": [hashed(halves("198.51.100.7"), SERVER, 20_000 + n, 20_000 - n) for n in range(8192)],
    "a /64 of IPv6": [hashed((0x20010DB8_00000000, number), SERVER6, 40_000, 25) for number in range(8192)],
    "subnets of IPv6": [hashed((0x20010DB8_00000000 + number, 1), SERVER6, 40_000, 25) for number in range(8192)],
    "port against the low half": [hashed((0x20010DB8_00000000, port << 48), SERVER6, port, 25) for port in range(8192)],
}


def chi_squared(buckets: Iterable[int], count: int) -> float:
    counts = np.bincount(np.fromiter(buckets, np.int64), minlength=count)
    expected = counts.sum() / count
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("crowd", CROWDS.values(), ids=CROWDS.keys())
@pytest.mark.parametrize("shift", [0, 13, 32, 56])
def test_any_eight_bits_spread_a_crowd_evenly(crowd: list[int], shift: int) -> None:
    # 255 degrees of freedom: mean 255, deviation 22.6; a bound of six deviations is passed by an even spread but once in 10**6
    assert chi_squared(((value >> shift) & 0xFF for value in crowd), 256) < 255 + 6 * 22.6
    assert len(set(crowd)) == len(crowd)


def test_tuples_that_collide_under_one_key_do_not_under_another() -> None:
    """Someone who knew one process's key could fill one bucket of it, and nobody else's."""
    clients = [(0, IPV4_MAPPED | number) for number in range(200_000, 260_000)]
    bucket = Counter(hashed(client, SERVER, 1024, 25, seed=1) & 0xFFF for client in clients).most_common(1)[0][0]
    chosen = [client for client in clients if hashed(client, SERVER, 1024, 25, seed=1) & 0xFFF == bucket]
    assert len(chosen) > 10
    elsewhere = {hashed(client, SERVER, 1024, 25, seed=2) & 0xFFF for client in chosen}
    assert len(elsewhere) >= len(chosen) - 2


def test_protocols_and_services_with_equal_addresses_differ() -> None:
    both = halves("192.0.2.1")
    values = {hashed(both, both, 53, 53, protocol) for protocol in range(256)} | {hashed(both, both, port, port) for port in range(256)}
    assert len(values) == 512 - 1, "TCP from 53 to 53 is in both"
