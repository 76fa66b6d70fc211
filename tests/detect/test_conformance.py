"""What every detector keeps to, whatever its mode."""

import copy
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from netwatch.detect.catalogue import CATALOGUE, detectors
from netwatch.detect.detector import Detector
from netwatch.detect.subjects import MAX_SUBJECTS
from netwatch.model.incident import Mode, Severity
from netwatch.model.service import Service
from netwatch.model.window import UNKNOWN, FirewallWindow, ServiceWindow, Window
from netwatch.rulebook import load, names, rules_folder
from tests.detect.windows import DNS, LINUX, SMTP, T0, quiet, resolver, service, states, window

EVERY_MODE = pytest.mark.parametrize("mode", list(CATALOGUE), ids=str)


def fresh(mode: Mode) -> Detector:
    entry = CATALOGUE[mode]
    return entry.detector(entry.settings(), LINUX)


def storm(second: float, times: int = 50) -> Window:
    """Everything at once, many times as much as usual, and nothing answered."""
    tcp = service(
        syn=120 * times, synack=0, handshakes_completed=0, new_attempts=120 * times, new_sessions=120 * times, half_open=120 * times,
        acks_in=500 * times, picked_up=400 * times, invalid_no_session=100 * times, invalid_bad_rst=100 * times, resets_in=100 * times,
        resets_with_data=40 * times, one_sided_flows=120 * times, two_sided_flows=0, packets_in=1_300 * times, packets_out=0,
    )  # fmt: skip
    udp = resolver(new_attempts=60 * times, new_sessions=60 * times, two_sided_flows=0, packets_out=0)
    return window(
        second, tcp, udp, entries=250_000, new_sessions=180 * times, new_udp=60 * times, fragments=1_000 * times, fragment_bytes=10**8,
        reassembly_failed=100 * times, reassembly_bytes=4 * 2**20, dropped_full=1_000 * times, fill_slope_per_s=9_000.0, assured=249_000,
        by_state=states(established=100_000, time_wait=150_000),
    )  # fmt: skip


def test_every_mode_has_a_detector_that_bears_its_name() -> None:
    assert set(CATALOGUE) == set(Mode)
    assert [detector.mode for detector in detectors({}, LINUX)] == list(CATALOGUE)


@EVERY_MODE
def test_the_rule_file_says_what_the_code_does_by_default(mode: Mode) -> None:
    entry = CATALOGUE[mode]
    read = load(entry.settings, rules_folder() / "detectors" / f"{mode}.toml")
    assert read.summary
    assert {playbook for rung in read.ladder for playbook in rung.split("+")} <= set(names("playbooks"))
    assert read.ladder or mode == Mode.SERVICE_SILENT  # no change of a firewall brings a server back
    assert msgspec.structs.replace(read, summary="", ladder=()) == entry.settings()


@EVERY_MODE
def test_quiet_windows_are_quiet(mode: Mode) -> None:
    detector = fresh(mode)
    assert [detector.judge(one) for one in quiet(range(120), service(), resolver())] == [[]] * 120


@EVERY_MODE
def test_quiet_windows_without_a_normal_are_quiet(mode: Mode) -> None:
    detector = fresh(mode)
    unknown: dict[str, Any] = {f"normal_{name}": UNKNOWN for name in ("syn", "attempts", "completed", "resets", "acks", "packets")}
    first = service(warming=True, **unknown)
    assert [detector.judge(one) for one in quiet(range(20), first, warming=True, normal_new_sessions=UNKNOWN)] == [[]] * 20


@EVERY_MODE
def test_the_same_windows_give_the_same_findings(mode: Mode) -> None:
    windows = [*quiet(), *(storm(20 + second) for second in range(10))]
    first, second = fresh(mode), fresh(mode)
    assert [first.judge(one) for one in windows] == [second.judge(one) for one in windows]


@EVERY_MODE
def test_a_copy_goes_its_own_way(mode: Mode) -> None:
    original = fresh(mode)
    for one in [*quiet(), storm(20)]:
        original.judge(one)
    copied = copy.deepcopy(original)
    for second in range(21, 30):
        copied.judge(window(second))
    untouched = fresh(mode)
    for one in [*quiet(), storm(20)]:
        untouched.judge(one)
    assert original.judge(storm(21)) == untouched.judge(storm(21))


@EVERY_MODE
def test_findings_are_complete(mode: Mode) -> None:
    detector = fresh(mode)
    windows = [*quiet(), *(storm(20 + second) for second in range(10))]
    for one in windows:
        for finding in detector.judge(one):
            assert finding.mode == mode
            assert finding.at_s == one.end_s
            assert T0 <= finding.onset_s <= one.start_s
            assert finding.evidence
            assert all(item.text and item.name for item in finding.evidence)
            assert len({item.name for item in finding.evidence}) == len(finding.evidence)
            assert finding.severity != Severity.CRITICAL or len(finding.kinds) >= 2


@EVERY_MODE
def test_what_goes_on_is_not_learned_away(mode: Mode) -> None:
    """Score first, learn after, and do not learn from what was found: a storm is found in its fifth minute as in its first second."""
    detector = fresh(mode)
    for one in quiet():
        detector.judge(one)
    found = [{finding.service for finding in detector.judge(storm(20 + second))} for second in range(300)]
    assert found[0] <= found[-1]


@EVERY_MODE
def test_memory_is_bounded_however_many_services_there_are(mode: Mode) -> None:
    detector = fresh(mode)
    template = storm(0)
    tcp, udp = template.services
    for number in range(2 * MAX_SUBJECTS // 64):
        crowd = [_at(one, number * 32 + index) for index in range(32) for one in (tcp, udp)]
        detector.judge(msgspec.structs.replace(template, start_s=T0 + number, services=tuple(crowd)))
    assert all(len(table) <= MAX_SUBJECTS for table in vars(detector).values() if hasattr(table, "touch"))


def _at(one: ServiceWindow, number: int) -> ServiceWindow:
    address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
    return msgspec.structs.replace(one, service=Service(address, address, one.service.port, one.service.protocol))


@EVERY_MODE
def test_a_long_run_does_not_grow(mode: Mode) -> None:
    detector = fresh(mode)
    for second in range(2_000):
        detector.judge(storm(second) if second % 50 < 10 else window(second))
    assert _size(detector) < 20_000


def _size(value: object, depth: int = 6) -> int:
    """Objects reachable through attributes and containers, roughly."""
    if depth == 0 or isinstance(value, (int, float, str)) or value is None:
        return 1
    members = (
        value.values()
        if isinstance(value, dict)
        else value
        if isinstance(value, (list, tuple))
        else list(vars(value).values())
        if hasattr(value, "__dict__")
        else []
    )
    return 1 + sum(_size(member, depth - 1) for member in members)


def zero(second: float) -> Window:
    """Nothing at all, not even a limit."""
    return Window(
        start_s=T0 + second, duration_s=1.0, warming=True, firewall=FirewallWindow(entries=0, limit=0),
        services=(ServiceWindow(service=SMTP, warming=True), ServiceWindow(service=DNS, warming=False)),
    )  # fmt: skip


def huge(second: float) -> Window:
    """As much as 64 bits hold."""
    much = 2**62
    fields: dict[str, Any] = {
        name: much for name in ServiceWindow.__struct_fields__ if isinstance(getattr(ServiceWindow(service=SMTP, warming=False), name), int)
    }
    fields.pop("warming", None)
    totals: dict[str, Any] = {
        name: much for name in FirewallWindow.__struct_fields__ if isinstance(getattr(FirewallWindow(entries=0, limit=0), name), int)
    }
    return Window(
        start_s=T0 + second, duration_s=3600.0, warming=False, firewall=FirewallWindow(**{**totals, "by_state": (much,) * 16}),
        services=(ServiceWindow(service=SMTP, warming=False, **fields), ServiceWindow(service=DNS, warming=False, **fields)),
    )  # fmt: skip


@EVERY_MODE
@pytest.mark.parametrize("extreme", [zero, huge], ids=["zero", "huge"])
def test_extremes_break_nothing(mode: Mode, extreme: Callable[[float], Window]) -> None:
    detector = fresh(mode)
    for one in [*quiet(range(12)), *(extreme(3_600 * second) for second in range(1, 5)), window(20_000), storm(20_001)]:
        findings = detector.judge(one)
        assert all(finding.at_s == one.end_s for finding in findings)
