"""``netwatch replay``: from a capture to a diagnosed incident."""

import importlib
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from netwatch.cli.kept import kept
from netwatch.cli.options import Captures, Inner

EXIT_INCIDENT = 3
IMPORT_AFTER_S = 0.1
"""By then all threads are at work; before, an import would be in their way."""


def _import(*modules: str) -> None:
    """What writes the result is needed last: it is imported while packets are read."""
    for module in modules:
        importlib.import_module(module)


def replay(
    captures: Captures,
    config: Annotated[Path | None, typer.Option(help="Take services, firewall and never_block from this file.", metavar="F")] = None,
    firewall: Annotated[
        str | None,
        typer.Option(help="How it keeps state: linux, panos, asa, srx, fortigate or your own TOML file.", metavar="PROFILE"),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Entries of its state table; default: the profile's.", metavar="N")] = None,
    strict: Annotated[
        bool | None,
        typer.Option("--strict/--loose", help="Must a TCP session begin with SYN? Default: the profile's.", show_default=False),
    ] = None,
    service: Annotated[
        list[str] | None,
        typer.Option(help="What to protect; repeatable; default: learned from the traffic.", metavar="ADDR:PORT/PROTO"),
    ] = None,
    inner: Inner = False,
    no_expiry: Annotated[bool, typer.Option("--no-expiry", help="Run the session table without time-outs.")] = False,
    what_if: Annotated[
        list[str] | None,
        typer.Option(help="Replay also with this playbook in force from when it would have been applied; repeatable.", metavar="PLAYBOOK"),
    ] = None,
    json: Annotated[str | None, typer.Option(help="Write the result as JSON; - is standard output.", metavar="F|-")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with charts that opens offline.", metavar="F.html")] = None,
    sink: Annotated[
        str | None,
        typer.Option(
            help="Write windows and incidents, with their own times, to this sink of --config: influxdb, influxdb1.", metavar="TYPE"
        ),
    ] = None,
    fail_on_incident: Annotated[bool, typer.Option("--fail-on-incident", help="Exit with 3 if there was an incident.")] = False,
) -> None:
    """Say what failed in the firewall's state: since when, for which service, caused by whom, and what would have ended it.

    \b
    Examples:
      netwatch replay incident.pcap
      netwatch replay day1.pcap.zst day2.pcap.zst --limit 262144 --what-if synproxy --report incident.html
      netwatch replay incident.pcap --config netwatch.toml --sink influxdb
      zcat incident.pcap.gz | netwatch replay - --service 203.0.113.25:25/tcp --json - | jq .incidents
    """
    with kept():
        from netwatch.reading import Reading, read_early

    early = read_early(captures, inner=inner)
    with early or nullcontext():
        with kept():
            from netwatch.cli.progress import say, shown
            from netwatch.collect import expand, open_captures
            from netwatch.config import load_config, replay_settings
            from netwatch.errors import UsageError
            from netwatch.replay import replay_reading

            settings = replay_settings(
                config=config,
                firewall=firewall,
                limit=limit,
                strict=strict,
                services=service or (),
                inner=inner,
                expiry=not no_expiry,
                what_if=what_if or (),
            )
        opened = early.captures if early else open_captures(expand(captures, on_skipped=say))
        past = None
        if sink is not None:
            from netwatch.export.sinks import build_past_writer

            if config is None:
                raise UsageError(f"--sink {sink}: say with --config where that sink is")
            file = load_config(config)
            past = build_past_writer(file.sink, sink, site=file.site, firewall=settings.firewall_name)
        writers = ["netaddr", *["netwatch.export.json_result"] * (json is not None), *["netwatch.export.summary"] * (json != "-")]
        imports = threading.Timer(IMPORT_AFTER_S, _import, writers)
        imports.start()
        try:
            with early or Reading(opened, inner=inner) as reading, shown(opened):
                result = replay_reading(reading, settings, command=["netwatch", *sys.argv[1:]], tell=past.tell if past else None)
                if past is not None:
                    past.finish()
        finally:
            imports.cancel()
    if past is not None:
        say(f"{past.points:,} points written to {sink} at {past.url}")

    with kept():
        if json is not None:
            from netwatch.export.json_result import write_json

            write_json(result, json)
        if report is not None:
            from netwatch.export.report import write_report

            write_report(result, report)
        if json != "-":
            from netwatch.export.summary import print_summary

            print_summary(result)
    if fail_on_incident and result.incidents:
        raise typer.Exit(EXIT_INCIDENT)
