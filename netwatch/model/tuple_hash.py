"""The hash of a 5-tuple that all tables share: keyed, and the same in both directions.

Whoever floods a firewall chooses the addresses and ports. With a hash that is known in advance they can choose them so that all fall into
one bucket; so a 64-bit secret goes in before anything is mixed (a live process draws it at random, a replay uses ``FIXED_SEED`` and is
reproducible). Each endpoint is mixed by itself and the two are added, since addition does not care which side is called the source. An
endpoint of IPv4 (32 address bits, 16 port bits) and the protocol fit in one 64-bit word without overlap, so nothing collides before the
mixing; the high half of an IPv6 address is mixed first, together with the port, and the result is folded into the low half.

The mixer is the finaliser of SplitMix64 (Steele, Lea and Flood 2014, constants by Stafford: "Mix13"), a bijection of 64 bits in which
each input bit flips each output bit with a probability of one half. It is not cryptographic: it resists who cannot observe hashes, and
nothing ever shows one.
"""

import numpy as np

from netwatch.jit import inlined

FIXED_SEED = 0x9E37_79B9_7F4A_7C15
"""The key of a replay, so that the same capture gives the same order of buckets each time (the golden ratio's bits, no meaning)."""

MULTIPLIER_1 = np.uint64(0xBF58_476D_1CE4_E5B9)
MULTIPLIER_2 = np.uint64(0x94D0_49BB_1331_11EB)
SECOND_KEY = np.uint64(0xD1B5_4A32_D192_ED03)  # added to the seed for the key of IPv6 high halves
PORT_SHIFT = np.uint64(48)
PROTOCOL_SHIFT = np.uint64(32)  # over the constant ffff of a mapped address
SHIFT_1, SHIFT_2, SHIFT_3 = np.uint64(30), np.uint64(27), np.uint64(31)


@inlined
def mix(word: np.uint64) -> np.uint64:
    """Spread 64 bits over 64 bits, one to one."""
    word = (word ^ (word >> SHIFT_1)) * MULTIPLIER_1
    word = (word ^ (word >> SHIFT_2)) * MULTIPLIER_2
    return word ^ (word >> SHIFT_3)


@inlined
def tuple_hash(
    src_hi: np.uint64, src_lo: np.uint64, dst_hi: np.uint64, dst_lo: np.uint64, sport: int, dport: int, protocol: int, seed: np.uint64
) -> np.uint64:
    """Return the same 64 bits for a packet and its answer. Ports are 0 for protocols without and for later fragments."""
    source = src_lo ^ (np.uint64(sport) << PORT_SHIFT)
    destination = dst_lo ^ (np.uint64(dport) << PORT_SHIFT)
    if src_hi | dst_hi:
        key = mix(seed + SECOND_KEY)
        # The port is mixed together with the high half: XORed into the low half alone, whoever owns a /64 could cancel it.
        source = src_lo ^ mix(src_hi ^ key ^ mix(key + np.uint64(sport)))
        destination = dst_lo ^ mix(dst_hi ^ key ^ mix(key + np.uint64(dport)))
    secret = seed ^ (np.uint64(protocol) << PROTOCOL_SHIFT)
    return mix(source ^ secret) + mix(destination ^ secret)
