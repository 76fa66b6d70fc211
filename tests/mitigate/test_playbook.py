"""Which rung of a ladder fits an incident, what it would change, and what the session table is made to try."""

from pathlib import Path

import pytest

from netwatch.errors import ConfigError
from netwatch.mitigate.effect import ShortTimeouts
from netwatch.mitigate.playbook import Playbook, admission, recommend
from netwatch.model.incident import Attribution, Evidence, EvidenceKind, Incident, Mode, Severity
from netwatch.model.plan import Eviction
from netwatch.model.service import Service
from netwatch.rulebook import find, load, names, rules_folder

SMTP = Service("smtp", "203.0.113.25", 25, "tcp")
SMTP6 = Service("smtp6", "2001:db8:113::25", 25, "tcp")
DNS = Service("dns", "203.0.113.53", 53, "udp")
SERVICES = (SMTP, SMTP6, DNS)


def playbook(name: str) -> Playbook:
    return load(Playbook, find("playbooks", name))


def incident(
    mode: Mode = Mode.SYN_FLOOD, *, service: Service | None = SMTP, prefixes: tuple[str, ...] = (), share: float = 0.9
) -> Incident:
    return Incident(
        id="1",
        mode=mode,
        severity=Severity.CRITICAL,
        firewall="edge-1",
        service=None if service is None else service.label,
        onset_s=30.0,
        detected_s=31.0,
        ended_s=None,
        evidence=(Evidence("normal_attempts_per_s", 19.0, EvidenceKind.TRAFFIC, "19 attempts/s before the outage"),),
        attribution=tuple(Attribution("prefix", prefix, share) for prefix in prefixes) or (Attribution("spoofed", "3000 sources", 1.0),),
        timeline=(),
    )


def changes(name: str, one: Incident, *, never_block: tuple[str, ...] = ()) -> tuple[str, ...]:
    found = recommend(one, [playbook(name)], services=SERVICES, never_block=never_block)
    return () if found is None else found.changes


def test_every_file_is_a_playbook_of_its_own_name_that_says_whom_it_hurts() -> None:
    for name in names("playbooks"):
        read = playbook(name)
        assert read.name == name
        assert read.hurts
        assert read.answers


def test_an_unknown_key_of_a_playbook_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(find("playbooks", "synproxy").read_text().replace("life_s", "lief_s", 1))
    with pytest.raises(ConfigError, match="lief_s"):
        load(Playbook, path)


def test_the_first_rung_that_fits_is_taken() -> None:
    ladder = [playbook("prefix-meter"), playbook("synproxy"), playbook("prefix-drop")]
    spoofed = recommend(incident(), ladder, services=SERVICES, never_block=())
    one_prefix = recommend(incident(prefixes=("192.0.2.0/24",)), ladder, services=SERVICES, never_block=())
    assert spoofed is not None
    assert spoofed.playbook == "synproxy"
    assert one_prefix is not None
    assert one_prefix.playbook == "prefix-meter"


def test_an_incident_that_no_rung_answers_gets_no_recommendation() -> None:
    assert recommend(incident(Mode.SERVICE_SILENT), [playbook("synproxy")], services=SERVICES, never_block=()) is None
    assert recommend(incident(), [], services=SERVICES, never_block=()) is None


def test_the_text_names_service_life_and_undo() -> None:
    found = recommend(incident(), [playbook("synproxy")], services=SERVICES, never_block=())
    assert found is not None
    assert found.changes == ("nft add element inet netwatch synproxy4 '{ 203.0.113.25 . 25 timeout 300s }'",)
    assert found.undo == ("nft delete element inet netwatch synproxy4 '{ 203.0.113.25 . 25 }'",)


def test_ipv6_services_and_prefixes_use_the_sets_of_their_family() -> None:
    assert changes("synproxy", incident(service=SMTP6)) == (
        "nft add element inet netwatch synproxy6 '{ 2001:db8:113::25 . 25 timeout 300s }'",
    )
    assert changes("prefix-drop", incident(prefixes=("192.0.2.0/24", "2001:db8:bad::/48"))) == (
        "nft add element inet netwatch blk4 '{ 192.0.2.0/24 timeout 300s }'",
        "nft add element inet netwatch blk6 '{ 2001:db8:bad::/48 timeout 300s }'",
    )


def test_a_prefix_of_the_other_family_is_not_evicted_from_a_service() -> None:
    lines = changes("evict-idle", incident(Mode.ESTABLISHED_CREEP, prefixes=("192.0.2.0/24", "2001:db8:bad::/48")))
    assert len(lines) == 1
    assert "-f ipv4 -p tcp -s 192.0.2.0/24 -d 203.0.113.25" in lines[0]
    assert "'$3 <= 431995 { $1 = \"-D\"; print }'" in lines[0]


@pytest.mark.parametrize("spared", ["192.0.2.0/24", "192.0.2.17", "192.0.0.0/16"])
def test_a_prefix_that_overlaps_never_block_is_not_dropped(spared: str) -> None:
    assert changes("prefix-drop", incident(prefixes=("192.0.2.0/24",)), never_block=(spared,)) == ()


def test_never_block_is_protected_before_anything_else_changes() -> None:
    lines = changes("synproxy", incident(), never_block=("198.51.100.0/24", "2001:db8:1::/48"))
    assert lines[:2] == (
        "nft add element inet netwatch protect4 '{ 198.51.100.0/24 }'",
        "nft add element inet netwatch protect6 '{ 2001:db8:1::/48 }'",
    )


@pytest.mark.parametrize(("prefix", "share"), [("192.0.0.0/8", 0.9), ("2001:db8::/29", 0.9), ("192.0.2.0/24", 0.01)])
def test_prefixes_that_are_too_broad_or_hardly_to_blame_are_left_alone(prefix: str, share: float) -> None:
    assert changes("prefix-drop", incident(prefixes=(prefix,), share=share)) == ()


def test_prefixes_that_are_a_small_part_of_the_excess_together_are_left_alone() -> None:
    assert changes("prefix-drop", incident(prefixes=tuple(f"192.{number}.2.0/24" for number in range(5)), share=0.1)) == ()
    assert len(changes("prefix-drop", incident(prefixes=tuple(f"192.{number}.2.0/24" for number in range(7)), share=0.1))) == 7


def test_at_most_sixteen_prefixes_are_dropped() -> None:
    assert len(changes("prefix-drop", incident(prefixes=tuple(f"192.{number}.2.0/24" for number in range(40))))) == 16


def test_a_playbook_for_udp_leaves_tcp_services_alone() -> None:
    assert changes("notrack-udp", incident(Mode.UDP_STATE_FLOOD, service=SMTP)) == ()
    assert len(changes("notrack-udp", incident(Mode.UDP_STATE_FLOOD, service=DNS))) == 1


def test_an_incident_of_the_whole_firewall_means_every_known_service() -> None:
    assert len(changes("short-timeouts", incident(Mode.TABLE_FULL, service=None))) == len(SERVICES)


def test_the_session_table_tries_what_would_be_done() -> None:
    one = incident(Mode.ESTABLISHED_CREEP, prefixes=("192.0.2.0/24",))
    limited = admission(playbook("connection-limit"), one, services=SERVICES, never_block=("198.51.100.0/24",))
    assert limited is not None
    assert (limited.name, limited.connection_limit, limited.connection_limit_services) == ("connection-limit", 200, (SMTP,))
    assert limited.never_block == ("198.51.100.0/24",)
    evicted = admission(playbook("evict-idle"), one, services=SERVICES, never_block=())
    assert evicted is not None
    assert evicted.evict == Eviction(states=("ESTABLISHED",), min_idle_s=5.0, prefixes=("192.0.2.0/24",), services=(SMTP,), repeat_s=1.0)


@pytest.mark.parametrize(
    ("name", "mode", "field"),
    [
        ("synproxy", Mode.SYN_FLOOD, "synproxy"),
        ("short-timeouts", Mode.SYN_FLOOD, "new_timeouts_services"),
        ("prefix-meter", Mode.SYN_FLOOD, "meter_services"),
    ],
)
def test_a_service_effect_is_tried_on_the_hurt_service_only(name: str, mode: Mode, field: str) -> None:
    tried = admission(playbook(name), incident(mode, prefixes=("192.0.2.0/24",)), services=SERVICES, never_block=())
    assert getattr(tried, field) == (SMTP,)


def test_a_dropped_prefix_is_tried_as_such() -> None:
    tried = admission(playbook("prefix-drop"), incident(prefixes=("192.0.2.0/24",)), services=SERVICES, never_block=())
    assert tried is not None
    assert tried.drop_prefixes == ("192.0.2.0/24",)


def test_what_the_table_cannot_model_is_not_tried() -> None:
    assert not playbook("fragment-drop").modelled
    assert admission(playbook("fragment-drop"), incident(Mode.FRAGMENT_EXHAUSTION), services=SERVICES, never_block=()) is None
    assert admission(playbook("synproxy"), incident(Mode.RETRY_STORM), services=SERVICES, never_block=()) is None


def test_the_short_timeouts_that_are_tried_are_those_of_the_base_table() -> None:
    """The kernel's policy in base.nft and the model's timeouts in the playbook must not drift apart."""
    effect = playbook("short-timeouts").effect
    assert isinstance(effect, ShortTimeouts)
    names_in_kernel = {"unreplied": "udp_s", "replied": "udp_stream_s", "unack": "unacknowledged_s", "retrans": "max_retrans_s"}
    base = (rules_folder() / "nftables" / "base.nft").read_text()
    policies = [line.split("{")[1].split("}")[0] for line in base.splitlines() if "policy = {" in line]
    assert len(policies) == 4
    for policy in policies:
        for state, seconds in (entry.split(":") for entry in policy.split(",")):
            name = names_in_kernel.get(state.strip(), f"{state.strip()}_s")
            assert getattr(effect.timeouts, name) == float(seconds), name
