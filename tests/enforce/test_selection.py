"""Which entries an eviction takes, without a kernel: every condition and every reason to keep by itself."""

import numpy as np
import pytest

from netwatch.enforce.selection import Selection
from netwatch.errors import ChangeForbiddenError
from netwatch.model.address import halves
from netwatch.model.entry import ENTRY, EntryStatus
from netwatch.model.idle_age import possible_timeouts
from netwatch.model.packet import Rows
from netwatch.model.plan import Eviction
from netwatch.model.service import Service
from netwatch.model.session import SessionState, Timeouts
from tests.enforce.changes import SMTP, SMTP6

POSSIBLE = possible_timeouts([Timeouts()])
IDLE = Eviction(states=("ESTABLISHED",), min_idle_s=10.0)


def row(**differs: int | str) -> Rows:
    """An assured session of the service, idle for 999 s, whose number of bytes is not known."""
    values: dict[str, int | str] = {
        "source": "192.0.2.7",
        "destination": "203.0.113.25",
        "dport": 25,
        "protocol": 6,
        "state": int(SessionState.ESTABLISHED),
        "timeout_s": 431_000,
        "status": int(EntryStatus.ASSURED | EntryStatus.SEEN_REPLY),
        **differs,
    }
    one = np.zeros(1, ENTRY)
    one["src_hi"], one["src_lo"] = halves(str(values.pop("source")))
    one["dst_hi"], one["dst_lo"] = halves(str(values.pop("destination")))
    one["family"] = 2 if one["src_hi"][0] == 0 else 10
    for name, value in values.items():
        one[name] = value
    return one


def taken(selection: Selection, one: Rows, protected: np.ndarray | None = None) -> bool:
    return bool(selection.chosen(one, POSSIBLE, protected)[0])


@pytest.mark.parametrize(
    ("eviction", "differs", "expected"),
    [
        (IDLE, {}, True),
        (IDLE, {"timeout_s": 431_995}, False),
        (IDLE, {"timeout_s": 299}, False),
        (IDLE, {"state": int(SessionState.TIME_WAIT), "timeout_s": 60}, False),
        (Eviction(states=("TIME_WAIT",)), {"state": int(SessionState.TIME_WAIT), "timeout_s": 120}, True),
        (Eviction(states=("ESTABLISHED",), min_idle_s=10.0, services=(SMTP,)), {}, True),
        (Eviction(states=("ESTABLISHED",), min_idle_s=10.0, services=(SMTP,)), {"dport": 26}, False),
        (Eviction(states=("ESTABLISHED",), min_idle_s=10.0, services=(SMTP,)), {"protocol": 17}, False),
        (Eviction(states=("ESTABLISHED",), min_idle_s=10.0, services=(SMTP,)), {"destination": "203.0.113.26"}, False),
        (Eviction(states=("ESTABLISHED",), min_idle_s=10.0, services=(SMTP6, SMTP)), {}, True),
        (
            Eviction(states=("ESTABLISHED",), min_idle_s=10.0, services=(SMTP6,)),
            {"source": "2001:db8::7", "destination": "2001:db8:5::25"},
            True,
        ),
        (Eviction(states=("ESTABLISHED",), min_idle_s=10.0, prefixes=("192.0.2.0/24",)), {}, True),
        (Eviction(states=("ESTABLISHED",), min_idle_s=10.0, prefixes=("192.0.3.0/24", "2001:db8::/32")), {}, False),
        (Eviction(prefixes=("192.0.2.0/24",), min_idle_s=10.0), {"state": int(SessionState.FIN_WAIT), "timeout_s": 100}, True),
    ],
)
def test_all_that_an_eviction_names_must_fit(eviction: Eviction, differs: dict[str, int | str], expected: bool) -> None:
    assert taken(Selection(eviction), row(**differs)) is expected


@pytest.mark.parametrize(
    ("reason", "differs"),
    [
        ("never_block", {"source": "198.51.100.7"}),
        ("carried", {"status": int(EntryStatus.OFFLOAD)}),
        ("carried", {"status": int(EntryStatus.FIXED_TIMEOUT)}),
        ("lively", {"accounted": 1, "original_bytes": 121, "timeout_s": 431_900}),
        ("protected", {"hash": 77}),
    ],
)
def test_each_reason_to_keep_an_entry_is_counted(reason: str, differs: dict[str, int | str]) -> None:
    selection = Selection(IDLE, never_block=("198.51.100.0/24",))
    assert not taken(selection, row(**differs), np.array([5, 77, 99], np.uint64))
    assert getattr(selection.kept, reason) == 1
    assert taken(selection, row())


def test_who_only_shook_hands_or_spoke_long_ago_is_not_lively() -> None:
    selection = Selection(IDLE)
    assert taken(selection, row(accounted=1, original_bytes=120, timeout_s=431_900))
    assert taken(selection, row(accounted=1, original_bytes=9000, timeout_s=431_000))


def test_an_eviction_of_the_silent_takes_only_who_is_known_to_be() -> None:
    selection = Selection(Eviction(states=("ESTABLISHED",), min_idle_s=10.0, only_silent=True))
    assert taken(selection, row(accounted=1, original_packets=2, original_bytes=60 + 52))  # with time stamps
    assert taken(selection, row(accounted=1, original_packets=2, original_bytes=44 + 40))  # with an MSS only
    assert taken(selection, row(accounted=1, original_packets=9, original_bytes=60 + 8 * 52))  # it acknowledged all that the server said
    assert not taken(selection, row(accounted=1, original_packets=3, original_bytes=60 + 52 + 52 + 6))
    assert not taken(selection, row())
    assert (selection.kept.speaking, selection.kept.unaccounted) == (1, 1)


def test_the_headers_of_ipv6_are_longer() -> None:
    selection = Selection(Eviction(states=("ESTABLISHED",), min_idle_s=10.0, only_silent=True))
    assert taken(
        selection, row(source="2001:db8::7", destination="2001:db8:5::25", accounted=1, original_packets=2, original_bytes=80 + 72)
    )
    assert not taken(
        selection, row(source="2001:db8::7", destination="2001:db8:5::25", accounted=1, original_packets=2, original_bytes=80 + 72 + 30)
    )


def test_a_protocol_that_the_state_table_does_not_have_is_refused() -> None:
    with pytest.raises(ChangeForbiddenError, match="no protocol"):
        Selection(Eviction(states=("SYN_SENT",), services=(Service("x", "203.0.113.25", 25, "quic"),)))
