"""A rehearsal tries a plan on the traffic of just now: whom it would have hit, and what it would have done before the attack."""

import msgspec
import numpy as np
import pytest

from netwatch.collect import open_capture
from netwatch.config import replay_settings
from netwatch.decode import Decoder
from netwatch.measure.services import ServiceDirectory
from netwatch.mitigate.guards import Guard, Request, first_refusal
from netwatch.mitigate.ladder import next_draft, rungs
from netwatch.mitigate.settings import MitigationSettings, OperatingMode
from netwatch.model.incident import Mode
from netwatch.model.plan import Admission
from netwatch.model.service import Service
from netwatch.model.session import FirewallProfile
from netwatch.model.tracked import TRACKED
from netwatch.pipeline import Pipeline
from netwatch.reading import decoded
from netwatch.rehearsal import RecentTraffic
from netwatch.track.clock import SECOND_NS
from netwatch.track.session_table import SessionTable
from tests.builders import Built, packet_block, tcp
from tests.conftest import ROOT

SMTP = Service("smtp", "203.0.113.25", 25, "tcp")
FLOOD = ROOT / "captures" / "syn-flood" / "attack.pcap.zst"
A_PACKET = 20
"""Bytes of one of a flood from one source, and a little more."""

EVERYBODY = Admission(drop_prefixes=("0.0.0.0/0",))


def session(at_s: float, client: str, *, port: int = 40_000) -> tuple[Built, ...]:
    """A healthy one, in half a second."""
    ahead = (client, port, SMTP.address, SMTP.port)
    back = (SMTP.address, SMTP.port, client, port)
    return (
        tcp(at_s, *ahead, "S", seq=100),
        tcp(at_s + 0.1, *back, "SA", seq=900, ack=101),
        tcp(at_s + 0.2, *ahead, "A", seq=101, ack=901),
        tcp(at_s + 0.3, *back, "PA", seq=901, ack=101, payload=20),
        tcp(at_s + 0.4, *ahead, "PA", seq=101, ack=921, payload=10),
    )


class Site:
    """A session table and what is kept of its traffic, second by second."""

    def __init__(self, **bounds: int) -> None:
        self.directory = ServiceDirectory((SMTP,), learn=False)
        self.table = SessionTable(FirewallProfile(name="t", description="t"), groups=8, services=self.directory.indices)
        self.recent = RecentTraffic(self.table, **bounds)
        self.now_s = 0
        self.second()

    def second(self, *built: Built) -> None:
        """A second passes, with these packets in it."""
        self.now_s += 1
        if built:
            block = packet_block(*built)
            tracked = np.zeros(len(block.packets), TRACKED)
            self.table.track(block.packets, block.quoted, tracked, self.directory.index)
            self.recent.keep(block)
        self.table.advance(self.now_s * SECOND_NS)
        self.recent.close(self.now_s * SECOND_NS)


@pytest.fixture
def site() -> Site:
    return Site()


def test_who_would_be_hit_is_counted_and_what_is_older_than_the_incident_is_the_baseline(site: Site) -> None:
    for second in range(1, 5):
        site.second(*session(second + 0.1, f"198.51.100.{second}"))
    found = site.recent.rehearse(Admission(drop_prefixes=("198.51.100.0/24",)), site.directory, onset_s=3.0)
    assert found is not None
    assert (found.seconds, found.healthy_sessions, found.healthy_hit) == (4.0, 4, 4)
    assert (found.packets_before, found.refused_before) == (10, 6)  # three packets of each client


def test_what_spares_them_hits_nobody(site: Site) -> None:
    for second in range(1, 5):
        site.second(*session(second + 0.1, f"198.51.100.{second}"))
    found = site.recent.rehearse(Admission(synproxy=(SMTP,)), site.directory, onset_s=3.0)
    assert found is not None
    assert (found.healthy_sessions, found.healthy_hit, found.refused_before) == (4, 0, 0)


def test_a_session_that_rested_since_before_what_is_kept_is_no_stranger() -> None:
    site = Site(seconds=10)
    opening, (*_, greeting, answer) = session(1.1, "198.51.100.7"), session(30.0, "198.51.100.7")
    site.second(*opening)
    for _ in range(29):
        site.second()
    site.second(greeting, answer)
    found = site.recent.rehearse(Admission(synproxy=(SMTP,)), site.directory, onset_s=100.0)
    assert found is not None
    assert found.seconds < 15
    assert found.healthy_hit == 0


def test_rehearsing_changes_nothing(site: Site) -> None:
    for second in range(1, 5):
        site.second(*session(second + 0.1, f"198.51.100.{second}"))
    before = site.table.counts(site.now_s * SECOND_NS)
    first = site.recent.rehearse(EVERYBODY, site.directory, onset_s=3.0)
    assert site.recent.rehearse(EVERYBODY, site.directory, onset_s=3.0) == first
    assert site.table.counts(site.now_s * SECOND_NS) == before


def test_half_to_the_whole_of_a_minute_is_kept() -> None:
    site = Site(seconds=10)
    lengths = []
    for second in range(1, 40):
        site.second(*session(second + 0.1, "198.51.100.7", port=40_000 + second))
        lengths.append(site.recent.seconds)
    assert lengths[:9] == [float(second) for second in range(1, 10)]
    assert all(5 <= length <= 10 for length in lengths[5:])


def test_a_flood_shortens_what_is_kept_and_does_not_lengthen_the_bytes() -> None:
    most = 20_000
    site = Site(most_bytes=most)
    for second in range(1, 30):
        site.second(*(tcp(second + number / 1000, "192.0.2.9", 1024 + number, SMTP.address, SMTP.port, "S") for number in range(200)))
        assert site.recent.bytes <= most + 200 * A_PACKET
    assert 3 <= site.recent.seconds <= 9


def test_a_second_that_is_more_than_there_is_room_for_leaves_no_hole_but_a_new_beginning() -> None:
    site = Site(most_bytes=5_000)
    site.second(*session(1.1, "198.51.100.7"))
    assert site.recent.seconds == 1.0
    crowd = [tcp(2.0 + number / 1000, "192.0.2.9", 1024 + number, SMTP.address, SMTP.port, "S") for number in range(500)]
    site.second(*crowd)
    assert site.recent.seconds == 0.0
    assert site.recent.rehearse(EVERYBODY, site.directory, onset_s=0.0) is None
    site.second(*session(3.1, "198.51.100.8"))
    assert site.recent.seconds == 1.0


def test_a_plan_against_a_flood_is_rehearsed_on_the_real_pipeline_and_judged_by_the_guards() -> None:
    settings = replay_settings(limit=4000)
    pipeline = Pipeline(settings, rehearses=True)
    for block in decoded([open_capture(str(FLOOD))], Decoder()):
        pipeline.feed(block)
    pipeline.finish()
    (incident,) = pipeline.incidents
    assert incident.mode is Mode.SYN_FLOOD
    assert pipeline.recent is not None
    services = pipeline.directory.services
    ladder = rungs(settings.detectors[incident.mode].ladder, settings.playbooks)
    draft = next_draft(incident, ladder, services=services, never_block=())
    assert draft is not None
    assert draft.admission is not None
    request = Request(
        now_s=0.0,
        draft=draft,
        incident=incident,
        services=services,
        settings=MitigationSettings(mode=OperatingMode.ENFORCE),
        rehearsal=pipeline.recent.rehearse(draft.admission, pipeline.directory, onset_s=incident.onset_s),
    )
    assert request.rehearsal is not None
    assert request.rehearsal.healthy_sessions > 100
    assert first_refusal(request) is None
    cruel = pipeline.recent.rehearse(EVERYBODY, pipeline.directory, onset_s=incident.onset_s)
    assert cruel is not None
    assert cruel.healthy_share == 1.0
    refusal = first_refusal(msgspec.structs.replace(request, rehearsal=cruel))
    assert refusal is not None
    assert refusal.guard is Guard.HEALTHY
