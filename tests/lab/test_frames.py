"""Attack frames, with scapy as the judge of what is in them."""

import socket

import numpy as np
import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from netwatch.lab import frames, plan
from netwatch.lab.generator import Attack, Batch, Kind


def batch(kind: Kind, size: int = 64) -> Batch:
    made = Batch(Attack(kind=kind, count=size, seconds=1, sources="198.18.77.0/24"), size)
    made.refill()
    return made


@pytest.mark.parametrize("kind", list(Kind))
def test_checksums_are_those_that_scapy_computes(kind: Kind) -> None:
    for row in batch(kind).messages.frames:
        read = Ether(row.tobytes())
        again = read.copy()
        layer = UDP if kind is Kind.UDP else TCP
        del again[IP].chksum, again[layer].chksum
        again = Ether(bytes(again))
        assert (read[IP].chksum, read[layer].chksum) == (again[IP].chksum, again[layer].chksum)


def test_a_syn_comes_from_the_prefix_and_goes_to_the_service() -> None:
    read = Ether(batch(Kind.SYN).messages.frames[0].tobytes())

    assert read[IP].src.startswith("198.18.77.")
    assert (read[IP].dst, read[TCP].dport, read[TCP].flags) == (plan.SERVER, plan.SERVICE_PORT, "S")
    assert read.dst == plan.FIREWALL_MAC
    assert len(read) == len(read[IP]) + frames.ETHERNET


def test_each_refill_makes_other_sessions() -> None:
    made = batch(Kind.ACK)
    first = made.messages.frames.copy()
    made.refill()

    assert not np.any(np.all(first == made.messages.frames, axis=1))


def test_what_is_drawn_stays_inside_its_prefix() -> None:
    drawn = frames.Sources.of("198.18.0.0/15").draw(np.random.default_rng(1), 10_000)

    lowest, highest = (int.from_bytes(socket.inet_aton(one), "big") for one in ("198.18.0.0", "198.19.255.255"))
    assert drawn.min() >= lowest
    assert drawn.max() <= highest
    assert len(np.unique(drawn)) > 9000
