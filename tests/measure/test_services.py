"""The service directory against a slow twin: a dictionary and a loop over prefixes."""

from ipaddress import ip_address, ip_network

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwatch.errors import ConfigError
from netwatch.measure.services import ServiceDirectory
from netwatch.model.service import Service
from netwatch.model.tracked import TRACKED
from tests.builders import Built, as_block, icmp_echo, tcp, udp

SMTP = Service("smtp", "192.0.2.25", 25, "tcp")
DNS6 = Service("dns", "2001:db8::53", 53, "udp")
WEB = Service("web", "203.0.113.0/24", 443, "tcp")


def classified(directory: ServiceDirectory, *packets: Built) -> list[tuple[int, int]]:
    block = as_block(packets)
    tracked = np.zeros(len(packets), TRACKED)
    tracked["service"] = 77  # of an earlier use of the rows
    directory.classify(block.packets, tracked)
    return list(zip(tracked["service"].tolist(), tracked["toward_service"].tolist(), strict=True))


def test_tells_both_directions_of_a_service_apart() -> None:
    directory = ServiceDirectory([SMTP, DNS6], learn=False)
    assert classified(
        directory,
        tcp(0, "10.0.0.1", 40000, "192.0.2.25", 25),
        tcp(0, "192.0.2.25", 25, "10.0.0.1", 40000),
        udp(0, "2001:db8::1", 5353, "2001:db8::53", 53),
        udp(0, "2001:db8::53", 53, "2001:db8::1", 5353),
    ) == [(1, 1), (1, 0), (2, 1), (2, 0)]


def test_what_differs_in_one_thing_belongs_to_no_service() -> None:
    directory = ServiceDirectory([SMTP], learn=False)
    assert (
        classified(
            directory,
            tcp(0, "10.0.0.1", 40000, "192.0.2.26", 25),
            tcp(0, "10.0.0.1", 40000, "192.0.2.25", 26),
            udp(0, "10.0.0.1", 40000, "192.0.2.25", 25),
            tcp(0, "10.0.0.1", 40000, "2001:db8::25", 25),
            icmp_echo(0, "10.0.0.1", "192.0.2.25", identifier=1),
        )
        == [(0, 0)] * 5
    )


def test_a_service_that_asks_another_one_counts_for_the_one_that_is_asked() -> None:
    directory = ServiceDirectory([SMTP, Service("relay", "192.0.2.99", 25, "tcp")], learn=False)
    assert classified(directory, tcp(0, "192.0.2.25", 25, "192.0.2.99", 25)) == [(2, 1)]


def test_an_exact_address_goes_before_a_prefix_and_a_longer_prefix_before_a_shorter_one() -> None:
    services = [
        WEB,
        Service("half", "203.0.113.128/25", 443, "tcp"),
        Service("one", "203.0.113.200", 443, "tcp"),
        Service("v6", "2001:db8::/32", 443, "tcp"),
    ]
    directory = ServiceDirectory(services, learn=False)
    assert classified(
        directory,
        tcp(0, "10.0.0.1", 4000, "203.0.113.7", 443),
        tcp(0, "10.0.0.1", 4000, "203.0.113.129", 443),
        tcp(0, "203.0.113.200", 443, "10.0.0.1", 4000),
        tcp(0, "2001:db9::1", 4000, "2001:db8:1::1", 443),
        tcp(0, "2001:db9::1", 443, "10.0.0.1", 443),
    ) == [(1, 1), (2, 1), (3, 0), (4, 1), (0, 0)]


@pytest.mark.parametrize(
    ("service", "complaint"),
    [
        (Service("mail", "203.0.113.300", 25, "tcp"), "address must be an IP address or prefix"),
        (Service("mail", "203.0.113.0/33", 25, "tcp"), "address must be an IP address or prefix"),
        (Service("mail", "203.0.113.1", 0, "tcp"), "port must be 1 to 65535, got 0"),
        (Service("mail", "203.0.113.1", 65536, "tcp"), "port must be 1 to 65535"),
        (Service("mail", "203.0.113.1", 25, "sctp"), 'protocol must be "tcp" or "udp", got "sctp"'),
    ],
)
def test_a_service_that_cannot_be_watched_is_refused_by_name(service: Service, complaint: str) -> None:
    with pytest.raises(ConfigError, match=f"service mail: .*{complaint}"):
        ServiceDirectory([service], learn=False)


def test_a_service_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="given twice"):
        ServiceDirectory([SMTP, Service("other name", "192.0.2.25", 25, "tcp")], learn=False)


def test_more_services_than_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="at most 2 services"):
        ServiceDirectory([Service(f"s{port}", "192.0.2.25", port, "tcp") for port in (1, 2, 3)], learn=False, capacity=2)


def test_rows_and_labels_point_at_each_other() -> None:
    directory = ServiceDirectory([SMTP, DNS6, WEB], learn=False)
    assert directory.services == (SMTP, DNS6, WEB)
    assert all(directory.service(row).label == label for label, row in directory.indices.items())


ADDRESSES = st.sampled_from(["192.0.2.1", "192.0.2.2", "192.0.2.130", "198.51.100.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"])
PREFIXES = st.sampled_from(["192.0.2.0/24", "192.0.2.0/25", "0.0.0.0/0", "2001:db8::/32", "2001:db8::/64", "::/0", "192.0.2.1/32"])
PORTS = st.integers(1, 6)
PROTOCOLS = st.sampled_from(["tcp", "udp"])
SERVICES = st.lists(
    st.builds(Service, st.just("s"), st.one_of(ADDRESSES, PREFIXES), PORTS, PROTOCOLS), max_size=30, unique_by=lambda service: service.label
)
PACKETS = st.lists(st.tuples(PROTOCOLS, ADDRESSES, PORTS, ADDRESSES, PORTS), max_size=20)


def slow_find(services: list[Service], address: str, port: int, protocol: str) -> int:
    """The row of the best service: the longest network, an address without a mask before all, then the one given first."""
    best, best_length = 0, -1
    for row, service in enumerate(services, start=1):
        if service.port != port or service.protocol != protocol:
            continue
        network = ip_network(service.address)
        parsed = ip_address(address)
        mapped = 0 if parsed.version == 6 else 96
        if network.version == parsed.version and parsed in network:
            length = mapped + network.prefixlen
        elif network.version == 6 and network.prefixlen == 0:
            length = 0  # ::/0 holds the mapped addresses too
        else:
            continue
        length = 129 if "/" not in service.address else length
        if length > best_length:
            best, best_length = row, length
    return best


@settings(max_examples=80, deadline=None)
@given(SERVICES, PACKETS)
def test_agrees_with_a_search_through_the_list(services: list[Service], packets: list[tuple[str, str, int, str, int]]) -> None:
    directory = ServiceDirectory(services, learn=False)
    built = [(tcp if protocol == "tcp" else udp)(0, src, sport, dst, dport) for protocol, src, sport, dst, dport in packets]
    expected = []
    for protocol, src, sport, dst, dport in packets:
        asked = slow_find(services, dst, dport, protocol)
        expected.append((asked, 1) if asked else (slow_find(services, src, sport, protocol), 0))
    assert classified(directory, *built) == expected


def test_a_full_directory_finds_all_of_its_services() -> None:
    services = [Service(f"s{number}", f"10.{number >> 8}.{number & 255}.1", 1 + number % 7, "tcp") for number in range(1024)]
    directory = ServiceDirectory(services, learn=False)
    block = as_block([tcp(0, "172.16.0.1", 9999, service.address, service.port) for service in services])
    tracked = np.zeros(1024, TRACKED)
    directory.classify(block.packets, tracked)
    assert tracked["service"].tolist() == list(range(1, 1025))
