"""A real spoofed SYN flood, from the file to windows, against what numpy counts in its packets."""

from pathlib import Path

import numpy as np
import pytest

from netwatch.collect.capture import open_capture
from netwatch.decode.decoder import Decoder
from netwatch.measure.meter import WindowMeter
from netwatch.measure.services import ServiceDirectory
from netwatch.model.packet import Rows
from netwatch.model.session import FirewallProfile
from netwatch.model.tracked import TRACKED
from netwatch.model.window import Window
from netwatch.track.clock import SECOND_NS, EventClock
from netwatch.track.flow_table import FlowTable
from netwatch.track.session_table import SessionTable

FLOOD = "ddos/StopDDoS__pkt.TCP.synflood.spoofed.pcap"


def windows_of(path: Path) -> tuple[list[Window], list[Rows], ServiceDirectory]:
    directory, clock, flows, decoder = ServiceDirectory(learn=True), EventClock(), FlowTable(), Decoder()
    profile = FirewallProfile(name="linux", description="")
    sessions = SessionTable(profile, groups=directory.capacity + 1, services=directory.indices)
    meter = WindowMeter(directory)
    windows: list[Window] = []
    packets_of: list[Rows] = []
    for frames in open_capture(str(path)).blocks():
        block = decoder.decode(frames)
        packets_of.append(block.packets)
        for stretch in clock.cut(block.packets):
            packets = block.packets[stretch.begin : stretch.stop]
            tracked = np.zeros(len(packets), TRACKED)
            flows.track(packets, tracked)
            sessions.track(packets, block.quoted, tracked, directory.index)
            if learned := directory.learn(packets, tracked):
                sessions.assign(learned)
            directory.classify(packets, tracked)
            meter.add(packets, tracked)
            for border in stretch.borders:
                sessions.advance(border.end_ns)
                windows.append(
                    meter.close(
                        start_s=border.start_ns / SECOND_NS,
                        duration_s=(border.end_ns - border.start_ns) / SECOND_NS,
                        table=sessions.counts(border.end_ns),
                        groups=sessions.group_counts,
                        profile=profile,
                    )
                )
    return windows, packets_of, directory


@pytest.mark.shared
def test_the_first_second_of_a_real_flood_is_measured_as_it_was(shared_captures: Path) -> None:
    windows, blocks, directory = windows_of(shared_captures / FLOOD)
    packets = np.concatenate(blocks)
    first = packets[packets["ts_ns"] < (packets["ts_ns"][0] // SECOND_NS + 1) * SECOND_NS]
    [service] = windows[0].services
    assert [service.label for service in directory.services] == ["10.10.10.10:25565/tcp"]
    assert service.syn == len(first)
    assert service.handshakes_completed == 0
    assert service.distinct_sources == pytest.approx(len(np.unique(first["src_lo"])), rel=0.05)
    assert service.source_entropy > 0.99
    assert service.known_sources_share == 0.0
    assert service.half_open == windows[0].firewall.entries == service.new_sessions
    assert windows[0].firewall.time_to_full_s is None
    assert windows[1].firewall.fill_slope_per_s > 1000
