"""Alerts as Grafana provisions them: a query, its newest value, and an expression over those, for each rule.

File format: https://grafana.com/docs/grafana/latest/alerting/set-up/provision-alerting-resources/file-provisioning/
"""

import json
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.builders.expr import TypeMath, TypeReduce
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from netwatch.export.grafana.alert import ALERTS, Alert
from netwatch.export.grafana.boards import BOARDS
from netwatch.export.grafana.language import ALERT_S, Language
from netwatch.export.grafana.place import places

FOLDER = "netwatch"
EVERY_S = 10
"""Grafana evaluates no rule more often, and only in multiples of it."""
EXPRESSIONS = "__expr__"
"""The data source of Grafana's own arithmetic."""

FIRES = "FIRES"


def rule_file(language: Language, *, datasource: str) -> dict[str, Any]:
    """``datasource``: uid of the data source that is asked."""
    rules = [_rule(alert, language, datasource) for alert in ALERTS]
    group = {"orgId": 1, "name": "netwatch", "folder": FOLDER, "interval": f"{EVERY_S}s", "rules": rules}
    return {"apiVersion": 1, "groups": [group]}


def _rule(alert: Alert, language: Language, datasource: str) -> dict[str, Any]:
    return {
        "uid": alert.uid,
        "title": alert.title,
        "condition": FIRES,
        "data": list(_data(alert, language, datasource)),
        "dashboardUid": alert.board,
        "panelId": panel_number(alert, language),
        "noDataState": alert.no_data,
        "execErrState": "Error",
        "for": f"{alert.for_s}s",
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.text,
            "__dashboardUid__": alert.board,
            "__panelId__": str(panel_number(alert, language)),
        },
        "isPaused": False,
    }


def _data(alert: Alert, language: Language, datasource: str) -> Iterator[dict[str, Any]]:
    own = DataSourceRef(type_val=EXPRESSIONS, uid=EXPRESSIONS)
    for number, condition in enumerate(alert.conditions):
        asked, newest = f"ASKED{number}", f"NEWEST{number}"
        yield _entry(asked, datasource, {**language.target(language.alert(condition.query)), "refId": asked})
        reduced = TypeReduce().ref_id(newest).datasource(own).expression(asked).reducer("last").build()
        yield _entry(newest, EXPRESSIONS, reduced)
    holds = " && ".join(f"${{NEWEST{number}}} {one.sign} {one.than:g}" for number, one in enumerate(alert.conditions))
    yield _entry(FIRES, EXPRESSIONS, TypeMath().ref_id(FIRES).datasource(own).expression(holds).build())


def _entry(ref: str, datasource: str, model: object) -> dict[str, Any]:
    plain = json.loads(JSONEncoder().encode(model))
    return {"refId": ref, "datasourceUid": datasource, "relativeTimeRange": {"from": ALERT_S, "to": 0}, "model": plain}


def panel_number(alert: Alert, language: Language) -> int:
    """Of the panel that shows what the alert is about."""
    board = next(board for board in BOARDS if board.uid == alert.board)
    contents = [content for content, _ in places(board, has_texts=language.has_texts)]
    return next(number for number, content in enumerate(contents, start=1) if getattr(content, "title", None) == alert.panel)
