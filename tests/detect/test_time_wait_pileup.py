"""A pile of closed sessions is told when it fills more than 60 % of the table, or surely will; below, it is normal."""

from netwatch.detect.time_wait_pileup import TimeWaitPileup, TimeWaitPileupSettings
from netwatch.model.incident import EvidenceKind, Severity
from netwatch.model.window import Window
from tests.detect.windows import LINUX, SMTP, T0, evidence, fired_at, judged, quiet, service, states, window


def detector() -> TimeWaitPileup:
    return TimeWaitPileup(TimeWaitPileupSettings(), LINUX)


def churn(second: int, per_s: int, begin: int = 14_280, until: int = 1_000) -> Window:
    """Sessions that open and close at once; none has timed out yet."""
    closed = begin + per_s * (min(second, until) - 19)
    now_per_s = per_s if second <= until else 122
    return window(
        second, service(handshakes_completed=now_per_s, time_wait=closed), entries=closed + 700, assured=closed + 500,
        new_sessions=now_per_s, new_tcp=now_per_s, fill_slope_per_s=float(per_s), by_state=states(time_wait=closed),
    )  # fmt: skip


def test_more_closes_than_the_table_holds_are_told_before_it_is_full() -> None:
    found = judged(detector(), [*quiet(), *(churn(second, 11_000) for second in range(20, 43))])
    assert fired_at(found)[0] == 30
    assert (found[0].service, found[0].onset_s, found[0].severity) == (SMTP.label, T0 + 20, Severity.CRITICAL)
    assert found[0].kinds == {EvidenceKind.STATE, EvidenceKind.TRAFFIC}
    assert evidence(found[0])["closing_share"] > 0.9


def test_from_60_percent_on_it_is_told_however_long_it_takes() -> None:
    found = judged(detector(), [*quiet(), *(churn(second, 2_200, begin=40_000) for second in range(20, 100))])
    assert evidence_fill(found[0].evidence[0].text) >= 50


def evidence_fill(text: str) -> int:
    """The fill in per cent that a sentence names."""
    return int(text.split("table ")[1].split(" %")[0])


def test_a_table_that_is_crowded_is_told_even_if_it_grows_no_more() -> None:
    windows = [churn(second, 70_000, until=22) for second in range(20, 30)]
    found = judged(detector(), [*quiet(), *windows])
    assert found[-1].at_s == T0 + 30
    assert found[-1].severity == Severity.WARNING


def test_a_pile_that_times_out_before_it_fills_the_table_is_normal() -> None:
    """1,200 closes a second: at most 144,000 entries, 55 % of the table."""
    assert judged(detector(), [*quiet(), *(churn(second, 1_200) for second in range(20, 120))]) == []


def test_a_mass_close_moves_entries_but_adds_none() -> None:
    moved = [
        window(
            second,
            service(time_wait=14_000 + 3_000 * second),
            entries=140_000,
            by_state=states(established=126_000 - 3_000 * second, time_wait=14_000 + 3_000 * second),
        )
        for second in range(30)
    ]
    assert judged(detector(), moved) == []
