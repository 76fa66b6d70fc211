"""The report page: one file that opens offline, with everything in it and nothing fetched.

The template escapes every value by itself (jinja2's autoescape). Behind that stands the page's own content policy: no request of any kind,
and no script but the one whose hash the page names, so that even markup that slipped in could not run.
"""

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from netwatch.export import figures, wording
from netwatch.export.meanings import MEANINGS
from netwatch.export.report.axis import LAST_TICK, TimeAxis
from netwatch.export.report.charts import Chart, charts
from netwatch.export.report.heat import heat
from netwatch.export.report.marks import lanes, marks
from netwatch.export.report.origin import capture_row, command
from netwatch.export.report.tiles import tiles
from netwatch.export.verdict import cures, main_incident, verdict
from netwatch.model.incident import Incident
from netwatch.model.replay import Replay, WhatIf

SHOWN_INCIDENTS = 12
SHOWN_CAPTURES = 40
SHOWN_TIMELINE = 40
AROUND_INCIDENT_S = 10.0
LEAST_ZOOM_POINTS = 4
HINT = "Point at a chart to read its values. Drag to zoom in, double-click to zoom out."


def report_html(replay: Replay) -> str:
    """The whole page."""
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    return environment.get_template("page.html.j2").render(_context(replay))


def _resource(name: str) -> str:
    return files("netwatch.export.report").joinpath(name).read_text(encoding="utf-8")


def _context(replay: Replay) -> dict[str, Any]:
    script = _resource("page.js")
    main = main_incident(replay.incidents)
    shown_captures = wording.captures_worth_showing(replay.captures, SHOWN_CAPTURES)
    ordered = sorted(replay.incidents, key=lambda incident: (incident is not main, incident.onset_s))
    sentence = verdict(replay)
    return {
        "title": f"netwatch: {sentence}",
        "style": Markup(_resource("page.css")),
        "script": Markup(script),
        "script_hash": f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        "capture_names": _capture_names(replay),
        "when": wording.when(replay),
        "severity": main.severity.value if main else "quiet",
        "kicker": f"{main.severity} · {main.mode}" if main else "no incident",
        "verdict": sentence,
        "meaning": MEANINGS[main.mode] if main else "",
        "watched": [] if main else wording.watched(replay),
        "tiles": tiles(replay, main),
        "recommendation": _recommendation(main),
        "what_if": _what_if_rows(replay),
        "incidents": [_incident(incident) for incident in ordered[:SHOWN_INCIDENTS]],
        "incidents_left_out": max(0, len(ordered) - SHOWN_INCIDENTS),
        "traffic_rows": wording.traffic_rows(replay),
        "firewall_rows": wording.firewall_rows(replay.firewall),
        "command": command(replay.reproduce),
        "settings_rows": _settings_rows(replay),
        "captures": [capture_row(capture) for capture in shown_captures],
        "captures_left_out": len(replay.captures) - len(shown_captures),
        **_course(replay, main),
    }


def _course(replay: Replay, main: Incident | None) -> dict[str, Any]:
    """Everything about the charts; without a single window there are none."""
    if not replay.series:
        return {"charts": [], "lanes": [], "marks": [], "heat": None, "time_ticks_": [], "width": 1, "step": "", "hint": HINT, "data": ""}
    axis = TimeAxis.of(replay.series)
    drawn = charts(replay, axis)
    return {
        "charts": drawn,
        "lanes": lanes(replay, axis),
        "marks": marks(replay, axis),
        "heat": heat(replay.series, axis),
        "time_ticks_": axis.ticks(),
        "width": axis.width,
        "step": figures.duration(sorted(point.duration_s for point in replay.series)[len(replay.series) // 2]),
        "hint": HINT,
        "data": Markup(_data(replay, axis, drawn, main)),
    }


def _data(replay: Replay, axis: TimeAxis, drawn: list[Chart], main: Incident | None) -> str:
    """The numbers behind the charts, for the readout. ``<`` is escaped, so that no text in it can end the element it stands in."""
    series = replay.series
    end_s = axis.last_s if main is None or main.ended_s is None else main.ended_s
    onset_s = axis.first_s if main is None else main.onset_s
    numbers = {
        "first_s": axis.first_s,
        "last_s": axis.last_s,
        "units_per_s": axis.units_per_s,
        "last_tick": LAST_TICK * 100,
        "least_s": LEAST_ZOOM_POINTS * min(point.duration_s for point in series),
        "incident": [onset_s - AROUND_INCIDENT_S, end_s + AROUND_INCIDENT_S],
        "starts": [round(point.start_s - axis.first_s, 3) for point in series],
        "ends": [round(point.end_s - axis.first_s, 3) for point in series],
        "charts": {chart.id: [line.values for line in chart.lines] for chart in drawn},
    }
    return msgspec.json.encode(numbers).decode().replace("<", "\\u003c")


def _capture_names(replay: Replay) -> str:
    names = [figures.printable(capture.path.rsplit("/", 1)[-1]) for capture in replay.captures[:3]]
    more = f" and {len(replay.captures) - 3} more" if len(replay.captures) > 3 else ""
    return ", ".join(names) + more


@dataclass(frozen=True)
class WhatIfRow:
    playbook: str
    cells: tuple[str, ...]
    good: bool = False


def _what_if_rows(replay: Replay) -> list[WhatIfRow]:
    if not replay.what_if:
        return []
    firewall = replay.firewall
    pressure = _pressure(firewall.peak_entries, firewall.full_at_s, firewall.dropped_full)
    outcome = figures.plural(len(replay.incidents), "incident")
    good = {result.playbook for result in cures(replay)}
    return [
        WhatIfRow("nothing done", (outcome, *pressure, figures.THIN, figures.THIN)),
        *(_what_if_row(one, good=one.result.playbook in good) for one in replay.what_if),
    ]


def _what_if_row(one: WhatIf, *, good: bool) -> WhatIfRow:
    result = one.result
    playbook, outcome = figures.printable(result.playbook), wording.outcome(result)
    if result.applied_at_s is None:
        return WhatIfRow(playbook, (outcome, *[figures.THIN] * 5))
    pressure = _pressure(result.peak_entries, result.full_at_s, result.dropped_full)
    return WhatIfRow(playbook, (outcome, *pressure, figures.count(result.healthy_hit), figures.clock(result.applied_at_s)), good=good)


def _pressure(peak_entries: int, full_at_s: float | None, dropped_full: int) -> tuple[str, str, str]:
    return figures.count(peak_entries), "never" if full_at_s is None else figures.clock(full_at_s), figures.count(dropped_full)


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "title": f"{incident.mode} against {wording.subject(incident)}",
        "severity": incident.severity.value,
        "course": wording.course(incident),
        "consequences": ", ".join(incident.consequences),
        "meaning": MEANINGS[incident.mode],
        "evidence": [(wording.EVIDENCE_KINDS[item.kind], figures.printable(item.text)) for item in incident.evidence],
        "attribution": [(*wording.attributed(item), f"{min(1.0, max(0.0, item.share)) * 100:.1f}%") for item in incident.attribution],
        "timeline": [
            (figures.clock(entry.at_s), _since(entry.at_s - incident.onset_s), figures.printable(entry.text)) for entry in incident.timeline
        ],
        "recommendation": _recommendation(incident),
    }


def _timeline(incident: Incident) -> list[tuple[str, str, str]]:
    """Its beginning and its end; what lies between is in the JSON if it is very long."""
    rows = [
        (figures.clock(entry.at_s), _since(entry.at_s - incident.onset_s), figures.printable(entry.text)) for entry in incident.timeline
    ]
    if len(rows) <= SHOWN_TIMELINE:
        return rows
    half = SHOWN_TIMELINE // 2
    return [*rows[:half], ("…", "", f"{len(rows) - 2 * half} more, in the JSON"), *rows[-half:]]


def _recommendation(incident: Incident | None) -> dict[str, Any] | None:
    if incident is None or incident.recommendation is None:
        return None
    recommendation = incident.recommendation
    return {
        "playbook": figures.printable(recommendation.playbook),
        "changes": "\n".join(figures.printable_lines(text) for text in recommendation.changes),
        "undo": "\n".join(figures.printable_lines(text) for text in recommendation.undo),
    }


def _since(seconds: float) -> str:
    if abs(seconds) < 0.0005:
        return "onset"
    return f"{'+' if seconds >= 0 else '−'}{figures.duration(abs(seconds))}"


def _settings_rows(replay: Replay) -> list[tuple[str, str]]:
    rows = [("netwatch", replay.netwatch_version or figures.THIN)]
    return rows + [(figures.printable(name), figures.printable(value)) for name, value in replay.settings.items()]
