"""The scenarios' captures are what the generator writes, and are packets that independent tools find nothing wrong with."""

from pathlib import Path

import pytest
import zstandard
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet as ScapyPacket
from scapy.utils import RawPcapReader

from captures.generator.scenarios import SCENARIOS
from tests.scenarios.expected import CAPTURES, scenarios

LARGEST = 300_000  # bytes, compressed


def committed(name: str) -> bytes:
    return zstandard.ZstdDecompressor().decompress((CAPTURES / f"{name}.pcap.zst").read_bytes())


def test_every_capture_has_expectations_and_is_small() -> None:
    expected = {f"{folder}/{capture}" for folder, scenario in scenarios().items() for capture in scenario.captures}
    assert expected == set(SCENARIOS)
    for path in CAPTURES.glob("*/*.pcap.zst"):
        assert path.stat().st_size < LARGEST, path


@pytest.mark.parametrize("name", ["fragment-exhaustion/benign", "syn-flood/attack-ipv6"])
def test_a_capture_is_written_again_byte_by_byte(name: str) -> None:
    assert SCENARIOS[name]() == committed(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_capture_is_written_again_byte_by_byte(name: str) -> None:
    """Compared unpacked, since another release of zstd may pack the same bytes differently."""
    assert SCENARIOS[name]() == committed(name)


@pytest.mark.parametrize("name", ["fragment-exhaustion/benign", "syn-flood/attack-ipv6", "rst-flood/attack"])
def test_headers_lengths_and_checksums_are_those_that_scapy_builds(name: str, tmp_path: Path) -> None:
    path = tmp_path / "capture.pcap"
    path.write_bytes(committed(name))
    with RawPcapReader(str(path)) as reader:
        for number, (data, meta) in enumerate(reader):
            if number % 97 == 0:
                assert bytes(rebuilt(data, meta.wirelen))[: len(data)] == data


def rebuilt(data: bytes, wire_len: int) -> bytes:
    """The frame with everything that can be computed computed again, its payload filled up with zeros."""
    whole = data.ljust(wire_len, b"\0")
    packet: ScapyPacket = IPv6(whole[14:]) if whole[12:14] == b"\x86\xdd" else IP(whole[14:])
    for layer, computed in ((IP, ("chksum",)), (TCP, ("chksum", "dataofs")), (UDP, ())):
        if layer in packet:
            for field in computed:
                delattr(packet[layer], field)
    return whole[:14] + bytes(packet)
