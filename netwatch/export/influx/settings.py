"""``[[sink]]`` of types ``influxdb`` and ``influxdb1``: where the points go, and how much is kept while the server is away."""

from typing import Annotated

import msgspec

from netwatch.export.sink import SinkSettings

Positive = Annotated[float, msgspec.Meta(gt=0)]
Lines = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
SpoolBytes = Annotated[int, msgspec.Meta(ge=1 << 20)]


class InfluxSettings(SinkSettings, frozen=True, kw_only=True):
    """What both APIs have in common."""

    url: str  # "https://influx.example.net:8086", without the path of the API
    timeout_s: Positive = 10.0  # of one request
    batch: Lines = 5_000  # lines of one request at most
    gzip: bool = True
    verify_tls: bool = True
    ca_file: str | None = None  # of a private authority, in PEM
    spool_bytes: SpoolBytes = 1 << 30  # on disk, compressed; the oldest goes first
    settle_s: Annotated[float, msgspec.Meta(ge=0)] = 15.0  # an acknowledged point is kept as long: the server may hold it only in memory


class InfluxDbSettings(InfluxSettings, frozen=True, kw_only=True, tag="influxdb"):
    """The write API of InfluxDB 2.x and 3.x, VictoriaMetrics and others."""

    org: str
    bucket: str
    token_env: str | None = None
    token_file: str | None = None


class InfluxDb1Settings(InfluxSettings, frozen=True, kw_only=True, tag="influxdb1"):
    """The write API of InfluxDB 1.x."""

    database: str
    user: str | None = None
    password_env: str | None = None
    password_file: str | None = None
