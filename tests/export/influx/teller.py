"""A process that tells a sink events of one second each, one after the other, until it is killed: netwatch, as the sink sees it.

Says on standard output, after each event, how many seconds ago it was offered; its reader counts lines.
"""

import asyncio
import sys
from pathlib import Path

from netwatch.export.influx.settings import InfluxDb1Settings, InfluxDbSettings
from netwatch.export.sink import SinkContext
from netwatch.export.sinks import build_sinks
from netwatch.model.event import SelfReported, StageReport

PAUSE_S = 0.01
BASE_S = 1_764_000_000


async def tell(state_dir: Path, kind: str, first: int) -> None:
    settings: InfluxDbSettings | InfluxDb1Settings
    if kind == "influxdb":
        settings = InfluxDbSettings(url="http://127.0.0.1:8428", org="noc", bucket="nw", timeout_s=2.0)
    else:
        settings = InfluxDb1Settings(url="http://127.0.0.1:8086", database="nw", timeout_s=2.0)
    (sink,) = build_sinks([settings], SinkContext(site="dc1", firewall="edge-1", state_dir=state_dir))
    running = asyncio.create_task(sink.run())
    number = first
    while not running.done():
        stage = StageReport(stage="capture", taken=number)
        sink.offer(SelfReported(time_s=float(BASE_S + number), stages=(stage,), detection_delay_s=0.0))
        print(number, flush=True)
        number += 1
        await asyncio.sleep(PAUSE_S)
    running.result()


if __name__ == "__main__":
    asyncio.run(tell(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
