"""From a packet to the protected service that it belongs to, and its direction there.

Health is judged per service, so packets must be told apart by one look-up that fits in the second-level cache: 1024 services in a hash
table of 16 KiB, in front of it one bit for each port in use. A packet toward a service meets its port bit by the destination and needs one
probe; an answer comes from a service port and goes to an ephemeral one, whose bit is clear, so it needs one probe as well; what belongs to
no service mostly needs none.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, njit, wide
from netwatch.model.packet import Rows
from netwatch.model.service import Protocol
from netwatch.model.tuple_hash import FIXED_SEED, mix

SLOTS_PER_SERVICE = 4
"""A load of at most a quarter: a probe that finds nothing mostly ends at its first slot."""

TCP, UDP = int(Protocol.TCP), int(Protocol.UDP)
ROW_MASK, TAG_MASK = np.uint32(0xFFFF), np.uint32(0xFFFF_0000)
ENDPOINT_SHIFT, TAG_SHIFT = np.uint64(40), np.uint64(32)
ONE, WORD_BITS = np.uint64(1), np.uint64(63)

Row = Any
"""One element of ``Rows``, as compiled code sees it."""

PREFIX = np.dtype(
    [
        ("hi", np.uint64),
        ("lo", np.uint64),
        ("mask_hi", np.uint64),
        ("mask_lo", np.uint64),
        ("endpoint", np.uint32),  # port << 8 | protocol
        ("row", np.uint32),
    ]
)
"""A configured service that is a whole prefix; the list is walked only by packets whose port is in use."""


class ServiceIndex(NamedTuple):
    """The arrays of a look-up. Row 0 stands for what belongs to no service."""

    slots: NDArray[np.uint32]  # 16 bits of the hash, and the row
    keys: NDArray[np.uint64]  # shape (rows, 2): the address
    endpoints: NDArray[np.uint32]  # of each row, port << 8 | protocol
    ports: NDArray[np.uint64]  # shape (2, 1024): one bit for each port in use, of TCP and UDP
    prefixes: Rows  # PREFIX, the longest first
    seed: np.uint64


def empty_index(capacity: int, seed: int = FIXED_SEED) -> ServiceIndex:
    """Of no service yet, with room for ``capacity``."""
    return ServiceIndex(
        slots=np.zeros(1 << (SLOTS_PER_SERVICE * capacity - 1).bit_length(), np.uint32),
        keys=np.zeros((capacity + 1, 2), np.uint64),
        endpoints=np.zeros(capacity + 1, np.uint32),
        ports=np.zeros((2, 65536 // 64), np.uint64),
        prefixes=np.zeros(0, PREFIX),
        seed=np.uint64(seed),
    )


@inlined
def _endpoint_hash(hi: np.uint64, lo: np.uint64, endpoint: int, seed: np.uint64) -> np.uint64:
    word = lo ^ (np.uint64(endpoint) << ENDPOINT_SHIFT) ^ seed
    if hi:
        word ^= mix(hi ^ seed ^ mix(np.uint64(endpoint) + seed))
    return mix(word)


@inlined
def _port_in_use(services: ServiceIndex, port: int, protocol: int) -> bool:
    row = 0 if protocol == TCP else 1
    return bool((services.ports[row, port >> 6] >> (np.uint64(port) & WORD_BITS)) & ONE)


@inlined
def _find(services: ServiceIndex, hi: np.uint64, lo: np.uint64, port: int, protocol: int) -> int:
    """Return the row of the service at this address and port, 0 if there is none."""
    endpoint, slots = port << 8 | protocol, services.slots
    code = _endpoint_hash(hi, lo, endpoint, services.seed)
    tag = np.uint32(code >> TAG_SHIFT) & TAG_MASK
    slot = wide(code & np.uint64(len(slots) - 1))
    while slots[slot] != 0:  # ends: three quarters of the slots stay empty
        row = slots[slot] & ROW_MASK
        same_address = services.keys[row, 0] == hi and services.keys[row, 1] == lo
        if slots[slot] & TAG_MASK == tag and same_address and services.endpoints[row] == endpoint:
            return wide(row)
        slot = (slot + 1) & (len(slots) - 1)
    for position in range(len(services.prefixes)):
        prefix = services.prefixes[position]
        if prefix["endpoint"] == endpoint and hi & prefix["mask_hi"] == prefix["hi"] and lo & prefix["mask_lo"] == prefix["lo"]:
            return wide(prefix["row"])
    return 0


@inlined
def service_of(services: ServiceIndex, packet: Row) -> tuple[int, int]:
    """The row of a packet's service, and 1 if the packet goes toward it. Later fragments must have their ports by now."""
    protocol = wide(packet["protocol"])
    row, toward = 0, 0
    if protocol in (TCP, UDP):
        sport, dport = wide(packet["sport"]), wide(packet["dport"])
        asked, answering = _port_in_use(services, dport, protocol), _port_in_use(services, sport, protocol)
        if asked or answering:
            # One probe at the end whose port is in use, chosen without a branch: the direction of packets cannot be predicted.
            hi, lo = (packet["dst_hi"], packet["dst_lo"]) if asked else (packet["src_hi"], packet["src_lo"])
            row = _find(services, hi, lo, dport if asked else sport, protocol)
            toward = 1 if asked else 0
            if row == 0 and asked and answering:
                row = _find(services, packet["src_hi"], packet["src_lo"], sport, protocol)
                toward = 0
            if row == 0:
                toward = 0
    return row, toward


@njit
def name_services(services: ServiceIndex, packets: Rows, tracked: Rows) -> None:
    """Fill ``service`` and ``toward_service`` of each row of ``tracked`` (``TRACKED``)."""
    for i in range(len(packets)):
        row, toward = service_of(services, packets[i])
        tracked[i].service = row
        tracked[i].toward_service = toward


@njit
def insert(services: ServiceIndex, row: int, port: int, protocol: int) -> None:
    """Make a row findable, whose address is in ``keys`` already."""
    services.endpoints[row] = port << 8 | protocol
    services.ports[0 if protocol == TCP else 1, port >> 6] |= ONE << (np.uint64(port) & WORD_BITS)
    slots = services.slots
    code = _endpoint_hash(services.keys[row, 0], services.keys[row, 1], port << 8 | protocol, services.seed)
    slot = wide(code & np.uint64(len(slots) - 1))
    while slots[slot] != 0:
        slot = (slot + 1) & (len(slots) - 1)
    slots[slot] = np.uint32(code >> TAG_SHIFT) & TAG_MASK | np.uint32(row)


def with_prefix(services: ServiceIndex, added: Rows) -> ServiceIndex:
    """The index with one more prefix (``PREFIX``); of those that hold an address, the longest is found."""
    for prefix in added:
        port = int(prefix["endpoint"]) >> 8
        services.ports[0 if prefix["endpoint"] & 0xFF == TCP else 1, port >> 6] |= ONE << np.uint64(port & 63)
    joined = np.concatenate([services.prefixes, added])
    lengths = [(int(prefix["mask_hi"]) << 64 | int(prefix["mask_lo"])).bit_count() for prefix in joined]
    return services._replace(prefixes=joined[np.argsort([-bits for bits in lengths], kind="stable")])
