"""Packets that were put away come out as a session table saw them, in a fraction of the room."""

from pathlib import Path

import numpy as np
import pytest

from netwatch.collect import open_capture
from netwatch.config import replay_settings
from netwatch.decode import Decoder
from netwatch.intake import Intake
from netwatch.measure.services import ServiceDirectory
from netwatch.model.packet import PACKET, PacketBlock, concatenate
from netwatch.model.service import Service
from netwatch.model.tracked import TRACKED
from netwatch.put_away import NO_QUOTED, put_away, taken_out
from netwatch.reading import decoded
from netwatch.track.session_table import SessionTable
from tests.builders import icmp_error, packet_block, tcp, udp
from tests.conftest import ROOT

CAPTURES = sorted((ROOT / "captures").glob("*/*.pcap.zst"))
SMTP = Service("smtp", "203.0.113.25", 25, "tcp")


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: f"{path.parent.name}-{path.name.split('.')[0]}")
def test_a_session_table_judges_them_as_it_judged_the_packets(path: Path) -> None:
    """Of each shipped capture. A field that a kernel begins to read, and that is not kept, shows here."""
    directory = ServiceDirectory((SMTP,), learn=False)
    profile = replay_settings(limit=2000).profile
    before, after = (SessionTable(profile, groups=directory.capacity + 1, services=directory.indices) for _ in range(2))
    for part in Intake().parts(decoded([open_capture(str(path))], Decoder())):
        again = taken_out(put_away(part.block))
        found = [np.zeros(len(block.packets), TRACKED) for block in (part.block, again)]
        for table, block, tracked in zip((before, after), (part.block, again), found, strict=True):
            table.track(block.packets, block.quoted, tracked, directory.index)
        assert np.array_equal(found[0], found[1])
    assert before.verdicts == after.verdicts


def test_a_flood_takes_a_third_of_the_room_and_holds_nothing_of_the_block() -> None:
    sources = np.random.default_rng(1).integers(0, 1 << 16, 1000)
    flood = packet_block(
        *(
            tcp(1 + n / 1000, f"198.18.{source >> 8}.{source & 255}", 1024 + n, "203.0.113.25", 25, "S", seq=n * 65_537)
            for n, source in enumerate(sources.tolist())
        )
    )
    kept = put_away(flood)
    assert kept.nbytes * 3 < flood.packets.nbytes
    assert all(column.base is None for column in kept.columns)
    assert kept.quoted is NO_QUOTED


def test_time_stamps_far_apart_both_families_and_quoted_headers_come_through() -> None:
    asked = udp(1.0, "198.51.100.7", 5000, "203.0.113.53", 53)
    block = packet_block(
        asked,
        icmp_error(1.5, "203.0.113.53", "198.51.100.7", asked),
        tcp(2.0, "2001:db8::7", 4000, "2001:db8::25", 25, "PA", seq=7, ack=9, window=512, payload=100),
        tcp(9_000.0, "198.51.100.7", 4000, "203.0.113.25", 25, "S", mss=1460, window_scale=7, sack_permitted=True),
    )
    again = taken_out(put_away(block))
    for field in ("ts_ns", "src_hi", "src_lo", "dst_hi", "dst_lo", "hash", "seq", "ack", "payload_len", "quoted", "window", "window_scale"):
        assert again.packets[field].tolist() == block.packets[field].tolist(), field
    assert again.quoted is block.quoted


def test_nothing_comes_out_where_nothing_was() -> None:
    again = taken_out(put_away(concatenate([])))
    assert again.packets.dtype == PACKET
    assert len(again.packets) == 0
    assert isinstance(again, PacketBlock)
