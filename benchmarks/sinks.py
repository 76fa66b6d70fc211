"""``python -m benchmarks.sinks``: points per second from events into VictoriaMetrics, through the sink with its spool on disk, and beside
it what somebody would write by hand: the same lines from the same events by f-strings, in batches over httpx, kept nowhere.

Both ways take turns in one run, on a server in a namespace of its own; the points are counted in the database afterwards.

``--cut S``: instead 200,000 points while the server is killed, refuses, dawdles, the network is cut for S seconds, the disk is full and
netwatch is killed; what is in the database then.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import httpx

from netwatch.export.influx.settings import InfluxDbSettings
from netwatch.export.influx.sink import EVENTS_QUEUED
from netwatch.export.sink import SinkContext
from netwatch.export.sinks import build_sinks
from netwatch.kernel.namespace import entered
from netwatch.model.event import SelfReported, StageReport
from tests.collect.namespaces import namespaces
from tests.export.influx.hardship import undergo
from tests.export.servers import VictoriaMetrics, started

EXPORTERS = 199
"""Points of one event, with that of netwatch itself 200."""

BATCH = 5_000
BEGIN_S = 1_764_000_000


def events_of(round_number: int, count: int) -> list[SelfReported]:
    stages = tuple(StageReport(stage=f"exporter 192.0.2.{number}", taken=number * 1_000, given=number * 999) for number in range(EXPORTERS))
    begin_s = BEGIN_S + round_number * count
    return [SelfReported(time_s=float(begin_s + number), stages=stages, detection_delay_s=0.1) for number in range(count)]


def through_the_sink(events: Sequence[SelfReported], *, gzip: bool) -> float:
    """Seconds until the server has acknowledged everything."""

    async def tell(state_dir: Path) -> float:
        settings = InfluxDbSettings(url="http://127.0.0.1:8428", org="noc", bucket="sink", gzip=gzip, batch=BATCH)
        (sink,) = build_sinks([settings], SinkContext(site="sink", firewall="edge-1", state_dir=state_dir))
        running = asyncio.create_task(sink.run())
        await asyncio.sleep(0.2)
        begin_s = time.perf_counter()
        for offered, event in enumerate(events):
            while offered - sink.report().taken // (EXPORTERS + 1) >= EVENTS_QUEUED - 10:
                await asyncio.sleep(0.002)
            sink.offer(event)
        while sink.report().queued:
            await asyncio.sleep(0.002)
        took_s = time.perf_counter() - begin_s
        assert not sink.report().dropped, sink.report()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        return took_s

    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        return asyncio.run(tell(Path(folder)))


def by_hand(events: Sequence[SelfReported], *, gzip: bool) -> float:
    """Seconds of the loop that one would write."""
    url = "http://127.0.0.1:8428/api/v2/write?org=noc&bucket=hand&precision=ms"
    lines: list[str] = []
    with httpx.Client() as client:

        def post() -> None:
            body = "\n".join(lines).encode()
            if gzip:
                compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
                body = compressor.compress(body) + compressor.flush()
            answer = client.post(url, content=body, headers={"Content-Encoding": "gzip"} if gzip else {})
            assert answer.status_code == 204
            lines.clear()

        begin_s = time.perf_counter()
        for event in events:
            time_ms = round(event.time_s * 1_000)
            lines.append(
                f"netwatch_self,site=hand,firewall=edge-1,stage=netwatch healthy=1i,detection_delay_s={event.detection_delay_s} {time_ms}"
            )
            lines += [
                f"netwatch_exporter,site=hand,firewall=edge-1,exporter={stage.stage[9:]} records_total={stage.taken}i,"
                f"decoded_total={stage.given}i,dropped_total={sum(stage.dropped.values())}i,healthy={stage.healthy:d}i {time_ms}"
                for stage in event.stages
            ]
            if len(lines) >= BATCH:
                post()
        if lines:
            post()
        return time.perf_counter() - begin_s


def through_everything(database: str, cut_s: float) -> None:
    """The events last a little longer than the troubles, of which all but the cut take 20 seconds."""
    events, points = 2_000, 100
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        account = undergo(Path(folder), database, events=events, points=points, pause_s=(20 + cut_s) / events, cut_s=cut_s)
    print("\n".join(account.troubles))
    beyond = set(account.lost) - set(account.excused)
    print(f"offered {account.offered * points:,} points in {account.took_s:.0f} s, in the database {account.stored_points:,}")
    print(f"lost: {len(account.lost)} events, of them {len(beyond)} from before the last second of the netwatch that was killed")
    print(f"first arrivals in order: {list(account.first_arrivals) == sorted(account.first_arrivals)}")
    print(f"memory: {account.base_kib >> 10} MiB when all was well, at most {account.peak_kib >> 10} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=3_000, help="of 200 points each")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cut", type=float, metavar="S", help="everything that can happen, with a network cut of so many seconds")
    parser.add_argument("--database", choices=("influxdb", "influxdb1"), default="influxdb", help="of --cut: VictoriaMetrics or InfluxDB 1")
    asked = parser.parse_args()
    if asked.cut is not None:
        through_everything(asked.database, asked.cut)
        return
    ways: dict[str, Callable[..., float]] = {"sink": through_the_sink, "by hand": by_hand}
    with namespaces("bench") as (namespace,), tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        server = VictoriaMetrics(namespace, Path(folder))
        with started(server), entered(namespace):
            print(f"{asked.events * (EXPORTERS + 1):,} points a round, {asked.rounds} rounds, load {os.getloadavg()[0]:.1f} at the start")
            print("| lines | sink, points/s | by hand, points/s | sink / by hand |\n|---|---|---|---|")
            for place, gzip in enumerate((False, True)):
                rates: dict[str, list[float]] = {name: [] for name in ways}
                for number in range(asked.rounds):
                    events = events_of(place * asked.rounds + number, asked.events)
                    for name, way in ways.items():
                        rates[name].append(len(events) * (EXPORTERS + 1) / way(events, gzip=gzip))
                sink, hand = (statistics.median(rates[name]) for name in ways)
                print(f"| {'gzip' if gzip else 'plain'} | {sink:,.0f} | {hand:,.0f} | {sink / hand:.2f} |")
            server.get("/internal/force_flush")
            for site in ("sink", "hand"):
                stored = len(server.times(f'netwatch_exporter_records_total{{site="{site}",exporter="192.0.2.7"}}'))
                print(f"in the database, {site}: {stored:,} of {2 * asked.rounds * asked.events:,} points of one series")


if __name__ == "__main__":
    main()
