"""``netwatch notify``: see whether alerts would arrive, before there is one."""

from pathlib import Path
from typing import Annotated

import typer

from netwatch.cli.site import SERVICE_CONFIG

app = typer.Typer(help="See whether alerts would arrive.", no_args_is_help=True)


@app.callback()
def notify() -> None:
    """See whether alerts would arrive."""


@app.command("test")
def send_test(
    config: Annotated[Path, typer.Option("--config", help="The TOML file.", metavar="F")] = SERVICE_CONFIG,
    sink: Annotated[str | None, typer.Option("--sink", help="Only sinks of this type, such as pagerduty.", metavar="TYPE")] = None,
) -> None:
    """Send one message that is marked as a test through each alerting sink, and say what came of it.

    \b
    Example:
      netwatch notify test --config /etc/netwatch/netwatch.toml --sink mail
    """
    import asyncio
    import time

    from netwatch.config import load_config
    from netwatch.errors import UsageError
    from netwatch.export.alerts.drill import send_tests
    from netwatch.export.alerts.settings import AlertSinkSettings
    from netwatch.export.sinks import sink_names, type_of

    settings = load_config(config)
    named = [
        (name, entry)
        for name, entry in zip(sink_names(settings.sink), settings.sink, strict=True)
        if isinstance(entry, AlertSinkSettings) and sink in (None, type_of(entry))
    ]
    if not named:
        raise UsageError(
            f"{config}: there is no alerting sink" + (f" of type '{sink}'" if sink else "") + "; docs/alerting.md has one of each"
        )
    outcomes = asyncio.run(send_tests(named, settings.sink_context, now_s=time.time()))
    for outcome in outcomes:
        typer.echo(f"{outcome.receiver}: failed: {outcome.problem}" if outcome.problem else f"{outcome.receiver}: ok")
    if any(outcome.problem for outcome in outcomes):
        raise typer.Exit(1)
