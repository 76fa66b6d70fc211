"""What the sink does with each answer of a server; the server is a stub that really answers, since no real one says 401 at will."""

import asyncio
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netwatch.errors import ConfigError
from netwatch.export.influx.settings import InfluxDb1Settings, InfluxDbSettings
from netwatch.export.influx.sink import EVENTS_QUEUED, InfluxSink, spool_name
from netwatch.export.sink import SinkContext
from netwatch.export.sinks import build_sinks
from netwatch.model.event import StageReport
from tests.export.alerts.receivers import Answer, Receiver, certificate, serving
from tests.export.alerts.running import running, until
from tests.export.metrics import told

WRITTEN = Answer(status=204, body="")


def body_of(request: Any) -> bytes:
    body: bytes = request.body
    return gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body


class Site:
    """A sink and the stub it writes to."""

    def __init__(self, receiver: Receiver, state_dir: Path, **settings: Any) -> None:
        self.receiver = receiver
        chosen = InfluxDbSettings(url=receiver.url, org="noc", bucket="nw", **{"timeout_s": 5.0, **settings})
        self.sink = InfluxSink(chosen, "influxdb", SinkContext(site="dc1", firewall="edge-1", state_dir=state_dir))
        self.folder = state_dir / "spool" / spool_name(chosen)

    def tell(self, count: int = 1, *, first: int = 0, stage: str = "capture") -> None:
        for number in range(first, first + count):
            self.sink.offer(told.itself(StageReport(stage=stage, taken=number), time_s=told.START_S + number))

    @property
    def written(self) -> list[int]:
        """``taken_total`` of the stage, as the server got it, in that order."""
        lines = [line for request in self.receiver.taken for line in body_of(request).decode().splitlines()]
        return [int(line.partition("taken_total=")[2].partition("i")[0]) for line in lines if "stage=capture" in line]

    def report(self) -> StageReport:
        return self.sink.report()


def run_with(receiver: Receiver, state_dir: Path, play: Callable[[Site], Any], **settings: Any) -> Site:
    async def playing() -> Site:
        site = Site(receiver, state_dir, **settings)
        async with running(site.sink):
            await play(site)
        return site

    return asyncio.run(playing())


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(status=401, body='{"code":"unauthorized"}'),
        Answer(status=404, body='{"message":"bucket not found"}'),
        Answer(status=429, headers={"Retry-After": "1"}),
        Answer(status=500, body="no space left on device"),
        Answer(status=503),
        Answer(hang_up=True),
        Answer(after_s=1.5),
    ],
    ids=["401", "404", "429", "500-disk-full", "503", "hangs-up", "slow"],
)
def test_while_a_server_refuses_or_is_slow_nothing_is_lost_and_order_is_kept(tmp_path: Path, trouble: Answer) -> None:
    async def play(site: Site) -> None:
        site.tell(5)
        await until(lambda: not site.report().healthy)
        assert site.receiver.url in site.report().problem
        assert site.report().queued > 0
        site.tell(5, first=5)
        await until(lambda: site.report().queued == 0)

    with serving(Receiver(trouble, usual=WRITTEN)) as receiver:
        site = run_with(receiver, tmp_path, play, timeout_s=0.5)
    assert list(dict.fromkeys(site.written)) == list(range(10))
    assert (site.report().healthy, dict(site.report().dropped)) == (True, {})


class Slow(Receiver):
    """Needs a second for so many bytes, so that a whole batch never gets its answer in time."""

    bytes_per_s = 200_000

    def take(self, request: Any) -> None:
        self.usual = Answer(status=204, body="", after_s=int(request.headers["Content-Length"]) / self.bytes_per_s)
        super().take(request)


def test_a_server_too_slow_for_a_batch_gets_smaller_ones(tmp_path: Path) -> None:
    async def play(site: Site) -> None:
        site.tell(400)
        await until(lambda: site.report().queued == 0)

    with serving(Slow()) as receiver:
        site = run_with(receiver, tmp_path, play, timeout_s=0.5, gzip=False)
    assert list(dict.fromkeys(site.written)) == list(range(400))
    assert dict(site.report().dropped) == {}


def refused_lines(folder: Path) -> bytes:
    """What was set aside, with the servers' reasons, oldest first."""
    paths = (folder / "refused.old.txt", folder / "refused.txt")
    return b"".join(path.read_bytes() for path in paths if path.exists())


def test_a_server_that_asks_to_wait_is_left_alone_for_as_long(tmp_path: Path) -> None:
    async def play(site: Site) -> None:
        site.tell()
        await until(lambda: len(site.receiver.requests) == 1)
        await asyncio.sleep(1.5)
        assert len(site.receiver.requests) == 1
        await until(lambda: site.report().queued == 0)

    with serving(Receiver(Answer(status=429, headers={"Retry-After": "2"}), usual=WRITTEN)) as receiver:
        run_with(receiver, tmp_path, play)


class Picky(Receiver):
    """Refuses every request that holds a certain text with 400, as InfluxDB does with a field of another type."""

    def __init__(self, text: bytes) -> None:
        super().__init__(usual=WRITTEN)
        self._text = text

    def take(self, request: Any) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        bad = self._text in (gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body)
        self.usual = Answer(status=400, body='{"message":"partial write: field type conflict"}') if bad else WRITTEN
        connection, request.rfile = request.rfile, io.BytesIO(body)
        super().take(request)
        request.rfile = connection


def test_lines_that_a_server_will_never_take_are_set_aside_with_its_reason_and_do_not_block_the_others(tmp_path: Path) -> None:
    async def play(site: Site) -> None:
        site.tell(40)
        site.tell(1, first=40, stage="poison")
        site.tell(40, first=41)
        await until(lambda: site.report().queued == 0)

    with serving(Picky(b"stage=poison")) as receiver:
        site = run_with(receiver, tmp_path, play)
    assert sorted(set(site.written)) == [number for number in range(81) if number != 40]
    assert dict(site.report().dropped) == {"refused": 1}
    kept = refused_lines(site.folder).decode().splitlines()
    assert "field type conflict" in kept[0]
    assert "stage=poison" in kept[1]
    assert len(kept) == 2


def test_a_server_that_refuses_every_line_is_not_asked_for_each_of_thousands(tmp_path: Path) -> None:
    async def play(site: Site) -> None:
        site.tell(300)
        await until(lambda: site.report().queued == 0)

    with serving(Receiver(usual=Answer(status=400, body="no"))) as receiver:
        site = run_with(receiver, tmp_path, play)
    assert site.report().dropped["refused"] == 600
    assert len(receiver.requests) < 300
    assert refused_lines(site.folder).count(b"\n") > 600


def test_a_request_that_is_too_large_is_sent_in_parts(tmp_path: Path) -> None:
    async def play(site: Site) -> None:
        site.tell(20)
        await until(lambda: site.report().queued == 0)

    with serving(Receiver(Answer(status=413), Answer(status=413), usual=WRITTEN)) as receiver:
        site = run_with(receiver, tmp_path, play)
    assert sorted(set(site.written)) == list(range(20))
    assert dict(site.report().dropped) == {}


def test_what_could_not_be_sent_before_the_end_is_sent_after_the_next_start(tmp_path: Path) -> None:
    async def fail(site: Site) -> None:
        site.tell(10)
        await until(lambda: not site.report().healthy)

    async def heal(site: Site) -> None:
        site.tell(10, first=10)
        await until(lambda: site.report().queued == 0 and site.report().given >= 40)

    with serving(Receiver(usual=Answer(status=503))) as receiver:
        run_with(receiver, tmp_path, fail)
        receiver.usual = WRITTEN
        site = run_with(receiver, tmp_path, heal)
    assert site.written == list(range(20))


def test_a_server_that_was_away_gets_again_what_it_acknowledged_just_before(tmp_path: Path) -> None:
    async def play(site: Site) -> None:
        site.tell(5)
        await until(lambda: site.written == list(range(5)))
        site.receiver.script.extend([Answer(hang_up=True)])
        site.tell(5, first=5)
        await until(lambda: site.written.count(0) == 2 and site.report().queued == 0)

    with serving(Receiver(usual=WRITTEN)) as receiver:
        site = run_with(receiver, tmp_path, play)
    assert set(site.written) == set(range(10))


class Curt(Receiver):
    """Closes the connection after every answer, without a word."""

    def take(self, request: Any) -> None:
        super().take(request)
        request.close_connection = True


def test_a_server_that_closes_connections_without_a_word_does_not_get_the_same_lines_for_ever(tmp_path: Path) -> None:
    async def play(site: Site) -> None:
        for number in range(5):
            site.tell(first=number)
            await until(lambda wanted=number: wanted in site.written)  # type: ignore[misc]  # a default binds the number now
        await until(lambda: site.report().queued == 0)

    with serving(Curt(usual=WRITTEN)) as receiver:
        site = run_with(receiver, tmp_path, play)
    assert set(site.written) == set(range(5))
    assert len(site.written) <= 8


def test_a_server_that_says_that_it_closes_the_connection_is_not_thought_to_have_died(tmp_path: Path) -> None:
    async def play(site: Site) -> None:
        for number in range(4):
            site.tell(first=number)
            await until(lambda wanted=number: site.written[-1:] == [wanted])  # type: ignore[misc]  # a default binds the number now

    with serving(Receiver(usual=Answer(status=204, body="", headers={"Connection": "close"}))) as receiver:
        site = run_with(receiver, tmp_path, play)
    assert site.written == list(range(4))


def test_the_token_goes_to_the_server_and_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUX_TOKEN", "s3cret-token")

    async def play(site: Site) -> None:
        site.tell()
        await until(lambda: not site.report().healthy)
        assert "s3cret" not in site.report().problem + repr(vars(site.sink)) + repr(site.sink._server.__dict__)
        await until(lambda: site.report().queued == 0)

    with serving(Receiver(Answer(status=401, body="bad token"), usual=WRITTEN)) as receiver:
        run_with(receiver, tmp_path, play, token_env="INFLUX_TOKEN")
    assert receiver.requests[0].headers["Authorization"] == "Token s3cret-token"
    assert not any(b"s3cret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_version_1_gets_database_user_and_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pässword\n")
    with serving(Receiver(usual=WRITTEN)) as receiver:
        settings = InfluxDb1Settings(url=receiver.url, database="nw", user="writer", password_file=str(tmp_path / "password"), gzip=False)
        (sink,) = build_sinks([settings], SinkContext(site="dc1", firewall="edge-1", state_dir=tmp_path))

        async def play() -> None:
            async with running(sink):
                sink.offer(told.window())
                await until(lambda: sink.report().queued == 0 and sink.report().given > 0)

        asyncio.run(play())
    (request,) = receiver.requests
    assert request.path == "/write?db=nw&precision=ms"
    assert request.headers["Authorization"] == "Basic d3JpdGVyOnDDpHNzd29yZA=="
    assert request.body.startswith(b"netwatch_firewall,site=dc1,firewall=edge-1 entries=700i,")


def test_a_certificate_is_checked_unless_the_configuration_says_otherwise(tmp_path: Path) -> None:
    keys = certificate(tmp_path)

    async def refuses(site: Site) -> None:
        site.tell()
        await until(lambda: not site.report().healthy)
        assert "certificate" in site.report().problem.lower()

    async def works(site: Site) -> None:
        site.tell()
        await until(lambda: site.report().given > 0)

    with serving(Receiver(usual=WRITTEN), tls=keys) as receiver:
        run_with(receiver, tmp_path / "a", refuses)
        assert receiver.requests == []
        run_with(receiver, tmp_path / "b", works, ca_file=str(keys[1]))
        run_with(receiver, tmp_path / "c", works, verify_tls=False)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "influx.example.net:8086"}, "url must be like"),
        ({"url": "http://noc:pw@influx.example.net"}, "url holds a user"),
        ({"token_env": "NETWATCH_NO_SUCH_VARIABLE"}, "NETWATCH_NO_SUCH_VARIABLE"),
        ({"token_file": "/nonexistent/token"}, "/nonexistent/token"),
        ({"ca_file": "/nonexistent/ca.pem"}, "/nonexistent/ca.pem"),
    ],
)
def test_a_setting_that_cannot_work_is_said_before_anything_starts(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    chosen = InfluxDbSettings(**{"url": "http://127.0.0.1:1", "org": "noc", "bucket": "nw", **settings})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=says):
        build_sinks([chosen], SinkContext(site="dc1", firewall="edge-1", state_dir=tmp_path))


def test_a_queue_that_is_full_drops_and_counts_and_never_waits(tmp_path: Path) -> None:
    settings = InfluxDbSettings(url="http://127.0.0.1:1", org="noc", bucket="nw")
    sink = InfluxSink(settings, "influxdb", SinkContext(site="dc1", firewall="edge-1", state_dir=tmp_path))
    for number in range(EVENTS_QUEUED + 7):
        sink.offer(told.window(told.START_S + number))
    assert (sink.report().queued, dict(sink.report().dropped)) == (EVENTS_QUEUED, {"queue_full": 7})
