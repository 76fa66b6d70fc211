"""All types of sink that a configuration can name, and the way from its settings to the running thing."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netwatch.errors import UsageError
from netwatch.export.alerts.settings import AlertSinkSettings
from netwatch.export.influx.settings import InfluxDb1Settings, InfluxDbSettings
from netwatch.export.prometheus.settings import PrometheusSettings
from netwatch.export.sink import Sink, SinkContext

if TYPE_CHECKING:
    from netwatch.export.influx.past import PastWriter

AnySinkSettings = InfluxDbSettings | InfluxDb1Settings | PrometheusSettings | AlertSinkSettings


def type_of(settings: AnySinkSettings) -> str:
    """``type`` of a ``[[sink]]``."""
    return str(type(settings).__struct_config__.tag)


def sink_names(settings: Sequence[AnySinkSettings]) -> list[str]:
    """A name for each: its type, numbered from the second of its type on."""
    seen: Counter[str] = Counter()
    names = []
    for entry in settings:
        kind = type_of(entry)
        seen[kind] += 1
        names.append(kind if seen[kind] == 1 else f"{kind}-{seen[kind]}")
    return names


def build_sinks(settings: Sequence[AnySinkSettings], context: SinkContext) -> list[Sink]:
    """Make every sink of a configuration; none is started.

    Raises:
        ConfigError: a secret is not there, or a value is wrong in a way that only the sink can tell.
    """
    return [build_sink(entry, name, context) for name, entry in zip(sink_names(settings), settings, strict=True)]


def build_past_writer(settings: Sequence[AnySinkSettings], wanted: str, *, site: str, firewall: str) -> "PastWriter":
    """What writes a replay to the sink of a configuration that is called so, by its type or name.

    Raises:
        UsageError: there is none, or it cannot take what is past.
        ConfigError: as ``build_sinks``.
        SinkError: nobody answers there.
    """
    from netwatch.export.influx.past import PastWriter

    named = dict(zip(sink_names(settings), settings, strict=True))
    if wanted not in named:
        there = f"it has {', '.join(named)}" if named else "it has no [[sink]] at all"
        raise UsageError(f"--sink {wanted}: the configuration has no such sink; {there}")
    chosen = named[wanted]
    if not isinstance(chosen, InfluxDbSettings | InfluxDb1Settings):
        raise UsageError(f"--sink {wanted}: takes only what happens now; a replay can be written to a sink of type influxdb or influxdb1")
    return PastWriter(chosen, wanted, site=site, firewall=firewall)


def build_sink(settings: AnySinkSettings, name: str, context: SinkContext) -> Sink:
    """Make one; what it needs is imported only now, since few configurations need all of it."""
    match settings:
        case InfluxDbSettings() | InfluxDb1Settings():
            from netwatch.export.influx.sink import InfluxSink

            return InfluxSink(settings, name, context)
        case PrometheusSettings():
            from netwatch.export.prometheus.sink import PrometheusSink

            return PrometheusSink(settings, name, context)
        case _:
            from netwatch.export.alerts.build import build_alert_sink

            return build_alert_sink(settings, name, context)
