"""Which site a command is about: ``--config``, else the file where the service has it, else all defaults."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from netwatch.config import Config

SERVICE_CONFIG = Path("/etc/netwatch/netwatch.toml")

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", help=f"Of the running netwatch: its state_dir and firewall. Default: {SERVICE_CONFIG} if it is there.", metavar="F"
    ),
]


def site_config(file: Path | None) -> "Config":
    """Read it.

    Raises:
        ConfigError: it is wrong.
    """
    from netwatch.config import Config, load_config

    if file is None and not SERVICE_CONFIG.exists():
        return Config()
    return load_config(file or SERVICE_CONFIG)
