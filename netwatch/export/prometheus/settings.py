"""``[[sink]]`` of type ``prometheus``: where it listens."""

from netwatch.export.sink import SinkSettings


class PrometheusSettings(SinkSettings, frozen=True, kw_only=True, tag="prometheus"):
    listen: str = "127.0.0.1:9464"  # a host and a port; the registered port of OpenTelemetry's Prometheus exporter
