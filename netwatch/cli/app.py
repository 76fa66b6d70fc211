"""The ``netwatch`` command: one typer application, its commands in files of their own.

Every command's module is light; what is heavy (numba, numpy, pandas) is imported inside the command when it runs: ``--help`` is quick. Only
the command that is run is imported and built, all of them where they are listed.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

import typer
from typer.core import TyperCommand

from netwatch import __version__
from netwatch.cli.text import TextCommand, TextGroup
from netwatch.errors import NetwatchError, UsageError

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads for matrices, of which there are none here, would spin at start
EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


class Command(NamedTuple):
    """A command: a function of a module beside this one that bears its name."""

    module: str
    short_help: str
    cls: type[TyperCommand] = TyperCommand


COMMANDS = {
    "replay": Command("replay", "From a capture to a diagnosed incident.", TextCommand),
    "flows": Command("flows", "Bidirectional flow records of a capture.", TextCommand),
    "run": Command("run", "Watch a live firewall: the daemon."),
    "drill": Command("drill", "An attack in namespaces, and what netwatch does about it."),
    "incidents": Command("incidents", "What happened here, out of the journal."),
    "approve": Command("control", "Let a proposed plan be applied."),
    "decline": Command("control", "Turn a proposed plan down."),
    "undo": Command("control", "Take a change back now."),
    "status": Command("control", "How the running netwatch does."),
    "doctor": Command("doctor", "What this machine and this configuration lack."),
    "dashboards": Command("dashboards", "Dashboards and alert rules for Grafana."),
}
GROUPS = ("rules", "config", "notify")
"""Each a typer application of its own, ``app`` of the module of that name."""


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"netwatch {__version__}")
        raise typer.Exit


def netwatch(
    version: bool = typer.Option(False, "--version", callback=_say_version, is_eager=True, help="Print the version and stop."),
) -> None:
    """Watches stateful firewalls and ends the harm that traffic and firewall state do to each other.

    Start with:  netwatch replay incident.pcap --report incident.html
    """


def command_line(words: Sequence[str]) -> typer.Typer:
    """The application for these words: with the command that they begin with, or, if they begin with none, with all."""
    app = typer.Typer(
        name="netwatch",
        cls=TextGroup,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(netwatch)
    known = (*COMMANDS, *GROUPS)
    for name in words[:1] if words and words[0] in known else known:
        command = COMMANDS.get(name)
        module = importlib.import_module(f"netwatch.cli.{command.module if command else name}")
        if command is None:
            app.add_typer(module.app, name=name)
        else:
            app.command(name, cls=command.cls, short_help=command.short_help)(getattr(module, name))
    return app


def main() -> None:
    """Run the command line; every expected error is one sentence on stderr and an exit code."""
    try:
        command_line(sys.argv[1:])()
    except UsageError as error:
        sys.stderr.write(f"netwatch: {error}\n")
        sys.exit(EXIT_USAGE)
    except NetwatchError as error:
        sys.stderr.write(f"netwatch: {error}\n")
        sys.exit(EXIT_ERROR)
    except BrokenPipeError:
        # The reader of our output went away (`| head`): no error of ours, but Python would complain once more while it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("netwatch: interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
