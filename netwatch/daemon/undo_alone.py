"""Undo while no netwatch runs: after a crash, in an emergency, and when systemd has stopped the service (``ExecStopPost``).

It depends on as little as it can: the lock, the journal and nftables. The kernel would disarm what is armed by itself; this is for who
cannot wait. A journal that cannot be opened or written (a full disk) does not keep a firewall from being released: it is said.
"""

import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NoReturn

import msgspec

from netwatch.config import Config
from netwatch.enforce.driver import Driver
from netwatch.enforce.nftables import open_nftables
from netwatch.errors import EnforceError, NetwatchError, StoreError, UsageError
from netwatch.mitigate.reconcile import NEVER_MADE
from netwatch.model.change import EventType, MitigationEvent, Plan, PlanState
from netwatch.rulebook import rules_folder
from netwatch.store.journal import Journal, journal_path
from netwatch.store.lock import Lock


class NoDecoder:
    """Of state-table entries: undoing evicts none, and the real decoder would have to be compiled first."""

    done = True
    error_number = 0

    def decode(self, block: object) -> NoReturn:
        raise EnforceError("entries are not evicted while netwatch does not run")


def undo_alone(config: Config, plan_id: str | None, *, by: str) -> list[str]:
    """Undo one plan, or (without its id) all that is in netwatch's table, whoever put it there, and the table too.

    Returns:
        What was done, a sentence each.

    Raises:
        StoreError: another netwatch holds the lock; or one plan is asked for and the journal cannot be read.
        UsageError: there is no such plan in force.
        EnforceError: the firewall does not do it.
    """
    state_dir, name = Path(config.state_dir), config.firewall.name
    with ExitStack() as held:
        held.enter_context(Lock(state_dir, name))
        said: list[str] = []
        journal = _journal(journal_path(state_dir, name), held, said, must=plan_id is not None)
        plans = [plan for plan, receipt in journal.unfinished() if _was_made(plan, made=receipt is not None)] if journal else []
        if plan_id is not None:
            plans = [plan for plan in plans if plan.id == plan_id]
            if not plans:
                raise UsageError(f"{plan_id}: no netwatch runs, and the journal knows no such plan that may be in force")
        with closing(_driver(config)) as driver:
            said += _release(driver, plans) if plan_id is None else [_undone(driver, plans[0])]
        for plan in plans:
            _record(journal, plan, by, said)
        return said


def _was_made(plan: Plan, *, made: bool) -> bool:
    return made or plan.state not in NEVER_MADE


def _journal(path: Path, held: ExitStack, said: list[str], *, must: bool) -> Journal | None:
    if not must and not path.exists():
        return None
    try:
        return held.enter_context(Journal.open(path, now_s=time.time()))
    except StoreError as error:
        if must:
            raise
        said.append(f"not recorded: {error}")
        return None


def _driver(config: Config) -> Driver:
    base = (rules_folder() / "nftables" / "base.nft").read_text()
    return open_nftables(
        base,
        decoder=NoDecoder(),
        state_folder=Path(config.state_dir),
        namespace=config.firewall.namespace,
        never_block=config.mitigate.never_block,
    )


def _release(driver: Driver, plans: list[Plan]) -> list[str]:
    in_force = driver.in_force()
    for plan in plans:  # its sysctls too
        driver.undo(plan.change)
    driver.release()
    elements = [f"{element.set} {{ {element.key} }}" for element in in_force]
    return [f"disarmed: {element}" for element in elements] or ["nothing was in force"]


def _undone(driver: Driver, plan: Plan) -> str:
    driver.undo(plan.change)
    return f"{plan.id} is undone: {plan.change.playbook}"


def _record(journal: Journal | None, plan: Plan, by: str, said: list[str]) -> None:
    if journal is None:
        return
    text = f"taken back by {by} while netwatch was not running"
    ended = msgspec.structs.replace(plan, state=PlanState.UNDONE, reason=text)
    event = MitigationEvent(
        time_s=time.time(), type=EventType.CHANGE_UNDONE, incident_id=plan.incident_id, text=text, mode=plan.mode, plan=ended, by=by
    )
    try:
        journal.record(event)
    except NetwatchError as error:
        said.append(f"not recorded: {error}")
