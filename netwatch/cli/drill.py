"""``netwatch drill``: an attack on a firewall in namespaces of this machine, and what netwatch does about it."""

from typing import Annotated

import typer


def drill(
    scenario: Annotated[str | None, typer.Argument(help="What happens; without one they are listed.", metavar="SCENARIO")] = None,
    mitigate: Annotated[bool, typer.Option("--mitigate/--no-mitigate", help="Does netwatch run on the firewall and act?")] = True,
    json: Annotated[str | None, typer.Option(help="Write the result as JSON; - is standard output.", metavar="F|-")] = None,
) -> None:
    """Attack a real kernel firewall in network namespaces, with real clients and an independent canary, and say what it cost.

    Nothing leaves this machine, everything is removed afterwards. It needs root and takes about half a minute.

    \b
    Examples:
      netwatch drill
      netwatch drill syn-flood
      netwatch drill stuck-table --no-mitigate
      netwatch drill slow-leak --json - | jq .protection
    """
    from netwatch.cli.progress import COMPILING, say
    from netwatch.daemon.drill import account_of
    from netwatch.daemon.drill import drill as run_drill
    from netwatch.jit import tell_of_compiling
    from netwatch.lab.outcome import Moment
    from netwatch.lab.scenario import SCENARIOS
    from netwatch.lab.scenario import scenario as named

    if scenario is None:
        for one in SCENARIOS:
            typer.echo(f"{one.name:<16} {one.text}")
        return
    chosen = named(scenario)
    tell_of_compiling(lambda: say(COMPILING))
    say(f"drill {chosen.name}: builds client, firewall, server and attacker, and lasts about {chosen.total_s + 8:.0f} s")

    def tell(moment: Moment) -> None:
        say(f"{moment.at_s:+6.1f} s  {moment.text}")

    result = run_drill(chosen, protect=mitigate, tell=tell)
    if json is not None:
        import msgspec

        from netwatch.export.json_result import write_text

        write_text(msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n", json)
    if json != "-":
        typer.echo(account_of(result), nl=False)
