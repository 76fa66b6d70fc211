"""A drill with netwatch on the firewall: what it is configured with, and what it did, taken from its own events.

The lab knows nothing of netwatch but a command to start and the events that it leaves behind; the impact is measured by the lab's canary
and not by netwatch's own.
"""

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from netwatch.config import replay_settings
from netwatch.daemon.warm_up import warm_up
from netwatch.lab import plan
from netwatch.lab.account import account
from netwatch.lab.drill import run_drill
from netwatch.lab.outcome import Moment, Outcome
from netwatch.lab.plan import Role
from netwatch.lab.scenario import Scenario
from netwatch.lab.world import World

SETTLE_S = 3.0
"""netwatch starts in less; its normals begin to mean something some seconds after the clients have begun."""

BAD_MITIGATION = "bad-mitigation"
BAD_PLAYBOOK = """\
name = "stateless-mail"
summary = "A mistake: packets of the service pass without entries, and the firewall accepts only what has one"
hurts = "Everybody."
answers = ["syn-flood"]
needs = ["service", "tcp"]
life_s = 300
apply = ["nft add element inet netwatch notrack$family '{ $address . $protocol . $port timeout ${life_s}s }'"]
undo = ["nft delete element inet netwatch notrack$family '{ $address . $protocol . $port }'"]

[effect]
type = "unmodelled"
reason = "it is there to be undone"
"""
"""The first rung of that drill: it breaks every connection, and must be undone for the next rung to help."""

CONFIGURATION = """\
site = "drill"
state_dir = "{folder}/state"
{playbooks}
[firewall]
name = "edge"
driver = "nftables"
[[service]]
name = "smtp"
address = "{server}"
port = {port}
[service.canary]
namespace = "{client_namespace}"
source = "{source}"
interval_s = 0.5
timeout_s = 1.5
[[service]]
name = "datagrams"
address = "{server}"
port = {sink_port}
protocol = "udp"
[[capture]]
interface = "{outside}"
[mitigate]
mode = "enforce"
{ladder}
"""


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """What netwatch did. Times are seconds after the attack began, None if it did not come to that."""

    detected_at_s: float | None = None
    mode: str = ""  # of the first incident that was critical
    first_change_at_s: float | None = None
    verified_at_s: float | None = None
    undone: tuple[str, ...] = ()  # playbooks that did not help, or made it worse
    critical_incidents: int = 0
    changes: int = 0
    events: tuple[Moment, ...] = ()


class Drill(msgspec.Struct, frozen=True, kw_only=True):
    """The result: what the lab measured, and what netwatch says that it did."""

    outcome: Outcome
    protection: Protection | None = None


def drill(scenario: Scenario, *, protect: bool = True, tell: Callable[[Moment], None] = lambda moment: None) -> Drill:
    """Run a scenario.

    Args:
        scenario: what happens.
        protect: netwatch runs on the firewall, and may change it.
        tell: is told what happens while it happens.

    Raises:
        DrillError: the world cannot be made, or a part of it failed.
    """
    if not protect:
        return Drill(outcome=run_drill(scenario, tell=tell))
    warm_up(replay_settings())  # where kernels have to be compiled, this is not the drill's time
    with tempfile.TemporaryDirectory(prefix="netwatch-drill-") as name:
        folder = Path(name)

        def command(world: World) -> tuple[str, ...]:
            configuration = folder / "netwatch.toml"
            configuration.write_text(_configuration(scenario, folder, world))
            return (sys.executable, "-m", "netwatch", "run", "--config", str(configuration), "--events", str(folder / "events.jsonl"))

        outcome = run_drill(scenario, protect=command, settle_s=SETTLE_S, tell=tell)
        events = [msgspec.json.decode(line) for line in (folder / "events.jsonl").read_bytes().splitlines()]
    return Drill(outcome=outcome, protection=protection(events, outcome.attack_at_s, outcome.attack_at_s + outcome.seconds[-1].at_s + 1))


def _configuration(scenario: Scenario, folder: Path, world: World) -> str:
    bad = scenario.name == BAD_MITIGATION
    if bad:
        (folder / "playbooks").mkdir(exist_ok=True)
        (folder / "playbooks" / "stateless-mail.toml").write_text(BAD_PLAYBOOK)
    return CONFIGURATION.format(
        folder=folder,
        server=plan.SERVER,
        port=plan.SERVICE_PORT,
        sink_port=plan.SINK_PORT,
        client_namespace=world.namespace(Role.CLIENT),
        source=plan.CLIENTS[-1],
        outside=plan.OUTSIDE,
        playbooks=f'playbooks = "{folder}/playbooks"' if bad else "",
        ladder='[ladder]\nsyn-flood = ["stateless-mail", "synproxy+clear-half-open"]' if bad else "",
    )


def protection(events: list[dict[str, Any]], attack_at_s: float, end_s: float) -> Protection:
    """What netwatch's events of a drill say; those from the drill's end on are of its being stopped."""
    told = [event for event in events if event["type"] not in ("window", "finding") and event["time_s"] < end_s]
    critical: dict[str, float] = {}
    mode = ""
    for event in told:
        if event["type"].startswith("incident.") and event.get("incident", {}).get("severity") == "critical":
            mode = mode or event["incident"]["mode"]
            critical.setdefault(event["incident"]["id"], event["time_s"])
    applied = [event["time_s"] for event in told if event["type"] == "change.applied"]
    verified = [event["time_s"] for event in told if event["type"] == "change.verified"]
    undone = tuple(event["plan"]["change"]["playbook"] for event in told if event["type"] == "change.undone")
    return Protection(
        detected_at_s=_after(critical.values(), attack_at_s),
        mode=mode,
        first_change_at_s=_after(applied, attack_at_s),
        verified_at_s=_after(verified, attack_at_s),
        undone=undone,
        critical_incidents=len(critical),
        changes=len(applied),
        events=tuple(Moment(round(event["time_s"] - attack_at_s, 3), text) for event in told for text in _sentence(event)),
    )


def _after(times_s: Iterable[float], attack_at_s: float) -> float | None:
    first = min(times_s, default=None)
    return None if first is None else round(first - attack_at_s, 3)


def _sentence(event: dict[str, Any]) -> Iterator[str]:
    """Of an event that people want to see in a timeline."""
    match event["type"]:
        case "incident.opened" if "incident" in event:
            found = event["incident"]
            yield f"netwatch: {found['severity']} {found['mode']} of {found['service'] or 'the firewall'}"
        case "change.applied" | "change.verified" | "change.undone" | "plan.rejected" | "plan.failed":
            yield f"netwatch: {event['type']} {event['text']}"
        case _:
            return


def account_of(result: Drill) -> str:
    """The result as text for people: one timeline of what happened and of what netwatch did."""
    outcome, did = result.outcome, result.protection
    if did is None:
        return account(outcome)
    lines = [
        f"  netwatch detected {_at(did.detected_at_s)}{f' ({did.mode})' if did.mode else ''}, first change {_at(did.first_change_at_s)}, "
        f"verified {_at(did.verified_at_s)}",
        f"           changes made: {did.changes}" + (f", undone: {', '.join(did.undone)}" if did.undone else ""),
        f"           {outcome.protection_cpu_s:.1f} s of processor, at most {outcome.protection_bytes / 1e6:.0f} MB",
    ]
    timeline = tuple(sorted((*outcome.timeline, *did.events), key=lambda moment: moment.at_s))
    return account(msgspec.structs.replace(outcome, timeline=timeline), also=lines)


def _at(at_s: float | None) -> str:
    return "never" if at_s is None else f"{at_s:+.1f} s"
