"""A SYN flood in packets of which one in N is seen: told as soon as chance allows, and not told of what only looks like one."""

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest

from netwatch.collect import open_capture
from netwatch.config import replay_settings
from netwatch.decode import Decoder
from netwatch.detect.syn_flood import SynFlood, SynFloodSettings
from netwatch.model.incident import EvidenceKind, Incident, Mode, Severity
from netwatch.model.packet import PacketBlock
from netwatch.model.window import Normal, ServiceWindow, Window
from netwatch.pipeline import Pipeline
from netwatch.reading import decoded
from netwatch.table_view import ModelledTable, Seen
from netwatch.track.session_table import SessionTable
from tests.conftest import ROOT
from tests.detect.windows import LIMIT, LINUX, T0, evidence, fired_at, judged, service, window

ONE_IN = 1000
USUAL_PER_S = 2000.0
ACKS_PER_SYN = 4.0
FILLING_PER_S = LIMIT / 60.0
KNOWN: dict[str, Any] = {
    "normal_syn": Normal(USUAL_PER_S / ONE_IN, 1.2),
    "normal_acks": Normal(ACKS_PER_SYN * USUAL_PER_S / ONE_IN, 2.5),
    "normal_completed": Normal(0.0, 0.0),
}


class Sampler:
    """Draws what is seen of so many packets."""

    def __init__(self, seed: int) -> None:
        self._chance = np.random.default_rng(seed)

    def seen(self, per_s: float) -> int:
        return int(self._chance.poisson(per_s / ONE_IN))

    def second(
        self,
        at: int,
        *,
        syn: float = USUAL_PER_S,
        ack: float | None = None,
        synack: float | None = None,
        resets: float = 0.0,
        **differs: Any,
    ) -> Window:
        """One second of which everything is given per second as it was, not as it was seen."""
        asked = self.seen(syn)
        one = service(
            syn=asked, syn_retransmitted=0, synack=self.seen(syn if synack is None else synack), handshakes_completed=0,
            resets_out=self.seen(resets), acks_in=self.seen(ACKS_PER_SYN * USUAL_PER_S if ack is None else ack),
            new_attempts=asked, new_sessions=asked,
            distinct_sources=asked, known_sources_share=0.0, **(KNOWN | differs),
        )  # fmt: skip
        return msgspec.structs.replace(window(at, one), sampled_one_in=ONE_IN)


def detector() -> SynFlood:
    return SynFlood(SynFloodSettings(), LINUX)


def flood(sampler: Sampler, times: float, seconds: Iterable[int]) -> list[Window]:
    per_s = times * FILLING_PER_S
    return [sampler.second(at, syn=USUAL_PER_S + per_s, half_open=round(per_s * (at - 59))) for at in seconds]


@pytest.mark.parametrize(("times", "within_s"), [(5.0, 1), (2.0, 4), (1.0, 10)])
@pytest.mark.parametrize("seed", range(8))
def test_a_flood_is_told_as_soon_as_it_is_more_than_chance(seed: int, times: float, within_s: int) -> None:
    sampler = Sampler(seed)
    found = judged(detector(), [*(sampler.second(at) for at in range(60)), *flood(sampler, times, range(60, 75))])
    assert T0 + 60 < found[0].at_s <= T0 + 60 + within_s
    assert found[-1].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.STATE}


def test_evidence_is_of_the_whole_and_says_that_it_is_an_estimate() -> None:
    sampler = Sampler(1)
    found = judged(detector(), flood(sampler, 5.0, range(60, 62)))[-1]
    assert evidence(found)["syn_per_s"] == pytest.approx(USUAL_PER_S + 5 * FILLING_PER_S, rel=0.6)
    assert evidence(found)["syn_per_s"] % ONE_IN == 0
    assert "normally 2,000; one packet in 1,000 was seen" in found.evidence[0].text
    assert "completion_ratio" not in evidence(found)
    assert evidence(found)["acknowledged_ratio"] < 0.3


@pytest.mark.parametrize("seed", range(4))
def test_chance_alone_is_no_flood(seed: int) -> None:
    sampler = Sampler(100 + seed)
    assert judged(detector(), (sampler.second(at) for at in range(5000))) == []


@pytest.mark.parametrize(
    "twin",
    [
        {"syn": 20_000.0, "ack": 80_000.0},
        {"syn": 6_000.0, "ack": 24_000.0, "normal_acks": Normal(ACKS_PER_SYN * 1.2 * USUAL_PER_S / ONE_IN, 2.5)},
        {"syn": 6_000.0, "ack": 6_000.0, "normal_acks": Normal(USUAL_PER_S / ONE_IN, 1.5)},
        {"syn": 8_000.0, "synack": 0.0, "ack": 200.0},
        {"syn": 20_000.0, "synack": 0.0, "ack": 0.0, "resets": 20_000.0},
        {"syn": 20_000.0, "synack": 0.0, "ack": 40_000.0, "packets_out": 0},
    ],
    ids=["flash crowd", "normals are off", "one ACK each", "outage", "closed port", "one-way tap"],
)
def test_what_only_looks_like_a_flood_is_none(twin: dict[str, Any]) -> None:
    sampler = Sampler(7)
    assert judged(detector(), [*(sampler.second(at) for at in range(60)), *(sampler.second(at, **twin) for at in range(60, 90))]) == []


class KernelsWord(ModelledTable):
    """The table of a firewall that sees every packet, as a live one says it; packets are those that were sampled."""

    def __init__(self, pipeline: Pipeline, one_in: int) -> None:
        super().__init__(pipeline.settings.profile)
        self._pipeline, self._one_in = pipeline, one_in

    def look(self, sessions: SessionTable, end_ns: int) -> Seen:
        whole = super().look(self._pipeline.line.sessions, end_ns)
        return msgspec.structs.replace(whole, sampled_one_in=self._one_in)


def told_of(name: str, one_in: int) -> list[Incident]:
    """The incidents of a shipped capture of which a part of the packets is seen, and the firewall's own table as it is."""
    settings = replay_settings(limit=4000, services=["203.0.113.25:25/tcp"])
    whole, sampled = Pipeline(settings), Pipeline(settings)
    sampled.line.view = KernelsWord(whole, one_in)
    chance = np.random.default_rng(3)
    for block in decoded([open_capture(str(ROOT / "captures" / "syn-flood" / name))], Decoder()):
        chosen = block.packets[chance.random(len(block.packets)) * one_in < 1].copy()
        whole.feed(block)
        chosen["quoted"] = -1
        sampled.feed(PacketBlock(chosen, block.quoted[:0]))
    sampled.finish()
    return list(sampled.incidents)


def test_a_sampled_capture_of_a_flood_gives_the_incident_and_that_of_a_crowd_none() -> None:
    (incident,) = (one for one in told_of("attack.pcap.zst", 10) if one.mode is Mode.SYN_FLOOD)
    assert incident.severity is Severity.CRITICAL
    assert incident.service == "203.0.113.25:25/tcp"
    assert 1_750_000_029 <= incident.onset_s <= incident.detected_s <= 1_750_000_034
    assert incident.attribution[0].kind == "spoofed"
    assert [one for one in told_of("benign.pcap.zst", 10) if one.mode is Mode.SYN_FLOOD] == []


def test_without_sampling_nothing_is_estimated() -> None:
    one: ServiceWindow = service(syn=5000, synack=5000, acks_in=500, half_open=5000)
    found = judged(detector(), [window(at, one) for at in range(3)])
    assert fired_at(found) == [1, 2, 3]
    assert {"completion_ratio", "syn_per_s"} <= set(evidence(found[0]))
