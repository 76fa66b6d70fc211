"""``netwatch incidents``: what happened here, out of the journal; netwatch need not run."""

from typing import Annotated

import typer

from netwatch.cli.site import ConfigFile, site_config


def incidents(
    incident: Annotated[str | None, typer.Argument(help="Show this one with its timeline; may be shortened.", metavar="ID")] = None,
    config: ConfigFile = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON; docs/operations.md says its shape.")] = False,
    limit: Annotated[int, typer.Option(help="Incidents at most, the newest first.", min=1, metavar="N")] = 50,
) -> None:
    """List incidents, the newest first, or show one: its evidence, what was planned and done about it, and who approved.

    \b
    Examples:
      netwatch incidents
      netwatch incidents edge-1-4
      netwatch incidents --json --limit 500 | jq '.incidents[].incident.mode'
    """
    from pathlib import Path

    from netwatch.errors import UsageError
    from netwatch.export.incident_list import write_history, write_list
    from netwatch.store.journal import Journal, journal_path

    settings = site_config(config)
    with Journal.read(journal_path(Path(settings.state_dir), settings.firewall.name)) as journal:
        if incident is None:
            write_list([(one, journal.plans(one.id)) for one in journal.incidents(most=limit)], as_json=json)
            return
        match journal.incident_ids(incident):
            case [one]:
                found = journal.history(one)
            case []:
                raise UsageError(f"there is no incident {incident}; `netwatch incidents` lists them")
            case several:
                raise UsageError(
                    f"{incident} begins the names of {len(several)} incidents, such as {', '.join(several[:3])}: write more of it"
                )
    if found is not None:
        write_history(found, as_json=json)
