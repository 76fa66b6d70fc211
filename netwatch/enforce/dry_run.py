"""The driver that changes nothing: it says what another would do, and keeps what would be in force in memory until its time is up.

For who wants to watch netwatch decide before letting it act, and for tests. It refuses what any driver refuses; what only a real firewall
could refuse it cannot know.
"""

from collections.abc import Callable, Sequence
from typing import TextIO

from netwatch.enforce.base_table import FAMILY, TABLE, base_table
from netwatch.enforce.driver import Loaded
from netwatch.enforce.lines import protections
from netwatch.enforce.order import SYSCTL_SET, Order, order_of
from netwatch.enforce.ruleset import TableState
from netwatch.enforce.selection import Hashes
from netwatch.errors import ChangeForbiddenError, TableLostError
from netwatch.model.change import Change, Receipt
from netwatch.model.change import Element as ListedElement
from netwatch.model.plan import Eviction


class DryRun:
    """Prints to ``stream``; ``clock`` tells when what is in force has ended, in the same time as the caller's ``now_s``."""

    name = "dry-run"

    def __init__(self, base: str, *, stream: TextIO, clock: Callable[[], float], never_block: Sequence[str] = ()) -> None:
        self._base = base_table(base)
        self._stream = stream
        self._clock = clock
        self._never_block = tuple(never_block)
        self._ends_s: dict[tuple[str, str], float] = {}
        self._state = TableState.MISSING

    def load(self) -> Loaded:
        if self._state is TableState.INTACT:
            return Loaded.KEPT
        self._say(f"load table {FAMILY} {TABLE}, of {len(self._base.sets)} sets and maps")
        for element in protections(self._never_block, self._base):
            self._say(f"nft {element.add(None)}")
        self._state = TableState.INTACT
        return Loaded.FRESH

    def check(self, change: Change) -> None:
        self._order(change)

    def _order(self, change: Change) -> Order:
        order = order_of(change, self._base, never_block=self._never_block)
        if self._state is not TableState.INTACT and (order.arming or order.protecting):
            raise TableLostError(f"table {FAMILY} {TABLE} is not loaded")
        return order

    def apply(self, change: Change, *, now_s: float, protected: Hashes | None = None, silent: Hashes | None = None) -> Receipt:
        order = self._order(change)
        self._arm(order, change.life_s, None)
        if order.eviction is not None:
            self._say(_eviction(order.eviction, self._never_block, 0 if protected is None else len(protected)))
        return Receipt(change_id=change.id, applied_at_s=now_s, expires_at_s=now_s + change.life_s)

    def renew(self, change: Change, *, now_s: float, life_s: float) -> Receipt:
        self._arm(self._order(change), life_s, life_s)
        return Receipt(change_id=change.id, applied_at_s=now_s, expires_at_s=now_s + life_s)

    def repeat(self, change: Change, *, protected: Hashes | None = None, silent: Hashes | None = None) -> int:
        order = order_of(change, self._base, never_block=self._never_block)
        if order.eviction is not None:
            self._say(_eviction(order.eviction, self._never_block, 0 if protected is None else len(protected)))
        return 0

    def undo(self, change: Change) -> None:
        try:
            order = order_of(change, self._base, never_block=self._never_block)
        except ChangeForbiddenError:
            return
        armed = {(element.set, element.key) for element in self.in_force()}
        for element in order.arming:
            if element.place in armed:
                self._say(f"nft {element.delete()}")
                del self._ends_s[element.place]
        for line in order.sysctls:
            if self._ends_s.pop((SYSCTL_SET, line), None) is not None:
                self._say(f"put back what was before sysctl {line}")

    def in_force(self) -> tuple[ListedElement, ...]:
        now_s = self._clock()
        self._ends_s = {place: end_s for place, end_s in self._ends_s.items() if end_s > now_s}
        return tuple(ListedElement(*place, end_s - now_s) for place, end_s in self._ends_s.items())

    def table_state(self) -> TableState:
        return self._state

    def flush_by_others(self) -> None:
        """What a ``nft flush ruleset`` of somebody else does to a real firewall; for tests of who must notice it."""
        self._ends_s.clear()
        self._state = TableState.MISSING

    def release(self) -> None:
        self._say(f"delete table {FAMILY} {TABLE}")
        self.flush_by_others()

    def close(self) -> None:
        """Nothing is open."""

    def _arm(self, order: Order, sysctl_life_s: float, life_s: float | None) -> None:
        now_s = self._clock()
        for element in (*order.protecting, *order.arming):
            own_s = element.life_s if life_s is None or element.life_s is None else life_s
            self._say(f"nft {element.add(own_s)}")
            if own_s is not None:
                self._ends_s[element.place] = now_s + own_s
        for line in order.sysctls:
            self._say(f"hold sysctl {line} for {sysctl_life_s:g} s")
            self._ends_s[SYSCTL_SET, line] = now_s + sysctl_life_s

    def _say(self, what: str) -> None:
        print(f"dry-run: would {what}" if not what.startswith("nft ") else f"dry-run: would run {what}", file=self._stream, flush=True)


def _eviction(eviction: Eviction, never_block: Sequence[str], protected: int) -> str:
    """An eviction in words."""
    words = [f"delete entries in {', '.join(eviction.states) or 'any state'}"]
    if eviction.services:
        words.append(f"of {', '.join(service.label for service in eviction.services)}")
    if eviction.prefixes:
        words.append(f"from {', '.join(eviction.prefixes)}")
    if eviction.min_idle_s:
        words.append(f"idle for at least {eviction.min_idle_s:g} s")
    if eviction.only_silent:
        words.append("whose client never sent payload")
    if never_block:
        words.append(f"but none from {', '.join(never_block)}")
    if protected:
        words.append(f"and none of {protected:,} sessions known to live")
    return " ".join(words)
