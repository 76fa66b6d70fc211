"""Incidents out of the journal, for a terminal, a pipe or a script. Foreign text is shown printable and nothing is read as markup."""

import sys
from collections.abc import Sequence
from typing import TextIO

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from netwatch.export import figures, wording
from netwatch.model.change import Plan
from netwatch.model.history import IncidentHistory, PlanHistory
from netwatch.model.incident import Incident, Severity

SCHEMA_VERSION = 1
STYLES = {Severity.CRITICAL: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold cyan"}
PIPED_WIDTH = 200
"""Columns where no terminal says how many it has: a line an incident, whatever its id."""


class JsonList(msgspec.Struct, frozen=True, kw_only=True):
    """``incidents --json``: the newest first, each with its plans."""

    schema_version: int = SCHEMA_VERSION
    incidents: Sequence["JsonListed"]


class JsonListed(msgspec.Struct, frozen=True, kw_only=True):
    incident: Incident
    plans: Sequence[Plan]


class JsonHistory(msgspec.Struct, frozen=True, kw_only=True):
    """``incidents ID --json``."""

    schema_version: int = SCHEMA_VERSION
    history: IncidentHistory


Listed = tuple[Incident, Sequence[Plan]]


def write_list(listed: Sequence[Listed], *, as_json: bool, stream: TextIO | None = None) -> None:
    """The incidents, a row each."""
    out = stream or sys.stdout
    if as_json:
        _write_json(JsonList(incidents=[JsonListed(incident=incident, plans=plans) for incident, plans in listed]), out)
        return
    console = _console(out)
    if not listed:
        console.print("no incident yet")
        return
    table = Table(box=SIMPLE_HEAD if out.isatty() else None, pad_edge=False)
    for title in ("incident", "began, UTC", "lasted", "severity", "mode", "against", "what was done"):
        table.add_column(title, overflow="fold", no_wrap=title in ("incident", "mode"))
    for incident, plans in listed:
        table.add_row(
            Text(figures.printable(incident.id)),
            f"{figures.day(incident.onset_s)} {figures.clock(incident.onset_s)}",
            _lasted(incident),
            Text(incident.severity, style=STYLES[incident.severity]),
            Text(incident.mode),
            Text(wording.subject(incident)),
            Text(", ".join(f"{figures.printable(plan.change.playbook)} {plan.state}" for plan in plans) or "nothing"),
        )
    console.print(table)


def write_history(history: IncidentHistory, *, as_json: bool, stream: TextIO | None = None) -> None:
    """One incident with all that belongs to it."""
    out = stream or sys.stdout
    if as_json:
        _write_json(JsonHistory(history=history), out)
        return
    console, incident = _console(out), history.incident
    console.print(
        Text.assemble(
            (figures.printable(incident.id), "bold"),
            f"  {incident.mode} against {wording.subject(incident)}  ",
            (incident.severity, STYLES[incident.severity]),
        )
    )
    detected_s = figures.duration(max(0.0, incident.detected_s - incident.onset_s))
    began = f"{figures.day(incident.onset_s)} {figures.clock(incident.onset_s)} UTC"
    console.print(Padding(Text(f"began {began}, detected {detected_s} later, {_lasted(incident)}"), (0, 0, 0, 2)))
    if incident.consequences:
        console.print(Padding(Text(f"with it came {', '.join(incident.consequences)}"), (0, 0, 0, 2)))
    _rows(console, "evidence", [(wording.EVIDENCE_KINDS[item.kind], figures.printable(item.text)) for item in incident.evidence])
    _rows(console, "who", [wording.attributed(item) for item in incident.attribution])
    for one in history.plans:
        _plan(console, one)
    happened = []
    for one_event in history.happened:
        kind = "" if one_event.type == "incident" else f"{one_event.type}: "
        by = f" ({figures.printable(one_event.by)})" if one_event.by and one_event.by not in one_event.text else ""
        happened.append((figures.clock(one_event.at_s, decimals=1), f"{kind}{figures.printable(one_event.text)}{by}"))
    _rows(console, "timeline, UTC", happened)


def _plan(console: Console, history: PlanHistory) -> None:
    plan, made = history.plan, history.receipt
    rows = [("state", plan.state.value + (f": {figures.printable(plan.reason)}" if plan.reason else ""))]
    if made is not None:
        evicted = f", {figures.plural(made.evicted, 'entry', 'entries')} evicted" if made.evicted else ""
        rows.append(("in force", f"{figures.clock(made.applied_at_s)} to {figures.clock(made.expires_at_s)} UTC at the latest{evicted}"))
    if plan.rehearsal is not None:
        hit = f"{plan.rehearsal.healthy_hit:,} of {plan.rehearsal.healthy_sessions:,} healthy sessions"
        rows.append(("rehearsed", f"would hit {hit}"))
    _rows(console, f"plan {figures.printable(plan.id)}: {figures.printable(plan.change.playbook)}", rows)
    for line in plan.change.nft:
        console.print(Text(f"    {figures.printable(line)}"), soft_wrap=True)


def _rows(console: Console, title: str, rows: Sequence[tuple[str, str]]) -> None:
    if not rows:
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(Text(label, style="dim"), Text(text))
    console.print(Padding(Text(title, style="dim"), (0, 0, 0, 2)))
    console.print(Padding(table, (0, 0, 0, 4)))


def _lasted(incident: Incident) -> str:
    return "still on" if incident.ended_s is None else f"over after {figures.duration(max(0.0, incident.ended_s - incident.onset_s))}"


def _console(out: TextIO) -> Console:
    return Console(file=out, width=None if out.isatty() else PIPED_WIDTH, highlight=False, markup=False, emoji=False)


def _write_json(value: msgspec.Struct, out: TextIO) -> None:
    out.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
    out.flush()
