"""The MSS that a service's own SYN-ACKs announce reaches the plan that puts a synproxy in front of it."""

import msgspec
import numpy as np
import pytest

from netwatch.config import replay_settings
from netwatch.mitigate.ladder import draft_of, rungs
from netwatch.model.packet import concatenate
from netwatch.model.plan import Admission
from netwatch.model.service import Service
from netwatch.pipeline import Pipeline
from netwatch.rulebook import all_playbooks
from netwatch.segment_sizes import COUNTED, FORGOTTEN_AT
from tests.builders import packet_block, tcp
from tests.mitigate.test_playbook import incident

SMTP = Service("smtp", "203.0.113.25", 25, "tcp")
HTTP = Service("http", "203.0.113.80", 80, "tcp")
CLIENT = "198.51.100.7"


def site(*services: Service) -> Pipeline:
    return Pipeline(msgspec.structs.replace(replay_settings(), services=services))


def answered(pipeline: Pipeline, *mss: int | None, service: Service = SMTP, at_s: float = 1.0) -> None:
    """Clients with an MSS of 1460 ask, and the service answers each with its own."""
    rows = []
    for number, announced in enumerate(mss):
        port = 40_000 + number
        rows.append(tcp(at_s, CLIENT, port, service.address, service.port, "S", seq=1, mss=1460))
        rows.append(tcp(at_s, service.address, service.port, CLIENT, port, "SA", seq=9, ack=2, mss=announced))
    pipeline.feed(packet_block(*rows))


def test_a_service_is_known_by_what_most_of_its_answers_say() -> None:
    pipeline = site(SMTP, HTTP)
    answered(pipeline, 1360, 1360, 1460, 1360)
    answered(pipeline, 8960, 8960, 8960, service=HTTP)
    assert [service.mss for service in pipeline.services] == [1360, 8960]


@pytest.mark.parametrize("mss", [(), (1460, 1460), (None,) * 5])
def test_nothing_is_believed_of_a_service_that_hardly_said_anything(mss: tuple[int | None, ...]) -> None:
    pipeline = site(SMTP)
    answered(pipeline, *mss)
    assert pipeline.services == (SMTP,)


def test_what_the_firewall_answers_for_the_service_teaches_nothing() -> None:
    pipeline = site(SMTP)
    answered(pipeline, *[1360] * 5)
    pipeline.admit(Admission(synproxy=(SMTP,)))
    answered(pipeline, *[1240] * 50, at_s=2.0)
    assert pipeline.services[0].mss == 1360
    pipeline.admit(Admission())
    answered(pipeline, *[1440] * 50, at_s=3.0)
    assert pipeline.services[0].mss == 1440


def test_a_server_that_was_replaced_is_believed_before_long() -> None:
    pipeline = site(SMTP)
    for number in range(10 * FORGOTTEN_AT // COUNTED):
        answered(pipeline, *[1460] * COUNTED, at_s=float(number))
    blocks = 0
    while pipeline.services[0].mss == 1460 and blocks < FORGOTTEN_AT:
        blocks += 1
        answered(pipeline, *[1360] * COUNTED, at_s=1000.0 + blocks)
    assert blocks <= FORGOTTEN_AT // COUNTED + 1


def test_many_kinds_of_answers_take_no_more_room() -> None:
    pipeline = site(SMTP)
    for number in range(40):
        answered(pipeline, *np.arange(500 + number, 500 + number + COUNTED).tolist(), at_s=float(number))
    assert pipeline.services[0].mss in range(500, 700)


def test_an_empty_block_teaches_nothing() -> None:
    pipeline = site(SMTP)
    pipeline.feed(concatenate([]))
    assert pipeline.services == (SMTP,)


def test_the_plan_names_the_tier_below_and_says_where_it_is_from() -> None:
    pipeline = site(SMTP)
    answered(pipeline, *[1395] * 5)
    found = incident(service=SMTP)
    rung = rungs(["synproxy"], all_playbooks())[0]
    draft = draft_of(rung, 0, found, services=pipeline.services, never_block=())
    assert draft is not None
    assert draft.nft[1] == "add element inet netwatch mss4 { 203.0.113.25 . 25 timeout 60s : jump mss_1380 }"
    assert draft.undo[1] == "delete element inet netwatch mss4 { 203.0.113.25 . 25 : jump mss_1380 }"
    assert draft.notes == ("clients are told an MSS of 1380, as the service's own SYN-ACKs told them",)

    unknown = draft_of(rung, 0, found, services=(SMTP,), never_block=())
    assert unknown is not None
    assert unknown.nft == draft.nft[:1]
    assert unknown.notes == ("no SYN-ACK of the service was seen, so clients are told a cautious MSS",)
