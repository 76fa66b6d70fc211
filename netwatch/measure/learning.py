"""Learning services from traffic: who answers, and who is asked so much that it must be one.

A responder becomes a service after three answered sessions: a SYN-ACK to a SYN, a datagram to a datagram. Scans stay out, since each
of their destinations is asked once and does not answer; so do ephemeral ports. For TCP only a SYN-ACK counts, and that names the responder
beyond doubt. A UDP flow whose answer is seen first has its roles reversed, so high ports are never learned, nor one that is asked from a
well-known port.

Two kinds of services never show an answer: one whose answers take another path (its clients acknowledge what was not seen, so
``FlowEvent.ONE_SIDED`` names them), and the victim of a flood that drowns it: a hundred new attempts within a second.

A site may have thousands of services, and what a window costs grows with those that are watched. So the busiest are: the bar of three
sessions doubles with every 16 services beyond the first 32. Who is busy clears any bar soon, and who is flooded needs none.

Candidates lie in sets of eight, as in a processor's cache: bounded, no chain to follow, and the least valuable of eight leaves. An answered
session is worth more than any number of attempts, so that a scan cannot wash out what has begun to answer.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.jit import called, inlined, njit, prefetch, wide
from netwatch.measure.attempt import DROPPED, HANDSHAKE_FLAGS, TCP, UDP, is_attempt
from netwatch.model.packet import PACKET, Rows, TcpFlag
from netwatch.model.tracked import FlowEvent, SessionEvent
from netwatch.model.tuple_hash import FIXED_SEED, mix

ANSWERED_SESSIONS = 3
"""Answered sessions that make a service."""

HEAVY_ATTEMPTS_PER_S = 100
"""New attempts within one second of event time that make a service of what never answers."""

EPHEMERAL_FROM = 32768
"""Linux takes its own ports from here on (net.ipv4.ip_local_port_range); IANA's range 49152-65535 (RFC 6335) lies within."""

WELL_KNOWN_BELOW = 1024

SETS, WAYS = 1024, 8
SERVICES_AT_FIRST_BAR, SERVICES_A_DOUBLING = 32, 16

Row = Any
"""One candidate, as a kernel sees it."""

Tags = NDArray[np.uint32]
"""Of each candidate half of its hash, side by side: a set is searched in one cache line, without a look at those that it is not."""

CANDIDATE = np.dtype(
    [
        ("hi", np.uint64),
        ("lo", np.uint64),
        ("second", np.int64),  # of event time, that ``attempts`` belongs to
        ("last_ns", np.int64),
        ("endpoint", np.uint32),  # port << 8 | protocol; 0 an empty way
        ("attempts", np.uint32),
        ("answered", np.uint32),
        ("heavy", np.uint16),  # 1 once it had HEAVY_ATTEMPTS_PER_S
        ("promoted", np.uint16),  # 1 if it was taken: it waits for its replacement
    ]
)

SYN_ACK = int(TcpFlag.SYN | TcpFlag.ACK)
REPLIED = int(SessionEvent.REPLIED)
NEW = int(SessionEvent.CREATED | SessionEvent.PICKED_UP | SessionEvent.SHED)
ONE_SIDED = int(FlowEvent.ONE_SIDED)
SECOND_NS = 1_000_000_000
ENDPOINT_SHIFT, TAG_SHIFT = np.uint64(40), np.uint64(32)

BATCH = 512
"""Packets of which those that tell something are found first, so that all of their rows are fetched at once."""

FIRST_BYTE, LAST_BYTE = 0, PACKET.itemsize - 1  # of a row
NOTHING, SOURCE_ANSWERED, DESTINATION_ANSWERED, DESTINATION_ASKED = range(4)
"""What one packet says about one of its ends."""


class Evidence(msgspec.Struct, frozen=True):
    """What speaks for a service."""

    hi: int
    lo: int
    port: int
    protocol: int
    answered: int  # sessions
    heavy: bool  # it was asked heavily, whether or not it answers
    place: int  # in the table of candidates


@inlined
def _may_be_service(port: int, peer_port: int) -> bool:
    """Whether a UDP port can be a service's: not ephemeral, and not asked from a well-known port that really is the one answering."""
    return 0 < port < EPHEMERAL_FROM and (port < WELL_KNOWN_BELOW or peer_port >= WELL_KNOWN_BELOW)


@inlined
def _worth(candidate: Row, second: int) -> int:
    """What is lost if it leaves: promoted nothing, then attempts of this second, then answered sessions above all."""
    if candidate.promoted:
        return 0
    attempts = candidate.attempts if candidate.second == second else 0
    return (wide(candidate.answered) << 32) + wide(attempts) + 1


@inlined
def _place(table: Rows, tags: Tags, hi: np.uint64, lo: np.uint64, endpoint: int, ts_ns: int, seed: np.uint64) -> int:
    """Return the candidate's place in the table, after making one if it is new."""
    code = mix(lo ^ (np.uint64(endpoint) << ENDPOINT_SHIFT) ^ mix(hi ^ seed))
    first, tag = wide(code & np.uint64(SETS - 1)) * WAYS, np.uint32(code >> TAG_SHIFT)
    for place in range(first, first + WAYS):
        if tags[place] == tag and table[place].endpoint == endpoint and table[place].lo == lo and table[place].hi == hi:
            return place
    place = _least_valuable(table, first, ts_ns // SECOND_NS)
    tags[place] = tag
    table[place].hi = hi
    table[place].lo = lo
    table[place].endpoint = endpoint
    table[place].second = ts_ns // SECOND_NS
    table[place].attempts = 0
    table[place].answered = 0
    table[place].heavy = 0
    table[place].promoted = 0
    return place


@called
def _least_valuable(table: Rows, first: int, second: int) -> int:
    """The way of a set that a new candidate takes: an empty one, or that of the least worth, of those the one that was idle longest."""
    victim = first
    for place in range(first, first + WAYS):
        candidate = table[place]
        if candidate.endpoint == 0:
            return place
        worth, least = _worth(candidate, second), _worth(table[victim], second)
        if worth < least or (worth == least and candidate.last_ns < table[victim].last_ns):
            victim = place
    return victim


@inlined
def _tcp_role(flags: int, sport: int, dport: int, events: int, flow_events: int, verdict: int) -> int:
    if flags == SYN_ACK and events & REPLIED:
        return SOURCE_ANSWERED
    if flow_events & ONE_SIDED and min(sport, dport) < EPHEMERAL_FROM:
        return DESTINATION_ANSWERED if dport <= sport else SOURCE_ANSWERED  # the lower port is the service's, whichever half this is
    return DESTINATION_ASKED if is_attempt(TCP, flags, events, flow_events, verdict) else NOTHING


@inlined
def _udp_role(sport: int, dport: int, events: int, flow_events: int, verdict: int) -> int:
    if events & REPLIED:
        return SOURCE_ANSWERED if _may_be_service(sport, dport) else NOTHING
    asked = is_attempt(UDP, 0, events, flow_events, verdict) and _may_be_service(dport, sport)
    return DESTINATION_ASKED if asked else NOTHING


@inlined
def _telling(tracked: Rows, begin: int, stop: int, found: NDArray[np.int64]) -> int:
    """Note the packets without a service that may say something of one; return how many. Without a branch, since they come at random."""
    count = 0
    for i in range(begin, stop):
        seen = tracked[i]
        tells = wide(seen.session_events) & (REPLIED | NEW) | wide(seen.flow_events) & ONE_SIDED
        found[count] = i
        count += (seen.service == 0) & ((tells != 0) | (seen.verdict == DROPPED))
    return count


@inlined
def _role(packet: Row, seen: Row) -> int:
    events, flow_events, verdict = wide(seen.session_events), wide(seen.flow_events), wide(seen.verdict)
    protocol, sport, dport = wide(packet.protocol), wide(packet.sport), wide(packet.dport)
    if protocol == TCP:
        return _tcp_role(wide(packet.tcp_flags) & HANDSHAKE_FLAGS, sport, dport, events, flow_events, verdict)
    return _udp_role(sport, dport, events, flow_events, verdict) if protocol == UDP else NOTHING


@inlined
def _note(packet: Row, role: int, table: Rows, tags: Tags, needed: int, seed: np.uint64) -> bool:
    """Add what one packet says to the table; return whether there is enough now."""
    protocol = wide(packet.protocol)
    if role == SOURCE_ANSWERED:
        place = _place(table, tags, packet.src_hi, packet.src_lo, wide(packet.sport) << 8 | protocol, packet.ts_ns, seed)
    else:
        place = _place(table, tags, packet.dst_hi, packet.dst_lo, wide(packet.dport) << 8 | protocol, packet.ts_ns, seed)
    candidate = table[place]
    candidate.last_ns = packet.ts_ns
    if role == DESTINATION_ASKED:
        second = packet.ts_ns // SECOND_NS
        candidate.attempts = candidate.attempts + 1 if candidate.second == second else 1
        candidate.second = second
        if candidate.attempts >= HEAVY_ATTEMPTS_PER_S:
            candidate.heavy = 1
    else:
        candidate.answered += 1
    return bool(candidate.promoted == 0 and (candidate.heavy != 0 or candidate.answered >= needed))


@njit
def _gather(packets: Rows, tracked: Rows, table: Rows, tags: Tags, needed: int, seed: np.uint64) -> bool:
    """Add the evidence of all packets without a service to the table; return whether there is enough for any of them now."""
    enough = False
    found = np.empty(BATCH, np.int64)
    for begin in range(0, len(packets), BATCH):
        count = _telling(tracked, begin, min(begin + BATCH, len(packets)), found)
        for i in found[:count]:
            prefetch(packets, i, FIRST_BYTE)
            prefetch(packets, i, LAST_BYTE)
        for i in found[:count]:
            role = _role(packets[i], tracked[i])
            if role != NOTHING and _note(packets[i], role, table, tags, needed, seed):
                enough = True
    return enough


def sessions_needed(services: int) -> int:
    """The bar for the next service: answered sessions that it must have had, given the services that are watched already."""
    doublings = max(0, services - SERVICES_AT_FIRST_BAR + SERVICES_A_DOUBLING) // SERVICES_A_DOUBLING
    return ANSWERED_SESSIONS << min(doublings, 48)


class Candidates:
    """The responders and heavily asked destinations that may become services."""

    def __init__(self, *, seed: int = FIXED_SEED) -> None:
        self._table = np.zeros(SETS * WAYS, CANDIDATE)
        self._tags: Tags = np.zeros(SETS * WAYS, np.uint32)
        self._seed = np.uint64(seed)

    def gather(self, packets: Rows, tracked: Rows, *, needed: int) -> Iterator[Evidence]:
        """Add the evidence in these packets.

        Then yield the candidates that are asked heavily or have had so many answered sessions: the heavily asked first, then the busiest.
        """
        table = self._table
        if not _gather(packets, tracked, table, self._tags, needed, self._seed):
            return
        places = np.flatnonzero(((table["answered"] >= needed) | (table["heavy"] != 0)) & (table["promoted"] == 0))
        for place in places[np.lexsort((-table["answered"][places].astype(np.int64), table["heavy"][places] == 0))].tolist():
            hi, lo, endpoint, answered, heavy = (int(table[place][name]) for name in ("hi", "lo", "endpoint", "answered", "heavy"))
            yield Evidence(hi, lo, endpoint >> 8, endpoint & 0xFF, answered, heavy != 0, place)

    def take(self, evidence: Evidence) -> None:
        """It has been decided on: it is not ready again."""
        self._table[evidence.place]["promoted"] = 1
