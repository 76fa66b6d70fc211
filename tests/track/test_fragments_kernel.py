"""The reassembly model against the kernel itself: the same fragments to both, and what each says of them.

Fragments go over a veth link into a namespace whose nftables ruleset makes conntrack, and so the defragmentation in front of it, run. The
kernel's word: ``/proc/net/snmp`` (ReasmReqds, ReasmOKs, ReasmFails) and ``/proc/net/sockstat`` (datagrams and bytes held) for IPv4, and for
IPv6, whose defragmentation has no counters, a rule that counts the datagrams which come out of it.
"""

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from netwatch.model.session import FirewallProfile
from netwatch.model.tracked import TRACKED
from netwatch.track.fragments import Reassembly
from netwatch.track.session_table import SessionTable
from tests.builders import Built, as_block, fragment, udp
from tests.conftest import missing
from tests.track.test_fragments import FIRST, FIRST_V6

pytestmark = pytest.mark.namespace

RULES = """
table inet counted {
  chain incoming {
    type filter hook prerouting priority 0;
    ct state invalid counter comment "invalid"
    meta nfproto ipv6 meta l4proto udp counter comment "whole6"
  }
}
"""
SEND = """
import socket, sys
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
link.bind((sys.argv[1], 0x800))
for line in sys.stdin:
    link.send(bytes.fromhex(line))
"""
V4, V6 = ("10.66.0.1", "10.66.0.2"), ("fd66::1", "fd66::2")


@dataclass(frozen=True)
class Piece:
    """One fragment of UDP datagram ``number``: bytes ``begin`` … ``end`` above IP (and IPv6's fragment header)."""

    number: int
    begin: int
    end: int
    more: bool
    ipv6: bool

    def row(self) -> Built:
        src, dst = V6 if self.ipv6 else V4
        length = self.end - self.begin
        if self.begin == 0 and length >= 8:
            layers = FIRST_V6 if self.ipv6 else FIRST
            return udp(1.0, src, 5353, dst, 53, payload=length - 8, fragment_id=self.number, layers=layers)
        return fragment(1.0, src, dst, identification=self.number, offset=self.begin, more=self.more, payload=length)

    def frame(self, hardware: str) -> bytes:
        header = (5353).to_bytes(2) + (53).to_bytes(2) + (8).to_bytes(2) + bytes(2)
        content = Raw((header + bytes(self.end))[self.begin : self.end] if self.begin == 0 else bytes(self.end - self.begin))
        src, dst = V6 if self.ipv6 else V4
        packet: Packet
        if self.ipv6:
            packet = IPv6(src=src, dst=dst) / IPv6ExtHdrFragment(id=self.number, offset=self.begin // 8, m=int(self.more), nh=17) / content
        else:
            packet = IP(src=src, dst=dst, id=self.number, proto=17, frag=self.begin // 8, flags="MF" if self.more else 0) / content
        return bytes(Ether(dst=hardware, src="02:00:00:00:00:01") / packet)


class Receiver:
    """The namespace in which the kernel reassembles."""

    def __init__(self, name: str, link: str) -> None:
        self.name, self.link = name, link

    def inside(self, *command: str, given: str = "", of: str = "b") -> str:
        done = subprocess.run(
            ["ip", "netns", "exec", f"{self.name}-{of}", *command], input=given, capture_output=True, text=True, check=True
        )
        return done.stdout

    def send(self, pieces: list[Piece]) -> None:
        hardware = self.inside("cat", f"/sys/class/net/{self.link}b/address").strip()
        frames = "".join(piece.frame(hardware).hex() + "\n" for piece in pieces)
        self.inside(sys.executable, "-c", SEND, f"{self.link}a", given=frames, of="a")

    def counters(self) -> dict[str, int]:
        names, values = (line.split()[1:] for line in self.inside("cat", "/proc/net/snmp").splitlines() if line.startswith("Ip:"))
        counted = dict(zip(names, map(int, values), strict=True))
        held = re.search(r"FRAG: inuse (\d+) memory (\d+)", self.inside("cat", "/proc/net/sockstat"))
        whole = re.search(r'packets (\d+) bytes \d+ comment "whole6"', self.inside("nft", "list", "ruleset"))
        invalid = re.search(r'packets (\d+) bytes \d+ comment "invalid"', self.inside("nft", "list", "ruleset"))
        assert held is not None
        assert invalid is not None
        assert whole is not None
        return {
            "received": counted["ReasmReqds"],
            "completed": counted["ReasmOKs"],
            "failed": counted["ReasmFails"],
            "held": int(held[1]),
            "bytes": int(held[2]),
            "whole6": int(whole[1]),
            "invalid": int(invalid[1]),
        }

    def settled(self, received: int) -> dict[str, int]:
        """The counters, once ``received`` fragments of IPv4 have come."""
        for _ in range(100):
            if (now := self.counters())["received"] >= received:
                break
            time.sleep(0.05)
        return now


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("nft"):
        missing("root, ip and nft, for namespaces")
    name, link = f"nw-{os.getpid()}-frag", f"nwf{os.getpid()}"[:14]
    made = [f"netns add {name}-a", f"netns add {name}-b", f"link add {link}a netns {name}-a type veth peer name {link}b netns {name}-b"]
    for side, number in (("a", 1), ("b", 2)):
        made.append(f"-n {name}-{side} addr add 10.66.0.{number}/24 dev {link}{side}")
        made.append(f"-n {name}-{side} addr add fd66::{number}/64 dev {link}{side} nodad")
        made.append(f"-n {name}-{side} link set {link}{side} up")
    try:
        for arguments in made:
            subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)
        there = Receiver(name, link)
        there.inside("sysctl", "-qw", "net.ipv4.ipfrag_max_dist=0")  # a rule that is not modelled
        there.inside("nft", "-f", "-", given=RULES)
        yield there
    finally:
        for side in ("a", "b"):
            subprocess.run(["ip", "netns", "del", f"{name}-{side}"], check=False, capture_output=True)


def modelled(pieces: list[Piece]) -> Reassembly:
    return tracked(pieces)[0]


def tracked(pieces: list[Piece]) -> tuple[Reassembly, SessionTable]:
    """What reassembly and, behind it, the tracker make of them."""
    reassembly, sessions = Reassembly(), SessionTable(FirewallProfile(name="linux", description="netfilter"))
    block = as_block([piece.row() for piece in pieces])
    reassembly.track(block)
    sessions.track(block.packets, block.quoted, np.zeros(len(pieces), TRACKED))
    return reassembly, sessions


def random_pieces(seed: int, count: int, *, ipv6: bool) -> list[Piece]:
    """Fragments of few datagrams with ends, gaps, repetitions and overlaps in any order."""
    chance = random.Random(seed)
    pieces = []
    for number in range(count):
        begin, length = 8 * chance.randrange(0, 6), chance.choice((8, 8, 8, 16, 16, 24, 13))
        more = chance.random() < 0.7
        if begin or more:
            pieces.append(Piece(number // 8, begin, begin + length, more, ipv6))
    return pieces


def test_any_fragments_of_ipv4_have_the_kernels_outcome(receiver: Receiver) -> None:
    pieces = random_pieces(1, 1600, ipv6=False)
    receiver.send(pieces)
    kernel, model = receiver.settled(len(pieces)), modelled(pieces)
    assert kernel["received"] == model.received
    assert kernel["completed"] == model.completed > 10
    assert kernel["failed"] == model.failed > 100
    assert kernel["held"] == model.datagrams_held > 100
    assert kernel["bytes"] == model.bytes_held


def test_any_fragments_of_ipv6_become_whole_as_often(receiver: Receiver) -> None:
    pieces = random_pieces(3, 6400, ipv6=True)
    receiver.send(pieces)
    receiver.send([Piece(1, 0, 16, True, False)])  # behind them, and counted: all have come
    kernel, (model, sessions) = receiver.settled(1), tracked(pieces)
    unaligned = sum(piece.more and piece.end % 8 > 0 for piece in pieces)  # these pass as they are
    assert kernel["whole6"] - unaligned == model.completed > 10
    assert kernel["invalid"] == sessions.verdicts["invalid"] > 100


@pytest.mark.parametrize("length", [64, 480, 1400])
def test_a_flood_of_first_fragments_fills_the_memory_at_the_kernels_count(receiver: Receiver, length: int) -> None:
    pieces = [Piece(number, 0, length, True, False) for number in range(6000)]
    receiver.send(pieces)
    kernel, model = receiver.settled(len(pieces)), modelled(pieces)
    assert kernel["bytes"] > 4 << 20
    assert (kernel["held"], kernel["failed"]) == (model.datagrams_held, model.failed)
    assert kernel["bytes"] == model.bytes_held
