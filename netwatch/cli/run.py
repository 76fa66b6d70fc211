"""``netwatch run``: the daemon."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    config: Annotated[Path, typer.Option(help="What to watch, and what may be done: see `netwatch config example`.", metavar="F")],
    events: Annotated[Path | None, typer.Option(help="Append every event as a line of JSON.", metavar="F.jsonl")] = None,
) -> None:
    """Watch a live firewall, and end what harms it as far as [mitigate] allows; by default it only observes.

    SIGTERM and Ctrl-C undo what is in force and stop; SIGHUP reads the configuration again.

    \b
    Examples:
      netwatch run --config /etc/netwatch/netwatch.toml
      netwatch run --config netwatch.toml --events events.jsonl
    """
    import asyncio

    from netwatch.cli.progress import COMPILING, say
    from netwatch.daemon.daemon import Daemon
    from netwatch.jit import tell_of_compiling

    tell_of_compiling(lambda: say(COMPILING))
    asyncio.run(Daemon(config, events=events).run())
