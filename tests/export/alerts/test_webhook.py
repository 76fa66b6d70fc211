"""Events reach a webhook signed, in order and complete, whatever it does."""

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netwatch.export.alerts.build import build_alert_sink
from netwatch.export.alerts.post import retry_after_s
from netwatch.export.alerts.settings import WebhookSettings
from netwatch.export.sink import Sink
from netwatch.model.event import ErrorTold, Event
from tests.conftest import missing
from tests.export.alerts.receivers import Answer, Receiver, serving
from tests.export.alerts.running import running, until_quiet
from tests.export.alerts.story import ONSET_S, applied, closed, context, opened, tick, updated, verified

SECRET = "a secret that both sides know"
STORY: tuple[Event, ...] = (opened(), updated(), applied(), verified(), closed())


def webhook(receiver: Receiver, folder: Path, **settings: Any) -> Sink:
    told = {"type": "webhook", "url": f"{receiver.url}/hook", **settings}
    return build_alert_sink(msgspec.convert(told, WebhookSettings), "webhook", context(folder))


async def told(sink: Sink, *events: Event) -> None:
    async with running(sink):
        for event in events:
            sink.offer(event)
        await until_quiet(sink)


def test_every_event_arrives_as_the_event_stream_tells_it(tmp_path: Path) -> None:
    with serving(Receiver(usual=Answer(204, body=""))) as receiver:
        asyncio.run(told(webhook(receiver, tmp_path), *STORY, tick(61), ErrorTold(time_s=ONSET_S + 62, part="capture", text="lost")))
    bodies = [request.json for request in receiver.requests]
    kinds = ["incident.opened", "incident.updated", "change.applied", "change.verified", "incident.closed", "error"]
    assert [body["type"] for body in bodies] == kinds
    assert bodies[0]["site"] == "dc1"
    assert bodies[0]["incident"]["service"] == "203.0.113.25:25/tcp"
    assert bodies[2]["plan"]["change"]["playbook"] == "synproxy"
    assert bodies[5] == {
        "time_s": ONSET_S + 62,
        "type": "error",
        "site": "dc1",
        "firewall": "edge-1",
        "part": "capture",
        "text": "lost",
        "over": False,
    }


def test_the_signature_is_what_openssl_says_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETWATCH_TEST_HOOK", SECRET)
    before_s = int(time.time())
    with serving(Receiver()) as receiver:
        asyncio.run(told(webhook(receiver, tmp_path, secret_env="NETWATCH_TEST_HOOK"), *STORY))
    for request in receiver.requests:
        stamp = request.headers["X-Netwatch-Timestamp"]
        assert before_s <= int(stamp) <= time.time()
        signed = stamp.encode() + b"." + request.body
        words = ["openssl", "dgst", "-sha256", "-hmac", SECRET, "-hex"]
        try:
            said = subprocess.run(words, input=signed, capture_output=True, check=True).stdout.decode()
        except FileNotFoundError:
            missing("openssl, the other opinion on the signature, is not installed")
        assert request.headers["X-Netwatch-Signature"] == f"sha256={said.split()[-1]}"


def test_what_is_sent_again_has_the_same_body_and_identifier(tmp_path: Path) -> None:
    with serving(Receiver(Answer(hang_up=True), Answer(429, {"Retry-After": "1"}))) as receiver:
        asyncio.run(told(webhook(receiver, tmp_path), *STORY))
    assert len(receiver.requests) == len(STORY) + 2
    assert len({(request.body, request.headers["X-Netwatch-Delivery"]) for request in receiver.requests[:3]}) == 1
    assert [request.json["type"] for request in receiver.taken] == [event.type for event in STORY]
    assert len({request.headers["X-Netwatch-Delivery"] for request in receiver.taken}) == len(STORY)


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with serving(Receiver()) as elsewhere, serving(Receiver(Answer(307, {"Location": elsewhere.url}))) as receiver:
        sink = webhook(receiver, tmp_path)
        asyncio.run(told(sink, opened()))
    assert elsewhere.requests == []
    assert sink.report().dropped == {"HTTP 307": 1}


def test_an_endless_answer_takes_neither_memory_nor_time(tmp_path: Path) -> None:
    with serving(Receiver(Answer(200, body="x" * 5_000_000))) as receiver:
        sink = webhook(receiver, tmp_path)
        asyncio.run(told(sink, opened(), closed()))
    assert sink.report().given == 2


def test_kinds_of_events_can_be_chosen(tmp_path: Path) -> None:
    with serving(Receiver()) as receiver:
        asyncio.run(told(webhook(receiver, tmp_path, events=["change"]), *STORY))
    assert [request.json["type"] for request in receiver.requests] == ["change.applied", "change.verified"]


def test_what_waits_is_bounded_and_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    sink = webhook(Receiver(), tmp_path)
    for number in range(1500):
        sink.offer(updated(at_s=number))
    assert sink.report().queued == 1000
    assert sink.report().dropped == {"queue full": 500}


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("7", 7.0),
        ("Thu, 07 Mar 2024 15:01:21 GMT", 60.0),
        ("Thu, 07 Mar 2024 14:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        (None, None),
    ],
)
def test_a_receiver_says_when_to_come_back_in_seconds_or_as_a_date(value: str | None, wait_s: float | None) -> None:
    assert retry_after_s(value, ONSET_S) == wait_s
