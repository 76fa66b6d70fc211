"""Packets that a random source makes up, to compare judges: near enough to a session's numbers that much of it just does not fit.

The random source is hypothesis's where it shrinks what fails, and an ordinary seeded one where the judge is a kernel.
"""

from random import Random
from typing import Any

from tests.builders import Built, tcp, udp

SERVER = "192.0.2.25"
STEPS_S = (0.0, 0.0, 0.0, 0.05, 0.3, 1.0, 3.0, 9.9, 10.1, 31.0, 61.0, 121.0, 301.0, 500_000.0)
OFFSETS = (0, 0, 0, 1, 1, 2, 100, 101, 536, 1460, 3000, 66_001, 70_000, 1 << 20, -1, -2, -100, -66_001, 1 << 31)
FLAGS = ("S", "S", "SA", "SA", "A", "A", "A", "PA", "FA", "FA", "R", "RA", "F", "SF", "", "AU", "SU", "AEC")
WINDOWS = (0, 1, 100, 1024, 65535)


def segments(random: Random, client: str) -> list[Built]:
    """Any segments, of one connection or two."""
    isn = (random.choice((1000, 2**32 - 50)), random.choice((900_000, 2**32 - 1)))
    built, now_s = [], 1000.0
    for _ in range(random.randint(1, 24)):
        now_s += random.choice(STEPS_S)
        reverse, port = random.choice((False, True)), random.choice((40_000, 40_000, 40_001))
        flags = random.choice(FLAGS)
        fields: dict[str, Any] = {
            "seq": isn[reverse] + random.choice(OFFSETS),
            "ack": random.choice((0, isn[not reverse] + random.choice(OFFSETS))) if "A" in flags else 0,
            "window": random.choice(WINDOWS),
            "payload": random.choice((0, 0, 1, 100, 1400)),
        }
        if "S" in flags and random.choice((False, True)):
            fields |= {"window_scale": random.choice((None, 0, 7, 14)), "sack_permitted": random.choice((False, True)), "mss": 1460}
        if random.randint(0, 5) == 0:
            fields["sack_edge"] = isn[not reverse] + random.choice(OFFSETS)
        ends = (SERVER, 25, client, port) if reverse else (client, port, SERVER, 25)
        built.append(tcp(now_s, *ends, flags, **fields))
    return built


def exchange(random: Random, client: str) -> list[Built]:
    """A handshake, then data, ends and strays that mostly follow each other: the depth that free choice seldom reaches."""
    mine, theirs = random.choice((1000, 2**32 - 3)), random.choice((70_000, 2**32 - 200))
    now_s, scale = 1000.0, random.choice((None, 0, 7))
    to_server, to_client = (client, 40_000, SERVER, 25), (SERVER, 25, client, 40_000)
    built = [
        tcp(now_s, *to_server, "S", seq=mine, window=29_200, window_scale=scale, sack_permitted=True, mss=1460),
        tcp(now_s, *to_client, "SA", seq=theirs, ack=mine + 1, window=28_960, window_scale=scale, sack_permitted=True),
        tcp(now_s, *to_server, "A", seq=mine + 1, ack=theirs + 1, window=229),
    ]
    sent = [mine + 1, theirs + 1]
    for _ in range(random.randint(1, 20)):
        now_s += random.choice(STEPS_S)
        side = random.randint(0, 1)
        flags = random.choice(("A", "A", "PA", "PA", "FA", "R", "RA", "S", "SA"))
        payload = random.choice((0, 0, 100, 1400)) if "A" in flags and "S" not in flags else 0
        stray = random.choice((0, 0, 0, 0, 0, 0, -1, 1, -1460, 5000, 70_000))
        ack = sent[1 - side] - random.choice((0, 0, 0, 1, 1460)) if "A" in flags else 0
        sack_edge = sent[1 - side] if random.randint(0, 8) == 0 else None
        ends = to_client if side else to_server
        window = random.choice((229, 229, 0))
        built.append(tcp(now_s, *ends, flags, seq=sent[side] + stray, ack=ack, payload=payload, window=window, sack_edge=sack_edge))
        if stray == 0 and flags in ("A", "PA", "FA"):
            sent[side] += payload + ("F" in flags)
    return built


def datagrams(random: Random, client: str) -> list[Built]:
    """UDP both ways between two pairs of ports."""
    built, now_s = [], 1000.0
    for _ in range(random.randint(1, 20)):
        now_s += random.choice((0.0, 0.1, 1.0, 1.9, 2.1, 29.9, 30.1, 119.0, 121.0))
        port = random.choice((5000, 5001))
        ends = (client, port, SERVER, 53) if random.choice((False, True)) else (SERVER, 53, client, port)
        built.append(udp(now_s, *ends, payload=40))
    return built
