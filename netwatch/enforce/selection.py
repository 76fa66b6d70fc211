"""Which entries an eviction takes: dead ones of what was named, and never one that lives.

An entry is taken if its state, its idle time, its opener and its service are what the eviction names, all of them; and it is kept

* if its opener is never to be touched (``never_block``),
* if the caller knows that it lives (``protected``: packets were seen),
* if the hardware or the fast path carries it (its idle time is unknown), or somebody pinned its time,
* if its opener sent more than a handshake, and something was sent within the last two minutes. An acknowledgement of what the server said
  counts: who acknowledges is there. How much was sent, the kernel says only with ``nf_conntrack_acct``.

An eviction of the silent takes only whose every packet was a header, by the same bytes; without accounting it takes nobody.
"""

from collections.abc import Sequence
from ipaddress import ip_network

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.errors import ChangeForbiddenError
from netwatch.model.address import prefix_halves
from netwatch.model.entry import EntryStatus
from netwatch.model.idle_age import idle_at_least_s
from netwatch.model.packet import Rows
from netwatch.model.plan import Eviction
from netwatch.model.service import Protocol, Service
from netwatch.model.session import SessionState

HANDSHAKE_BYTES = {2: 120, 10: 160}
"""By address family: a SYN and an ACK with as many options as they can have (IPv4 20 + 40, IPv6 40 + 40 bytes each)."""

HEADERS = {2: 40, 10: 60}
SYN_OPTIONS, STAMP, STAMPED_SYN = 20, 12, (16, 20)
"""Bytes of an IP and a TCP header by family, and what options add to them: at most 20 to a SYN, nothing to other packets; or, with time
stamps (RFC 7323), 12 to each packet and 16 or 20 to the SYN."""

LIVELY_S = 120
"""Who said something within this time is not dead, however little an eviction asks for."""

DEAD_STATES = frozenset(
    {
        *(SessionState.NONE, SessionState.SYN_SENT, SessionState.SYN_RECV, SessionState.SYN_SENT2),
        *(SessionState.LAST_ACK, SessionState.TIME_WAIT, SessionState.CLOSE),
    }
)
"""States that carry nothing: entries of these may be taken without regard to their idle time."""

HALF_OPEN = frozenset({SessionState.SYN_SENT, SessionState.SYN_RECV, SessionState.SYN_SENT2})
SEEN_REPLY = np.uint32(EntryStatus.SEEN_REPLY)
UNTOUCHABLE = np.uint32(EntryStatus.OFFLOAD | EntryStatus.HW_OFFLOAD | EntryStatus.FIXED_TIMEOUT)

Prefix = tuple[np.uint64, np.uint64, np.uint64, np.uint64]
"""Network and mask, each as halves."""

Hashes = NDArray[np.uint64]


class Kept(msgspec.Struct):
    """Entries that an eviction named and yet left alone, by reason."""

    never_block: int = 0
    protected: int = 0
    carried: int = 0  # by a flowtable, or pinned
    lively: int = 0
    unaccounted: int = 0  # of an eviction of the silent: whether they are, neither the kernel nor packets say
    speaking: int = 0  # of an eviction of the silent


def states_of(eviction: Eviction) -> frozenset[SessionState]:
    """The states that an eviction takes.

    Raises:
        ChangeForbiddenError: it names a state that does not exist, or would take entries that may live.
    """
    unknown = [name for name in eviction.states if name not in SessionState.__members__]
    if unknown:
        raise ChangeForbiddenError(f"eviction: there is no state {', '.join(unknown)}")
    if not (eviction.states or eviction.prefixes or eviction.services):
        raise ChangeForbiddenError("eviction: it names no states, prefixes or services: that would empty the state table")
    states = frozenset(SessionState[name] for name in eviction.states) or frozenset(SessionState)
    if not states <= DEAD_STATES and not eviction.min_idle_s > 0:
        living = ", ".join(sorted(state.name for state in states - DEAD_STATES))
        raise ChangeForbiddenError(f"eviction: entries in {living} may live; min_idle_s must be > 0")
    return states


class Selection:
    """An eviction, ready to be asked about entries."""

    def __init__(self, eviction: Eviction, *, never_block: Sequence[str] = ()) -> None:
        self.states = states_of(eviction)
        self._state_numbers = np.zeros(256, np.bool_)
        self._state_numbers[[int(state) for state in self.states]] = True
        self._min_idle_s = eviction.min_idle_s
        self._only_silent = eviction.only_silent
        self._only_unreplied = eviction.only_unreplied
        self._prefixes = [_prefix(text) for text in eviction.prefixes]
        self._services = [(_prefix(one.address), _port_and_protocol(one)) for one in eviction.services]
        self._never_block = [_prefix(text) for text in never_block]
        self.kept = Kept()

    def chosen(
        self, entries: Rows, possible_timeouts: NDArray[np.uint32], protected: Hashes | None = None, silent: Hashes | None = None
    ) -> NDArray[np.bool_]:
        """Which entries (``ENTRY``) to delete.

        ``protected`` holds the sorted hashes of tuples that live, ``silent`` of those whose client was seen to say nothing.
        """
        wanted: NDArray[np.bool_] = self._state_numbers[entries["state"]]
        idle_s = idle_at_least_s(entries, possible_timeouts)
        wanted &= idle_s >= self._min_idle_s
        if self._only_unreplied:
            wanted &= entries["status"] & SEEN_REPLY == 0
        if self._services:
            wanted &= np.logical_or.reduce([self._of_service(entries, *service) for service in self._services])
        if self._prefixes:
            wanted &= _within(entries, "src", self._prefixes)
        named = np.flatnonzero(wanted)
        if len(named):
            wanted[named] = self._dead(entries[named], idle_s[named], protected, silent)
        return wanted

    def _of_service(self, entries: Rows, prefix: Prefix, port_and_protocol: tuple[int, int]) -> NDArray[np.bool_]:
        port, protocol = port_and_protocol
        of_service = _within(entries, "dst", [prefix])
        of_service &= (entries["dport"] == port) & (entries["protocol"] == protocol)
        return of_service

    def _dead(self, named: Rows, idle_s: NDArray[np.int64], protected: Hashes | None, silent: Hashes | None) -> NDArray[np.bool_]:
        dead = np.ones(len(named), np.bool_)
        handshake = np.where(named["family"] == 2, HANDSHAKE_BYTES[2], HANDSHAKE_BYTES[10])
        accounted = named["accounted"] > 0
        spoke = accounted & (named["original_bytes"] > handshake)
        reasons = {
            "never_block": _within(named, "src", self._never_block),
            "carried": (named["status"] & UNTOUCHABLE) > 0,
            "protected": _known(named["hash"], protected),
            "lively": spoke & (idle_s < LIVELY_S),
        }
        if self._only_silent:
            reasons |= {"unaccounted": ~accounted & ~_known(named["hash"], silent), "speaking": accounted & ~_sent_only_headers(named)}
        for reason, applies in reasons.items():
            setattr(self.kept, reason, getattr(self.kept, reason) + int(np.count_nonzero(dead & applies)))
            dead &= ~applies
        return dead


def _prefix(text: str) -> Prefix:
    try:
        hi, lo, mask_hi, mask_lo, _ = prefix_halves(text)
    except ValueError as error:
        raise ChangeForbiddenError(f"'{text}' is no address or prefix: {error}") from error
    return np.uint64(hi), np.uint64(lo), np.uint64(mask_hi), np.uint64(mask_lo)


def _port_and_protocol(service: Service) -> tuple[int, int]:
    if service.protocol.upper() not in Protocol.__members__:
        raise ChangeForbiddenError(f"eviction: service {service.label} has no protocol of the state table")
    return service.port, int(Protocol[service.protocol.upper()])


def _within(entries: Rows, side: str, prefixes: Sequence[Prefix]) -> NDArray[np.bool_]:
    inside = np.zeros(len(entries), np.bool_)
    high, low = entries[f"{side}_hi"], entries[f"{side}_lo"]
    for hi, lo, mask_hi, mask_lo in prefixes:
        inside |= ((high & mask_hi) == hi) & ((low & mask_lo) == lo)
    return inside


def _known(hashes: Hashes, protected: Hashes | None) -> NDArray[np.bool_]:
    if protected is None or not len(protected):
        return np.zeros(len(hashes), np.bool_)
    places = np.minimum(np.searchsorted(protected, hashes), len(protected) - 1)
    known: NDArray[np.bool_] = protected[places] == hashes
    return known


def _sent_only_headers(entries: Rows) -> NDArray[np.bool_]:
    packets, octets = entries["original_packets"].astype(np.int64), entries["original_bytes"].astype(np.int64)
    options = octets - packets * np.where(entries["family"] == 2, HEADERS[2], HEADERS[10])
    headers: NDArray[np.bool_] = (options <= SYN_OPTIONS) | np.isin(options - STAMP * (packets - 1), STAMPED_SYN)
    return headers


def single_address(service: Service) -> bool:
    """The service is one address, not a prefix of several."""
    network = ip_network(service.address, strict=False)
    return network.prefixlen == network.max_prefixlen
