"""Rungs: what is tried together, what fits, and the change that comes out of it."""

import re

import msgspec
import pytest

from netwatch.enforce.base_table import base_table
from netwatch.enforce.lines import elements_of as elements_as_listed
from netwatch.errors import ConfigError
from netwatch.mitigate.ladder import combined, draft_of, elements_of, next_draft, recommend_rung, rungs
from netwatch.model.change import Change, Element
from netwatch.model.incident import Evidence, EvidenceKind, Incident, Mode
from netwatch.model.plan import Admission, Eviction
from netwatch.model.service import Service
from netwatch.rulebook import all_playbooks, rules_folder
from tests.mitigate.play import ATTACKER, CURE, SECOND, SERVICES, SMTP, incident, shipped_ladders

SMTP6 = Service("smtp6", "2001:DB8::25", 25, "tcp")
CREEP = "evict-idle+connection-limit"


def change(entry: str, one: Incident, *, services: tuple[Service, ...] = SERVICES, life_s: float = 60.0) -> Change:
    (rung,) = rungs([entry], all_playbooks())
    found = draft_of(rung, 0, one, services=services, never_block=())
    assert found is not None
    return found.change("c1", life_s)


def test_every_ladder_that_is_shipped_can_be_climbed() -> None:
    for mode, ladder in shipped_ladders().items():
        assert (ladder != ()) is (mode is not Mode.SERVICE_SILENT)
        assert len({rung.name for rung in ladder}) == len(ladder)
        assert all(mode in rung.playbooks[0].answers for rung in ladder)


@pytest.mark.parametrize(
    ("entry", "says"),
    [("synproxi", "names the playbook 'synproxi'"), ("synproxy+", "names the playbook ''"), ("evict-half-open+evict-idle", "evicts twice")],
)
def test_a_rung_that_cannot_be_is_refused_by_name(entry: str, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        rungs([entry], all_playbooks())


def test_one_cure_of_two_playbooks_is_one_change() -> None:
    made = change(CURE, incident())
    assert made.playbook == CURE
    assert made.nft == ("add element inet netwatch synproxy4 { 203.0.113.25 . 25 timeout 60s }",)
    assert made.undo == ("delete element inet netwatch synproxy4 { 203.0.113.25 . 25 }",)
    assert made.evict == Eviction(states=("SYN_SENT", "SYN_RECV"), min_idle_s=2.0, repeat_s=2.0)


def test_the_cure_of_a_stuck_table_evicts_and_limits() -> None:
    made = change(CREEP, incident(mode=Mode.ESTABLISHED_CREEP, prefixes=(ATTACKER,)))
    assert made.nft == ("add element inet netwatch hold4 { 203.0.113.25 . tcp . 25 timeout 60s : jump hold_200 }",)
    assert made.evict is not None
    assert (made.evict.states, made.evict.prefixes, made.evict.services) == (("ESTABLISHED",), (ATTACKER,), (SMTP,))


def test_a_companion_that_does_not_fit_stays_behind_and_a_leader_that_does_not_ends_it() -> None:
    spoofed = change(SECOND, incident())
    assert spoofed.nft == ()
    assert spoofed.evict is not None
    assert len(change(SECOND, incident(prefixes=(ATTACKER,))).nft) == 1
    (rung,) = rungs([CREEP], all_playbooks())
    assert draft_of(rung, 0, incident(mode=Mode.ESTABLISHED_CREEP), services=SERVICES, never_block=()) is None


def test_the_shell_of_a_text_for_people_is_taken_off_but_not_the_quotes_of_nft() -> None:
    made = change("admission-ramp", incident(mode=Mode.RETRY_STORM))
    assert made.nft == ('add element inet netwatch ramp4 { 203.0.113.25 . 25 timeout 60s : "ramp_100" }',)


def test_a_ramp_lets_the_normal_rate_through_and_is_not_tried_where_none_is_known() -> None:
    (rung,) = rungs(["admission-ramp"], all_playbooks())

    def tier(normal_per_s: float) -> str:
        known = (Evidence("normal_attempts_per_s", normal_per_s, EvidenceKind.TRAFFIC, ""),)
        storm = msgspec.structs.replace(incident(mode=Mode.RETRY_STORM), evidence=known)
        draft = draft_of(rung, 0, storm, services=SERVICES, never_block=())
        return "none" if draft is None else draft.nft[0].rpartition("ramp_")[2].rstrip('" }')

    assert [tier(normal_per_s) for normal_per_s in (0.5, 8.0, 8.1, 80.0, 800.0, 801.0)] == ["10", "10", "25", "100", "1000", "none"]
    unknown = msgspec.structs.replace(incident(mode=Mode.RETRY_STORM), evidence=())
    assert draft_of(rung, 0, unknown, services=SERVICES, never_block=()) is None


def test_every_line_of_every_rung_ends_by_itself_within_the_change_and_can_be_undone() -> None:
    for mode, ladder in shipped_ladders().items():
        for service in (SMTP, SMTP6, Service("dns", "203.0.113.53", 53, "udp")):
            one = incident(mode=mode, service=service, prefixes=(ATTACKER, "2001:db8:bad::/48"))
            for number, rung in enumerate(ladder):
                draft = draft_of(rung, number, one, services=(service,), never_block=("198.51.100.0/24",))
                if draft is None:
                    continue
                made = draft.change("c1", 45.7)
                assert made.nft or made.evict is not None
                assert all(re.findall(r"timeout (\d+)s", line) == ["45"] for line in made.nft)
                assert len(made.undo) == len(made.nft) == len(elements_of(made))


def test_a_life_is_as_short_as_it_is_asked_for() -> None:
    assert change(CURE, incident(), life_s=12.9).life_s == 12.0
    assert change(CURE, incident(), life_s=0.2).nft[0].endswith("timeout 1s }")


def test_elements_are_named_as_the_kernel_lists_them() -> None:
    made = change(CURE, incident(service=SMTP6), services=(SMTP6,))
    assert elements_of(made) == (Element("synproxy6", "2001:db8::25 . 25"),)
    limited = change("connection-limit", incident(mode=Mode.ESTABLISHED_CREEP, prefixes=(ATTACKER,)))
    assert elements_of(limited) == (Element("hold4", "203.0.113.25 . tcp . 25"),)


def test_the_next_rung_is_the_first_that_fits_and_was_not_tried() -> None:
    ladder = shipped_ladders()[Mode.SYN_FLOOD]
    tried: list[str] = []
    while (draft := next_draft(incident(), ladder, tried=frozenset(tried), services=SERVICES, never_block=())) is not None:
        tried.append(draft.rung.name)
        assert ladder[draft.number].name == draft.rung.name
    assert tried == [rung.name for rung in ladder if rung.name != "prefix-drop"]  # nobody is to blame


def test_mitigations_in_force_together_keep_each_their_own() -> None:
    both = combined("both", [Admission(name="a", synproxy=(SMTP,)), Admission(name="b", evict=Eviction(min_idle_s=2.0))])
    assert both == Admission(name="both", synproxy=(SMTP,), evict=Eviction(min_idle_s=2.0))
    assert combined("none", []) is None


def test_a_recommendation_gives_the_commands_of_all_parts_under_the_leaders_name() -> None:
    found = recommend_rung(incident(), shipped_ladders()[Mode.SYN_FLOOD], services=SERVICES, never_block=("198.51.100.0/24",))
    assert found is not None
    assert found.playbook == "synproxy"
    assert found.changes[0].startswith("nft add element inet netwatch protect4")
    assert sum("protect4" in line for line in found.changes) == 1
    assert any("synproxy4" in line for line in found.changes)
    assert any(line.startswith("conntrack -L -f ipv4 -p tcp --state SYN_SENT") for line in found.changes)
    assert recommend_rung(incident(mode=Mode.SERVICE_SILENT), (), services=SERVICES, never_block=()) is None


def test_a_driver_takes_every_change_and_names_its_elements_alike() -> None:
    """The driver reads lines for itself; what it lists after a restart must be found in the journal's plans."""
    base = base_table((rules_folder() / "nftables" / "base.nft").read_text())
    for mode, ladder in shipped_ladders().items():
        for service in (SMTP, SMTP6, Service("net", "198.51.100.0/25", 53, "udp")):
            one = incident(mode=mode, service=service, prefixes=(ATTACKER, "2001:db8:bad::/48"))
            for rung in ladder:
                if (draft := draft_of(rung, 0, one, services=(service,), never_block=())) is not None:
                    made = draft.change("c1", 60.0)
                    listed = {element.place for element in elements_as_listed(made, base)}
                    assert {(element.set, element.key) for element in elements_of(made)} == listed
