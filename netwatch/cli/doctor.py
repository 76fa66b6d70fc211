"""``netwatch doctor``: what is missing, before it is needed."""

from typing import Annotated

import typer

from netwatch.cli.site import ConfigFile, site_config


def doctor(
    config: ConfigFile = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON; docs/operations.md says its shape.")] = False,
) -> None:
    """Try what netwatch needs of this machine, and say what is missing, why it matters and what to do.

    Kernel features are tried with real packets in network namespaces that are removed again. Exit code 1 if a check failed.

    \b
    Examples:
      sudo netwatch doctor --config /etc/netwatch/netwatch.toml
      netwatch doctor --json | jq '.checks[] | select(.outcome != "ok")'
    """
    import signal

    from netwatch.doctor.examination import examine
    from netwatch.doctor.report import write_report

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was made is removed
    checks = examine(site_config(config))
    write_report(checks, as_json=json)
    if any(check.outcome == "failed" for check in checks):
        raise typer.Exit(1)
