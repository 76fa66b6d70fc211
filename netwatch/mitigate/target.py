"""What a mitigation may aim at: the services an incident hurts and the prefixes that cause it, less whom it must never touch."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from netwatch.model.incident import Incident
from netwatch.model.service import Service

if TYPE_CHECKING:
    from netaddr import IPNetwork

MIN_SHARE = 0.05
"""A prefix with a smaller part in the excess is not worth a rule."""

MIN_TOTAL_SHARE = 0.6
"""Prefixes that make up less of the excess together are not its cause; to hit them would hurt and not help."""

MAX_PREFIXES = 16
BROADEST_PREFIX = {4: 16, 6: 32}
"""Prefix lengths below these hit whole providers, whatever share of the attack they hold."""


class Target(msgspec.Struct, frozen=True):
    services: tuple[Service, ...]
    prefixes: tuple[str, ...]  # canonical, apart from each other


def target_of(incident: Incident, services: Sequence[Service], never_block: Sequence[str]) -> Target:
    """The incident's own service, or all that are known when the whole firewall is meant; and its prefixes."""
    import netaddr  # not before there is a target: its import takes as long as reading all rules

    hurt = tuple(service for service in services if incident.service in (None, service.label))
    spared = [netaddr.IPNetwork(prefix) for prefix in never_block]
    blamed: list[IPNetwork] = []
    total_share = 0.0
    for suspect in sorted(incident.attribution, key=lambda suspect: -suspect.share):
        if suspect.kind != "prefix" or suspect.share < MIN_SHARE or len(blamed) == MAX_PREFIXES:
            continue
        network = netaddr.IPNetwork(suspect.value).cidr
        if network.prefixlen >= BROADEST_PREFIX[network.version] and not any(overlap(network, one) for one in spared):
            blamed.append(network)
            total_share += suspect.share
    if total_share < MIN_TOTAL_SHARE:
        return Target(hurt, ())
    return Target(hurt, tuple(str(network) for network in netaddr.cidr_merge(blamed)))


def overlap(one: "IPNetwork", other: "IPNetwork") -> bool:
    return one in other or other in one
