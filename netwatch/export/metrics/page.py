"""The page of all measurements for people, made from the table that rules what is written: it cannot say anything else."""

from netwatch.export.metrics.measurements import POINT_TYPES
from netwatch.export.metrics.schema import Column, FieldType, Measurement, measurement_of

HEAD = """\
# Metrics

What netwatch writes to InfluxDB and shows to Prometheus. Made by `python -m netwatch.export.metrics > docs/metrics.md` from the table in
`netwatch/export/metrics/measurements.py`; a test compares them.

* In InfluxDB a row has the measurement's name, its tags and its fields. In Prometheus, and in VictoriaMetrics however it gets them, each
  field is a series of its own, named by measurement and field: `netwatch_firewall_fill_ratio`.
* A field always has the type that stands here. Flags are 0 or 1. Texts exist only in InfluxDB; VictoriaMetrics keeps a 0 for each.
* `_per_s` is a rate of the window, `_total` counts since the start of netwatch: with a scrape every 15 seconds, take `rate(…_total[1m])`.
* A field with a star stands in every row. What has no value now is not written, and not 0: `time_to_full_s` of a table that does not fill.
* Times are those of the windows, not of the writing: a replay writes the time of its capture.
* No tag can be chosen by an attacker: source prefixes stand in texts of bounded length. What bounds each tag stands with it.

"""


def metrics_page() -> str:
    """All measurements, in Markdown."""
    return HEAD + "\n".join(_section(measurement_of(point_type)) for point_type in POINT_TYPES)


def _section(measurement: Measurement) -> str:
    tags = [f"| `{name}` | {tag.text} | {tag.bound} |" for name, tag in measurement.tags]
    fields = [_row(column) for column in measurement.columns]
    return "\n".join(
        [
            f"## {measurement.name}",
            "",
            measurement.text,
            "",
            "| tag | meaning | how many values |",
            "|---|---|---|",
            *tags,
            "",
            "| field | type | unit | meaning |",
            "|---|---|---|---|",
            *fields,
            "",
        ]
    )


def _row(column: Column) -> str:
    kind = {FieldType.INTEGER: "integer", FieldType.FLOAT: "float", FieldType.TEXT: "text"}[column.type]
    always = "" if column.optional else " *"
    return f"| `{column.name}`{always} | {kind}{', counter' if column.counter else ''} | {column.unit or '-'} | {column.text} |"
