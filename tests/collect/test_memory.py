"""Memory does not depend on what a file holds or says: each reading runs in a process of its own, whose peak the kernel tells."""

import gzip
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.collect.packing import PACKERS
from tests.collect.writer import Packet, Pcapng, pcap_header, pcap_record
from tests.conftest import ROOT

READ_AND_TELL_PEAK = """
import re, sys
from pathlib import Path
from netwatch.collect import open_capture
def peak_mib():  # since the program began; the figure of getrusage would begin with the peak of the tests themselves
    return int(re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) // 1024
for _ in open_capture(sys.argv[1]).blocks():
    pass
before = peak_mib()
capture = open_capture(sys.argv[2])
for block in capture.blocks():
    pass
print(capture.packets, peak_mib() - before, peak_mib())
"""

PEAK_MIB = 400
GROWTH_MIB = 60
"""A few blocks at once, and the window of a decompressor, on top of a reading of a small capture of the same kind."""


def _read(small: Path, large: Path) -> int:
    """Packets of ``large``, after its reading has stayed within bounds."""
    done = subprocess.run(
        [sys.executable, "-c", READ_AND_TELL_PEAK, str(small), str(large)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    packets, growth_mib, peak_mib = map(int, done.stdout.split())
    assert growth_mib < GROWTH_MIB
    assert peak_mib < PEAK_MIB
    return packets


def _small(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "small"
    path.write_bytes(content)
    return path


def test_a_large_file_needs_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    record = pcap_record(Packet(bytes(1500)))
    small, large = _small(tmp_path, pcap_header() + record), tmp_path / "large"
    with large.open("wb") as file:
        file.write(pcap_header())
        for _ in range(150):
            file.write(record * 1000)
    assert _read(small, large) == 150_000


@pytest.mark.parametrize("kind", sorted(PACKERS))
def test_a_decompression_bomb_is_read_in_bounded_memory(tmp_path: Path, kind: str) -> None:
    pack = PACKERS[kind]
    small, bomb = _small(tmp_path, pack(pcap_header() + pcap_record(Packet(bytes(100))))), tmp_path / "bomb"
    packets = 2000
    content = pcap_header() + pcap_record(Packet(bytes(100_000))) * packets
    bomb.write_bytes(pack(content))
    assert bomb.stat().st_size < len(content) // 500
    assert _read(small, bomb) == packets


def test_a_block_of_gigabytes_is_passed_over_in_bounded_memory(tmp_path: Path) -> None:
    write = Pcapng()
    small = _small(tmp_path, gzip.compress(write.section() + write.interface() + write.enhanced()))
    size, piece = 1 << 30, bytes(1 << 24)
    bomb = tmp_path / "bomb"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        file.write(write.section() + write.interface() + write.enhanced() + struct.pack("<II", 0xBAD, 12 + size))
        for _ in range(size // len(piece)):
            file.write(piece)
        file.write(struct.pack("<I", 12 + size) + write.enhanced())
    assert _read(small, bomb) == 2


def test_the_smallest_packets_of_all_come_in_bounded_memory(tmp_path: Path) -> None:
    small, large = _small(tmp_path, pcap_header() + pcap_record(Packet(b""))), tmp_path / "large"
    large.write_bytes(pcap_header() + pcap_record(Packet(b"")) * 4_000_000)
    assert _read(small, large) == 4_000_000


READ_MANY_AND_TELL_GROWTH = """
import sys
from pathlib import Path
from netwatch.collect import open_capture
def now_mib():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024
for number in range(1600):
    for block in open_capture(sys.argv[1]).blocks():
        pass
    if number == 100:
        before = now_mib()
print(now_mib() - before)
"""


@pytest.mark.parametrize("kind", sorted(PACKERS))
def test_captures_that_were_read_leave_nothing_behind(tmp_path: Path, kind: str) -> None:
    """Found by fuzzing: the zstd reader and its stream held each other, 150 kB for each damaged file that was read."""
    noise = random.Random(kind).randbytes(100_000)
    path = _small(tmp_path, PACKERS[kind](pcap_header() + pcap_record(Packet(noise)) * 4)[:-100])
    done = subprocess.run(
        [sys.executable, "-c", READ_MANY_AND_TELL_GROWTH, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < GROWTH_MIB
