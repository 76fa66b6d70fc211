"""``netwatch flows``: bidirectional flow records of a capture."""

from enum import StrEnum
from typing import Annotated

import typer

from netwatch.cli.options import Captures, Inner


class FlowFormat(StrEnum):
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def flows(
    captures: Captures,
    format: Annotated[FlowFormat, typer.Option(help="json is one object a line.")] = FlowFormat.CSV,  # noqa: A002  (the option's name)
    output: Annotated[str, typer.Option(help="Where to write; - is standard output.", metavar="F")] = "-",
    inner: Inner = False,
) -> None:
    """Write bidirectional flows, one row each: both directions' counters, handshake times, how it ended.

    \b
    Example:
      netwatch flows incident.pcap --format parquet --output flows.parquet
    """
    from netwatch.cli.progress import say, shown
    from netwatch.collect import expand, open_captures
    from netwatch.export.flows import write_flows
    from netwatch.replay import flow_records

    opened = open_captures(expand(captures, on_skipped=say))
    with shown(opened):
        write_flows(flow_records(opened, inner=inner), output, format.value)
