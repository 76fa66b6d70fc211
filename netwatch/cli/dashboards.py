"""``netwatch dashboards``: what Grafana needs to show netwatch, as files that it provisions itself from."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from netwatch.export.grafana.language import Language

EXTRA = ("grafana_foundation_sdk", "yaml")


class DatasourceKind(StrEnum):
    """The query language of the data source."""

    INFLUXQL = "influxql"
    PROMETHEUS = "prometheus"


URLS = {DatasourceKind.INFLUXQL: "http://127.0.0.1:8086", DatasourceKind.PROMETHEUS: "http://127.0.0.1:8428"}


def dashboards(
    output: Annotated[Path, typer.Option("--output", help="Folder to write; made if it is not there.", metavar="DIR")],
    datasource: Annotated[
        DatasourceKind, typer.Option("--datasource", help="influxql: InfluxDB. prometheus: Prometheus, VictoriaMetrics.")
    ],
    url: Annotated[
        str | None, typer.Option("--url", help="Of the database, as Grafana reaches it. Default: port 8086, or 8428, of this machine.")
    ] = None,
    database: Annotated[str, typer.Option("--database", help="Name of the database in InfluxDB.", metavar="NAME")] = "netwatch",
    user: Annotated[
        str | None,
        typer.Option("--user", help="The password comes from NETWATCH_DATASOURCE_PASSWORD in Grafana's environment.", metavar="NAME"),
    ] = None,
    interval_s: Annotated[
        int, typer.Option("--interval", min=1, help="Seconds between two points: 1, or the scrape interval of a Prometheus.", metavar="S")
    ] = 1,
    provisioning: Annotated[
        str, typer.Option("--provisioning", help="Where Grafana will see DIR.", metavar="DIR")
    ] = "/etc/grafana/provisioning",
) -> None:
    """Write Grafana's provisioning: data source, dashboards, alert rules (Grafana 10 or later).

    \b
    Example:
      netwatch dashboards --output /etc/grafana/provisioning --datasource influxql --url http://influx.example.net:8086
    """
    _need_the_extra()
    from netwatch.export.grafana.folder import Connection, write

    connection = Connection(url=url or URLS[datasource], database=database, user=user, interval_s=interval_s, provisioning=provisioning)
    for path in write(output, _language(datasource), connection):
        typer.echo(path)


def _language(datasource: DatasourceKind) -> "Language":
    from netwatch.export.grafana.influxql import InfluxQl
    from netwatch.export.grafana.promql import PromQl

    return InfluxQl() if datasource is DatasourceKind.INFLUXQL else PromQl()


def _need_the_extra() -> None:
    """Say what to install.

    Raises:
        UsageError: a library that only this command needs is not there.
    """
    from importlib.util import find_spec

    from netwatch.errors import UsageError

    absent = [name for name in EXTRA if find_spec(name) is None]
    if absent:
        raise UsageError(f"dashboards: {' and '.join(absent)} not installed; install it with: pip install 'netwatch[grafana]'")
