"""The ``netwatch`` command: one typer application, its commands in files of their own.

Every command's module is light; what is heavy (numba, numpy, pandas) is imported inside the command when it runs: ``--help`` is quick.
"""

import os
import sys

import typer

from netwatch import __version__
from netwatch.cli import config, control, dashboards, doctor, drill, flows, incidents, notify, replay, rules, run
from netwatch.cli.text import TextCommand, TextGroup
from netwatch.errors import NetwatchError, UsageError

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's threads for matrices, of which there are none here, would spin at start
EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

app = typer.Typer(
    name="netwatch",
    cls=TextGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"netwatch {__version__}")
        raise typer.Exit


@app.callback()
def netwatch(
    version: bool = typer.Option(False, "--version", callback=_say_version, is_eager=True, help="Print the version and stop."),
) -> None:
    """Watches stateful firewalls and ends the harm that traffic and firewall state do to each other.

    Start with:  netwatch replay incident.pcap --report incident.html
    """


app.command(cls=TextCommand, short_help="From a capture to a diagnosed incident.")(replay.replay)
app.command(cls=TextCommand, short_help="Bidirectional flow records of a capture.")(flows.flows)
app.command(short_help="Watch a live firewall: the daemon.")(run.run)
app.command(short_help="An attack in namespaces, and what netwatch does about it.")(drill.drill)
app.command(short_help="What happened here, out of the journal.")(incidents.incidents)
app.command(short_help="Let a proposed plan be applied.")(control.approve)
app.command(short_help="Turn a proposed plan down.")(control.decline)
app.command(short_help="Take a change back now.")(control.undo)
app.command(short_help="How the running netwatch does.")(control.status)
app.command(short_help="What this machine and this configuration lack.")(doctor.doctor)
app.command(short_help="Dashboards and alert rules for Grafana.")(dashboards.dashboards)
app.add_typer(rules.app, name="rules")
app.add_typer(config.app, name="config")
app.add_typer(notify.app, name="notify")


def main() -> None:
    """Run the command line; every expected error is one sentence on stderr and an exit code."""
    try:
        app()
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
