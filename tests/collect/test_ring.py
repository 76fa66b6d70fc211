"""A ring on a real link: every packet once, with its bytes, its tag, its direction and its time."""

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from netwatch.collect.live import LiveCapture
from netwatch.collect.ring import InterfaceSettings, RingGeometry
from netwatch.decode.decoder import Decoder
from netwatch.errors import CaptureError, ConfigError
from netwatch.kernel.namespace import entered
from netwatch.model.packet import Direction
from tests.collect.live_frames import HEADERS, frame, gather, ipv4
from tests.collect.namespaces import SERVER_MAC, add_veth, namespaces, raw_socket, run, within
from tests.conftest import missing

pytestmark = pytest.mark.namespace

SMALL = RingGeometry(block_bytes=1 << 16)
VETH = InterfaceSettings(interface="veth0")
TUN, TUNSETIFF, IFF_TUN_WITHOUT_HEADER = Path("/dev/net/tun"), 0x400454CA, 0x1001


@pytest.fixture
def link() -> Iterator[tuple[str, str]]:
    """Two namespaces, each with one end ``veth0`` of a link."""
    with namespaces("left", "right") as (left, right):
        add_veth(left, right)
        yield left, right


def test_every_packet_is_seen_once_with_its_bytes_and_time(link: tuple[str, str]) -> None:
    left, right = link
    sent = [frame(number, payload=number % 50) for number in range(2000)]
    with LiveCapture([VETH], namespace=right, geometry=SMALL) as capture, closing(raw_socket(left, "veth0")) as wire:
        before_ns = time.time_ns()
        for data in sent:
            wire.send(data)
        after_ns = time.time_ns()
        seen = gather(capture, len(sent))
        assert [one.data for one in seen] == sent
        times_ns = [int(one.row["ts_ns"]) for one in seen]
        assert before_ns <= min(times_ns) <= max(times_ns) <= after_ns
        assert [int(one.row["wire_len"]) for one in seen] == [len(data) for data in sent]
        assert {int(one.row["link_type"]) for one in seen} == {1}
        (statistics,) = capture.statistics()
        assert (statistics.packets, statistics.lost, statistics.problem) == (len(sent), 0, "")


def test_a_vlan_tag_comes_from_the_header_and_an_inner_one_from_the_bytes(link: tuple[str, str]) -> None:
    left, right = link
    sent = [frame(0), frame(1, tags=(7,)), frame(2, tags=(0x6000 | 100, 200))]
    decoder = Decoder()
    vlans: list[int] = []
    ports: list[int] = []
    with LiveCapture([VETH], namespace=right, geometry=SMALL) as capture, closing(raw_socket(left, "veth0")) as wire:
        for data in sent:
            wire.send(data)
        deadline_s = time.monotonic() + 5
        while len(vlans) < len(sent) and time.monotonic() < deadline_s:
            for block in capture.blocks(0.05):
                assert [int(length) for length in block.frames["wire_len"]] == [len(data) for data in sent]
                packets = decoder.decode(block).packets
                vlans += packets["vlan"].tolist()
                ports += packets["sport"].tolist()
    assert vlans == [0, 7, 100]
    assert ports == [0, 1, 2]
    assert decoder.traffic.udp == 3


def test_both_ways_tells_what_was_sent_from_what_was_received(link: tuple[str, str]) -> None:
    left, right = link
    with (
        LiveCapture([VETH], namespace=right, geometry=SMALL) as capture,
        closing(raw_socket(left, "veth0")) as there,
        closing(raw_socket(right, "veth0")) as here,
    ):
        for number in range(50):
            there.send(frame(number))
            here.send(frame(1000 + number))
        seen = gather(capture, 100)
    assert sorted(one.number for one in seen if one.row["direction"] == Direction.INGRESS) == list(range(50))
    assert sorted(one.number for one in seen if one.row["direction"] == Direction.EGRESS) == list(range(1000, 1050))
    assert len(seen) == 100


def test_one_way_leaves_out_what_was_sent(link: tuple[str, str]) -> None:
    left, right = link
    only_in = InterfaceSettings(interface="veth0", ways="in")
    with (
        LiveCapture([only_in], namespace=right, geometry=SMALL) as capture,
        closing(raw_socket(left, "veth0")) as there,
        closing(raw_socket(right, "veth0")) as here,
    ):
        for number in range(50):
            there.send(frame(number))
            here.send(frame(1000 + number))
        assert sorted(one.number for one in gather(capture, 50)) == list(range(50))
        assert capture.statistics()[0].packets == 50


@pytest.mark.parametrize(("ways", "times"), [("in", 1), ("both", 2)])
def test_a_forwarded_packet_counts_once_if_both_sides_are_captured_one_way(ways: str, times: int) -> None:
    settings = [InterfaceSettings(interface=name, ways="in" if ways == "in" else "both") for name in ("outside", "inside")]
    with namespaces("left", "firewall", "right") as (left, firewall, right):
        add_veth(left, firewall, names=("veth0", "outside"), addresses=("10.0.1.1/24", "10.0.1.254/24"))
        add_veth(firewall, right, names=("inside", "veth0"), addresses=("10.0.2.254/24", "10.0.2.1/24"))
        within(firewall, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.outside.rp_filter=0")
        run("ip", "-n", firewall, "neigh", "add", "10.0.2.1", "lladdr", SERVER_MAC, "dev", "inside")
        with LiveCapture(settings, namespace=firewall, geometry=SMALL) as capture, closing(raw_socket(left, "veth0")) as wire:
            for number in range(1, 51):
                wire.send(frame(number, target="10.0.2.1"))
            seen = [one for one in gather(capture, 50 * times) if one.data[26:34] == bytes([10, 0, 0, 1, 10, 0, 2, 1])]
    assert sorted(one.number for one in seen) == sorted(list(range(1, 51)) * times)
    assert {int(one.row["interface"]) for one in seen} == set(range(times))


def test_on_the_loopback_interface_each_packet_counts_once() -> None:
    with namespaces("alone") as (alone,), LiveCapture([InterfaceSettings(interface="lo")], namespace=alone, geometry=SMALL) as capture:
        within(alone, "ping", "-q", "-c", "3", "-i", "0.01", "127.0.0.1")
        seen = gather(capture, 6)
    assert len(seen) == 6, "three questions and three answers"
    assert {int(one.row["direction"]) for one in seen} == {Direction.INGRESS}


def test_a_tunnel_without_link_header_gives_packets_from_the_ip_header_on() -> None:
    if not TUN.exists():
        missing("there is no /dev/net/tun")
    with namespaces("alone") as (alone,):
        with entered(alone):
            tunnel = os.open(TUN, os.O_RDWR)
            fcntl.ioctl(tunnel, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN_WITHOUT_HEADER))
        try:
            within(alone, "sysctl", "-qw", "net.ipv6.conf.tun0.disable_ipv6=1")
            run("ip", "-n", alone, "link", "set", "tun0", "up")
            with LiveCapture([InterfaceSettings(interface="tun0")], namespace=alone, geometry=SMALL) as capture:
                os.write(tunnel, ipv4(77))
                (seen,) = gather(capture, 1)
        finally:
            os.close(tunnel)
    assert (seen.row["link_type"], seen.row["wire_len"]) == (101, 68)
    assert seen.data == ipv4(77)


def test_the_snap_length_cuts_bytes_and_not_the_length_on_the_wire(link: tuple[str, str]) -> None:
    left, right = link
    cut = InterfaceSettings(interface="veth0", snaplen=64)
    with LiveCapture([cut], namespace=right, geometry=SMALL) as capture, closing(raw_socket(left, "veth0")) as wire:
        wire.send(frame(1, payload=1400))
        wire.send(frame(2, payload=4))
        long, short = gather(capture, 2)
    assert (len(long.data), int(long.row["wire_len"])) == (64, HEADERS + 1400)
    assert (len(short.data), int(short.row["wire_len"])) == (HEADERS + 4, HEADERS + 4)


def test_sampling_keeps_about_one_in_ten_in_the_kernel(link: tuple[str, str]) -> None:
    left, right = link
    sampled = InterfaceSettings(interface="veth0", sample=10)
    with LiveCapture([sampled], namespace=right, geometry=SMALL) as capture, closing(raw_socket(left, "veth0")) as wire:
        for number in range(5000):
            wire.send(frame(number))
        seen = gather(capture, 350)
        (statistics,) = capture.statistics()
    assert abs(len(seen) - 500) < 5 * np.sqrt(5000 * 0.1 * 0.9), "five standard deviations of a binomial"
    assert (statistics.packets, statistics.one_in) == (len(seen), 10)
    assert len({one.number for one in seen}) == len(seen)


def test_what_a_sleeping_reader_loses_is_counted(link: tuple[str, str]) -> None:
    left, right = link
    tiny = RingGeometry(block_bytes=1 << 12, blocks=4)
    with LiveCapture([VETH], namespace=right, geometry=tiny) as capture, closing(raw_socket(left, "veth0")) as wire:
        for number in range(500):
            wire.send(frame(number))
        seen = gather(capture, 1)
        (statistics,) = capture.statistics()
        assert 0 < len(seen) < 500
        assert statistics.packets == 500
        assert statistics.lost == 500 - len(seen)
        assert statistics.freezes > 0
        wire.send(frame(1000))
        assert [one.number for one in gather(capture, 1)] == [1000], "the ring goes on"
        assert capture.statistics()[0].packets == 501


def test_a_lent_block_is_not_overwritten_before_the_next_is_asked_for(link: tuple[str, str]) -> None:
    left, right = link
    tiny = RingGeometry(block_bytes=1 << 12, blocks=2)
    with LiveCapture([VETH], namespace=right, geometry=tiny) as capture, closing(raw_socket(left, "veth0")) as wire:
        wire.send(frame(1))
        for block in capture.blocks(1.0):
            before, rows = block.data.copy(), block.frames.copy()
            for number in range(300):
                wire.send(frame(number))
            assert (block.data == before).all()
            assert (block.frames == rows).all()
            break
        else:
            pytest.fail("no block came")


def test_an_interface_that_goes_away_and_comes_back_is_captured_again(link: tuple[str, str]) -> None:
    left, right = link
    with LiveCapture([VETH], namespace=right, geometry=SMALL) as capture:
        with closing(raw_socket(left, "veth0")) as wire:
            wire.send(frame(1))
        run("ip", "-n", right, "link", "del", "veth0")
        assert [one.number for one in gather(capture, 1)] == [1], "what came before it went is not lost"
        (lost,) = capture.news()
        assert (lost.interface, lost.state, lost.reason) == ("veth0", "lost", "it is gone")
        assert capture.statistics()[0].problem == "it is gone"
        add_veth(left, right)
        deadline_s = time.monotonic() + 5
        while not (news := capture.news()) and time.monotonic() < deadline_s:
            list(capture.blocks(0.05))
        assert [one.state for one in news] == ["back"]
        with closing(raw_socket(left, "veth0")) as wire:
            wire.send(frame(2))
        assert [one.number for one in gather(capture, 1)] == [2]
        (statistics,) = capture.statistics()
        assert (statistics.packets, statistics.reopened, statistics.problem) == (2, 1, "")


def test_an_interface_that_is_down_is_waited_for(link: tuple[str, str]) -> None:
    left, right = link
    run("ip", "-n", right, "link", "set", "veth0", "down")
    with LiveCapture([VETH], namespace=right, geometry=SMALL) as capture:
        assert [(one.state, one.reason) for one in capture.news()] == [("lost", "it is down")]
        run("ip", "-n", right, "link", "set", "veth0", "up")
        deadline_s = time.monotonic() + 5
        while capture.statistics()[0].problem and time.monotonic() < deadline_s:
            list(capture.blocks(0.05))
        with closing(raw_socket(left, "veth0")) as wire:
            wire.send(frame(3))
        assert [one.number for one in gather(capture, 1)] == [3]
        run("ip", "-n", right, "link", "set", "veth0", "down")
        gather(capture, 0)
        assert [(one.state, one.reason) for one in capture.news()] == [("back", ""), ("lost", "it is down")]


def test_promiscuous_only_if_asked(link: tuple[str, str]) -> None:
    _, right = link
    with LiveCapture([VETH], namespace=right, geometry=SMALL):
        assert " promiscuity 0 " in run("ip", "-d", "-n", right, "link", "show", "veth0")
    asked = InterfaceSettings(interface="veth0", promiscuous=True)
    with LiveCapture([asked], namespace=right, geometry=SMALL):
        assert " promiscuity 1 " in run("ip", "-d", "-n", right, "link", "show", "veth0")
    assert " promiscuity 0 " in run("ip", "-d", "-n", right, "link", "show", "veth0")


def test_an_interface_that_does_not_exist_is_a_mistake(link: tuple[str, str]) -> None:
    with pytest.raises(CaptureError, match="interface 'veth7': there is none of this name"):
        LiveCapture([InterfaceSettings(interface="veth7")], namespace=link[0])
    with pytest.raises(CaptureError, match="a name has 1 to 15 bytes"):
        LiveCapture([InterfaceSettings(interface="a-very-long-interface-name")], namespace=link[0])
    with pytest.raises(ConfigError, match="veth0 is given more than once"):
        LiveCapture([VETH, VETH], namespace=link[0])


def test_without_permission_the_error_says_what_is_needed() -> None:
    with namespaces("alone") as (alone,), entered(alone):
        os.seteuid(65534)
        try:
            with pytest.raises(CaptureError, match="interface lo: Operation not permitted; capturing needs CAP_NET_RAW"):
                LiveCapture([InterfaceSettings(interface="lo")])
        finally:
            os.seteuid(0)
