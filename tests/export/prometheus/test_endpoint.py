import asyncio
import contextlib
import gzip
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from netwatch.errors import ConfigError, SinkError
from netwatch.export.prometheus.endpoint import CONNECTIONS, host_and_port
from netwatch.export.prometheus.settings import PrometheusSettings
from netwatch.export.prometheus.sink import EVENTS_QUEUED, PrometheusSink
from netwatch.export.sink import SinkContext
from tests.export.alerts.running import running, until
from tests.export.metrics import told


def built(tmp_path: Path, listen: str = "127.0.0.1:0") -> PrometheusSink:
    return PrometheusSink(PrometheusSettings(listen=listen), "prometheus", SinkContext(site="dc1", firewall="edge-1", state_dir=tmp_path))


async def fetched(sink: PrometheusSink, path: str = "/metrics", *, host: str = "127.0.0.1", method: str = "GET", **headers: str) -> bytes:
    request = urllib.request.Request(f"http://{host}:{sink.port}{path}", headers=headers, method=method)

    def fetch() -> bytes:
        with urllib.request.urlopen(request, timeout=10) as answer:
            body: bytes = answer.read()
            return gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body

    return await asyncio.to_thread(fetch)


@pytest.mark.parametrize(("listen", "host"), [("127.0.0.1:0", "127.0.0.1"), ("[::1]:0", "[::1]")])
def test_a_scrape_gets_the_newest_figures(tmp_path: Path, listen: str, host: str) -> None:
    async def play() -> None:
        sink = built(tmp_path, listen)
        async with running(sink):
            sink.offer(told.window(of=told.firewall(entries=1)))
            sink.offer(told.window(of=told.firewall(entries=2)))
            await until(lambda: sink.report().given >= 2)
            text = (await fetched(sink, host=host)).decode()
            assert 'netwatch_firewall_entries{firewall="edge-1",site="dc1"} 2.0' in text.splitlines()
            assert await fetched(sink, host=host, **{"Accept-Encoding": "gzip"}) == text.encode()
            assert sink.report().healthy
        assert not sink.report().healthy

    asyncio.run(play())


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/metrics/../etc", "GET", 404), ("/metrics", "POST", 405)])
def test_nothing_else_is_answered(tmp_path: Path, path: str, method: str, status: int) -> None:
    async def play() -> None:
        sink = built(tmp_path)
        async with running(sink):
            await until(lambda: sink.port is not None)
            with pytest.raises(urllib.error.HTTPError) as refused:
                await fetched(sink, path, method=method)
            assert refused.value.code == status
            refused.value.close()

    asyncio.run(play())


def test_peers_that_say_nothing_hold_only_some_threads_and_not_for_ever(tmp_path: Path) -> None:
    async def play() -> None:
        sink = built(tmp_path)
        async with running(sink):
            await until(lambda: sink.port is not None)
            with contextlib.ExitStack() as silent:
                for _ in range(CONNECTIONS):
                    silent.enter_context(socket.create_connection(("127.0.0.1", sink.port or 0)))
                await asyncio.sleep(0.5)
                with pytest.raises((ConnectionError, urllib.error.URLError)):
                    await fetched(sink)
                answered: list[bytes] = []
                while not answered:
                    with contextlib.suppress(OSError):
                        answered.append(await fetched(sink))
                    await asyncio.sleep(0.2)

    asyncio.run(play())


def test_an_address_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        sink = built(tmp_path, f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(SinkError, match=r"cannot listen on 127\.0\.0\.1.*in use"):
            asyncio.run(sink.run())


@pytest.mark.parametrize("listen", ["9464", ":9464", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:70000", "::1:9464"])
def test_an_address_that_is_none_is_an_error_of_the_configuration(tmp_path: Path, listen: str) -> None:
    with pytest.raises(ConfigError, match="listen must be like"):
        built(tmp_path, listen)


def test_addresses_are_read_as_people_write_them() -> None:
    assert host_and_port("127.0.0.1:9464") == ("127.0.0.1", 9464)
    assert host_and_port("[::1]:9464") == ("::1", 9464)


def test_a_queue_that_is_full_drops_and_counts(tmp_path: Path) -> None:
    sink = built(tmp_path)
    for _ in range(EVENTS_QUEUED + 3):
        sink.offer(told.window())
    assert dict(sink.report().dropped) == {"queue_full": 3}
