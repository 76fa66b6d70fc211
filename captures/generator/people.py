"""Who talks to the site: hosts in prefixes, some busier than others, so that most sources come back; and the spoofed, who never do."""

from ipaddress import IPv4Network, IPv6Network, ip_network

import numpy as np


class People:
    """Hosts of some prefixes, which are drawn by a Zipf-like weight: a few prefixes hold most of the traffic."""

    def __init__(self, *prefixes: str, hosts: int = 30) -> None:
        networks = [ip_network(prefix) for prefix in prefixes]
        self.hosts = [[self._host(network, number) for number in range(hosts)] for network in networks]
        weights = 1.0 / np.arange(1, len(prefixes) + 1) ** 0.7
        self._edges = np.cumsum(weights / weights.sum())

    @staticmethod
    def _host(network: IPv4Network | IPv6Network, number: int) -> bytes:
        if network.version == 6:  # each host in a /64 of its own
            return (int(network.network_address) + (number << 64) + 0x1234).to_bytes(16, "big")
        return (int(network.network_address) + 1 + number).to_bytes(4, "big")

    def pick(self, rng: np.random.Generator) -> bytes:
        hosts = self.hosts[int(np.searchsorted(self._edges, rng.random()))]
        return hosts[int(rng.integers(len(hosts)))]


class Returning:
    """Exactly these hosts, all alike."""

    def __init__(self, hosts: list[bytes]) -> None:
        self.hosts = hosts

    def pick(self, rng: np.random.Generator) -> bytes:
        return self.hosts[int(rng.integers(len(self.hosts)))]


class Spoofed:
    """Any unicast IPv4 address, or any /64 within an IPv6 prefix: an answer goes to someone else, or nowhere."""

    def __init__(self, prefix6: str | None = None) -> None:
        self.network6 = None if prefix6 is None else ip_network(prefix6)

    def pick(self, rng: np.random.Generator) -> bytes:
        if self.network6 is not None:
            return (int(self.network6.network_address) | int(rng.integers(2**16)) << 64 | int(rng.integers(2**63))).to_bytes(16, "big")
        while True:
            first = int(rng.integers(1, 224))
            if first not in (10, 127):
                return bytes([first, *rng.integers(0, 256, 3).tolist()])
