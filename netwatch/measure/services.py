"""The service directory: which packets belong to which protected service, and in which direction.

Health is judged per service, so each packet must be told apart by one look-up that fits in the second-level cache: 1024 services in a hash
table of 16 KiB, in front of it one bit for each port in use. A packet toward a service meets its port bit by the destination and needs one
probe; an answer comes from a service port and goes to an ephemeral one, whose bit is clear, so it needs one probe as well; what belongs to
no service mostly needs none.

Services are configured or learned (``learning``). The directory only grows, up to its capacity: an index that were given away again would
put the table entries of the one that left under the name of the one that came. When it is full, learning stops and refusals are counted.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
import numpy as np
from numpy.typing import NDArray

from netwatch.errors import ConfigError
from netwatch.jit import inlined, njit
from netwatch.measure.integer import signed
from netwatch.measure.learning import Candidates, Evidence, sessions_needed
from netwatch.model.address import address_text, halves, prefix_halves
from netwatch.model.packet import Rows
from netwatch.model.service import Protocol, Service
from netwatch.model.tuple_hash import FIXED_SEED, mix

CAPACITY = 1024
"""Services that one firewall is watched for; row indices fit in 16 bits with room to spare."""

HEAVILY_ASKED_SHARE = 0.25
"""Of the capacity, for services learned only because they are asked heavily. A flood over many addresses must leave room for real ones."""

SLOTS_PER_SERVICE = 4
"""A load of at most a quarter: a probe that finds nothing mostly ends at its first slot."""

TCP, UDP = int(Protocol.TCP), int(Protocol.UDP)
ROW_MASK, TAG_MASK = np.uint32(0xFFFF), np.uint32(0xFFFF_0000)
ENDPOINT_SHIFT, TAG_SHIFT, WORD_SHIFT = np.uint64(40), np.uint64(32), np.uint64(6)
ONE, WORD_BITS = np.uint64(1), np.uint64(63)

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

Words = NDArray[np.uint64]
Slots = NDArray[np.uint32]


@inlined
def _endpoint_hash(hi: np.uint64, lo: np.uint64, endpoint: int, seed: np.uint64) -> np.uint64:
    word = lo ^ (np.uint64(endpoint) << ENDPOINT_SHIFT) ^ seed
    if hi:
        word ^= mix(hi ^ seed ^ mix(np.uint64(endpoint) + seed))
    return mix(word)


@inlined
def _port_in_use(ports: Words, port: int, protocol: int) -> bool:
    row = 0 if protocol == TCP else 1
    return bool((ports[row, port >> 6] >> (np.uint64(port) & WORD_BITS)) & ONE)


@inlined
def _find(
    hi: np.uint64, lo: np.uint64, port: int, protocol: int, slots: Slots, keys: Words, endpoints: Slots, prefixes: Rows, seed: np.uint64
) -> int:
    """Return the row of the service at this address and port, 0 if there is none."""
    endpoint = port << 8 | protocol
    code = _endpoint_hash(hi, lo, endpoint, seed)
    tag = np.uint32(code >> TAG_SHIFT) & TAG_MASK
    slot = signed(code & np.uint64(len(slots) - 1))
    while slots[slot] != 0:  # ends: three quarters of the slots stay empty
        row = slots[slot] & ROW_MASK
        if slots[slot] & TAG_MASK == tag and keys[row, 0] == hi and keys[row, 1] == lo and endpoints[row] == endpoint:
            return signed(row)
        slot = (slot + 1) & (len(slots) - 1)
    for position in range(len(prefixes)):
        prefix = prefixes[position]
        if prefix.endpoint == endpoint and hi & prefix.mask_hi == prefix.hi and lo & prefix.mask_lo == prefix.lo:
            return signed(prefix.row)
    return 0


@njit
def _classify(
    packets: Rows, tracked: Rows, slots: Slots, keys: Words, endpoints: Slots, ports: Words, prefixes: Rows, seed: np.uint64
) -> None:
    for i in range(len(packets)):
        packet = packets[i]
        protocol = signed(packet.protocol)
        row, toward = 0, 0
        if protocol in (TCP, UDP):
            sport, dport = signed(packet.sport), signed(packet.dport)
            asked, answering = _port_in_use(ports, dport, protocol), _port_in_use(ports, sport, protocol)
            if asked or answering:
                # One probe at the end whose port is in use, chosen without a branch: the direction of packets cannot be predicted.
                hi, lo = (packet.dst_hi, packet.dst_lo) if asked else (packet.src_hi, packet.src_lo)
                row = _find(hi, lo, dport if asked else sport, protocol, slots, keys, endpoints, prefixes, seed)
                toward = 1 if asked else 0
                if row == 0 and asked and answering:
                    row = _find(packet.src_hi, packet.src_lo, sport, protocol, slots, keys, endpoints, prefixes, seed)
                    toward = 0
                if row == 0:
                    toward = 0
        tracked[i].service = row
        tracked[i].toward_service = toward


@njit
def _insert(row: int, port: int, protocol: int, slots: Slots, keys: Words, endpoints: Slots, seed: np.uint64) -> None:
    code = _endpoint_hash(keys[row, 0], keys[row, 1], port << 8 | protocol, seed)
    slot = signed(code & np.uint64(len(slots) - 1))
    while slots[slot] != 0:
        slot = (slot + 1) & (len(slots) - 1)
    slots[slot] = np.uint32(code >> TAG_SHIFT) & TAG_MASK | np.uint32(row)


class ServiceDirectory:
    """Rows 1 … ``capacity`` are services; row 0 stands for what belongs to none."""

    def __init__(self, services: Sequence[Service] = (), *, learn: bool, capacity: int = CAPACITY, seed: int = FIXED_SEED) -> None:
        self.capacity = capacity
        self.refused = 0  # services that would have been learned, had there been room
        self._services: list[Service] = []
        self._indices: dict[str, int] = {}
        self._learned = 0
        self._heavily_asked = 0  # services that were learned for nothing else
        self._seed = np.uint64(seed)
        self._slots = np.zeros(1 << (SLOTS_PER_SERVICE * capacity - 1).bit_length(), np.uint32)
        self._keys = np.zeros((capacity + 1, 2), np.uint64)
        self._endpoints = np.zeros(capacity + 1, np.uint32)
        self._ports = np.zeros((2, 65536 // 64), np.uint64)
        self._prefixes = np.zeros(0, PREFIX)
        for service in services:
            self.add(service)
        self._candidates = Candidates(seed=seed) if learn else None

    @property
    def services(self) -> tuple[Service, ...]:
        """In the order of their rows, beginning with row 1: the configured ones, then the learned ones."""
        return tuple(self._services)

    @property
    def indices(self) -> Mapping[str, int]:
        """Row by label."""
        return MappingProxyType(self._indices)

    @property
    def full(self) -> bool:
        return len(self._services) >= self.capacity

    def service(self, index: int) -> Service:
        """The service of a row; row 0 has none."""
        return self._services[index - 1]

    def add(self, service: Service) -> int:
        """Watch one more service and return its row."""
        hi, lo, mask_hi, mask_lo, length = _network(service)
        protocol = Protocol[service.protocol.upper()]
        if service.label in self._indices:
            raise ConfigError(f"service {service.label} is given twice: remove one of them")
        if self.full:
            raise ConfigError(f"service {service.label}: at most {self.capacity} services can be watched; join some into a prefix")
        self._services.append(service)
        row = self._indices[service.label] = len(self._services)
        self._ports[0 if protocol == Protocol.TCP else 1, service.port >> 6] |= ONE << np.uint64(service.port & 63)
        if length == 128:
            self._keys[row] = hi, lo
            self._endpoints[row] = service.port << 8 | protocol
            _insert(row, service.port, int(protocol), self._slots, self._keys, self._endpoints, self._seed)
        else:
            added = np.array([(hi, lo, mask_hi, mask_lo, service.port << 8 | protocol, row)], PREFIX)
            joined = np.concatenate([self._prefixes, added])
            lengths = [_mask_length(int(prefix["mask_hi"]), int(prefix["mask_lo"])) for prefix in joined]
            self._prefixes = joined[np.argsort([-bits for bits in lengths], kind="stable")]  # the longest match comes first
        return row

    def classify(self, packets: Rows, tracked: Rows) -> None:
        """Fill ``service`` and ``toward_service`` of each row. Later fragments must have their ports by now."""
        _classify(
            packets, tracked, self._slots, self._keys, self._endpoints, self._ports, self._prefixes, self._seed
        )  # fmt: skip

    def learn(self, packets: Rows, tracked: Rows) -> list[tuple[int, Service]]:
        """Look at what the trackers said of packets without a service, and return the services that this makes.

        Packets that were classified before do not know of them: classify the same rows again, so that a flood's first second counts.
        """
        if self._candidates is None or self.full:
            return []
        promoted: list[tuple[int, Service]] = []
        for evidence in self._candidates.gather(packets, tracked, needed=sessions_needed(self._learned)):
            answers = evidence.answered >= sessions_needed(self._learned)
            if not answers and not evidence.heavy:
                break  # with each service the bar may have risen; those behind are less busy still
            self._candidates.take(evidence)
            service = _learned(evidence)
            if service.label in self._indices:
                continue
            if self.full or (not answers and self._heavily_asked >= HEAVILY_ASKED_SHARE * self.capacity):
                self.refused += 1
                continue
            self._learned += 1
            self._heavily_asked += not answers
            promoted.append((self.add(service), service))
        return promoted


def _network(service: Service) -> tuple[int, int, int, int, int]:
    """The service's address as network and mask, after everything about it was checked."""
    if not 1 <= service.port <= 65535:
        raise ConfigError(f"service {service.name}: port must be 1 to 65535, got {service.port}")
    if service.protocol not in ("tcp", "udp"):
        raise ConfigError(f'service {service.name}: protocol must be "tcp" or "udp", got "{service.protocol}"')
    try:
        if "/" in service.address:
            return prefix_halves(service.address)
        hi, lo = halves(service.address)
    except ValueError as error:
        raise ConfigError(f'service {service.name}: address must be an IP address or prefix, got "{service.address}"') from error
    return hi, lo, 0, 0, 128


def _mask_length(mask_hi: int, mask_lo: int) -> int:
    return (mask_hi << 64 | mask_lo).bit_count()


def _learned(evidence: Evidence) -> Service:
    protocol = Protocol(evidence.protocol).name.lower()
    unnamed = Service("", address_text(evidence.hi, evidence.lo), evidence.port, protocol, learned=True)
    return msgspec.structs.replace(unnamed, name=unnamed.label)
