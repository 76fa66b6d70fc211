"""Every real capture of the collection holds the packets, bytes and times that independent tools found in it."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from netwatch.collect import expand
from tests.collect.packing import PACKERS
from tests.collect.reading import read
from tests.collect.twin import Twin

pytestmark = pytest.mark.shared

READ_AS_ANOTHER_FORMAT = "decode/suricata-verify__bug-6875-01__fuzz.pcap"
"""After its second record header became nonsense tshark takes this file for one with the 24-byte record headers of libpcap's SS990417 patch
and finds two packets, each shifted by 8 bytes. Read as what it is, it holds one whole packet; tcpdump says the same."""

CUSTOM_BLOCKS_COUNTED = ("decode/pcapng-gen__output_be__basic__test018.pcapng", "decode/pcapng-gen__output_le__advanced__test102.pcapng")
"""tshark counts their custom blocks as frames, so its bytes are too many; the manifest's packets are not."""

BAD_TIMES = "decode/tcpdump__timestamp_invalid_micro.pcap"
"""Two of its packets have a second or more of microseconds, which tshark's times overflow with."""

MICROSECOND = 1.001e-6


def _manifest(shared_captures: Path) -> list[dict[str, str]]:
    with (shared_captures / "MANIFEST.tsv").open() as table:
        return [row for row in csv.DictReader(table, delimiter="\t") if not row["file"].endswith(".dat")]


def _oracle(shared_captures: Path, row: dict[str, str]) -> dict[str, Any]:
    path = shared_captures / row["oracle"]
    found: dict[str, Any] = json.loads(path.read_text()).get("tshark_per_packet", {}) if path.is_file() else {}
    return found


def test_every_capture_holds_the_packets_that_the_manifest_says(shared_captures: Path) -> None:
    wrong = []
    for row in _manifest(shared_captures):
        capture, _ = read(shared_captures / row["file"])
        if capture.packets != int(row["packets"]) and row["file"] != READ_AS_ANOTHER_FORMAT:
            wrong.append((row["file"], capture.packets, row["packets"]))
    assert not wrong


def test_a_capture_whose_second_record_is_damaged_gives_one_packet_and_one_error(shared_captures: Path) -> None:
    capture, _ = read(shared_captures / READ_AS_ANOTHER_FORMAT)
    oracle = json.loads((shared_captures / "decode/oracle" / f"{Path(READ_AS_ANOTHER_FORMAT).name}.json").read_text())
    assert capture.packets == oracle["tcpdump"]["packets"] == 1
    assert (capture.errors, capture.truncated) == ({"bad_record_length": 1}, True)


def test_no_whole_capture_has_an_error(shared_captures: Path) -> None:
    with_errors = {
        row["file"]: capture.errors for row in _manifest(shared_captures) if (capture := read(shared_captures / row["file"])[0]).errors
    }
    assert with_errors == {READ_AS_ANOTHER_FORMAT: {"bad_record_length": 1}, BAD_TIMES: {"bad_timestamp": 2}}


def test_wire_bytes_and_times_are_those_of_tshark(shared_captures: Path) -> None:
    compared = 0
    for row in _manifest(shared_captures):
        oracle = _oracle(shared_captures, row)
        if "first" not in oracle or row["file"] in (READ_AS_ANOTHER_FORMAT, BAD_TIMES):
            continue
        capture, _ = read(shared_captures / row["file"])
        for ours_s, tshark_s in ((capture.first_s, oracle["first"]), (capture.last_s, oracle["last"])):
            # tshark knows no time of a capture of simple packet blocks, or without packets.
            agree = ours_s is None if tshark_s is None else ours_s == pytest.approx(tshark_s, abs=MICROSECOND, rel=0)
            assert agree, (row["file"], ours_s, tshark_s)
        if row["file"] not in CUSTOM_BLOCKS_COUNTED:
            assert capture.bytes == oracle["wire_bytes"], row["file"]
        compared += 1
    assert compared > 80


def test_every_frame_is_that_of_the_slow_reader_whatever_the_size_of_a_block(shared_captures: Path) -> None:
    for row in _manifest(shared_captures):
        path = shared_captures / row["file"]
        expected = Twin(path.read_bytes())
        for chunk_bytes in (37, 1 << 21) if path.stat().st_size < 10_000 else (5000,):
            capture, frames = read(path, chunk_bytes=chunk_bytes)
            assert frames == expected.frames, (row["file"], chunk_bytes)
            assert (capture.errors, capture.truncated) == (expected.errors, expected.truncated), row["file"]


def test_compressed_captures_hold_the_same_frames(shared_captures: Path, tmp_path: Path) -> None:
    for name in ("tcpstate/nDPI__ethereum.pcap", "mailtls/chrissanders__mail_sender_attachment.pcapng", "decode/arkime__bigendian.pcap"):
        content = (shared_captures / name).read_bytes()
        for kind, pack in PACKERS.items():
            packed = tmp_path / kind
            packed.write_bytes(pack(content))
            assert read(packed)[1] == read(shared_captures / name)[1]


def test_the_directory_gives_all_captures_and_says_what_it_skips(shared_captures: Path) -> None:
    skipped: list[str] = []
    found = expand([str(shared_captures)], on_skipped=skipped.append)
    assert {str(shared_captures / row["file"]) for row in _manifest(shared_captures)} <= set(found)
    assert found == sorted(found)
    assert any(reason.startswith(f"{shared_captures}/README.md: is no capture") for reason in skipped)
