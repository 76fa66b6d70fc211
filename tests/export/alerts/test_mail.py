"""Mail through a real SMTP server: one thread a page, with TLS and login, over its refusals."""

import asyncio
import email
import email.policy
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from netwatch.export.alerts.build import build_alert_sink
from netwatch.export.alerts.settings import MailSettings
from netwatch.export.sink import Sink
from netwatch.model.event import Event
from netwatch.model.incident import Severity
from tests.export.alerts.receivers import certificate
from tests.export.alerts.running import running, until, until_quiet
from tests.export.alerts.story import applied, closed, context, opened, updated, verified

PASSWORD = "pass-w0rd-that-nobody-may-see"
STORY: tuple[Event, ...] = (opened(), applied(), verified(), closed())


class Mailbox:
    """Keeps what it takes; answers first what it was told to."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.encrypted: list[bool] = []

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 -- the name that aiosmtpd looks for
        if self.answers:
            return self.answers.pop(0)
        assert isinstance(envelope.content, bytes)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.envelopes.append(envelope)
        self.encrypted.append(session.ssl is not None)
        return "250 OK"


@contextmanager
def serving(mailbox: Mailbox, **settings: Any) -> Iterator[int]:
    with socket.socket() as probe:  # the controller cannot be given port 0
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(mailbox, hostname="127.0.0.1", port=port, **settings)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def mail(port: int, folder: Path, **settings: Any) -> Sink:
    told = {"type": "mail", "host": "127.0.0.1", "port": port, "from": "netwatch@example.net", "to": ["noc@example.net"], "tls": "off"}
    return build_alert_sink(msgspec.convert(told | settings, MailSettings), "mail", context(folder))


async def told(sink: Sink, *events: Event) -> None:
    async with running(sink):
        for event in events:
            sink.offer(event)
        await until_quiet(sink)


def test_all_mails_of_a_page_are_one_thread(tmp_path: Path) -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        asyncio.run(told(mail(port, tmp_path, to=["noc@example.net", "oncall@example.net"]), *STORY))
    first, *others = mailbox.mails
    assert first["Subject"].startswith("[netwatch] warning: dc1/edge-1: syn-flood against 203.0.113.25:25/tcp since 15:00:21 UTC")
    assert [one["Subject"].split(":")[0] for one in others] == ["[netwatch] update", "[netwatch] under control", "[netwatch] resolved"]
    assert {one["In-Reply-To"] for one in others} == {first["Message-ID"]}
    assert len({one["Message-ID"] for one in mailbox.mails}) == len(STORY)
    assert {one["Auto-Submitted"] for one in mailbox.mails} == {"auto-generated"}
    assert mailbox.envelopes[0].rcpt_tos == ["noc@example.net", "oncall@example.net"]
    text = first.get_content()
    assert "- 5,000 SYN/s, normally 40" in text
    assert "SYNs that no final ACK ever follows" in text
    assert "Runbook: https://wiki.example.net/modes/syn-flood.md" in text
    assert "- 15:00:24 synproxy is in force" in mailbox.mails[1].get_content()
    assert "Next: synproxy is in force; to take it back: netwatch undo" in mailbox.mails[2].get_content()
    assert "Next:" not in mailbox.mails[3].get_content()


def test_a_mail_says_what_is_new_first_and_nothing_twice(tmp_path: Path) -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        asyncio.run(told(mail(port, tmp_path), opened(), updated(severity=Severity.CRITICAL)))
    lines = mailbox.mails[1].get_content().splitlines()
    assert lines[:2] == ["now critical", ""]
    assert sum("37,669 spoofed sources" in line for line in lines) == 1


def test_a_server_that_wants_the_mail_later_gets_it_later(tmp_path: Path) -> None:
    mailbox = Mailbox("451 try again")
    with serving(mailbox) as port:
        sink = mail(port, tmp_path)
        asyncio.run(told(sink, *STORY))
    assert len(mailbox.mails) == len(STORY)
    assert sink.report().healthy


def test_a_mail_that_is_refused_for_good_holds_up_nothing(tmp_path: Path) -> None:
    mailbox = Mailbox("554 no such thing here")
    with serving(mailbox) as port:
        sink = mail(port, tmp_path)
        asyncio.run(told(sink, *STORY))
    assert len(mailbox.mails) == len(STORY) - 1
    assert sink.report().dropped == {"SMTP 554": 1}


@pytest.mark.parametrize("right", [True, False])
def test_login_and_content_go_over_tls_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, right: bool) -> None:
    monkeypatch.setenv("NETWATCH_TEST_MAIL", PASSWORD)
    key, cert = certificate(tmp_path)
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.load_cert_chain(cert, key)

    def known(_: SMTP, __: Session, ___: Envelope, ____: str, login: Any) -> AuthResult:
        return AuthResult(success=right and login.password == PASSWORD.encode(), handled=False)

    mailbox = Mailbox()
    with serving(mailbox, tls_context=server_tls, auth_required=True, require_starttls=True, authenticator=known) as port:
        settings = {"tls": "starttls", "ca_file": str(cert), "user": "netwatch", "password_env": "NETWATCH_TEST_MAIL"}
        sink = mail(port, tmp_path, **settings)
        asyncio.run(told(sink, opened()))
    assert mailbox.encrypted == ([True] if right else [])
    assert sink.report().dropped == ({} if right else {"SMTP 535": 1})
    assert PASSWORD not in repr(sink.report())


def test_a_server_without_tls_gets_nothing_unless_the_site_says_so(tmp_path: Path) -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        sink = mail(port, tmp_path, tls="starttls")
        asyncio.run(told(sink, opened()))
    assert mailbox.mails == []
    assert sink.report().dropped == {"not supported": 1}


def test_a_server_that_is_away_is_tried_again(tmp_path: Path) -> None:
    with serving(Mailbox()) as port:
        pass
    mailbox = Mailbox()

    async def away() -> None:
        sink = mail(port, tmp_path)
        async with running(sink):
            for event in STORY:
                sink.offer(event)
            await until(lambda: "refused" in sink.report().problem)
            controller = Controller(mailbox, hostname="127.0.0.1", port=port)
            controller.start()
            try:
                await until_quiet(sink)
            finally:
                controller.stop()

    asyncio.run(away())
    assert len(mailbox.mails) == len(STORY)


def test_lines_of_strangers_do_not_become_headers(tmp_path: Path) -> None:
    mailbox = Mailbox()
    with serving(mailbox) as port:
        asyncio.run(told(mail(port, tmp_path), opened(service="x\r\nBcc: everybody@example.org")))
    assert mailbox.mails[0]["Bcc"] is None
    assert len(mailbox.envelopes[0].rcpt_tos) == 1
