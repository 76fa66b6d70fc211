"""The known firewalls: each has its sources, and a table kept by its rules."""

import msgspec
import pytest

from netwatch.model.tracked import Verdict
from netwatch.rulebook import firewall_profile, names
from netwatch.track.session_table import SessionTable
from tests.builders import Built, tcp, udp
from tests.track.tables import CLIENT, SERVER, closing, handshake, states, track, verdicts

VENDORS = [name for name in names("firewalls") if name != "linux"]


@pytest.mark.parametrize("name", names("firewalls"))
def test_a_profile_says_what_it_is_and_where_that_is_from(name: str) -> None:
    profile = firewall_profile(name)
    assert profile.name == name
    assert profile.sources
    assert min(msgspec.structs.asdict(profile.timeouts).values()) > 0


@pytest.mark.parametrize("name", VENDORS)
def test_a_hardware_firewall_is_strict_and_frees_what_has_expired_at_once(name: str) -> None:
    profile = firewall_profile(name)
    table = SessionTable(profile)
    assert verdicts(table, tcp(0.0, CLIENT, 1, SERVER, 25, "A", seq=1, ack=1)) == [Verdict.INVALID]
    track(table, tcp(1.0, CLIENT, 2, SERVER, 25, "S"))
    assert states(table, 1.0 + profile.timeouts.syn_sent_s + 0.001) == {}


@pytest.mark.parametrize(
    ("name", "half_open_s", "idle_s", "closed_s", "udp_s"),
    [
        ("linux", 120.0, 432_000.0, 120.0, 30.0),
        ("panos", 5.0, 3600.0, 15.0, 30.0),
        ("asa", 30.0, 3600.0, 60.0, 120.0),
        ("srx", 20.0, 1800.0, 150.0, 60.0),
        ("fortigate", 10.0, 3600.0, 1.0, 180.0),
    ],
)
def test_entries_live_as_long_as_the_maker_says(name: str, half_open_s: float, idle_s: float, closed_s: float, udp_s: float) -> None:
    def left(at_s: float, *built: Built) -> int:
        table = SessionTable(firewall_profile(name))
        track(table, *built)
        return sum(states(table, at_s).values())

    syn, opened = tcp(0.0, CLIENT, 1, SERVER, 25, "S"), handshake(0.0)
    closed, datagram = [*opened, *closing(0.0)], udp(0.0, CLIENT, 1, SERVER, 53)
    for life_s, packets in ((half_open_s, [syn]), (idle_s, opened), (closed_s, closed), (udp_s, [datagram])):
        assert left(life_s - 0.1, *packets) == 1
        assert left(life_s + 61.0, *packets) == 0
