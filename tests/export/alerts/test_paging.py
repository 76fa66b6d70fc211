"""Pages reach PagerDuty, Opsgenie and chat over whatever their receivers do: nothing lost, in order, nothing twice."""

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from netwatch.errors import ConfigError
from netwatch.export.alerts.build import build_alert_sink
from netwatch.export.alerts.settings import AppriseSettings, OpsgenieSettings, PagerDutySettings
from netwatch.export.sink import Sink
from netwatch.model.change import EventType
from netwatch.model.event import Event
from netwatch.model.incident import Severity
from tests.export.alerts.receivers import Answer, Receiver, certificate, serving
from tests.export.alerts.running import running, until, until_quiet
from tests.export.alerts.story import applied, closed, context, incident, induced, not_helped, opened, updated, verified

KEY = incident().id
SECRET = "r0uting-k3y-that-nobody-may-see"
STORY: tuple[Event, ...] = (
    opened(),
    updated(severity=Severity.CRITICAL),
    applied(),
    verified(),
    not_helped(at_s=20),
    closed(),
)
SCHEMAS = Path(__file__).parent / "schemas"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETWATCH_TEST_KEY", SECRET)


def pagerduty(receiver: Receiver, folder: Path, **settings: Any) -> Sink:
    told = {"type": "pagerduty", "url": receiver.url, "routing_key_env": "NETWATCH_TEST_KEY", **settings}
    return build_alert_sink(
        msgspec.convert(told, PagerDutySettings), "pagerduty", context(folder, report_url="https://n.example/{incident}")
    )


def opsgenie(receiver: Receiver, folder: Path, **settings: Any) -> Sink:
    told = {"type": "opsgenie", "url": receiver.url, "api_key_env": "NETWATCH_TEST_KEY", **settings}
    return build_alert_sink(msgspec.convert(told, OpsgenieSettings), "opsgenie", context(folder))


def actions(receiver: Receiver) -> list[tuple[str, str]]:
    """What PagerDuty took, and of which page: the key without the incident's."""
    return [(request.json["event_action"], request.json["dedup_key"].removeprefix(KEY)) for request in receiver.taken]


async def told(sink: Sink, *events: Event) -> None:
    async with running(sink):
        for event in events:
            sink.offer(event)
        await until_quiet(sink)


EXPECTED = [
    ("trigger", ""),
    ("trigger", ""),
    ("trigger", ""),
    ("acknowledge", ""),
    ("trigger", "-failed-synproxy"),
    ("resolve", ""),
    ("resolve", "-failed-synproxy"),
]


async def story_of_pagerduty(receiver: Receiver, folder: Path) -> Sink:
    sink = pagerduty(receiver, folder)
    await told(sink, *STORY)
    return sink


def test_pagerduty_is_triggered_acknowledged_and_resolved_under_one_key(tmp_path: Path) -> None:
    with serving(Receiver()) as receiver:
        sink = asyncio.run(story_of_pagerduty(receiver, tmp_path))
    assert actions(receiver) == EXPECTED
    schema = json.loads((SCHEMAS / "pagerduty.json").read_text())
    for request in receiver.requests:
        assert request.path == "/v2/enqueue"
        jsonschema.validate(request.json, schema, format_checker=jsonschema.FormatChecker())
    first = receiver.requests[0].json
    assert first["routing_key"] == SECRET
    assert first["payload"]["severity"] == "warning"
    assert first["payload"]["custom_details"]["evidence"] == ["5,000 SYN/s, normally 40"]
    assert first["links"] == [
        {"href": "https://wiki.example.net/modes/syn-flood.md", "text": "Runbook"},
        {"href": f"https://n.example/{KEY}", "text": "Report"},
    ]
    assert receiver.requests[1].json["payload"]["severity"] == "critical"
    assert sink.report().given == len(EXPECTED)
    assert sink.report().healthy


def test_opsgenie_gets_an_alert_notes_an_acknowledgement_and_its_end(tmp_path: Path) -> None:
    with serving(Receiver()) as receiver:
        asyncio.run(told(opsgenie(receiver, tmp_path, tags=["noc"]), *STORY))
    alias = f"/v2/alerts/{KEY}"
    failed = f"{alias}-failed-synproxy"
    by = "?identifierType=alias"
    assert [(request.method, request.path) for request in receiver.taken] == [
        ("POST", "/v2/alerts"),
        ("PUT", f"{alias}/priority{by}"),
        ("POST", f"{alias}/notes{by}"),
        ("POST", f"{alias}/notes{by}"),
        ("POST", f"{alias}/acknowledge{by}"),
        ("POST", "/v2/alerts"),
        ("POST", f"{alias}/close{by}"),
        ("POST", f"{failed}/close{by}"),
    ]
    schema = json.loads((SCHEMAS / "opsgenie.json").read_text())
    for request in receiver.requests:
        assert request.headers["Authorization"] == f"GenieKey {SECRET}"
        kind = request.path.partition("?")[0].removeprefix(alias).removeprefix("-failed-synproxy").lstrip("/")
        kind = "create" if request.path == "/v2/alerts" else kind
        jsonschema.validate(request.json, {**schema, "$ref": f"#/$defs/{kind}"})
    created, again = receiver.requests[0].json, receiver.requests[5].json
    assert (created["priority"], again["priority"]) == ("P3", "P1")
    assert created["tags"] == ["netwatch", "syn-flood", "site:dc1", "noc"]


@pytest.mark.parametrize("length", [100, 3000])
def test_what_is_too_long_for_a_receiver_is_cut_before_it_is_refused(tmp_path: Path, length: int) -> None:
    long_name = "f" * length
    event = opened(id=f"{long_name}-1", service=f"{long_name}:25/tcp", firewall=long_name)
    with serving(Receiver()) as pager, serving(Receiver()) as genie:
        asyncio.run(told(pagerduty(pager, tmp_path / "p"), event))
        asyncio.run(told(opsgenie(genie, tmp_path / "o"), event))
    jsonschema.validate(pager.requests[0].json, json.loads((SCHEMAS / "pagerduty.json").read_text()))
    jsonschema.validate(genie.requests[0].json, {**json.loads((SCHEMAS / "opsgenie.json").read_text()), "$ref": "#/$defs/create"})


@pytest.mark.parametrize(
    "trouble",
    [
        [Answer(500), Answer(503)],
        [Answer(429, {"Retry-After": "1"})],
        [Answer(hang_up=True)],
        [Answer(200), Answer(500)],
    ],
    ids=["5xx", "429", "hang-up", "200-and-500"],
)
def test_trouble_of_a_receiver_loses_and_reorders_nothing(tmp_path: Path, trouble: list[Answer]) -> None:
    refused_for_good = sum(answer.status == 200 for answer in trouble)  # PagerDuty's word is 202; another 2xx is somebody else's page
    with serving(Receiver(*trouble)) as receiver:
        asyncio.run(story_of_pagerduty(receiver, tmp_path))
    assert [taken for taken in actions(receiver) if taken] == ([("trigger", "")] * refused_for_good + EXPECTED[refused_for_good:])
    assert len(receiver.requests) == len(EXPECTED) + len(trouble) - refused_for_good


def test_a_slow_receiver_is_given_up_and_tried_again(tmp_path: Path) -> None:
    with serving(Receiver(Answer(after_s=2.0))) as receiver:
        sink = pagerduty(receiver, tmp_path, timeout_s=0.3)
        asyncio.run(told(sink, opened()))
    assert len(receiver.requests) == 2  # the same key twice: PagerDuty makes one page of it
    assert len({request.json["dedup_key"] for request in receiver.requests}) == 1


def test_a_receiver_that_is_away_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    with serving(Receiver()) as first:
        port = first.port
    receiver = Receiver()
    receiver.port = port

    async def away_and_back() -> None:
        sink = pagerduty(receiver, tmp_path)
        async with running(sink):
            for event in STORY:
                sink.offer(event)
            await until(lambda: "Connect" in sink.report().problem)
            assert not sink.report().healthy
            with serving(receiver, port=port):
                await until_quiet(sink)
            assert sink.report().healthy

    asyncio.run(away_and_back())
    assert actions(receiver) == EXPECTED


def test_what_was_not_delivered_before_a_restart_is_delivered_after_it(tmp_path: Path) -> None:
    with serving(Receiver(usual=Answer(500))) as broken:

        async def until_it_stops() -> None:
            sink = pagerduty(broken, tmp_path)
            async with running(sink):
                for event in STORY[:3]:
                    sink.offer(event)
                await until(lambda: len(broken.requests) > 0)

        asyncio.run(until_it_stops())
    with serving(Receiver()) as receiver:
        asyncio.run(told(pagerduty(receiver, tmp_path), opened(at_s=30), *STORY[3:]))
    assert actions(receiver) == EXPECTED


def test_a_wrong_key_is_said_without_the_key_and_holds_up_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = Answer(403, body=f'{{"message":"key {SECRET} is not known"}}')
    with serving(Receiver(echo)) as receiver:
        sink = pagerduty(receiver, tmp_path)

        async def refused() -> None:
            async with running(sink):
                sink.offer(opened())
                await until(lambda: bool(sink.report().dropped))
                assert sink.report().problem == 'pagerduty: 127.0.0.1 answered 403: {"message":"key … is not known"}'
                sink.offer(closed())
                await until_quiet(sink)

        asyncio.run(refused())
    assert actions(receiver) == [("resolve", "")]
    assert sink.report().dropped == {"HTTP 403": 1}
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET not in caplog.text + repr(sink.report()) + written


def test_a_receiver_whose_certificate_is_not_known_gets_nothing(tmp_path: Path) -> None:
    key, cert = certificate(tmp_path)
    receiver = Receiver()
    with serving(receiver, tls=(key, cert)):
        strict = pagerduty(receiver, tmp_path / "strict")

        async def refused() -> None:
            async with running(strict):
                strict.offer(opened())
                await until(lambda: "CERTIFICATE_VERIFY_FAILED" in strict.report().problem)

        asyncio.run(refused())
        assert receiver.requests == []
        asyncio.run(told(pagerduty(receiver, tmp_path / "trusting", ca_file=str(cert)), opened()))
    assert len(receiver.requests) == 1


def test_a_page_about_a_change_that_made_things_worse_links_to_its_own_runbook_page(tmp_path: Path) -> None:
    with serving(Receiver()) as receiver:
        asyncio.run(told(pagerduty(receiver, tmp_path), opened(), applied(), induced(EventType.INCIDENT_OPENED)))
    assert receiver.requests[-1].json["links"][0]["href"] == "https://wiki.example.net/modes/mitigation-induced.md"


def test_chat_is_told_through_apprise_and_each_address_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Receiver(usual=Answer(500))) as broken, serving(Receiver(usual=Answer(200))) as receiver:
        addresses = f"json://127.0.0.1:{broken.port}/{SECRET}\njson://127.0.0.1:{receiver.port}/room?token={SECRET}"
        monkeypatch.setenv("NETWATCH_TEST_CHAT", addresses)
        sink = build_alert_sink(AppriseSettings(urls_env="NETWATCH_TEST_CHAT"), "apprise", context(tmp_path))

        async def one_of_two() -> None:
            async with running(sink):
                for event in STORY:
                    sink.offer(event)
                await until(lambda: len(receiver.requests) == len(EXPECTED) and len(broken.requests) > 0)

        asyncio.run(one_of_two())
        assert "apprise address 1 (json)" in sink.report().problem
        assert SECRET not in sink.report().problem
    titles = [request.json["title"] for request in receiver.requests]
    assert titles[0].startswith("[netwatch] warning: dc1/edge-1: syn-flood against 203.0.113.25:25/tcp")
    assert titles[3].startswith("[netwatch] under control: critical")
    assert titles[-2].startswith("[netwatch] resolved: critical")
    assert "Runbook: https://wiki.example.net/modes/syn-flood.md" in receiver.requests[0].json["message"]


@pytest.mark.parametrize("addresses", ["slack://x/secret-token", "# nothing"])
def test_an_address_that_apprise_does_not_know_is_said_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: str
) -> None:
    monkeypatch.setenv("NETWATCH_TEST_CHAT", addresses)
    with pytest.raises(ConfigError, match="address") as refused:
        build_alert_sink(AppriseSettings(urls_env="NETWATCH_TEST_CHAT"), "apprise", context(tmp_path))
    assert "secret-token" not in str(refused.value)


def test_a_missing_key_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sink pagerduty: routing_key_env or routing_key_file is missing"):
        build_alert_sink(PagerDutySettings(), "pagerduty", context(tmp_path))
