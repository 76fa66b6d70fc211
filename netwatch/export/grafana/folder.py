"""The folder that Grafana provisions itself from: a data source, dashboards and what loads them, alert rules.

File formats: https://grafana.com/docs/grafana/latest/administration/provisioning/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from netwatch.errors import ReportError
from netwatch.export.grafana.boards import BOARDS
from netwatch.export.grafana.dashboard import dashboard_json
from netwatch.export.grafana.language import Language
from netwatch.export.grafana.rules import FOLDER, rule_file
from netwatch.export.grafana.target import DATASOURCE

HEAD = "# Written by `netwatch dashboards`; a change here is lost when that is run again.\n"


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Where Grafana finds the data, and where it will find the written folder."""

    url: str
    database: str = "netwatch"
    user: str | None = None
    interval_s: int = 1  # between two points of a series: 1 by a sink of netwatch, the scrape interval of a Prometheus
    provisioning: str = "/etc/grafana/provisioning"


def files(language: Language, connection: Connection) -> dict[str, str]:
    """All files by their path in the folder; the same for the same arguments, always."""
    boards = {f"dashboards/netwatch/{board.uid}.json": dashboard_json(board, language) for board in BOARDS}
    return {
        "datasources/netwatch.yaml": _yaml(_datasources(language, connection)),
        "dashboards/netwatch.yaml": _yaml(_provider(connection)),
        **boards,
        "alerting/netwatch.yaml": _yaml(rule_file(language, datasource=DATASOURCE)),
    }


def write(folder: Path, language: Language, connection: Connection) -> list[Path]:
    """Write all files below ``folder``, which is made if it is not there; what else lies in it stays.

    Raises:
        ReportError: it cannot be written.
    """
    written = []
    for name, text in files(language, connection).items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ReportError(f"{path}: {error.strerror}; choose an --output that can be written") from error
        written.append(path)
    return written


def _datasources(language: Language, connection: Connection) -> Mapping[str, Any]:
    own = language.connection(database=connection.database, user=connection.user, interval_s=connection.interval_s)
    source = {"name": DATASOURCE, "uid": DATASOURCE, "type": language.plugin, "access": "proxy", "url": connection.url, **own}
    return {"apiVersion": 1, "datasources": [source]}


def _provider(connection: Connection) -> Mapping[str, Any]:
    path = str(PurePosixPath(connection.provisioning) / "dashboards" / "netwatch")
    provider = {"name": "netwatch", "orgId": 1, "folder": FOLDER, "type": "file", "allowUiUpdates": False, "options": {"path": path}}
    return {"apiVersion": 1, "providers": [provider]}


def _yaml(content: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=140)
    return HEAD + text
