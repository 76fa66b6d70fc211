"""The sink against real databases: what is there afterwards is counted in the database, not in the sink."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from netwatch.export.influx.settings import InfluxDb1Settings, InfluxDbSettings
from netwatch.export.metrics.measurements import POINT_TYPES
from netwatch.export.metrics.schema import FieldType, measurement_of
from netwatch.export.sink import Sink, SinkContext
from netwatch.export.sinks import build_sinks
from netwatch.kernel.namespace import entered
from netwatch.model.change import EventType
from netwatch.model.event import Event, StageReport
from netwatch.model.firewall_state import Counted
from netwatch.model.session import Census, PrefixEntries
from netwatch.model.window import PrefixShare
from tests.collect.namespaces import namespaces
from tests.export.alerts.running import running, until
from tests.export.metrics import told
from tests.export.servers import Influx1, VictoriaMetrics, started

pytestmark = pytest.mark.namespace


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    with namespaces("metrics") as (made,):
        yield made


def built(settings: InfluxDbSettings | InfluxDb1Settings, state_dir: Path) -> Sink:
    (sink,) = build_sinks([settings], SinkContext(site="dc1", firewall="edge-1", state_dir=state_dir))
    return sink


def victoria(**more: float) -> InfluxDbSettings:
    return InfluxDbSettings(url="http://127.0.0.1:8428", org="noc", bucket="nw", **{"timeout_s": 2.0, **more})  # type: ignore[arg-type]


def influx1() -> InfluxDb1Settings:
    return InfluxDb1Settings(url="http://127.0.0.1:8086", database="nw", timeout_s=2.0)


def everything() -> list[Event]:
    """Events that fill every field of every measurement but those of an end."""
    census = Census(told.START_S, 5, (5, 4, 3, 2, 1), 2, (PrefixEntries("10.0.0.0/24", 9, 1, 1),))
    state = told.poll(counters={"dropped_meter": Counted(6, 600)})
    service = told.service(syn=20, top_prefixes=(PrefixShare("10.0.0.0/24", 9, 0.5, 1.0),))
    capture = StageReport(stage="capture", taken=1, dropped={"ring": 1})
    plan = told.plan()
    return [
        told.window(of=told.firewall(time_to_full_s=3.0), services=(service,), state=state, canaries=(told.canary(),), census=census),
        told.opened(),
        told.happened(EventType.CHANGE_APPLIED, plan),
        told.itself(
            capture, StageReport(stage="exporter 192.0.2.7", taken=5), mitigations=(plan,), mitigation_ends_s={plan.id: told.START_S + 300}
        ),
        told.window(told.START_S + 1),
    ]


async def tell(sink: Sink, events: list[Event]) -> None:
    async with running(sink):
        for event in events:
            sink.offer(event)
        await until(lambda: sink.report().queued == 0)
    assert dict(sink.report().dropped) == {}


def test_influxdb_takes_every_field_with_its_type_and_gives_it_back(namespace: str, tmp_path: Path) -> None:
    server = Influx1(namespace, tmp_path / "influx")
    with started(server), entered(namespace):
        server.create("nw")
        asyncio.run(tell(built(influx1(), tmp_path), everything()))
        for point_type in POINT_TYPES:
            measurement = measurement_of(point_type)
            stored = dict(server.rows("nw", f"show field keys from {measurement.name}"))
            kinds = {FieldType.INTEGER: "integer", FieldType.FLOAT: "float", FieldType.TEXT: "string"}
            wanted = {column.name: kinds[column.type] for column in measurement.columns}
            assert {name: kind for name, kind in stored.items() if wanted.get(name) != kind} == {}
            assert {column.name for column in measurement.columns if not column.optional} <= set(stored)
        assert server.rows("nw", "select entries, fill_ratio from netwatch_firewall") == [
            [round(told.START_S * 1000), 700, 0.7],
            [round((told.START_S + 1) * 1000), 700, 0.7],
        ]
        assert server.rows("nw", "select top_prefixes from netwatch_service")[0][1] == "10.0.0.0/24 9"


def test_victoriametrics_takes_every_number_through_the_api_of_influxdb_2(namespace: str, tmp_path: Path) -> None:
    server = VictoriaMetrics(namespace, tmp_path / "vm")
    with started(server), entered(namespace):
        asyncio.run(tell(built(victoria(), tmp_path), everything()))
        server.get("/internal/force_flush")
        names = set(server.json("/api/v1/label/__name__/values", start="1", end="4000000000")["data"])
        for point_type in POINT_TYPES:
            measurement = measurement_of(point_type)
            wanted = {f"{measurement.name}_{column.name}" for column in measurement.columns if not column.optional}
            assert wanted <= names, measurement.name
        assert server.times("netwatch_firewall_fill_ratio") == [round((told.START_S + number) * 1000) for number in range(2)]
