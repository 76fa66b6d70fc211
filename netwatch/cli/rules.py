"""``netwatch rules``: the detectors, playbooks and firewall profiles that netwatch works by."""

from typing import Annotated

import typer

app = typer.Typer(help="Look at the detectors, playbooks and firewall profiles.", no_args_is_help=True)


@app.command("list")
def list_rules() -> None:
    """List every rule with its summary.

    \b
    Example:
      netwatch rules list
    """
    from netwatch.rulebook import summaries

    for kind, rows in summaries().items():
        typer.echo(kind)
        width = max(len(name) for name, _ in rows)
        for name, summary in rows:
            typer.echo(f"  {name:<{width}}  {summary}")


@app.command()
def check() -> None:
    """Read every rule file and say what is wrong with it.

    \b
    Example:
      netwatch rules check
    """
    from netwatch.rulebook import summaries

    for kind, rows in summaries().items():
        typer.echo(f"{kind}: {len(rows)} right")


@app.command()
def explain(mode: Annotated[str, typer.Argument(help="The slug of a failure mode, such as syn-flood.", metavar="MODE")]) -> None:
    """Say how a failure mode is found and what is done about it: its thresholds and its ladder of playbooks.

    \b
    Example:
      netwatch rules explain syn-flood
    """
    from netwatch.rulebook import find

    typer.echo(find("detectors", mode).read_text(), nl=False)
