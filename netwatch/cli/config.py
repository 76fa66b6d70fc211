"""``netwatch config``: check a configuration file, or print one to start from."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Check a configuration file, or print an example.", no_args_is_help=True)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="The TOML file.", metavar="FILE")]) -> None:
    """Say whether a configuration is right, and what it would do.

    \b
    Example:
      netwatch config check /etc/netwatch.toml
    """
    from netwatch.config import load_config
    from netwatch.rulebook import firewall_profile

    config = load_config(file)
    profile = firewall_profile(config.firewall.profile)
    services = ", ".join(f"{service.name} ({service.label})" for service in config.services) or "learned from the traffic"
    typer.echo(f"{file}: right")
    typer.echo(f"  firewall     {config.firewall.name}: {profile.name}, at most {config.firewall.limit or profile.limit:,} entries")
    typer.echo(f"  services     {services}")
    typer.echo(f"  mitigation   {config.mitigate.mode}; never touches {', '.join(config.mitigate.never_block) or 'nothing in particular'}")


@app.command()
def example() -> None:
    """Print a configuration with every section explained.

    \b
    Example:
      netwatch config example > netwatch.toml
    """
    from netwatch.config import EXAMPLE

    typer.echo(EXAMPLE, nl=False)
