"""Lines of a change: understood to the last character, or not sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.enforce.base_table import base_table
from netwatch.enforce.lines import Element, duration_s, element_from, elements_of, protections
from netwatch.enforce.listing import listed_elements
from netwatch.errors import ChangeForbiddenError, EnforceError
from netwatch.mitigate.playbook import recommend
from netwatch.model.change import Change
from netwatch.rulebook import all_playbooks
from tests.enforce.changes import change, element
from tests.mitigate.test_playbook import DNS, SERVICES, SMTP, SMTP6, incident


def test_the_base_table_tells_what_a_change_may_use(base: str) -> None:
    found = base_table(base)
    assert found.sets["synproxy4"].fields == ("ipv4_addr", "inet_service")
    assert found.sets["meter6"].kind == "map"
    assert found.sets["meter6"].value == "verdict"
    arming = {name for name, kind in found.sets.items() if kind.arms}
    assert {"blk4", "synproxy6", "ramp4"} <= arming
    assert arming.isdisjoint({"protect4", "metered4", "held6", "resets4"})
    assert {"meter_20", "hold_200", "refuse"} <= found.chains
    assert "ramp_25" in found.limits
    assert {policy.established_s for policy in found.policies} == {7440.0, 432_000.0}
    assert {policy.udp_s for policy in found.policies} == {3.0, 30.0}


@pytest.mark.parametrize("text", ["", "table inet filter { }", "table inet netwatch { }\ntable inet filter { }", "add table ip netwatch"])
def test_a_base_table_of_another_name_is_refused(text: str) -> None:
    with pytest.raises(EnforceError, match="base table must be inet netwatch"):
        base_table(text)


def test_every_playbooks_lines_pass(base: str) -> None:
    known, passed = base_table(base), set()
    for playbook in all_playbooks().values():
        for mode in playbook.answers:
            for service in (None, SMTP, SMTP6, DNS):
                one = incident(mode, service=service, prefixes=("192.0.2.0/24", "2001:db8:bad::/48"))
                found = recommend(one, [playbook], services=SERVICES, never_block=("198.51.100.0/24",))
                lines = [line.removeprefix("nft ").replace("'", "") for line in found.changes if line.startswith("nft ")] if found else []
                if found and lines:
                    undo = tuple(line.removeprefix("nft ").replace("'", "") for line in found.undo)
                    assert elements_of(Change(id="c", playbook="p", nft=tuple(lines), undo=undo, life_s=playbook.life_s), known)
                    passed.add(playbook.name)
    assert len(passed) >= 10


@pytest.mark.parametrize(
    ("name", "text", "key"),
    [
        ("blk4", "192.0.2.7/24", "192.0.2.0/24"),
        ("blk4", "192.0.2.7/32", "192.0.2.7"),
        ("blk6", "2001:DB8:0:0::1", "2001:db8::1"),
        ("synproxy4", "203.0.113.25  .  0025", "203.0.113.25 . 25"),
        ("notrack4", "203.0.113.0/24 . 17 . 53", "203.0.113.0/24 . udp . 53"),
        ("notrack4", "203.0.113.0/24 . 99 . 53", "203.0.113.0/24 . 99 . 53"),
    ],
)
def test_keys_have_one_form(base: str, name: str, text: str, key: str) -> None:
    known = base_table(base)
    found = element_from(f"{text} timeout 5s", known.sets[name], known)
    assert found is not None
    assert (found.key, found.life_s) == (key, 5.0)


def test_an_element_is_written_as_it_is_read(base: str) -> None:
    known = base_table(base)
    one = Element("meter4", "203.0.113.25 . tcp . 25", "jump meter_20", 300.0)
    assert one.add(300.0) == "add element inet netwatch meter4 { 203.0.113.25 . tcp . 25 timeout 300s : jump meter_20 }"
    assert one.add(1.5) == "add element inet netwatch meter4 { 203.0.113.25 . tcp . 25 timeout 1500ms : jump meter_20 }"
    assert one.delete() == "delete element inet netwatch meter4 { 203.0.113.25 . tcp . 25 : jump meter_20 }"
    (parsed,) = elements_of(Change(id="c", playbook="p", nft=(one.add(300.0),), undo=(one.delete(),), life_s=300), known)
    assert parsed == one


def test_one_line_may_hold_several_elements(base: str) -> None:
    line = "add element inet netwatch blk4 { 192.0.2.0/24 timeout 5s, 198.51.100.7 timeout 6s }"
    undo = "delete element inet netwatch blk4 { 192.0.2.0/24, 198.51.100.7 }"
    found = elements_of(Change(id="c", playbook="p", nft=(line,), undo=(undo,), life_s=60), base_table(base))
    assert [(one.key, one.life_s) for one in found] == [("192.0.2.0/24", 5.0), ("198.51.100.7", 6.0)]


def test_what_nftables_lists_is_read_over_several_lines(base: str) -> None:
    known = base_table(base)
    listing = (
        "table inet netwatch {\n\tmap meter4 {\n\t\ttype ipv4_addr . inet_proto . inet_service : verdict\n\t\tflags interval,timeout\n"
        "\t\telements = { 203.0.113.25 . tcp . 25 timeout 5m expires 4m59s988ms : jump meter_20,\n"
        "\t\t\t     203.0.113.0/24 . udp . 53 timeout 1h expires 59m : jump meter_10,\n"
        "\t\t\t     203.0.113.7-203.0.113.9 . udp . 53 timeout 1h expires 59m : jump meter_10 }\n\t}\n}\n"
    )
    first, second = listed_elements(listing, known.sets["meter4"], known)
    assert (first.place, first.value, first.life_s) == (("meter4", "203.0.113.25 . tcp . 25"), "jump meter_20", 300.0)
    assert first.expires_s == pytest.approx(299.988)
    assert (second.key, second.expires_s) == ("203.0.113.0/24 . udp . 53", 3540.0)
    assert list(listed_elements("table inet netwatch {\n}\n", known.sets["meter4"], known)) == []


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("30s", 30.0), ("1d2h3m4s5ms", 93_784.005), ("5m", 300.0), ("988ms", 0.988), ("", None), ("5", None), ("m5", None)],
)
def test_durations(words: str, seconds: float | None) -> None:
    assert duration_s(words) == (None if seconds is None else pytest.approx(seconds))


def test_protected_prefixes_are_merged_and_checked(base: str) -> None:
    known = base_table(base)
    merged = protections(("198.51.100.0/25", "198.51.100.128/25", "198.51.100.7", "2001:db8::/48"), known)
    assert [(one.set, one.key) for one in merged] == [("protect4", "198.51.100.0/24"), ("protect6", "2001:db8::/48")]
    with pytest.raises(ChangeForbiddenError, match="never_block"):
        protections(("mail.example",), known)


@given(st.text(alphabet='addelmntischwk4{}0123456789./: ;#"$\\\n,jump_', max_size=80))
def test_whatever_a_line_says_only_elements_of_our_sets_come_out(text: str) -> None:
    from netwatch.rulebook import rules_folder

    known = base_table((rules_folder() / "nftables" / "base.nft").read_text())
    for line in (text, f"add element inet netwatch blk4 {{ {text} }}", f"add element inet netwatch {text} {{ 192.0.2.0/24 timeout 5s }}"):
        try:
            found = elements_of(change((line, element("blk4", "192.0.2.0/24")[1])), known)
        except ChangeForbiddenError:
            continue
        for one in found:
            assert known.sets[one.set]
            assert set(one.add(one.life_s)).isdisjoint(";#$\\\n\"'") or known.sets[one.set].value == "limit"
