"""The model against the running kernel: the same packets, both judged, verdict by verdict and entry by entry."""

import os
import shutil
from collections.abc import Iterator
from random import Random

import numpy as np
import pytest

from netwatch.decode import Decoder
from netwatch.model.session import FirewallProfile, SessionState
from netwatch.model.tracked import TRACKED, Verdict
from netwatch.track.session_entry import ASSURED, SEEN_REPLY
from netwatch.track.session_table import SessionTable
from tests.builders import Built, halves
from tests.conftest import missing
from tests.namespaces.silent_firewall import SilentFirewall, frame_block, ip_packet, silent_firewall
from tests.track.made_up import SERVER, datagrams, exchange, segments

pytestmark = pytest.mark.namespace

SEQUENCES = 1000
PACKETS_AT_MOST = 60_000  # an IP identification each
TCP_STATES = ("syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack", "time_wait", "close")
TCP_TIMEOUTS = tuple(f"tcp_timeout_{state}" for state in TCP_STATES)
TIMEOUTS = (*TCP_TIMEOUTS, "tcp_timeout_max_retrans", "tcp_timeout_unacknowledged", "udp_timeout", "udp_timeout_stream")


@pytest.fixture(scope="module")
def firewall() -> Iterator[SilentFirewall]:
    if os.geteuid() != 0:
        missing("network namespaces need root")
    for program in ("ip", "nft", "conntrack"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    with silent_firewall("verdict") as built:
        built.sysctl("net.netfilter.nf_conntrack_checksum", 0)
        for timeout in TIMEOUTS:  # so that nothing ends before it is listed
            built.sysctl(f"net.netfilter.nf_conntrack_{timeout}", 3600)
        yield built


def made_up_packets(seed: int) -> list[Built]:
    """Many sessions side by side, each of a client of its own, mixed as they would be on a link."""
    random = Random(seed)
    sequences = []
    for number in range(SEQUENCES):
        client = f"10.{seed}.{number // 250}.{number % 250 + 1}"
        sequences.append(random.choice((segments, exchange, datagrams))(random, client))
    packets = []
    while sequences:
        chosen = random.randrange(len(sequences))
        packets.append(sequences[chosen].pop(0))
        if not sequences[chosen]:
            del sequences[chosen]
    return packets[:PACKETS_AT_MOST]


def states_of(table: SessionTable) -> dict[str, int]:
    """The model's entries in the words of ``conntrack -L``."""
    entries = table._arrays.entries
    counted: dict[str, int] = {}
    for entry in entries[entries["protocol"] != 0]:
        name = f"tcp:{SessionState(entry['state']).name}" if entry["protocol"] == 6 else "udp"
        name += "" if entry["status"] & SEEN_REPLY else " UNREPLIED"
        name += " ASSURED" if entry["status"] & ASSURED else ""
        counted[name] = counted.get(name, 0) + 1
    return counted


@pytest.mark.parametrize(("seed", "strict"), [(1, False), (2, False), (3, True)])
def test_every_verdict_is_the_kernels(firewall: SilentFirewall, seed: int, strict: bool) -> None:
    built = made_up_packets(seed)
    packets = [ip_packet(packet, number) for number, packet in enumerate(built)]
    server = halves(SERVER)[1]
    sides = ["server" if packet.row["src_lo"][0] == server else "client" for packet in built]
    firewall.sysctl("net.netfilter.nf_conntrack_tcp_loose", int(not strict))
    firewall.note_verdicts()
    firewall.send(list(zip(sides, packets, strict=True)))
    kernel = firewall.verdicts()

    # All was sent at once, so time stands still for the model too.
    table = SessionTable(FirewallProfile(name="linux", description="", strict=strict), expiry=False)
    block = Decoder().decode(frame_block(packets, [0] * len(packets)))
    tracked = np.zeros(len(packets), TRACKED)
    table.track(block.packets, block.quoted, tracked)
    model = {number: Verdict(verdict) for number, verdict in enumerate(tracked["verdict"])}
    differing = [number for number in model if kernel.get(number) != model[number]]
    assert not differing, (
        f"{len(differing)} of {len(model)}, first packet {differing[0]}: {kernel.get(differing[0])}, {model[differing[0]]}"
    )
    entries = firewall.entry_states()
    # The kernel's clock goes on: what lasts longer than two seconds is a stream. That rule is the timing test's.
    entries["udp"] = entries.get("udp", 0) + entries.pop("udp ASSURED", 0)
    assert states_of(table) == entries
