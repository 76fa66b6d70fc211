"""``netwatch approve``, ``decline``, ``undo`` and ``status``: what people say to a running netwatch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netwatch.cli.site import ConfigFile, site_config

if TYPE_CHECKING:
    from netwatch.config import Config
    from netwatch.daemon.control import Reply, Wish

PlanId = Annotated[str, typer.Argument(help="The plan's id, as it was proposed; may be shortened.", metavar="ID")]


def approve(plan: PlanId, config: ConfigFile = None) -> None:
    """Let a proposed plan be applied (mode suggest).

    \b
    Example:
      netwatch approve edge-1-4.1
    """
    from netwatch.daemon.control import Wish

    settings = site_config(config)
    _say(_asked(settings, Wish.APPROVE, _whole_id(settings, plan)))


def decline(plan: PlanId, config: ConfigFile = None) -> None:
    """Turn a proposed plan down; it is not proposed again for its incident.

    \b
    Example:
      netwatch decline edge-1-4.1
    """
    from netwatch.daemon.control import Wish

    settings = site_config(config)
    _say(_asked(settings, Wish.DECLINE, _whole_id(settings, plan)))


def undo(
    plan: Annotated[str | None, typer.Argument(help="The plan's id; may be shortened.", metavar="ID")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Whatever is in netwatch's table.")] = False,
    config: ConfigFile = None,
) -> None:
    """Take a change back now. Works also while no netwatch runs; --all then removes netwatch's table with all that is in it.

    \b
    Examples:
      netwatch undo edge-1-4.1
      netwatch undo --all
    """
    from netwatch.daemon.control import Wish
    from netwatch.errors import NotRunningError, UsageError

    if (plan is None) is not everything:
        raise UsageError("undo: name a plan, or --all (and not both)")
    settings = site_config(config)
    plan_id = None if plan is None else _whole_id(settings, plan)
    try:
        reply = _asked(settings, Wish.UNDO, plan_id)
    except NotRunningError:
        from netwatch.daemon.ask import person
        from netwatch.daemon.undo_alone import undo_alone

        for sentence in undo_alone(settings, plan_id, by=person()):
            typer.echo(sentence)
        return
    _say(reply)


def status(
    config: ConfigFile = None,
    json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """Say how the running netwatch does: open incidents, plans that wait, what is in force, and its own parts.

    \b
    Example:
      netwatch status
    """
    import msgspec

    from netwatch.daemon.control import Wish

    reply = _asked(site_config(config), Wish.STATUS, None)
    if reply.status is None or not reply.ok:
        _say(reply)
        return
    if json:
        typer.echo(msgspec.json.format(msgspec.json.encode(reply.status), indent=2).decode())
        return
    found = reply.status
    typer.echo(reply.text)
    for incident in found.incidents:
        typer.echo(f"  incident  {incident.id}: {incident.mode} against {incident.service or found.firewall}, {incident.severity}")
    for plan in found.waiting:
        typer.echo(f"  waiting   {plan.id}: {plan.change.playbook}{f' ({plan.reason})' if plan.reason else ''}")
    for plan in found.in_force:
        typer.echo(f"  in force  {plan.id}: {plan.change.playbook}, {plan.state}")
    for stage in found.stages:
        if not stage.healthy:
            typer.echo(f"  trouble   {stage.stage}: {stage.problem}")
    for service in found.unseen:
        typer.echo(
            f"  unseen    {service.name}: no packet of {service.label} yet; is it there, and does its traffic pass what is captured?"
        )


def _asked(settings: "Config", wish: "Wish", plan_id: str | None) -> "Reply":
    from netwatch.daemon.ask import ask, person
    from netwatch.daemon.control import Request, control_path

    path = control_path(Path(settings.state_dir), settings.firewall.name)
    return ask(path, Request(wish=wish, plan_id=plan_id, by=person()))


def _say(reply: "Reply") -> None:
    from netwatch.errors import ControlError

    if not reply.ok:
        raise ControlError(reply.text)
    typer.echo(reply.text)


def _whole_id(settings: "Config", plan: str) -> str:
    """The plan that a shortened id means; what the journal does not know is left to netwatch itself to judge."""
    from netwatch.errors import StoreError, UsageError
    from netwatch.store.journal import Journal, journal_path

    try:
        with Journal.read(journal_path(Path(settings.state_dir), settings.firewall.name)) as journal:
            found = journal.open_plan_ids(plan)
    except StoreError:
        return plan
    if len(found) > 1:
        raise UsageError(f"{plan} begins the names of {len(found)} plans, such as {', '.join(found[:3])}: write more of it")
    return found[0] if found else plan
