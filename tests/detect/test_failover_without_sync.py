"""A state table that lost its entries at once: harm only where nobody answers afterwards."""

import msgspec
import pytest

from netwatch.detect.failover_without_sync import FailoverWithoutSync, FailoverWithoutSyncSettings
from netwatch.model.incident import EvidenceKind, Severity
from netwatch.model.service import Service
from netwatch.model.session import FirewallProfile
from netwatch.model.window import FirewallWindow, ServiceWindow, Window

SMTP = Service("smtp", "203.0.113.25", 25, "tcp")


def window(second: int, *, lost: int = 0, packets_in: int = 400, packets_out: int = 380) -> Window:
    service = ServiceWindow(service=SMTP, warming=False, packets_in=packets_in, packets_out=packets_out)
    firewall = FirewallWindow(entries=10, limit=10_000, entries_lost=lost)
    return Window(start_s=float(second), duration_s=1.0, warming=False, firewall=firewall, services=(service,))


def detector() -> FailoverWithoutSync:
    return FailoverWithoutSync(FailoverWithoutSyncSettings(), FirewallProfile(name="kernel", description=""))


def test_a_loss_after_which_nobody_is_answered_is_critical_from_the_loss_on() -> None:
    judge = detector()
    assert judge.judge(window(9)) == []
    assert judge.judge(window(10, lost=500)) == []
    (found,) = judge.judge(window(11, packets_out=0))
    assert (found.severity, found.onset_s, found.service) == (Severity.CRITICAL, 10.0, SMTP.label)
    assert found.kinds == {EvidenceKind.STATE, EvidenceKind.HEALTH}
    assert "500 entries" in found.evidence[0].text


@pytest.mark.parametrize("lost", [0, 19])
def test_without_a_loss_nothing_is_said(lost: int) -> None:
    judge = detector()
    judge.judge(window(10, lost=lost))
    assert judge.judge(window(11, packets_out=0)) == []


def test_sessions_that_are_picked_up_hurt_nobody_and_a_loss_is_forgotten() -> None:
    judge = detector()
    assert judge.judge(window(10, lost=500)) == []
    assert all(judge.judge(window(second)) == [] for second in range(11, 60))
    assert judge.judge(window(75, packets_out=0)) == []


def test_few_packets_say_nothing() -> None:
    judge = detector()
    judge.judge(window(10, lost=500))
    assert judge.judge(window(11, packets_in=19, packets_out=0)) == []


def test_the_longest_watch_is_a_setting() -> None:
    settings = msgspec.structs.replace(FailoverWithoutSyncSettings(), watch_s=100.0)
    judge = FailoverWithoutSync(settings, FirewallProfile(name="kernel", description=""))
    judge.judge(window(10, lost=500))
    assert judge.judge(window(75, packets_out=0))
