"""A process that tells a sink events of one second each, one after the other: netwatch, as the sink sees it; to be killed, or to end well.

It prints the number of each event when that is offered, and in the end that all were sent and how much memory it ever held.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

import msgspec

from netwatch.export.influx.settings import InfluxDb1Settings, InfluxDbSettings
from netwatch.export.sink import SinkContext
from netwatch.export.sinks import build_sinks
from netwatch.model.event import SelfReported, StageReport

BASE_S = 1_764_000_000


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to do."""

    settings: InfluxDbSettings | InfluxDb1Settings
    state_dir: str
    first: int = 0
    last: int | None = None  # None: until it is killed
    exporters: int = 0  # each is a point more of an event
    pause_s: float = 0.01


async def tell(wanted: Telling) -> None:
    (sink,) = build_sinks([wanted.settings], SinkContext(site="dc1", firewall="edge-1", state_dir=Path(wanted.state_dir)))
    running = asyncio.create_task(sink.run())
    number = wanted.first
    while not running.done() and (wanted.last is None or number <= wanted.last):
        exporters = (StageReport(stage=f"exporter 192.0.2.{place}", taken=number, given=number) for place in range(wanted.exporters))
        stages = (StageReport(stage="capture", taken=number), *exporters)
        sink.offer(SelfReported(time_s=float(BASE_S + number), stages=stages, detection_delay_s=0.0))
        print(number, flush=True)
        number += 1
        await asyncio.sleep(wanted.pause_s)
    while not running.done() and sink.report().queued:
        await asyncio.sleep(0.05)
    dropped = sum(sink.report().dropped.values())
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    print(f"sent dropped={dropped} peak={peak_kib()}", flush=True)


def peak_kib() -> int:
    """The most memory that this process ever held (proc(5))."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    asyncio.run(tell(msgspec.json.decode(sys.argv[1], type=Telling)))
