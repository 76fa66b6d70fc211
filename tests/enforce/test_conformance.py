"""What all drivers promise, each tried: with nftables' library, with the program, and the one that changes nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from netwatch.enforce.driver import Loaded
from netwatch.enforce.ruleset import TableState
from netwatch.errors import ChangeForbiddenError, EnforceError, TableLostError
from netwatch.model.change import Change
from netwatch.model.plan import Eviction
from tests.enforce.changes import SMTP, change, element, of_every_kind, synproxy
from tests.enforce.rigs import Rig, dry, real, with_library, with_program

LOOSE = "net.netfilter.nf_conntrack_tcp_loose=0"


@pytest.fixture(
    params=[
        pytest.param("library", marks=pytest.mark.namespace),
        pytest.param("program", marks=pytest.mark.namespace),
        "dry-run",
    ]
)
def rig(request: pytest.FixtureRequest, base: str, tmp_path: Path) -> Iterator[Rig]:
    if request.param == "dry-run":
        with dry(base) as rig:
            yield rig
        return
    namespace = request.getfixturevalue("namespace")
    make = with_library if request.param == "library" else with_program
    with real(make(base, namespace, tmp_path), namespace) as rig:
        yield rig


def armed(rig: Rig) -> set[tuple[str, str]]:
    return {(one.set, one.key) for one in rig.driver.in_force()}


def test_a_change_that_is_applied_and_undone_leaves_nothing(rig: Rig) -> None:
    assert rig.driver.load() is Loaded.FRESH
    before = rig.settings()
    rig.driver.apply(of_every_kind(), now_s=1000.0)
    assert len(armed(rig)) == 8
    rig.driver.undo(of_every_kind())
    assert armed(rig) == set()
    assert rig.settings() == before


def test_what_is_in_force_is_listed_in_one_form_with_the_life_it_has_left(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.apply(change(element("synproxy4", "203.0.113.25/32 . 25"), element("blk6", "2001:DB8:BAD:0::7/48")), now_s=1000.0)
    assert armed(rig) == {("synproxy4", "203.0.113.25 . 25"), ("blk6", "2001:db8:bad::/48")}
    assert all(50 < (one.expires_s or 0) <= 60 for one in rig.driver.in_force())


def test_the_receipt_tells_the_callers_time_and_the_end(rig: Rig) -> None:
    rig.driver.load()
    receipt = rig.driver.apply(synproxy(life_s=300), now_s=1_700_000_000.0)
    assert (receipt.applied_at_s, receipt.expires_at_s, receipt.evicted) == (1_700_000_000.0, 1_700_000_300.0, 0)


def test_a_change_ends_without_us(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.apply(synproxy(life_s=1), now_s=1000.0)
    assert len(armed(rig)) == 1
    rig.wait(1.3)
    assert armed(rig) == set()


def test_undoing_twice_or_after_the_end_is_no_error(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.undo(synproxy())
    rig.driver.apply(of_every_kind(life_s=1), now_s=1000.0)
    rig.wait(1.3)
    rig.driver.undo(of_every_kind(life_s=1))
    rig.driver.undo(of_every_kind(life_s=1))
    assert armed(rig) == set()


def test_undoing_one_change_leaves_the_other(rig: Rig) -> None:
    rig.driver.load()
    other = change(element("reset4", "203.0.113.25 . 25"))
    rig.driver.apply(synproxy(), now_s=1000.0)
    rig.driver.apply(other, now_s=1000.0)
    rig.driver.undo(synproxy())
    assert armed(rig) == {("reset4", "203.0.113.25 . 25")}


def test_renewing_extends_and_shortens(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.apply(of_every_kind(life_s=20), now_s=1000.0)
    receipt = rig.driver.renew(of_every_kind(life_s=20), now_s=1010.0, life_s=300)
    assert receipt.expires_at_s == 1310.0
    assert all((one.expires_s or 0) > 290 for one in rig.driver.in_force())
    rig.driver.renew(of_every_kind(life_s=20), now_s=1010.0, life_s=10)
    assert all((one.expires_s or 0) <= 10 for one in rig.driver.in_force())


def test_renewing_arms_again_what_has_ended(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.apply(synproxy(life_s=1), now_s=1000.0)
    rig.wait(1.3)
    rig.driver.renew(synproxy(life_s=1), now_s=1001.3, life_s=60)
    assert armed(rig) == {("synproxy4", "203.0.113.25 . 25")}


def test_applying_twice_gives_the_life_anew(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.apply(of_every_kind(life_s=300), now_s=1000.0)
    rig.driver.apply(of_every_kind(life_s=60), now_s=1000.0)
    assert len(armed(rig)) == 8
    assert all((one.expires_s or 0) <= 60 for one in rig.driver.in_force())


def test_another_tier_takes_the_place_of_the_one_before(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.apply(change(element("meter4", "203.0.113.25 . tcp . 25", value="jump meter_50")), now_s=1000.0)
    rig.driver.apply(change(element("meter4", "203.0.113.25 . tcp . 25", value="jump meter_10")), now_s=1000.0)
    assert armed(rig) == {("meter4", "203.0.113.25 . tcp . 25")}


def test_checking_changes_nothing(rig: Rig) -> None:
    rig.driver.load()
    before = rig.settings()
    rig.driver.check(of_every_kind())
    assert armed(rig) == set()
    assert rig.settings() == before


def refused(rig: Rig, wrong: Change, why: str, kind: type[EnforceError] = ChangeForbiddenError) -> None:
    """Neither a check nor the change itself goes through, and nothing of it is left."""
    for method in (rig.driver.check, lambda one: rig.driver.apply(one, now_s=1000.0)):
        with pytest.raises(kind, match=why):
            method(wrong)
    rig.driver.undo(wrong)
    assert armed(rig) == set()


def test_a_bad_line_leaves_nothing_of_its_transaction(rig: Rig) -> None:
    rig.driver.load()
    for name, key, value in (
        ("no_such_set", "203.0.113.25 . 25", ""),
        ("metered4", "203.0.113.25 . tcp . 25 . 192.0.2.0", ""),
        ("synproxy4", "2001:db8::25 . 25", ""),
        ("synproxy4", "203.0.113.25", ""),
        ("synproxy4", "203.0.113.25 . 70000", ""),
        ("synproxy4", "mail.example . 25", ""),
        ("meter4", "203.0.113.25 . tcp . 25", "jump no_such_tier"),
        ("meter4", "203.0.113.25 . tcp . 25", ""),
        ("synproxy4", "203.0.113.25 . 25", "jump meter_20"),
        ("ramp4", "203.0.113.25 . 25", '"ramp_7"'),
    ):
        refused(rig, change(element("blk4", "192.0.2.0/24"), element(name, key, value=value)), "change c1")


def test_lines_that_are_no_elements_of_its_table_are_not_sent(rig: Rig) -> None:
    rig.driver.load()
    before = rig.settings()
    for line in (
        "flush ruleset",
        "add element inet filter blk4 { 192.0.2.0/24 timeout 60s }",
        "add element ip netwatch blk4 { 192.0.2.0/24 timeout 60s }",
        "add element inet netwatch blk4 { 192.0.2.0/24 timeout 60s }; flush ruleset",
        "add element inet netwatch blk4 { 192.0.2.0/24 timeout 60s }\nflush ruleset",
        "add element inet netwatch blk4 { 192.0.2.0/24 timeout 60s } }",
        "add element inet netwatch blk4 { 192.0.2.0/24 timeout 60s # }",
        "add element inet netwatch blk4 { $victims timeout 60s }",
        "delete element inet netwatch blk4 { 192.0.2.0/24 }",
        "add rule inet netwatch opening drop",
        "add table inet netwatch",
        'include "/etc/nftables.conf"',
        "",
    ):
        refused(rig, Change(id="c1", playbook="test", nft=(line,), undo=synproxy().undo, life_s=60), "change c1")
    assert rig.settings() == before


def test_what_could_not_end_by_itself_or_would_hurt_the_living_is_refused(rig: Rig) -> None:
    rig.driver.load()
    for forbidden, why in (
        (Change(id="c1", playbook="t", nft=synproxy().nft, life_s=60), "nothing undoes"),
        (change(element("synproxy4", "203.0.113.25 . 25", life_s=600), life_s=300), "lives 600 s, the change only 300 s"),
        (Change(id="c1", playbook="t", nft=("add element inet netwatch blk4 { 192.0.2.0/24 }",), life_s=60), "must have a timeout"),
        (change(element("blk4", "192.0.2.0/24", life_s=0)), "is no element"),
        (change(), "changes nothing"),
        (change(element("blk4", "192.0.2.0/24"), life_s=0), "life_s must be > 0"),
        (change(evict=Eviction()), "would empty the state table"),
        (change(evict=Eviction(states=("ESTABLISHED",), services=(SMTP,))), "min_idle_s must be > 0"),
        (change(evict=Eviction(states=("OPEN",))), "no state OPEN"),
        (change(evict=Eviction(states=("SYN_SENT",), prefixes=("nowhere",))), "no address or prefix"),
        (change(sysctl=("net.ipv4.ip_forward=0",)), "none that netwatch changes"),
        (change(sysctl=("net.netfilter.nf_conntrack_tcp_loose=/etc/passwd",)), "cannot be set"),
    ):
        refused(rig, forbidden, why)


def test_a_protected_prefix_may_be_added_without_an_end_and_is_not_undone(rig: Rig) -> None:
    rig.driver.load()
    protecting = Change(
        id="c1",
        playbook="test",
        nft=("add element inet netwatch protect4 { 203.0.113.9 }", *synproxy().nft),
        undo=synproxy().undo,
        life_s=60,
    )
    rig.driver.apply(protecting, now_s=1000.0)
    assert armed(rig) == {("synproxy4", "203.0.113.25 . 25")}
    rig.driver.undo(protecting)
    assert armed(rig) == set()


def test_a_flush_by_somebody_else_is_noticed_and_can_be_mended(rig: Rig) -> None:
    assert rig.driver.table_state() is TableState.MISSING
    rig.driver.load()
    rig.driver.apply(synproxy(), now_s=1000.0)
    assert rig.driver.table_state() is TableState.INTACT
    rig.flush_by_others()
    assert rig.driver.table_state() is TableState.MISSING
    assert armed(rig) == set()
    with pytest.raises(TableLostError, match="inet netwatch"):
        rig.driver.apply(synproxy(), now_s=1000.0)
    rig.driver.undo(synproxy())
    assert rig.driver.load() is Loaded.FRESH
    rig.driver.apply(synproxy(), now_s=1000.0)
    assert armed(rig) == {("synproxy4", "203.0.113.25 . 25")}
    assert rig.driver.table_state() is TableState.INTACT


def test_loading_again_keeps_what_is_armed(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.apply(synproxy(), now_s=1000.0)
    assert rig.driver.load() is Loaded.KEPT
    assert armed(rig) == {("synproxy4", "203.0.113.25 . 25")}


def test_release_removes_the_table(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.apply(of_every_kind(), now_s=1000.0)
    rig.driver.release()
    assert rig.driver.table_state() is TableState.MISSING
    assert "netwatch" not in rig.settings()
    rig.driver.release()
    assert rig.driver.load() is Loaded.FRESH
    assert armed(rig) == set()


def test_a_sysctl_is_held_listed_and_put_back(rig: Rig) -> None:
    rig.driver.load()
    rig.driver.apply(change(sysctl=(LOOSE,)), now_s=1000.0)
    assert armed(rig) == {("sysctl", LOOSE)}
    rig.driver.undo(change(sysctl=(LOOSE,)))
    rig.driver.undo(change(sysctl=(LOOSE,)))
    assert armed(rig) == set()


def test_an_eviction_may_be_repeated(rig: Rig) -> None:
    rig.driver.load()
    evicting = change(evict=Eviction(states=("SYN_SENT", "SYN_RECV"), min_idle_s=2.0, services=(SMTP,)))
    assert rig.driver.apply(evicting, now_s=1000.0).evicted == 0
    assert rig.driver.repeat(evicting) == 0
    assert rig.driver.repeat(synproxy()) == 0
