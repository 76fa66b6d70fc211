"""A window as the points of its firewall and its services. Counts become rates of the window, so that windows of any length compare."""

from collections.abc import Iterable

from netwatch.export.metrics.measurements import FirewallPoint, RulePoint, ServicePoint
from netwatch.export.metrics.totals import FirewallTotals, ServiceTotals, other_drops
from netwatch.model.firewall_state import TABLE_MARK, DropCause, FirewallState
from netwatch.model.session import CENSUS_IDLE_EDGES_S, Census, SessionState
from netwatch.model.window import FirewallWindow, ServiceWindow, Window

TOP_SHOWN = 8
IDLE_EDGE = CENSUS_IDLE_EDGES_S.index(60.0)


def drops_by_cause(window: FirewallWindow, duration_s: float, state: FirewallState | None) -> dict[DropCause, float]:
    """Packets per second by cause. What a full table dropped stands in the window, the kernel's word or in a replay the model's; all other
    causes only the kernel tells, of the interval of its poll."""
    drops = {cause: packets / state.interval_s for cause, packets in other_drops(window, state).items()} if state else {}
    return {**drops, DropCause.TABLE_FULL: window.dropped_full / duration_s}


def firewall_point(
    site: str,
    firewall: str,
    window: Window,
    *,
    state: FirewallState | None,
    totals: FirewallTotals,
    services_left_out: int,
    incidents_open: int,
    mitigations_in_force: int,
) -> FirewallPoint:
    counts, duration_s = window.firewall, window.duration_s
    drops = drops_by_cause(counts, duration_s, state)
    census = window.census
    entries = entries_by_state(counts)
    return FirewallPoint(
        time_s=window.end_s,
        site=site,
        firewall=firewall,
        entries=counts.entries,
        limit=counts.limit,
        fill_ratio=counts.fill_ratio,
        fill_slope_per_s=counts.fill_slope_per_s,
        time_to_full_s=counts.time_to_full_s,
        drop_probability=counts.drop_probability,
        assured=counts.assured,
        unreplied=counts.unreplied,
        half_open=entries[SessionState.SYN_SENT] + entries[SessionState.SYN_RECV] + entries[SessionState.SYN_SENT2],
        entries_syn_sent=entries[SessionState.SYN_SENT],
        entries_syn_recv=entries[SessionState.SYN_RECV],
        entries_established=entries[SessionState.ESTABLISHED],
        entries_fin_wait=entries[SessionState.FIN_WAIT],
        entries_close_wait=entries[SessionState.CLOSE_WAIT],
        entries_last_ack=entries[SessionState.LAST_ACK],
        entries_time_wait=entries[SessionState.TIME_WAIT],
        entries_close=entries[SessionState.CLOSE],
        entries_syn_sent2=entries[SessionState.SYN_SENT2],
        entries_udp_unreplied=entries[SessionState.UDP_UNREPLIED],
        entries_udp_replied=entries[SessionState.UDP_REPLIED],
        entries_udp_stream=entries[SessionState.UDP_STREAM],
        entries_icmp=entries[SessionState.ICMP],
        entries_other=entries[SessionState.OTHER_UNREPLIED] + entries[SessionState.OTHER],
        idle_established=census.idle_at_least[IDLE_EDGE] if census else None,
        silent_established=census.silent if census else None,
        packets_per_s=counts.packets / duration_s,
        bytes_per_s=counts.bytes / duration_s,
        new_per_s=counts.new_sessions / duration_s,
        new_tcp_per_s=counts.new_tcp / duration_s,
        new_udp_per_s=counts.new_udp / duration_s,
        normal_new_per_s=counts.normal_new_sessions.level,
        expired_per_s=counts.expired / duration_s,
        picked_up_per_s=counts.picked_up / duration_s,
        elsewhere_attempts_per_s=counts.elsewhere_attempts / duration_s,
        one_sided_flows=counts.one_sided_flows,
        two_sided_flows=counts.two_sided_flows,
        dropped_per_s=sum(drops.values()),
        dropped_full_per_s=drops.get(DropCause.TABLE_FULL, 0.0),
        dropped_clash_per_s=drops.get(DropCause.CLASH, 0.0),
        dropped_ports_per_s=drops.get(DropCause.PORTS_EXHAUSTED, 0.0),
        dropped_bucket_per_s=drops.get(DropCause.BUCKET_SKEW, 0.0),
        early_dropped_per_s=counts.early_dropped / duration_s,
        shed_per_s=sum(service.shed for service in window.services) / duration_s,
        invalid_per_s=invalid(counts) / duration_s,
        invalid_malformed_per_s=counts.invalid_malformed / duration_s,
        invalid_no_session_per_s=counts.invalid_no_session / duration_s,
        invalid_out_of_window_per_s=counts.invalid_out_of_window / duration_s,
        invalid_bad_rst_per_s=counts.invalid_bad_rst / duration_s,
        invalid_bad_state_per_s=counts.invalid_bad_state / duration_s,
        invalid_unrelated_error_per_s=counts.invalid_unrelated_error / duration_s,
        fragments_per_s=counts.fragments / duration_s,
        reassembled_per_s=counts.reassembled / duration_s,
        reassembly_failed_per_s=counts.reassembly_failed / duration_s,
        reassembly_bytes=counts.reassembly_bytes,
        interface_received_per_s=per_s(state, sum(item.received for item in state.interfaces.values())) if state else None,
        interface_dropped_per_s=per_s(state, sum(item.receive_dropped for item in state.interfaces.values())) if state else None,
        softnet_dropped_per_s=per_s(state, sum(state.softnet.dropped)) if state else None,
        softnet_squeezed_per_s=per_s(state, sum(state.softnet.squeezed)) if state else None,
        synproxy_syn_per_s=per_s(state, state.synproxy.syn_received) if state else None,
        synproxy_cookie_valid_per_s=per_s(state, state.synproxy.cookie_valid) if state else None,
        synproxy_cookie_invalid_per_s=per_s(state, state.synproxy.cookie_invalid) if state else None,
        lost_packets_per_s=window.lost_packets / duration_s,
        sampled_one_in=window.sampled_one_in,
        window_s=duration_s,
        warming=window.warming,
        services=len(window.services),
        services_left_out=services_left_out,
        incidents_open=incidents_open,
        mitigations_in_force=mitigations_in_force,
        top_holders=top_holders(census) if census else None,
        packets_total=totals.packets,
        new_total=totals.new,
        dropped_total=totals.dropped,
        early_dropped_total=totals.early_dropped,
        shed_total=totals.shed,
        lost_packets_total=totals.lost_packets,
    )


def service_point(
    site: str, firewall: str, window: Window, service: ServiceWindow, *, totals: ServiceTotals, incidents_open: int
) -> ServicePoint:
    duration_s = window.duration_s
    return ServicePoint(
        time_s=window.end_s,
        site=site,
        firewall=firewall,
        service=service.service.label,
        name=None if service.service.learned else service.service.name,
        syn_per_s=service.syn / duration_s,
        syn_retransmitted_per_s=service.syn_retransmitted / duration_s,
        synack_per_s=service.synack / duration_s,
        completed_per_s=service.handshakes_completed / duration_s,
        completion_ratio=service.completion_ratio,
        attempts_per_s=service.new_attempts / duration_s,
        new_per_s=service.new_sessions / duration_s,
        picked_up_per_s=service.picked_up / duration_s,
        normal_syn_per_s=service.normal_syn.level,
        normal_attempts_per_s=service.normal_attempts.level,
        normal_completed_per_s=service.normal_completed.level,
        dropped_full_per_s=service.dropped_full / duration_s,
        shed_per_s=service.shed / duration_s,
        resets_in_per_s=service.resets_in / duration_s,
        resets_out_per_s=service.resets_out / duration_s,
        acks_in_per_s=service.acks_in / duration_s,
        retransmitted_per_s=service.retransmitted / duration_s,
        fragments_per_s=service.fragments / duration_s,
        invalid_per_s=service.invalid / duration_s,
        packets_in_per_s=service.packets_in / duration_s,
        packets_out_per_s=service.packets_out / duration_s,
        bytes_in_per_s=service.bytes_in / duration_s,
        bytes_out_per_s=service.bytes_out / duration_s,
        one_sided_flows=service.one_sided_flows,
        two_sided_flows=service.two_sided_flows,
        distinct_sources=service.distinct_sources,
        known_sources_ratio=service.known_sources_share,
        source_entropy=service.source_entropy,
        top_prefix_ratio=max((share.share for share in service.top_prefixes), default=0.0),
        top_prefixes=", ".join(f"{share.prefix} {share.count}" for share in service.top_prefixes[:TOP_SHOWN]) or None,
        entries=service.entries,
        half_open=service.half_open,
        unreplied=service.unreplied,
        established=service.established,
        time_wait=service.time_wait,
        incidents_open=incidents_open,
        syn_total=totals.syn,
        syn_retransmitted_total=totals.syn_retransmitted,
        completed_total=totals.completed,
    )


def rule_points(site: str, firewall: str, time_s: float, state: FirewallState, totals: dict[str, int]) -> Iterable[RulePoint]:
    """A point for each counter of a rule of netwatch's; ``totals`` by its name."""
    for name, counted in state.counters.items():
        if name.startswith(TABLE_MARK):
            continue
        yield RulePoint(
            time_s=time_s,
            site=site,
            firewall=firewall,
            counter=name,
            packets_per_s=per_s(state, counted.packets),
            bytes_per_s=per_s(state, counted.bytes),
            packets_total=totals[name],
        )


def per_s(state: FirewallState, count: int) -> float:
    """A count of the poll's interval as a rate; the first poll has none, and counts nothing."""
    return count / state.interval_s if state.interval_s > 0 else 0.0


def entries_by_state(window: FirewallWindow) -> tuple[int, ...]:
    """Always one number a state; a window without a histogram has nothing in any."""
    return window.by_state or (0,) * len(SessionState)


def invalid(window: FirewallWindow) -> int:
    return (
        window.invalid_malformed
        + window.invalid_no_session
        + window.invalid_out_of_window
        + window.invalid_bad_rst
        + window.invalid_bad_state
        + window.invalid_unrelated_error
    )


def top_holders(census: Census) -> str | None:
    return ", ".join(f"{holder.prefix} {holder.entries}" for holder in census.top_prefixes[:TOP_SHOWN]) or None
