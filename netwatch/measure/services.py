"""The service directory: the protected services by number, configured or learned.

Which packets belong to which is the index's word (``model/service_index``). Services are configured or learned (``learning``). The
directory only grows, up to its capacity: an index that were given away again would put the table entries of the one that left under the
name of the one that came. When it is full, learning stops and refusals are counted.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec
import numpy as np

from netwatch.errors import ConfigError
from netwatch.measure.learning import Candidates, Evidence, sessions_needed
from netwatch.model.address import address_text, halves, prefix_halves
from netwatch.model.packet import Rows
from netwatch.model.service import Protocol, Service
from netwatch.model.service_index import PREFIX, ServiceIndex, empty_index, insert, name_services, with_prefix
from netwatch.model.tuple_hash import FIXED_SEED

CAPACITY = 1024
"""Services that one firewall is watched for; row indices fit in 16 bits with room to spare."""

HEAVILY_ASKED_SHARE = 0.25
"""Of the capacity, for services learned only because they are asked heavily. A flood over many addresses must leave room for real ones."""


class ServiceDirectory:
    """Rows 1 … ``capacity`` are services; row 0 stands for what belongs to none."""

    def __init__(self, services: Sequence[Service] = (), *, learn: bool, capacity: int = CAPACITY, seed: int = FIXED_SEED) -> None:
        self.capacity = capacity
        self.refused = 0  # services that would have been learned, had there been room
        self._services: list[Service] = []
        self._indices: dict[str, int] = {}
        self._learned = 0
        self._heavily_asked = 0  # services that were learned for nothing else
        self.index: ServiceIndex = empty_index(capacity, seed)
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
        if length == 128:
            self.index.keys[row] = hi, lo
            insert(self.index, row, service.port, int(protocol))
        else:
            added = np.array([(hi, lo, mask_hi, mask_lo, service.port << 8 | protocol, row)], PREFIX)
            self.index = with_prefix(self.index, added)
        return row

    def classify(self, packets: Rows, tracked: Rows) -> None:
        """Fill ``service`` and ``toward_service`` of each row. Later fragments must have their ports by now."""
        name_services(self.index, packets, tracked)

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


def _learned(evidence: Evidence) -> Service:
    protocol = Protocol(evidence.protocol).name.lower()
    unnamed = Service("", address_text(evidence.hi, evidence.lo), evidence.port, protocol, learned=True)
    return msgspec.structs.replace(unnamed, name=unnamed.label)
