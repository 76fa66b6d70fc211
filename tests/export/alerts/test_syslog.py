"""Syslog over every transport, read by a parser of RFC 5424's own grammar and by rsyslog."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.errors import ConfigError
from netwatch.export.alerts.build import build_alert_sink
from netwatch.export.alerts.settings import SyslogSettings
from netwatch.export.alerts.syslog_message import render
from netwatch.export.sink import Sink
from netwatch.model.event import Event
from netwatch.model.incident import Severity
from tests.conftest import missing
from tests.export.alerts.receivers import certificate
from tests.export.alerts.running import running, until, until_quiet
from tests.export.alerts.story import ONSET_S, SMTP, applied, closed, context, incident, not_helped, opened, updated
from tests.export.alerts.syslog_parser import Parsed, parse

STORY: tuple[Event, ...] = (opened(), updated(severity=Severity.CRITICAL), applied(), not_helped(), closed())


def syslog(folder: Path, address: str, transport: str, **settings: Any) -> Sink:
    told = {"type": "syslog", "address": address, "transport": transport, **settings}
    return build_alert_sink(msgspec.convert(told, SyslogSettings), "syslog", context(folder))


async def told(sink: Sink, *events: Event) -> None:
    async with running(sink):
        for event in events:
            sink.offer(event)
        await until_quiet(sink)


def as_expected(messages: list[Parsed]) -> None:
    assert [message.kind for message in messages] == [event.type for event in STORY]
    assert [message.level for message in messages] == [4, 2, 5, 3, 5]  # warning, critical, notice, error, notice
    first = messages[0]
    assert (first.facility, first.app, first.element) == (20, "netwatch", "netwatch@32473")
    assert first.time.timestamp() == ONSET_S + 1
    assert first.fields["incident"] == incident().id
    assert first.fields["service"] == SMTP
    assert first.fields["source1"] == "37669 sources"
    assert first.text == f"syn-flood against {SMTP} since 15:00:21 UTC: 37,669 spoofed sources"
    assert messages[2].fields["playbook"] == "synproxy"


@pytest.mark.parametrize("family", ["unix", "udp"])
def test_datagrams_carry_one_message_each(tmp_path: Path, family: str) -> None:
    if family == "unix":
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = str(tmp_path / "log")
        receiver.bind(address)
    else:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{receiver.getsockname()[1]}"
    with receiver:
        receiver.settimeout(10)
        asyncio.run(told(syslog(tmp_path, address, family), *STORY))
        as_expected([parse(receiver.recv(65_536)) for _ in STORY])


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_streams_count_octets_and_survive_a_collector_that_restarts(tmp_path: Path, transport: str) -> None:
    tls, trusted = None, {}
    if transport == "tls":
        key, cert = certificate(tmp_path)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(cert, key)
        trusted = {"ca_file": str(cert)}
    messages: list[Parsed] = []

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for _ in range(2):  # then this collector closes
                octets = await reader.readuntil(b" ")
                messages.append(parse(await reader.readexactly(int(octets))))
        writer.close()

    async def one_by_one() -> None:
        async with await asyncio.start_server(collect, "127.0.0.1", 0, ssl=tls) as server:
            port = server.sockets[0].getsockname()[1]
            sink = syslog(tmp_path, f"127.0.0.1:{port}", transport, **trusted)
            async with running(sink):
                for number, event in enumerate(STORY, start=1):
                    sink.offer(event)
                    await until(lambda told=number: len(messages) == told)  # type: ignore[misc]  # bound at once
                    await asyncio.sleep(0.05)  # until the end of the connection has come

    asyncio.run(one_by_one())
    as_expected(messages)


def test_a_collector_that_is_away_gets_the_messages_when_it_is_back(tmp_path: Path) -> None:
    address = str(tmp_path / "log")

    async def away() -> None:
        sink = syslog(tmp_path, address, "unix")
        async with running(sink):
            for event in STORY:
                sink.offer(event)
            await until(lambda: "No such file" in sink.report().problem)
            receiver.bind(address)
            await until_quiet(sink)

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(10)
        asyncio.run(away())
        as_expected([parse(receiver.recv(65_536)) for _ in STORY])


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_rsyslog_reads_the_same(tmp_path: Path, transport: str) -> None:
    if shutil.which("rsyslogd") is None:
        missing("rsyslog, the other opinion on syslog, is not installed")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out, config = tmp_path / "out", tmp_path / "rsyslog.conf"
    template = "%msgid%\\t%syslogseverity%\\t%app-name%\\t%structured-data:::json%\\t%msg:::json%\\n"
    config.write_text(
        f'module(load="im{transport}")\n'
        f'template(name="told" type="string" string="{template}")\n'
        'ruleset(name="all") { action(type="omfile" file="' + str(out) + '" template="told") }\n'
        f'input(type="im{transport}" address="127.0.0.1" port="{port}" ruleset="all")\n'
    )
    daemon = subprocess.Popen(["rsyslogd", "-n", "-f", str(config), "-i", str(tmp_path / "pid")], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while f":{port} " not in subprocess.run(["ss", "-lntuH"], capture_output=True, text=True, check=True).stdout:
            assert time.monotonic() < deadline, "rsyslogd does not listen"
            time.sleep(0.05)
        asyncio.run(told(syslog(tmp_path, f"127.0.0.1:{port}", transport), *STORY))
        while not out.exists() or len(out.read_text().splitlines()) < len(STORY):
            assert time.monotonic() < deadline, "rsyslogd has not written everything"
            time.sleep(0.05)
    finally:
        daemon.terminate()
        daemon.wait(timeout=20)
    rows = [line.split("\t") for line in out.read_text().splitlines()]
    assert [(row[0], int(row[1]), row[2]) for row in rows] == [
        (event.type, level, "netwatch") for event, level in zip(STORY, [4, 2, 5, 3, 5], strict=True)
    ]
    assert f'incident=\\"{incident().id}\\"' in rows[0][3]
    assert f"syn-flood against {SMTP}".replace("/", "\\/") in rows[0][4] or f"syn-flood against {SMTP}" in rows[0][4]


@given(st.text(), st.text(), st.text(), st.integers(0, 23), st.integers(0, 7), st.floats(0, 4e9))
def test_any_text_is_read_back_by_the_grammar(value: str, text: str, host: str, facility: int, level: int, time_s: float) -> None:
    message = render(
        level=level,
        time_s=time_s,
        kind="incident.opened",
        fields={"site": value},
        text=text,
        facility=facility,
        enterprise=32473,
        hostname=host,
        process=1,
    )
    parsed = parse(message)
    assert (parsed.facility, parsed.level) == (facility, level)
    assert b"\n" not in message
    if value.isascii() and value.isprintable():
        assert parsed.fields["site"] == value[:512]
    if text.isascii() and text.isprintable():
        assert parsed.text == text[:1500]


@pytest.mark.parametrize("address", ["/dev/log", "host:port", ":514", "[::1]:70000"])
def test_an_address_that_is_none_is_said_before_anything_runs(tmp_path: Path, address: str) -> None:
    with pytest.raises(ConfigError, match="sink syslog: address"):
        syslog(tmp_path, address, "tcp")
