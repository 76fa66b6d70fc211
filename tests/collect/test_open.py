"""What cannot be opened is refused with a sentence that says what, which and what to do."""

import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from netwatch.collect import open_capture
from netwatch.collect.pcap_header import MAX_CAPTURED_BYTES
from netwatch.errors import CaptureError
from tests.collect.reading import frames_of, read, read_bytes
from tests.collect.twin import Twin
from tests.collect.writer import Packet, pcap, pcap_header
from tests.conftest import ROOT, missing


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _refusal(path: Path | str) -> str:
    with pytest.raises(CaptureError) as caught:
        open_capture(str(path))
    return str(caught.value)


def test_a_missing_file(tmp_path: Path) -> None:
    assert _refusal(tmp_path / "gone.pcap") == f"{tmp_path}/gone.pcap: no such file"


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.pcap").touch()
    assert _refusal(tmp_path / "empty.pcap") == f"{tmp_path}/empty.pcap: is empty (0 bytes)"


def test_a_directory(tmp_path: Path) -> None:
    assert _refusal(tmp_path) == f"{tmp_path}: is a directory, not a capture; name the files in it"


OPEN_AS_NOBODY = """
import os, sys
from netwatch.collect import open_capture
if os.geteuid() == 0:
    os.setuid(65534)
open_capture(sys.argv[1])
"""


def test_a_file_without_permission() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "secret.pcap"
        path.write_bytes(pcap(Packet()))
        path.chmod(0)
        done = subprocess.run([sys.executable, "-c", OPEN_AS_NOBODY, str(path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"CaptureError: {path}: no permission to read it; run as a user who may, or change its mode" in done.stderr


def test_a_path_through_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert _refusal(tmp_path / "file" / "x") == f"{tmp_path}/file/x: cannot be opened: Not a directory"


def test_a_path_that_cannot_be_one() -> None:
    assert "embedded null byte" in _refusal("a\0b")


def test_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert _refusal(path) == f"{path}: cannot be opened: No such device or address"


def test_a_device_that_never_ends() -> None:
    assert _refusal("/dev/zero").startswith("/dev/zero: is no capture: it begins with 00 00 00 00")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            b"From: mail@example.net",
            "is no capture: it begins with 46 72 6f 6d 3a 20 6d 61; pcap and pcapng are read, plain or compressed with",
        ),
        (b"\xd4\xc3\xb2", "is no capture: it begins with d4 c3 b2"),
        (b"\n\r\r\nno byte order", "is no capture: it begins with 0a 0d 0d 0a"),
        (
            struct.pack("<I", 0xA1B2CD34),
            "longer record headers of Alexey Kuznetsov's patched libpcap (magic 0xa1b2cd34): convert it with `editcap",
        ),
        (struct.pack(">I", 0xA1B2CD34), "longer record headers of Alexey Kuznetsov's patched libpcap (magic 0xa1b2cd34)"),
        (struct.pack("<I", 0x1C0001AC), "is an lcap file of an IXIA hardware port (magic 0x1c0001ac): convert it with `editcap"),
        (struct.pack(">I", 0x1C0001AB), "is an lcap file of an IXIA software port (magic 0x1c0001ab)"),
        (struct.pack("<I", 0xA1B234CD), "is a pcap file of Francisco Mesquita's patched libpcap (magic 0xa1b234cd): export it as pcap"),
        (struct.pack("<I", 0xA12B3C4D), "is a pcap file of a Navtel analyser (magic 0xa12b3c4d)"),
        (struct.pack("<I", 0xA1B2C3CB), "is a saved packet filter of libpcap, not a capture (magic 0xa1b2c3cb): give the capture instead"),
        (b"snoop\0\0\0", "is a snoop capture (RFC 1761): convert it"),
        (b"GMBU", "is a Microsoft Network Monitor 2 capture: convert it"),
        (b"RTSS", "is a Microsoft Network Monitor 1 capture: convert it"),
        (b"XCP\0", "is a NetXRay or Sniffer for Windows capture: convert it"),
        (b"BZh91AY", "is compressed with bzip2: unpack it first"),
        (b"PK\x03\x04", "is a ZIP archive: unpack it first"),
        (bytes(257) + b"ustar", "is a tar archive: unpack it first"),
    ],
)
def test_what_is_no_capture_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "thing.pcap"
    path.write_bytes(content)
    assert sentence in _refusal(path)


@pytest.mark.parametrize(("extra", "what"), [(4, "of a Nokia IPSO firewall"), (8, "with the record headers of libpcap's SS990417 patch")])
def test_longer_record_headers_under_the_usual_magic_are_recognised(tmp_path: Path, extra: int, what: str) -> None:
    record = struct.pack("<IIII", 1_700_000_000, 5, 60, 60) + b"\x01" * extra + bytes(range(60))
    path = tmp_path / "old.pcap"
    path.write_bytes(pcap_header() + record * 4)
    assert f"is a pcap file {what}: convert it with `editcap" in _refusal(path)


def test_a_damaged_second_record_is_damage_and_not_another_format(tmp_path: Path) -> None:
    content = pcap(Packet(), Packet(captured_len=MAX_CAPTURED_BYTES + 1), Packet(), Packet())
    capture, frames = read_bytes(tmp_path, content)
    assert (len(frames), capture.errors) == (1, {"bad_record_length": 1})


def test_kinds_are_told_by_content_and_not_by_name(tmp_path: Path) -> None:
    path = tmp_path / "really-pcap.pcapng.gz"
    path.write_bytes(pcap(Packet(b"abc")))
    assert [frame.data for frame in read(path)[1]] == [b"abc"]


def test_a_named_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    content = pcap(*(Packet(bytes([number % 256]) * 90) for number in range(5000)))
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(content,))
    writer.start()
    capture, frames = read(path)
    writer.join()
    assert (frames, capture.errors, capture.bytes_total) == (Twin(content).frames, {}, None)
    assert capture.bytes_read == len(content)


READ_STANDARD_INPUT = """
from netwatch.collect import open_capture
capture = open_capture("-")
print(sum(len(block.frames) for block in capture.blocks()), capture.bytes_total, capture.errors)
"""


def _with_standard_input(content: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", READ_STANDARD_INPUT], cwd=ROOT, input=content, capture_output=True, check=False)


def test_standard_input_is_read_as_a_stream() -> None:
    done = _with_standard_input(pcap(*(Packet(bytes(60)) for _ in range(3000)))[:-1])
    assert done.stdout.decode().strip() == "2999 None {'cut_file': 1}", done.stderr.decode()


def test_empty_standard_input_is_refused() -> None:
    assert b"CaptureError: -: is empty (0 bytes)" in _with_standard_input(b"").stderr


def test_closed_standard_input_is_refused() -> None:
    program = f"{sys.executable} -c '{READ_STANDARD_INPUT}' <&-"
    done = subprocess.run(["sh", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "CaptureError: -: standard input is closed; pipe a capture into it" in done.stderr


def test_a_terminal_as_standard_input_is_refused() -> None:
    try:
        parent, child = os.openpty()
    except OSError:
        missing("no pseudo-terminals here")
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ_STANDARD_INPUT], cwd=ROOT, stdin=child, capture_output=True, text=True, check=False
        )
    finally:
        os.close(parent)
        os.close(child)
    assert "CaptureError: -: standard input is a terminal; pipe a capture into it" in done.stderr


def test_a_read_error_is_counted_behind_what_was_read(tmp_path: Path) -> None:
    # Reading past the end of a process's memory fails as a broken disk does.
    assert re.search("cannot be read: the system reports an input/output error", _refusal("/proc/self/mem"))


def test_giving_up_early_closes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "big.pcap"
    path.write_bytes(pcap(*(Packet(bytes(100)) for _ in range(1000))))
    before = _open_files()
    blocks = open_capture(str(path), chunk_bytes=1000).blocks()
    next(blocks)
    assert _open_files() == before + 1
    del blocks
    assert _open_files() == before


def test_a_capture_closes_its_file_at_its_end_or_with_its_block(tmp_path: Path) -> None:
    path = tmp_path / "small.pcap"
    path.write_bytes(pcap(Packet()))
    before = _open_files()
    capture = open_capture(str(path))
    frames_of(capture)
    with open_capture(str(path)):
        assert _open_files() == before + 1
    assert _open_files() == before
