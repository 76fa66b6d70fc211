"""Who is named: prefixes by their share of the excess, a spoofed crowd, or the wider prefix that all of the busiest lie in."""

import pytest

from netwatch.detect.attribution import Asked, asked_elsewhere, asked_of, attribute
from netwatch.model.incident import Attribution
from netwatch.model.window import FirewallWindow, PrefixShare
from tests.detect.windows import service


def asked(attempts: int, *prefixes: PrefixShare, usual: float = 0.0, sources: int = 10) -> Asked:
    return Asked(attempts, usual, sources, prefixes, 1.0)


def test_shares_are_of_the_excess_over_what_is_usual() -> None:
    usual_sender = PrefixShare("198.18.1.0/24", 100, 0.1, 100.0)
    newcomer = PrefixShare("192.0.2.0/24", 800, 0.8, 0.0)
    assert attribute(asked(1_000, newcomer, usual_sender, usual=200.0)) == (Attribution("prefix", "192.0.2.0/24", 1.0),)


def test_nobody_is_named_without_an_excess() -> None:
    assert attribute(asked(100, PrefixShare("192.0.2.0/24", 90, 0.9, 0.0), usual=120.0)) == ()


def test_small_parts_are_left_out() -> None:
    small = PrefixShare("198.18.2.0/24", 40, 0.04, 0.0)
    assert attribute(asked(1_000, PrefixShare("192.0.2.0/24", 500, 0.5, 0.0), small)) == (Attribution("prefix", "192.0.2.0/24", 0.5),)


def test_a_source_for_nearly_every_attempt_is_a_spoofed_crowd() -> None:
    assert attribute(asked(1_000, sources=950), sources_so_far=9_000) == (Attribution("spoofed", "9950 sources", 1.0),)


def test_one_prefix_of_many_forged_hosts_is_a_prefix() -> None:
    prefix = PrefixShare("2001:db8:bad::/48", 980, 0.98, 0.0)
    assert attribute(asked(1_000, prefix, sources=980)) == (Attribution("prefix", "2001:db8:bad::/48", 0.98),)


@pytest.mark.parametrize(
    ("prefixes", "wide"),
    [
        ([f"10.66.{number}.0/24" for number in range(12)], "10.66.0.0/16"),
        ([f"2001:db8:{number:x}::/48" for number in range(1, 12)], "2001:db8::/32"),
    ],
)
def test_many_busiest_prefixes_side_by_side_are_their_common_one(prefixes: list[str], wide: str) -> None:
    busiest = [PrefixShare(prefix, 4, 0.004, 0.0) for prefix in prefixes]
    assert attribute(asked(1_000, *busiest, sources=300)) == (Attribution("prefix", wide, 1.0),)


def test_busiest_prefixes_far_apart_are_not_joined() -> None:
    busiest = [PrefixShare(f"10.{number}.0.0/24", 4, 0.004, 0.0) for number in range(12)]
    assert attribute(asked(1_000, *busiest, sources=300)) == ()


def test_a_service_without_a_normal_has_nothing_usual() -> None:
    assert asked_of(service(warming=True), 1.0).usual == 0.0
    assert asked_of(service(), 2.0).usual == 240.0


def test_what_goes_to_no_service_is_all_excess() -> None:
    firewall = FirewallWindow(entries=0, limit=1, elsewhere_attempts=50, elsewhere_sources=3)
    assert (asked_elsewhere(firewall, 1.0).attempts, asked_elsewhere(firewall, 1.0).usual) == (50, 0.0)
