"""Each guard says no for its own reason, and nothing else stands in the way of a plan that is right."""

import msgspec
import pytest

from netwatch.mitigate.guards import GUARDS, Guard, Refusal, Request, first_refusal
from netwatch.mitigate.ladder import Draft, draft_of
from netwatch.mitigate.settings import OperatingMode
from netwatch.model.change import Rehearsal
from netwatch.model.incident import Evidence, EvidenceKind, Incident, Mode, Severity
from tests.mitigate.play import ATTACKER, SERVICES, incident, settings, shipped_ladders

CLEAN = Rehearsal(seconds=60, healthy_sessions=1000, packets_before=10_000)
PREFIX_DROP = "prefix-drop"


def draft(playbook: str = PREFIX_DROP, mode: Mode = Mode.SYN_FLOOD, *, prefixes: tuple[str, ...] = (ATTACKER,)) -> Draft:
    one = incident(mode=mode, prefixes=prefixes)
    (rung,) = [rung for rung in shipped_ladders()[mode] if rung.name == playbook]
    found = draft_of(rung, 0, one, services=SERVICES, never_block=())
    assert found is not None
    return found


def request(one: Draft | None = None, **changes: object) -> Request:
    """A plan that nothing stands in the way of, but for what is changed."""
    right = Request(
        now_s=100.0, draft=one or draft(), incident=incident(prefixes=(ATTACKER,)), services=SERVICES, settings=settings(), rehearsal=CLEAN
    )
    return msgspec.structs.replace(right, **changes)


def refused(**changes: object) -> Refusal:
    found = first_refusal(request(**changes))  # type: ignore[arg-type]  # fields of Request
    assert found is not None
    return found


def aimed_at(*prefixes: str) -> Draft:
    return msgspec.structs.replace(draft(), prefixes=prefixes)


def weak(**changes: object) -> Incident:
    return incident(prefixes=(ATTACKER,), **changes)  # type: ignore[arg-type]  # arguments of incident


def test_nothing_stands_in_the_way_of_a_plan_that_is_right() -> None:
    assert first_refusal(request()) is None


def test_a_table_that_will_be_full_of_what_gives_way_is_no_harm() -> None:
    """Early drop then makes room for nearly every newcomer, as on a table with as many buckets as entries."""
    found = weak(severity=Severity.WARNING, names=("time_to_full_s", "new_per_s"))
    for name, stands_in_the_way in (("early_drop_makes_room", True), ("refused_when_full", False)):
        told = Evidence(name, 0.5, EvidenceKind.STATE, "")
        refusal = first_refusal(request(incident=msgspec.structs.replace(found, evidence=(*found.evidence, told))))
        assert (refusal is not None and "no harm is forecast" in refusal.text) is stands_in_the_way


def test_an_attacker_who_is_never_blocked_is_left_alone_by_every_rung() -> None:
    """Nothing in netwatch's table touches him, so no change would help; one of many who happens to be spared is no reason."""
    spared = settings(never_block=("192.0.2.0/23",))
    found = refused(one=draft("synproxy+evict-half-open", prefixes=()), settings=spared)
    assert found.guard is Guard.NEVER_BLOCK
    assert "90% of the excess" in found.text
    assert f"{ATTACKER}, within 192.0.2.0/23 of mitigate.never_block" in found.text
    assert first_refusal(request(draft("synproxy+evict-half-open"), settings=settings(never_block=("192.0.2.77/32",)))) is None


@pytest.mark.parametrize(
    ("changes", "guard", "says"),
    [
        ({"one": aimed_at("192.0.2.0/24"), "settings": settings(never_block=("192.0.2.128/25",))}, Guard.NEVER_BLOCK, "192.0.2.128/25"),
        ({"one": aimed_at("203.0.113.0/24")}, Guard.VICTIM, "203.0.113.25"),
        ({"one": aimed_at("192.0.2.0/25", "192.0.2.128/25"), "settings": settings(max_prefixes=1)}, Guard.PREFIXES, "2 prefixes"),
        ({"services": ()}, Guard.SERVICE, "203.0.113.25:25/tcp is no known service"),
        ({"rehearsal": Rehearsal(seconds=60, healthy_sessions=1000, healthy_hit=6)}, Guard.HEALTHY, "6 of 1,000 healthy sessions"),
        ({"rehearsal": Rehearsal(packets_before=1000, refused_before=21)}, Guard.BASELINE, "2.1% of 1,000 packets"),
        ({"rehearsal": None}, Guard.REHEARSAL, "could not be rehearsed"),
        ({"incident": weak(kinds=(EvidenceKind.TRAFFIC,))}, Guard.EVIDENCE, "traffic evidence alone"),
        ({"incident": weak(severity=Severity.WARNING)}, Guard.EVIDENCE, "no harm is forecast"),
        ({"settings": settings(dry_run=True)}, Guard.DRY_RUN, "dry-run"),
        ({"settings": settings(OperatingMode.OBSERVE)}, Guard.MODE, "observe"),
        ({"settings": settings(OperatingMode.OBSERVE), "approved": True}, Guard.MODE, "observe"),
        ({"settings": settings(OperatingMode.SUGGEST)}, Guard.MODE, "waits for an approval"),
        ({"changes_at_s": (60.0, 70.0), "settings": settings(max_changes=2)}, Guard.RATE, "2 changes within 600 s"),
        ({"in_flight": "edge-1-9.1"}, Guard.ONE_AT_A_TIME, "edge-1-9.1 comes first"),
    ],
)
def test_a_guard_says_no_and_why(changes: dict[str, object], guard: Guard, says: str) -> None:
    refusal = refused(**changes)
    assert refusal.guard is guard
    assert says in refusal.text


@pytest.mark.parametrize(
    "changes",
    [
        {"rehearsal": Rehearsal(healthy_sessions=20, healthy_hit=1)},  # may have ended by itself
        {"rehearsal": Rehearsal(healthy_sessions=1000, healthy_hit=5)},
        {"rehearsal": Rehearsal(packets_before=1000, refused_before=20)},
        {"incident": weak(severity=Severity.WARNING, names=("time_to_full_s", "new_per_s"))},
        {"incident": weak(severity=Severity.WARNING), "approved": True},
        {"settings": settings(OperatingMode.SUGGEST), "approved": True},
        {"changes_at_s": (-600.0, 70.0), "settings": settings(max_changes=2)},
        {"lost_state_at_s": 90.0, "out_of_window": True, "one_way_paths": True},  # prefix-drop cares for none of these
    ],
)
def test_what_is_within_bounds_passes(changes: dict[str, object]) -> None:
    assert first_refusal(request(**changes)) is None  # type: ignore[arg-type]  # fields of Request


@pytest.mark.parametrize(
    ("playbook", "mode", "changes", "guard"),
    [
        ("synproxy+evict-half-open", Mode.SYN_FLOOD, {"lost_state_at_s": 50.0}, Guard.FAILOVER),
        ("strict-pickup+evict-unreplied", Mode.ACK_FLOOD, {"lost_state_at_s": 50.0}, Guard.FAILOVER),
        ("reset-invalid", Mode.IDLE_TIMEOUT_BLACKHOLE, {"out_of_window": True}, Guard.OUT_OF_WINDOW),
        ("synproxy+evict-half-open", Mode.SYN_FLOOD, {"one_way_paths": True}, Guard.ONE_WAY_PATHS),
    ],
)
def test_what_would_cut_live_sessions_is_refused_while_it_would(
    playbook: str, mode: Mode, changes: dict[str, object], guard: Guard
) -> None:
    one = draft(playbook, mode)
    assert refused(one=one, **changes).guard is guard
    assert first_refusal(request(one)) is None
    assert first_refusal(request(one, lost_state_at_s=100.0 - 600.0)) is None


def test_what_hits_everybody_alike_may_go_without_a_rehearsal() -> None:
    assert first_refusal(request(draft("synproxy+evict-half-open"), rehearsal=None)) is None


def test_reasons_that_pass_come_after_reasons_that_stay() -> None:
    """A plan that waits is then one that could be carried out."""
    everything = request(
        aimed_at("203.0.113.0/24"),
        services=SERVICES,
        settings=settings(OperatingMode.OBSERVE, never_block=("203.0.113.0/28",), max_prefixes=1, dry_run=True),
        in_flight="x",
        incident=weak(severity=Severity.INFO),
    )
    answers = [guard(everything) for guard in GUARDS]
    lasting = [refusal.for_good for refusal in answers if refusal is not None]
    assert lasting == sorted(lasting, reverse=True)
    assert len(lasting) >= 6


@pytest.mark.parametrize(
    ("rung", "mode", "new_per_s", "refused"),
    [
        ("evict-half-open", Mode.TABLE_FULL, 3900.0, False),  # 5 s until they are evicted: 19,500, and 10,000 fit
        ("evict-half-open", Mode.TABLE_FULL, 4100.0, True),
        ("short-timeouts+evict-half-open", Mode.SYN_FLOOD, 50_000.0, True),
        ("synproxy+evict-half-open", Mode.SYN_FLOOD, 50_000.0, False),  # no entry is made any more
        ("evict-half-open+prefix-meter", Mode.SYN_FLOOD, 50_000.0, False),
    ],
)
def test_an_eviction_that_cannot_keep_up_is_not_tried(rung: str, mode: Mode, new_per_s: float, refused: bool) -> None:
    refusal = first_refusal(request(draft(rung, mode, prefixes=(ATTACKER,)), new_per_s=new_per_s, limit=10_000))
    assert (refusal is not None and refusal.guard is Guard.KEEPS_UP) is refused
    assert refusal is None or refusal.for_good
