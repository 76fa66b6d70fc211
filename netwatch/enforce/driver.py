"""What every driver promises, in NAPALM's words where it has them: load, check, apply, renew, undo.

A driver does what a change says and nothing else, keeps no journal, and decides nothing. It guards what must hold whatever asked for the
change: only elements of netwatch's own table, each with an end and an undo; evictions only of what is dead; sysctls only through the
guardian. It reads no clock: the caller's time goes into receipts, and ends are kept by the kernel. One thread uses it at a time.
"""

from enum import StrEnum
from typing import Protocol

from netwatch.enforce.ruleset import TableState
from netwatch.enforce.selection import Hashes
from netwatch.model.change import Change, Element, Receipt


class Loaded(StrEnum):
    """How ``load`` found netwatch's table."""

    FRESH = "fresh"  # it was loaded now, and nothing is armed
    KEPT = "kept"  # it was there as it should be, with whatever is armed in it


class Driver(Protocol):
    """One firewall. Methods raise ``EnforceError``: see its subclasses for what may be tried again."""

    name: str

    def load(self) -> Loaded:
        """Make sure that netwatch's table is there, whole, with the prefixes that are never to be touched in it.

        A table that is as it should be is kept with what is armed: a restart of netwatch ends no mitigation.
        """

    def check(self, change: Change) -> None:
        """Let the firewall try the change without making it.

        Raises:
            ChangeForbiddenError: a guard refuses it.
            FirewallRefusedError: the firewall does, in its own words.
        """

    def apply(self, change: Change, *, now_s: float, protected: Hashes | None = None, silent: Hashes | None = None) -> Receipt:
        """Check it, make it in one transaction, look that it is there, and evict. If that fails nothing of it is left in force.

        ``protected`` are hashes of tuples (``tuple_hash``) that live, which no eviction takes; ``silent`` of those whose client was seen
        to say nothing, for an eviction of the silent where the kernel keeps no accounts.
        """

    def renew(self, change: Change, *, now_s: float, life_s: float) -> Receipt:
        """Give what the change armed another ``life_s`` from now, also what has ended meanwhile. Nothing is evicted again."""

    def repeat(self, change: Change, *, protected: Hashes | None = None, silent: Hashes | None = None) -> int:
        """Evict again, as a change does every ``repeat_s`` while it lives; return how many entries went."""

    def undo(self, change: Change) -> None:
        """Disarm what the change armed. What is gone already is no error, nor is a table that is gone, nor what was never let through."""

    def in_force(self) -> tuple[Element, ...]:
        """What is armed, with the seconds it has left: the truth, whoever armed it. A sysctl is listed as of the set ``sysctl``."""

    def table_state(self) -> TableState:
        """Whether somebody flushed or replaced netwatch's table. Cheap enough to be asked every second."""

    def release(self) -> None:
        """Remove everything of netwatch's, the table too."""

    def close(self) -> None:
        """Let go of sockets. What is armed stays until its time is up; sysctls come back."""
