"""The window meter: what a window holds, what it carries over, and what it costs nothing to keep."""

import pytest

from netwatch.measure.meter import ReassemblyTotals, WindowMeter
from netwatch.measure.services import ServiceDirectory
from netwatch.model.service import Service
from netwatch.model.session import Census, FirewallProfile, GroupCounts, TableCounts
from netwatch.model.tracked import FlowEvent, InvalidReason, SessionEvent, Verdict
from netwatch.model.window import ServiceWindow, Window
from tests.builders import icmp_echo, tcp
from tests.measure.rows import Seen, group, handshake, query, rows, syn, table

SMTP = Service("smtp", "192.0.2.25", 25, "tcp")
DNS = Service("dns", "192.0.2.53", 53, "udp")
PROFILE = FirewallProfile(name="test", description="", limit=10_000, buckets=8192)


class Watch:
    """A directory and its meter, fed and closed a second at a time."""

    def __init__(self, *services: Service) -> None:
        self.directory = ServiceDirectory(services or (SMTP, DNS), learn=False)
        self.meter = WindowMeter(self.directory)
        self.groups: dict[int, GroupCounts] = {}
        self.asked_groups: list[int] = []
        self.at_s = 100.0

    def add(self, *seen: Seen) -> None:
        packets, tracked = rows(*seen)
        self.directory.classify(packets, tracked)
        self.meter.add(packets, tracked)

    def close(
        self,
        *,
        counts: TableCounts | None = None,
        duration_s: float = 1.0,
        reassembly: ReassemblyTotals | None = None,
        census: Census | None = None,
    ) -> Window:
        window = self.meter.close(
            start_s=self.at_s,
            duration_s=duration_s,
            table=counts or table(),
            groups=self._group,
            profile=PROFILE,
            reassembly=reassembly or ReassemblyTotals(),
            census=census,
        )
        self.at_s += duration_s
        return window

    def _group(self, index: int) -> GroupCounts:
        self.asked_groups.append(index)
        return self.groups.get(index, group())

    def second(self, *seen: Seen) -> Window:
        self.add(*seen)
        return self.close()


def only(window: Window) -> ServiceWindow:
    [service] = window.services
    return service


def test_a_window_counts_per_service_and_for_the_firewall() -> None:
    watch = Watch()
    invalid = Seen(tcp(0, "10.0.0.9", 1, "192.0.2.99", 80, "A"), verdict=Verdict.INVALID, invalid=InvalidReason.NO_SESSION)
    ping = Seen(icmp_echo(0, "10.0.0.1", "192.0.2.25", identifier=1), SessionEvent.CREATED, FlowEvent.FIRST, Verdict.NEW)
    window = watch.second(*handshake(0, "10.0.0.1", 1000), syn(0, "10.0.0.2", 1000), query(0, "10.0.0.1", 4000), invalid, ping)
    smtp, dns = window.services
    assert (smtp.service, dns.service) == (SMTP, DNS)
    assert (smtp.syn, smtp.synack, smtp.handshakes_completed, smtp.acks_in) == (2, 1, 1, 1)
    assert (smtp.new_attempts, smtp.new_sessions, smtp.two_sided_flows) == (2, 2, 1)
    assert (smtp.packets_in, smtp.packets_out, smtp.bytes_in, smtp.completion_ratio) == (3, 1, 3 * 54, 0.5)
    assert (smtp.distinct_sources, smtp.source_entropy) == (2, 0.0)
    assert [(share.prefix, share.count, share.share) for share in smtp.top_prefixes] == [("10.0.0.0/24", 2, 1.0)]
    assert (dns.new_attempts, dns.new_sessions, dns.packets_in) == (1, 1, 1)
    firewall = window.firewall
    assert (firewall.packets, firewall.new_sessions, firewall.new_tcp, firewall.new_udp) == (7, 4, 2, 1)
    assert (firewall.invalid_no_session, firewall.two_sided_flows) == (1, 1)
    assert firewall.bytes == sum((smtp.bytes_in, smtp.bytes_out, dns.bytes_in)) + 54 + 98


def test_attempts_that_belong_to_no_service_are_told_for_the_firewall() -> None:
    seen = [query(0, f"198.51.100.{client}", 4000, dport=9000 + client) for client in range(6)]
    firewall = Watch().second(*seen).firewall
    assert (firewall.elsewhere_attempts, firewall.elsewhere_sources) == (6, 6)
    assert [(share.prefix, share.share) for share in firewall.elsewhere_prefixes] == [("198.51.100.0/24", 1.0)]


def test_asked_is_counted_although_the_table_is_full() -> None:
    dropped = [Seen(tcp(0, "10.0.0.1", port, "192.0.2.25", 25, "S"), flow=FlowEvent.FIRST, verdict=Verdict.DROPPED) for port in range(5)]
    repeated = Seen(tcp(0, "10.0.0.1", 1, "192.0.2.25", 25, "S"), flow=FlowEvent.SYN_RETRANSMITTED, verdict=Verdict.DROPPED)
    service = only(Watch().second(*dropped, repeated))
    assert (service.syn, service.syn_retransmitted, service.new_attempts, service.new_sessions, service.dropped_full) == (6, 1, 5, 0, 6)


def test_what_a_mitigation_sheds_was_asked_but_is_no_sign_of_a_full_table() -> None:
    first = Seen(tcp(0, "10.0.0.1", 1, "192.0.2.25", 25, "S"), SessionEvent.SHED, FlowEvent.FIRST, Verdict.DROPPED)
    later = Seen(tcp(0, "10.0.0.2", 1, "192.0.2.25", 25, "PA", payload=100), SessionEvent.SHED, verdict=Verdict.DROPPED)
    service = only(Watch().second(first, later))
    assert (service.new_attempts, service.shed, service.dropped_full) == (1, 2, 0)


def test_a_handshake_that_a_syn_proxy_answered_was_asked_for_once() -> None:
    proxied = Seen(tcp(0, "10.0.0.1", 1, "192.0.2.25", 25, "S"), flow=FlowEvent.FIRST, verdict=Verdict.UNTRACKED)
    admitted = SessionEvent.CREATED | SessionEvent.HANDSHAKE_COMPLETED | SessionEvent.REPLIED | SessionEvent.ASSURED
    service = only(Watch().second(proxied, Seen(tcp(0, "10.0.0.1", 1, "192.0.2.25", 25, "A"), admitted, verdict=Verdict.NEW)))
    assert (service.new_attempts, service.new_sessions, service.handshakes_completed) == (1, 1, 1)


def test_the_next_window_begins_empty() -> None:
    watch = Watch()
    watch.second(*handshake(0, "10.0.0.1", 1000))
    window = watch.second(syn(1, "10.0.0.1", 1001))
    assert (only(window).syn, only(window).synack, only(window).distinct_sources, window.firewall.packets) == (1, 0, 1, 1)


def test_totals_since_the_start_become_counts_of_the_window() -> None:
    watch = Watch()
    watch.close(counts=table(expired=100, early_dropped=7), reassembly=ReassemblyTotals(completed=10, failed=2, bytes_held=900))
    firewall = watch.close(
        counts=table(expired=130, early_dropped=8), reassembly=ReassemblyTotals(completed=15, failed=9, bytes_held=500)
    ).firewall
    assert (firewall.expired, firewall.early_dropped) == (30, 1)
    assert (firewall.reassembled, firewall.reassembly_failed, firewall.reassembly_bytes) == (5, 7, 500)


def test_gauges_are_those_of_the_end_of_the_window() -> None:
    watch = Watch()
    watch.groups[1] = group(50, syn_sent=3, syn_recv=4, established=20, time_wait=11)
    census = Census(at_s=100.0, established=20, idle_at_least=(0, 0, 0, 0, 0), silent=1, top_prefixes=())
    watch.add(syn(0, "10.0.0.1", 1000))
    window = watch.close(counts=table(9000, assured=8000), census=census)
    service = only(window)
    assert (service.entries, service.half_open, service.established, service.time_wait) == (50, 7, 20, 11)
    assert (window.firewall.entries, window.firewall.limit, window.firewall.assured, window.firewall.fill_ratio) == (
        9000,
        10_000,
        8000,
        0.9,
    )
    assert window.census == census
    assert (window.start_s, window.end_s) == (100.0, 101.0)


def test_a_table_that_fills_says_when_it_will_be_full() -> None:
    watch = Watch()
    for entries in (0, 500, 1000, 1500, 2000):
        window = watch.close(counts=table(entries))
    assert window.firewall.fill_slope_per_s == pytest.approx(500.0)
    assert window.firewall.time_to_full_s == pytest.approx(16.0)
    assert watch.close(counts=table(10_000, assured=10_000)).firewall.drop_probability == 1.0


def test_a_service_that_has_gone_silent_is_shown_with_zeros_and_its_normals() -> None:
    watch = Watch()
    for second in range(20):
        watch.second(*handshake(second, "10.0.0.1", 1000 + second))
    for _ in range(60):
        service = only(watch.close())
    assert (service.packets_in, service.syn, service.entries) == (0, 0, 0)
    assert not service.warming
    assert service.normal_completed.level > 0.8


def test_a_service_without_traffic_is_shown_while_it_holds_entries_or_is_alarmed() -> None:
    watch = Watch()
    assert watch.close().services == ()
    watch.groups[1] = group(5, established=5)
    watch.second(Seen(tcp(0, "10.0.0.1", 1, "192.0.2.25", 25, "PA", payload=9)))
    for _ in range(100):
        window = watch.close(duration_s=600.0)
    assert only(window).entries == 5
    watch.groups[1] = group()
    assert only(watch.close()).entries == 0
    assert watch.close().services == ()
    watch.meter.alarmed(SMTP.label, on=True)
    assert only(watch.close()).service == SMTP


def test_services_that_never_did_anything_cost_nothing() -> None:
    watch = Watch(*[Service(f"s{port}", "192.0.2.25", port, "tcp") for port in range(1, 1000)])
    watch.second(syn(0, "10.0.0.1", 1000))
    assert watch.asked_groups == [25]


def test_normals_are_scored_before_they_learn_and_warm_up_in_ten_windows() -> None:
    watch = Watch()
    for second in range(10):
        window = watch.second(*[syn(second, "10.0.0.1", port) for port in range(8)])
        assert window.warming
        assert only(window).warming
        assert only(window).normal_syn.level == (8.0 if second else 0.0)
    window = watch.second(*[syn(10, "10.0.0.1", port) for port in range(80)])
    assert not window.warming
    assert (only(window).syn, only(window).normal_syn.level, window.firewall.normal_new_sessions.level) == (80, 8.0, 8.0)


def test_a_long_window_is_learned_as_a_rate() -> None:
    watch = Watch()
    watch.add(*[syn(0, "10.0.0.1", port) for port in range(30)])
    watch.close(duration_s=10.0)
    assert only(watch.close()).normal_attempts.level == 3.0


def test_an_alarmed_service_teaches_neither_itself_nor_the_firewall() -> None:
    watch = Watch()
    for second in range(20):
        watch.second(*[syn(second, "10.0.0.1", port) for port in range(8)])
    watch.meter.alarmed(SMTP.label, on=True)
    for second in range(20, 60):
        window = watch.second(*[syn(second, f"10.0.{second}.1", port) for port in range(200)])
    assert only(window).normal_syn.level < 8.5
    assert window.firewall.normal_new_sessions.level < 8.5
    watch.meter.alarmed(SMTP.label, on=False)
    for second in range(60, 120):
        window = watch.second(*[syn(second, "10.0.0.1", port) for port in range(20)])
    assert only(window).normal_syn.level > 9.0


def test_an_alarm_of_the_whole_firewall_protects_all_services() -> None:
    watch = Watch()
    for second in range(20):
        watch.second(*[syn(second, "10.0.0.1", port) for port in range(8)])
    watch.meter.alarmed(None, on=True)
    for second in range(20, 80):
        window = watch.second(*[syn(second, "10.0.0.1", port) for port in range(20)])
    assert window.firewall.normal_new_sessions.level < 8.5
    assert only(window).normal_syn.level < 8.5


def test_an_alarm_of_a_service_that_is_not_watched_changes_nothing() -> None:
    watch = Watch()
    watch.meter.alarmed("198.51.100.1:1/tcp", on=True)
    assert watch.close().services == ()


def test_a_fork_goes_its_own_way_from_what_was_learned_so_far() -> None:
    watch = Watch()
    for second in range(12):
        watch.second(*[syn(second, "10.0.0.1", port) for port in range(8)])
    watch.add(syn(12, "10.0.0.1", 1))
    other = Watch()
    other.directory, other.at_s = watch.directory, watch.at_s
    other.meter = watch.meter.fork()
    watch.add(*[syn(12, "10.0.0.1", port) for port in range(100)])
    forked, original = only(other.close()), only(watch.close())
    assert (forked.syn, original.syn) == (1, 101)
    assert (forked.distinct_sources, forked.top_prefixes[0].count, original.top_prefixes[0].count) == (1, 1, 101)
    assert forked.normal_syn == original.normal_syn
    assert only(other.second(syn(13, "10.0.0.1", 1))).normal_syn.level < only(watch.second(syn(13, "10.0.0.1", 1))).normal_syn.level


def test_gaps_are_told_by_bin() -> None:
    watch = Watch()
    resumed = Seen(tcp(0, "10.0.0.1", 1000, "192.0.2.25", 25, "PA", payload=9), flow=FlowEvent.RESUMED, gap_bin=3)
    unanswered = Seen(tcp(0, "10.0.0.1", 1000, "192.0.2.25", 25, "PA", payload=9), flow=FlowEvent.RESUME_UNANSWERED, gap_bin=7)
    service = only(watch.second(resumed, resumed, unanswered))
    assert service.resumed == (0, 0, 0, 2, 0, 0, 0, 0)
    assert service.resume_answered == (0,) * 8
    assert service.resume_unanswered == (0,) * 7 + (1,)
