"""A Linux firewall: netwatch's table armed through nftables, entries evicted through ctnetlink.

Every text that is run was written here, element by element, from what the guards let through: no line of a change reaches nftables as it
came. Kernels differ in what adding an element does that is there already (until 6.12 its time is left alone), so an element that is listed
is deleted and added again, within the same transaction: no packet sees the time between.
"""

import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from netwatch.enforce.base_table import FAMILY, TABLE, base_table
from netwatch.enforce.ctnetlink import DecodesEntries, StateTable
from netwatch.enforce.driver import Loaded
from netwatch.enforce.eviction import Evictor
from netwatch.enforce.filter_probe import can_filter_delete
from netwatch.enforce.libnftables import Nft, nft
from netwatch.enforce.lines import Element, protections
from netwatch.enforce.listing import listed_elements
from netwatch.enforce.order import SYSCTL_SET, Order, order_of
from netwatch.enforce.ruleset import Fingerprint, Ruleset, TableState
from netwatch.enforce.selection import Hashes
from netwatch.enforce.sysctl import Sysctls
from netwatch.errors import ChangeForbiddenError, EnforceError, FirewallRefusedError, TableLostError
from netwatch.kernel.timeouts import timeouts
from netwatch.model.change import Change, Receipt
from netwatch.model.change import Element as ListedElement
from netwatch.model.firewall_state import TABLE_MARK

Place = tuple[str, str]

ANSWERED = ("answered4", "answered6")
"""Sets that the kernel fills: services of which a synproxy has answered a client within the last seconds."""

ROUND_TRIP_S = 0.5
"""Nearly all clients are nearer; who stops netwatch does not want to wait for the farthest."""


class Nftables:
    """The driver of one network namespace of this machine; ``open_nftables`` puts its parts together."""

    name = "nftables"

    def __init__(
        self,
        base: str,
        *,
        nft: Nft,
        ruleset: Ruleset,
        evictor: Evictor,
        sysctls: Sysctls,
        never_block: Sequence[str] = (),
    ) -> None:
        self._base = base_table(base)
        self._nft = nft
        self._ruleset = ruleset
        self._evictor = evictor
        self._sysctls = sysctls
        self._never_block = tuple(never_block)
        self._ours: Fingerprint | None = None
        self._seen_generation = -1

    def load(self) -> Loaded:
        self._sysctls.reconcile()
        protecting = [f"flush set {FAMILY} {TABLE} {name}" for name in ("protect4", "protect6") if name in self._base.sets]
        protecting += [element.add(None) for element in protections(self._never_block, self._base)]
        found = self._ruleset.fingerprint()
        if found is not None and self._ruleset.has_counter(self._mark(found)):
            self._nft.run("\n".join(protecting))
            self._ours = found
            return Loaded.KEPT
        self._nft.run("\n".join([self._base.text, *protecting]))
        self._ours = self._ruleset.fingerprint()
        if self._ours is None:
            raise TableLostError(f"table {FAMILY} {TABLE} was loaded and is gone already: something else flushes the ruleset")
        self._nft.run(f"add counter {FAMILY} {TABLE} {self._mark(self._ours)}")
        return Loaded.FRESH

    def _mark(self, found: Fingerprint) -> str:
        """The name of a counter that only a table of this very text, whole, has. It comes last: a load that was cut off has none."""
        return f"{TABLE_MARK}{self._base.digest}_{found.rules}"

    def check(self, change: Change) -> None:
        self._order(change)

    def _order(self, change: Change) -> Order:
        order = order_of(change, self._base, never_block=self._never_block)
        self._transact(self._arming(order, None), dry=True)
        return order

    def apply(self, change: Change, *, now_s: float, protected: Hashes | None = None, silent: Hashes | None = None) -> Receipt:
        order = self._order(change)
        evicted = 0
        try:
            self._arm(order, None)
            for line in order.sysctls:
                self._sysctls.hold(line, life_s=change.life_s)
            if order.eviction is not None:
                evicted = self._evictor.evict(order.eviction, protected=protected, silent=silent).deleted
        except EnforceError:
            self.undo(change)
            raise
        return Receipt(change_id=change.id, applied_at_s=now_s, expires_at_s=now_s + change.life_s, evicted=evicted)

    def renew(self, change: Change, *, now_s: float, life_s: float) -> Receipt:
        order = order_of(change, self._base, never_block=self._never_block)
        self._arm(order, life_s)
        for line in order.sysctls:
            self._sysctls.hold(line, life_s=life_s)
        return Receipt(change_id=change.id, applied_at_s=now_s, expires_at_s=now_s + life_s)

    def repeat(self, change: Change, *, protected: Hashes | None = None, silent: Hashes | None = None) -> int:
        order = order_of(change, self._base, never_block=self._never_block)
        return 0 if order.eviction is None else self._evictor.evict(order.eviction, protected=protected, silent=silent).deleted

    def undo(self, change: Change) -> None:
        try:
            order = order_of(change, self._base, never_block=self._never_block)
        except ChangeForbiddenError:
            return  # what the guards refuse was never armed in this table
        try:
            there = self._listed({element.set for element in order.arming})
            gone = [there[element.place] for element in order.arming if element.place in there]
            # Adding first makes the deletion of one that expires in this very moment no error.
            self._transact([text for element in gone for text in (element.add(1.0), element.delete())])
        except TableLostError:
            pass
        finally:
            for line in order.sysctls:
                self._sysctls.restore(line)

    def in_force(self) -> tuple[ListedElement, ...]:
        try:
            armed = self._listed(name for name, kind in self._base.sets.items() if kind.arms)
        except TableLostError:
            armed = {}
        held = (ListedElement(SYSCTL_SET, line, left_s) for line, left_s in self._sysctls.in_force())
        return (*(element.listed for element in armed.values()), *held)

    def table_state(self) -> TableState:
        generation = self._ruleset.generation()
        if self._ours is not None and generation == self._seen_generation:
            return TableState.INTACT
        found = self._ruleset.fingerprint()
        if found is None:
            return TableState.MISSING
        if self._ours is None or found.handle != self._ours.handle:
            return TableState.REPLACED
        if found.rules != self._ours.rules:
            return TableState.DAMAGED
        self._seen_generation = generation
        return TableState.INTACT

    def release(self) -> None:
        self._sysctls.reconcile()  # also what an earlier life left behind
        self._sysctls.close()
        self._let_handshakes_finish()
        self._nft.run(f"add table {FAMILY} {TABLE}\ndelete table {FAMILY} {TABLE}")
        self._ours = None

    def _let_handshakes_finish(self) -> None:
        """What a synproxy has answered is waited for a little: the rule that takes the client's last ACK goes with the table."""
        try:
            answered = [self._run(f"list set {FAMILY} {TABLE} {name}") for name in ANSWERED if name in self._base.sets]
        except (TableLostError, FirewallRefusedError):
            return
        if any("elements" in listed for listed in answered):
            time.sleep(ROUND_TRIP_S)

    def close(self) -> None:
        self._sysctls.close()
        self._ruleset.close()
        self._nft.close()

    def _arm(self, order: Order, life_s: float | None) -> None:
        """Add the elements in one transaction, with their own life or another, and look that the kernel lists them."""
        self._transact(self._arming(order, life_s))
        there = self._listed({element.set for element in order.arming})
        for element in order.arming:
            listed = there.get(element.place)
            if listed is None or listed.value != element.value:
                raise FirewallRefusedError(f"nftables took the element {element.key} of {element.set}, and does not list it")

    def _arming(self, order: Order, life_s: float | None) -> list[str]:
        there = self._listed({element.set for element in order.arming})
        lines = [element.add(None) for element in order.protecting]
        for element in order.arming:
            if listed := there.get(element.place):
                lines += [listed.add(1.0), listed.delete()]
            lines.append(element.add(element.life_s if life_s is None else life_s))
        return lines

    def _listed(self, sets: Iterable[str]) -> dict[Place, Element]:
        """The elements of some sets, by set and key; one question a set, see ``libnftables``."""
        found: dict[Place, Element] = {}
        for name in sorted(sets):
            kind = self._base.sets[name]
            for element in listed_elements(self._run(f"list {kind.kind} {FAMILY} {TABLE} {name}"), kind, self._base):
                found[element.place] = element
        return found

    def _transact(self, lines: Sequence[str], *, dry: bool = False) -> None:
        if lines:
            self._run("\n".join(lines), dry=dry)

    def _run(self, text: str, *, dry: bool = False) -> str:
        try:
            return self._nft.run(text, dry=dry)
        except FirewallRefusedError as error:
            if self._ruleset.fingerprint() is None:
                raise TableLostError(f"table {FAMILY} {TABLE} is gone: something flushed the ruleset; load it again") from error
            raise


def open_nftables(
    base: str,
    *,
    decoder: DecodesEntries,
    state_folder: Path,
    namespace: str | None = None,
    never_block: Sequence[str] = (),
) -> Nftables:
    """Put the driver together for a network namespace; None is the one we are in.

    ``decoder`` is an ``EntryDecoder``; the hashes of ``protected`` are made with its seed. ``state_folder`` holds the guardian's file.

    Raises:
        FirewallUnreachableError: nftables, the namespace or the permission is missing.
    """
    evictor = Evictor(
        StateTable(namespace),
        decoder,
        timeouts=partial(timeouts, namespace),
        policies=base_table(base).policies,
        never_block=never_block,
        filter_deletion=can_filter_delete(),
    )
    sysctls = Sysctls(state_folder / "sysctls.json", namespace)
    return Nftables(base, nft=nft(namespace), ruleset=Ruleset(namespace), evictor=evictor, sysctls=sysctls, never_block=never_block)
