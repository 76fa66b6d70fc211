"""The model's table against a kernel's as time passes: the same packets at the same moments, and the number of entries over time.

The collector decides when what has expired stops to count, and it is one for the whole machine, with a rhythm that nobody shows. Its
passes are found in the kernel's own count, as sudden falls, and the model's collector is called at the same moments. The second test
holds its rhythm against the kernel's. Both hold only while nobody else on the machine has entries or lists them (listing collects too).
"""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import msgspec
import numpy as np
import pytest

from netwatch.decode import Decoder
from netwatch.kernel.namespace import NAMED
from netwatch.model.session import FirewallProfile, Timeouts
from netwatch.model.tracked import TRACKED
from netwatch.track.expiry import NEVER
from netwatch.track.session_entry import COLLECT_AT, COLLECT_SLOT, COLLECT_STARTED
from netwatch.track.session_table import SessionTable
from tests.builders import Built, tcp, udp
from tests.conftest import missing
from tests.namespaces.silent_firewall import SilentFirewall, frame_block, ip_packet, silent_firewall
from tests.track.made_up import SERVER

pytestmark = [pytest.mark.namespace, pytest.mark.slow, pytest.mark.timeout(240)]

TIMEOUTS = Timeouts(
    syn_sent_s=8,
    syn_recv_s=6,
    established_s=20,
    fin_wait_s=6,
    close_wait_s=5,
    last_ack_s=4,
    time_wait_s=8,
    close_s=3,
    max_retrans_s=12,
    unacknowledged_s=12,
    udp_s=5,
    udp_stream_s=9,
)
SESSIONS_PER_S = 240
WAIT_FOR_COLLECTOR_S = 75  # it sleeps for a minute at most
COMPARED_S = 30
SAMPLE_S = 0.1
FALL = 0.015  # of the entries, within one sample: the collector was there
SECOND_NS = 1_000_000_000
NOT_YET_NS = NEVER // 4  # far off, and still a moment to which the time of the first packet can be added
COLLECTED_BEFORE_NS = 50_000_000  # a fall is seen half a sample late on average


@dataclass(frozen=True, order=True)
class Due:
    at_s: float
    number: int
    side: str
    built: Built


def session(random: Random, at_s: float, client: str, port: int) -> list[tuple[float, str, Built]]:
    """One session of the mix: half-open, closed in order, left open, reset, or UDP."""
    to_server, to_client = (client, port, SERVER, 25), (SERVER, 25, client, port)
    kind = random.choice(("half-open", "half-open", "closed", "closed", "open", "reset", "asked", "asked", "answered"))
    if kind in ("asked", "answered"):
        asked = [(at_s, "client", udp(0, client, port, SERVER, 53, payload=30))]
        answers = [(0.01, "server"), (1.0, "client"), (3.0, "client"), (3.01, "server")]
        ends = {"client": (client, port, SERVER, 53), "server": (SERVER, 53, client, port)}
        return asked + [(at_s + later, side, udp(0, *ends[side], payload=30)) for later, side in answers if kind == "answered"]
    steps = [(0.0, "client", tcp(0, *to_server, "S", seq=100, mss=1460))]
    if kind != "half-open":
        steps += [
            (0.01, "server", tcp(0, *to_client, "SA", seq=900, ack=101)),
            (0.02, "client", tcp(0, *to_server, "A", seq=101, ack=901)),
            (0.03, "client", tcp(0, *to_server, "PA", seq=101, ack=901, payload=50)),
        ]
    if kind in ("closed", "reset"):
        steps.append((0.04, "server", tcp(0, *to_client, "A", seq=901, ack=151)))
    if kind == "reset":
        steps.append((0.5, "server", tcp(0, *to_client, "R", seq=901)))
    if kind == "closed":
        steps += [
            (0.50, "client", tcp(0, *to_server, "FA", seq=151, ack=901)),
            (0.51, "server", tcp(0, *to_client, "FA", seq=901, ack=152)),
            (0.52, "client", tcp(0, *to_server, "A", seq=152, ack=902)),
        ]
    return [(at_s + later, side, built) for later, side, built in steps]


def traffic(seconds: int) -> list[Due]:
    random = Random(7)
    due = []
    for number in range(seconds * SESSIONS_PER_S):
        client, port = f"10.{number // 62500}.{number // 250 % 250}.{number % 250 + 1}", 1024 + number % 60_000
        for step, (at_s, side, built) in enumerate(session(random, number / SESSIONS_PER_S, client, port)):
            due.append(Due(at_s, number * 10 + step, side, built))
    return sorted(due)


@dataclass
class Recorded:
    """What was sent and counted, on one clock."""

    packets: list[bytes]
    sent_ns: list[int]
    sampled_ns: list[int]
    entries: list[int]
    alone: bool = True  # no other namespace was there meanwhile

    def falls(self) -> list[int]:
        """Samples at which the count began to fall: the collector was at work."""
        fell = [after < before * (1 - FALL) for before, after in zip(self.entries, self.entries[1:], strict=False)]
        return [
            at + 1 for at, falls in enumerate(fell) if falls and self.entries[at] > SESSIONS_PER_S and not any(fell[max(0, at - 5) : at])
        ]

    def calm(self, at: int) -> bool:
        """Whether no fall is under way at a sample."""
        return at > 0 and self.entries[at] >= self.entries[at - 1]


def play(firewall: SilentFirewall) -> Recorded:
    """Send each packet at its moment until the collector has been seen and some time has passed."""
    recorded = Recorded([], [], [], [])
    stop_s = float(WAIT_FOR_COLLECTOR_S + COMPARED_S)
    planned = traffic(WAIT_FOR_COLLECTOR_S + COMPARED_S)
    start_ns, next_sample_s = time.time_ns(), 0.0
    for due in planned:
        while (now_s := (time.time_ns() - start_ns) / SECOND_NS) < due.at_s or now_s >= next_sample_s:
            if now_s >= next_sample_s:
                recorded.sampled_ns.append(time.time_ns())
                recorded.entries.append(firewall.entries())
                recorded.alone = recorded.alone and not others(firewall)
                next_sample_s = now_s + SAMPLE_S
                if stop_s > now_s + COMPARED_S and recorded.falls():
                    stop_s = now_s + COMPARED_S
            else:
                time.sleep(min(due.at_s - now_s, SAMPLE_S / 4))
        if now_s > stop_s:
            break
        packet = ip_packet(due.built, len(recorded.packets) % 65_536)
        recorded.packets.append(packet)
        recorded.sent_ns.append(time.time_ns())
        firewall.put(due.side, packet)
    return recorded


def modelled(recorded: Recorded, profile: FirewallProfile) -> tuple[list[int], list[float]]:
    """The model's entries at the moments at which the kernel's were counted, and how long its collector wanted to sleep each time.

    The model's collector is called when the kernel's was.
    """
    table = SessionTable(profile)
    numbers = table._arrays.numbers
    block = Decoder().decode(frame_block(recorded.packets, recorded.sent_ns))
    tracked = np.zeros(len(block.packets), TRACKED)
    counted, pauses_s, done, falls = [], [], 0, set(recorded.falls())
    numbers[COLLECT_AT] = NOT_YET_NS
    for sample, at_ns in enumerate(recorded.sampled_ns):
        upto = int(np.searchsorted(recorded.sent_ns, at_ns))
        if sample in falls:
            numbers[COLLECT_AT] = at_ns - COLLECTED_BEFORE_NS
        table.track(block.packets[done:upto], block.quoted, tracked[done:upto])
        done = upto
        counted.append(table.counts(at_ns).all.entries)
        if numbers[COLLECT_AT] < NOT_YET_NS and numbers[COLLECT_SLOT] == 0:  # its pass is over
            pauses_s.append(int(numbers[COLLECT_AT] - numbers[COLLECT_STARTED]) / SECOND_NS)
            numbers[COLLECT_AT] = NOT_YET_NS
    return counted, pauses_s


def others(firewall: SilentFirewall) -> set[str]:
    """Namespaces that are not this test's."""
    return {path.name for path in NAMED.glob("*")} - set(firewall.names.values())


@pytest.fixture(scope="module")
def firewall() -> Iterator[SilentFirewall]:
    if os.geteuid() != 0:
        missing("network namespaces need root")
    for program in ("ip", "nft", "conntrack"):
        if shutil.which(program) is None:
            missing(f"{program} is not installed")
    with silent_firewall("timing") as built:
        built.sysctl("net.netfilter.nf_conntrack_checksum", 0)
        names = {"udp_s": "udp_timeout", "udp_stream_s": "udp_timeout_stream"}
        for name, seconds in msgspec.structs.asdict(TIMEOUTS).items():
            if name.endswith("_s") and not name.startswith(("icmp", "generic", "gre", "sctp")):
                built.sysctl(f"net.netfilter.nf_conntrack_{names.get(name, 'tcp_timeout_' + name[:-2])}", round(seconds))
        built.note_verdicts()
        yield built


@pytest.fixture(scope="module")
def recorded(firewall: SilentFirewall) -> Recorded:
    played = play(firewall)
    assert played.falls(), "the collector was not seen at work"
    return played


PROFILE = FirewallProfile(name="linux", description="", timeouts=TIMEOUTS)


def test_the_number_of_entries_follows_the_kernels(recorded: Recorded) -> None:
    counted, _ = modelled(recorded, PROFILE)
    calm = [at for at in range(len(counted)) if recorded.calm(at) and recorded.entries[at] > SESSIONS_PER_S]
    kernel, model = np.array(recorded.entries)[calm], np.array(counted)[calm]
    off = np.abs(model - kernel) / kernel
    assert len(calm) > 100
    at_most = 0.02 if recorded.alone else 0.1
    assert np.quantile(off, 0.95) <= at_most, f"off by {off.mean():.2%} on average, {off.max():.2%} at most"


def test_the_collector_sleeps_as_long_as_the_kernels(recorded: Recorded) -> None:
    if not recorded.alone:
        pytest.skip("other namespaces were at work: their entries set the collector's rhythm too")
    falls = recorded.falls()
    slept_s = np.diff(np.array(recorded.sampled_ns)[falls]) / SECOND_NS
    _, pauses_s = modelled(recorded, PROFILE)
    assert len(slept_s) >= 2
    assert np.abs(slept_s - pauses_s[: len(slept_s)]).max() <= 1.5, f"kernel {slept_s}, model {pauses_s}"
