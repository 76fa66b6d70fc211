"""What the mutations start from: real captures of a directory, and a few written ones that use every part of the formats."""

from pathlib import Path
from typing import NamedTuple

from netwatch.collect import expand
from netwatch.collect.recognise import Format, recognise
from tests.collect.twin import Twin
from tests.collect.writer import NANOSECONDS, Packet, Pcapng, pcap

MAX_SEED_BYTES = 24_000
WRITTEN_SEEDS = 5
FRAMES_KEPT = 40
HEADERS_BYTES = 120
"""From the start of a frame: where its headers are, and most of what a decoder reads."""


class Seed(NamedTuple):
    name: str
    content: bytes
    spots: tuple[int, ...]  # offsets that mean something: record headers and the headers of frames


def _spots(content: bytes) -> tuple[int, ...]:
    """Offsets of the headers in a plain capture, found by looking for each frame's bytes behind the last."""
    spots = list(range(min(28, len(content))))
    at = 0
    for frame in Twin(content).frames[:FRAMES_KEPT]:
        found = content.find(frame.data, at) if frame.data else -1
        if found >= 0:
            spots += range(max(0, found - 32), min(len(content), found + min(HEADERS_BYTES, len(frame.data))))
            at = found + len(frame.data)
    return tuple(spots)


def _shortened(content: bytes) -> bytes:
    """The beginning of a long capture; it ends within a record, as real ones do."""
    return content[:MAX_SEED_BYTES]


def _written() -> list[Seed]:
    frames = [bytes.fromhex("ffffffffffff0200000000010800") + bytes([0x45, 0, 0, 20]) + bytes(16), b"\x02" * 60, b""]
    contents = {"pcap": pcap(*map(Packet, frames)), "pcap-big": pcap(*map(Packet, frames), order="big", magic=NANOSECONDS, link=113)}
    for order in ("little", "big"):
        write = Pcapng("little" if order == "little" else "big")
        content = write.section(options=write.options((4, b"fuzz"))) + write.interface(resolution=9, offset_s=5, name=b"eth0")
        content += write.interface(link=101, snaplen=40, resolution=0x80 | 30)
        for frame in frames:
            content += (
                write.enhanced(frame, options=write.options((2, bytes(4)))) + write.simple(frame) + write.obsolete(frame, interface=1)
            )
        contents[f"pcapng-{order}"] = content + write.block(5, bytes(20)) + write.block(4, bytes(8)) + write.block(0xBAD, b"custom")
    contents["pcapng-mixed"] = contents["pcapng-little"] + contents["pcapng-big"]
    return [Seed(name, content, _spots(content)) for name, content in contents.items()]


def seeds(directory: Path | None) -> list[Seed]:
    """The written captures, and those plain ones that ``directory`` holds, in the order of their paths."""
    found = _written()
    for path in map(Path, expand([str(directory)])) if directory else ():
        content = _shortened(path.read_bytes())
        if recognise(content) in (Format.PCAP, Format.PCAPNG):
            found.append(Seed(str(path), content, _spots(content)))
    return found
