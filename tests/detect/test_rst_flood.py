"""Guessed RSTs, or RSTs that kill sessions with data again and again, are an attack; a restart is one burst of right ones."""

from netwatch.detect.rst_flood import RstFlood, RstFloodSettings
from netwatch.model.incident import EvidenceKind, Severity
from tests.detect.windows import LINUX, SMTP, T0, evidence, fired_at, judged, quiet, service, window


def detector() -> RstFlood:
    return RstFlood(RstFloodSettings(), LINUX)


def test_guessed_resets_are_seen_in_their_first_second() -> None:
    guessed = service(resets_in=900, invalid_bad_rst=700, invalid_no_session=100, resets_with_data=4)
    found = judged(detector(), [*quiet(), *(window(second, guessed) for second in range(20, 23))])
    assert fired_at(found) == [21, 22, 23]
    assert (found[0].service, found[0].onset_s, found[0].severity) == (SMTP.label, T0 + 20, Severity.WARNING)
    assert found[0].evidence[0].text == "903 RST/s, normally 3" or found[0].evidence[0].text == "900 RST/s, normally 3"
    assert evidence(found[-1])["sessions_aimed_at"] == 12


def test_resets_that_kill_many_clients_sessions_are_critical() -> None:
    killing = service(resets_in=200, resets_with_data=80, invalid_bad_rst=30)
    found = judged(detector(), [*quiet(), window(20, killing)])
    assert found[0].severity == Severity.CRITICAL
    assert found[0].kinds == {EvidenceKind.TRAFFIC, EvidenceKind.STATE, EvidenceKind.HEALTH}


def test_killing_from_the_servers_side_is_told_when_it_does_not_stop() -> None:
    killing = service(resets_out=200, resets_in=5, resets_with_data=80)
    found = judged(detector(), [*quiet(), *(window(second, killing) for second in range(20, 25))])
    assert fired_at(found) == [23, 24, 25]


def test_a_restart_is_one_burst_from_the_server() -> None:
    burst = service(resets_out=480, resets_with_data=300, handshakes_completed=40)
    after = service(resets_out=120, handshakes_completed=0)
    assert judged(detector(), [*quiet(), window(20, burst), window(21, after), *quiet(range(22, 30))]) == []


def test_clients_that_hang_up_more_than_usual_are_none() -> None:
    assert judged(detector(), [*quiet(), window(20, service(resets_in=40, resets_with_data=2))]) == []
