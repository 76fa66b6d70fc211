"""Deleting entries from a full state table: in one message where the kernel can, else by looking at each.

One message deletes all half-open entries of a service within milliseconds (12,070 in 9.0 ms), but the kernel compares only status,
address, protocol and port, and takes handshakes of half a second's age with them. As soon as an eviction asks for an idle time, a prefix,
or spares somebody, the table is read (465,000 entries/s) and what was chosen is deleted by name.
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_network

import msgspec
import numpy as np

from netwatch.enforce.ctnetlink import AF_INET, AF_INET6, DecodesEntries, Filter, StateTable
from netwatch.enforce.filter_probe import NO_FILTER_DELETION, FilterDeletion
from netwatch.enforce.selection import HALF_OPEN, Hashes, Kept, Selection, single_address
from netwatch.errors import EnforceError
from netwatch.model.idle_age import possible_timeouts
from netwatch.model.plan import Eviction
from netwatch.model.service import Protocol, Service
from netwatch.model.session import Timeouts

MOST_DUMPS = 4
"""Each walks over all buckets of the hash table; with more services one dump of everything is cheaper."""


class Evicted(msgspec.Struct, kw_only=True):
    """What an eviction did."""

    seen: int = 0  # entries looked at
    deleted: int = 0
    gone: int = 0  # chosen, but gone before the deletion came
    kept: Kept = msgspec.field(default_factory=Kept)  # named, but alive


class Evictor:
    """Evicts from the state table of one namespace. One thread at a time.

    ``timeouts`` reads the namespace's sysctls; ``policies`` are those that ``ct timeout`` rules may have given entries.
    """

    def __init__(
        self,
        table: StateTable,
        decoder: DecodesEntries,
        *,
        timeouts: Callable[[], Timeouts],
        policies: Sequence[Timeouts] = (),
        never_block: Sequence[str] = (),
        filter_deletion: FilterDeletion = NO_FILTER_DELETION,
    ) -> None:
        self._table = table
        self._decoder = decoder
        self._timeouts = timeouts
        self._policies = tuple(policies)
        self._never_block = tuple(never_block)
        self._filter_deletion = filter_deletion

    def evict(self, eviction: Eviction, *, protected: Hashes | None = None, silent: Hashes | None = None) -> Evicted:
        """Delete what the eviction names and what is dead.

        ``protected`` are hashes of tuples that live, by ``tuple_hash`` with the decoder's seed, ``silent`` of those whose client was seen
        to say nothing.

        Raises:
            ChangeForbiddenError: the eviction would take what may live.
            EnforceError: the kernel does not let the table be read, or refuses a deletion.
        """
        selection = Selection(eviction, never_block=self._never_block)
        if protected is None and self._by_filter(eviction, selection):
            return self._in_one_message(eviction.services)
        return self._by_looking(eviction, selection, _sorted(protected), _sorted(silent))

    def _by_filter(self, eviction: Eviction, selection: Selection) -> bool:
        """The kernel's comparison says all that the eviction does."""
        return (
            selection.states <= HALF_OPEN
            and eviction.min_idle_s == 0
            and not (eviction.prefixes or eviction.only_silent or self._never_block)
            and bool(eviction.services)
            and all(single_address(one) and self._filter_deletion.serves(_family(one)) for one in eviction.services)
        )

    def _in_one_message(self, services: Sequence[Service]) -> Evicted:
        """One for each service. What goes is counted before, since the kernel does not tell afterwards."""
        evicted = Evicted()
        for wanted in dict.fromkeys(_filter(service, unassured=True) for service in services):
            evicted.seen += sum(len(rows) for _, rows in self._table.dump(self._decoder, wanted))
            self._table.delete_matching(wanted)
        evicted.deleted = evicted.seen
        return evicted

    def _by_looking(self, eviction: Eviction, selection: Selection, protected: Hashes | None, silent: Hashes | None) -> Evicted:
        # The kernel's defaults too: an entry that saw no packet since a sysctl was changed still runs by what was before.
        possible = possible_timeouts([self._timeouts(), Timeouts(), *self._policies])
        evicted = Evicted(kept=selection.kept)
        for wanted in _dumps(eviction.services, unassured=selection.states <= HALF_OPEN or eviction.only_unreplied):
            for block, rows in self._table.dump(self._decoder, wanted):
                evicted.seen += len(rows)
                outcome = self._table.delete(block, rows[selection.chosen(rows, possible, protected, silent)])
                evicted.deleted += outcome.deleted
                evicted.gone += outcome.gone
                if outcome.failed:
                    raise EnforceError(f"{outcome.failed} of {outcome.sent} entries could not be deleted: {outcome.reason}")
        return evicted


def _dumps(services: Sequence[Service], *, unassured: bool) -> list[Filter]:
    """What to ask the kernel for, so that it shows little else than what may be chosen."""
    if not services or len(services) > MOST_DUMPS:
        return [Filter(unassured=unassured)]
    return list(dict.fromkeys(_filter(service, unassured=unassured, compare_ipv6=False) for service in services))


def _filter(service: Service, *, unassured: bool, compare_ipv6: bool = True) -> Filter:
    """The entries of a service. IPv6 addresses are compared only where the kernel was seen to do it right."""
    network = ip_network(service.address, strict=False)
    compared = network.prefixlen == network.max_prefixlen and (network.version == 4 or compare_ipv6)
    return Filter(
        family=_family(service),
        destination=network.network_address if compared else None,
        protocol=int(Protocol[service.protocol.upper()]),
        port=service.port,
        unassured=unassured,
    )


def _sorted(hashes: Hashes | None) -> Hashes | None:
    return None if hashes is None else np.sort(hashes)


def _family(service: Service) -> int:
    return AF_INET6 if ":" in service.address else AF_INET
