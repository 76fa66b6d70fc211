"""The terminal summary: the verdict first, then what it rests on, in 80 columns, with colours only where there is a terminal.

Nothing is parsed as markup and foreign text is shown printable, so a file name cannot colour or move anything. Lines that people copy (the
changes of a recommendation) are never wrapped.
"""

import sys
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from netwatch.export import figures, wording
from netwatch.export.verdict import cures, main_incident, verdict
from netwatch.model.incident import Incident, Recommendation, Severity
from netwatch.model.plan import WhatIfResult
from netwatch.model.replay import Replay

SHOWN_INCIDENTS = 8
"""Told in full; what follows is one line each."""

SHOWN_TIMELINE = 12
SHOWN_CAPTURES = 12
SHOWN_UNDO = 8
LONGEST_NAME = 24
NOTHING_DONE = "nothing done"

_SEVERITY_STYLE = {Severity.CRITICAL: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold cyan"}
_QUIET_STYLE = "bold green"


def print_summary(replay: Replay, stream: TextIO | None = None, *, width: int | None = None) -> None:
    """Print to standard output, or to another stream; no line ends in blanks, so that it can be piped and pasted."""
    target = stream or sys.stdout
    console = Console(file=target, width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as printed:
        _summary(console, replay)
    target.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))
    target.flush()


def _summary(console: Console, replay: Replay) -> None:
    _verdict(console, replay)
    if not replay.incidents:
        for line in wording.watched(replay):
            console.print(Padding(Text(line), (0, 0, 0, 2)))
    for index, incident in enumerate(replay.incidents[:SHOWN_INCIDENTS], 1):
        _incident(console, incident, index, len(replay.incidents))
    for incident in replay.incidents[SHOWN_INCIDENTS:]:
        console.print(Padding(Text(f"{incident.mode} {wording.subject(incident)}: {wording.course(incident)}"), (0, 0, 0, 2)))
    if replay.what_if:
        _what_if(console, replay)
    _heading(console, "Traffic", wording.when(replay))
    _rows(console, wording.traffic_rows(replay))
    _heading(console, "Firewall model")
    _rows(console, wording.firewall_rows(replay.firewall))
    _captures(console, replay)


def _verdict(console: Console, replay: Replay) -> None:
    main = main_incident(replay.incidents)
    console.print(Text(verdict(replay) + ".", style=_QUIET_STYLE if main is None else _SEVERITY_STYLE[main.severity]))


def _heading(console: Console, title: str, note: str = "") -> None:
    console.print()
    console.print(Text.assemble((title, "bold"), f"  {note}" if note else ""))


def _rows(console: Console, rows: list[tuple[str, str]], *, indent: int = 2) -> None:
    """Labels in one column, text that wraps in the other."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows:
        table.add_row(Text(label), Text(text))
    console.print(Padding(table, (0, 0, 0, indent)))


def _incident(console: Console, incident: Incident, index: int, total: int) -> None:
    console.print()
    title = f"Incident {index} of {total}" if total > 1 else "Incident"
    severity = (incident.severity.value, _SEVERITY_STYLE[incident.severity])
    console.print(
        Text.assemble((title, "bold"), "  ", (incident.mode.value, "bold"), " against ", wording.subject(incident), "  ", severity)
    )
    console.print(Padding(Text(wording.course(incident)), (0, 0, 0, 2)))
    if incident.consequences:
        console.print(Padding(Text(f"with it came {', '.join(incident.consequences)}"), (0, 0, 0, 2)))
    _part(console, "evidence", [(wording.EVIDENCE_KINDS[item.kind], figures.printable(item.text)) for item in incident.evidence])
    _part(console, "who", [wording.attributed(item) for item in incident.attribution])
    entries = [(figures.clock(entry.at_s), figures.printable(entry.text)) for entry in incident.timeline]
    if len(entries) > SHOWN_TIMELINE:
        left_out = len(entries) - SHOWN_TIMELINE
        entries = [*entries[: SHOWN_TIMELINE - 1], ("…", f"{left_out} more, in the JSON and the report"), entries[-1]]
    _part(console, "timeline, UTC", entries)
    if incident.recommendation is not None:
        _recommendation(console, incident.recommendation)


def _recommendation(console: Console, recommendation: Recommendation) -> None:
    playbook = (figures.printable(recommendation.playbook), "bold")
    console.print(Padding(Text.assemble(("what would end it: ", "dim"), playbook), (0, 0, 0, 2)))
    _lines_to_copy(console, recommendation.changes)
    if recommendation.undo:
        console.print(Padding(Text("it expires by itself; to undo it earlier", style="dim"), (0, 0, 0, 2)))
        if len(recommendation.undo) <= SHOWN_UNDO:
            _lines_to_copy(console, recommendation.undo)
        else:
            console.print(Padding(Text(f"{len(recommendation.undo)} commands, in the JSON and the report"), (0, 0, 0, 4)))


def _lines_to_copy(console: Console, texts: tuple[str, ...]) -> None:
    for text in texts:
        for line in text.splitlines():
            console.print(Text("    " + figures.printable(line)), soft_wrap=True)


def _part(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    if rows:
        console.print(Padding(Text(title, style="dim"), (0, 0, 0, 2)))
        _rows(console, rows, indent=4)


def _what_if(console: Console, replay: Replay) -> None:
    _heading(console, "What if", "the same packets through the same table, with one playbook in force")
    table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("playbook", overflow="fold", min_width=max(len(name) for name in _what_if_names(replay)))
    for title in ("applied", "peak", "full", "dropped", "hit", "incidents"):
        table.add_column(title, justify="right")
    firewall = replay.firewall
    pressure = _pressure(firewall.peak_entries, firewall.full_at_s, firewall.dropped_full)
    table.add_row(NOTHING_DONE, figures.THIN, *pressure, figures.THIN, str(len(replay.incidents)))
    good = {result.playbook for result in cures(replay)}
    for one in replay.what_if:
        table.add_row(*_what_if_row(one.result), style="green" if one.result.playbook in good else "")
    console.print(Padding(table, (0, 0, 0, 2)))
    console.print(Padding(Text("hit: healthy sessions that it refused or evicted", style="dim"), (0, 0, 0, 2)))


def _what_if_names(replay: Replay) -> list[str]:
    """A name longer than this wraps; the figures beside it never do."""
    return [NOTHING_DONE, *(figures.printable(one.result.playbook)[:LONGEST_NAME] for one in replay.what_if)]


def _what_if_row(result: WhatIfResult) -> tuple[str, ...]:
    playbook = figures.printable(result.playbook)
    if result.applied_at_s is None:
        return playbook, "never", *[figures.THIN] * 5
    pressure = _pressure(result.peak_entries, result.full_at_s, result.dropped_full)
    return playbook, figures.clock(result.applied_at_s), *pressure, figures.count(result.healthy_hit), figures.count(result.incidents)


def _pressure(peak_entries: int, full_at_s: float | None, dropped_full: int) -> tuple[str, str, str]:
    return figures.count(peak_entries), "never" if full_at_s is None else figures.clock(full_at_s), figures.count(dropped_full)


def _captures(console: Console, replay: Replay) -> None:
    _heading(console, "Captures" if len(replay.captures) > 1 else "Capture")
    shown = wording.captures_worth_showing(replay.captures, SHOWN_CAPTURES)
    for capture in shown:
        links = ", ".join(capture.link_types) or "no link type"
        problems = wording.capture_problems(capture)
        text = f"{figures.plural(capture.packets, 'packet')}, {links}" + (f"; {problems}" if problems else "")
        console.print(Padding(Text.assemble((figures.printable(capture.path), "dim"), "  ", text, overflow="fold"), (0, 0, 0, 2)))
    if left_out := len(replay.captures) - len(shown):
        console.print(Padding(Text(f"and {figures.plural(left_out, 'more file')} without a fault"), (0, 0, 0, 2)))
