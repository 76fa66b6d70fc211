"""Sentences and rows about a replay that the terminal summary and the report page share."""

from netwatch.export import figures
from netwatch.export.figures import count, percent, plural
from netwatch.export.verdict import firewall_name, spoofed_crowd
from netwatch.model.incident import LIVE_ONLY, Attribution, EvidenceKind, Incident, Mode
from netwatch.model.packet import TrafficCounts
from netwatch.model.plan import WhatIfResult
from netwatch.model.replay import CaptureSummary, FirewallSummary, Replay

EVIDENCE_KINDS = {EvidenceKind.TRAFFIC: "traffic", EvidenceKind.STATE: "firewall state", EvidenceKind.HEALTH: "service health"}


def when(replay: Replay) -> str:
    """``2024-03-07 15:00:00 – 15:01:00 UTC (60.0 s)``."""
    bounds = time_bounds(replay)
    if bounds is None:
        return "no packet"
    return f"{figures.span(*bounds)} ({figures.duration(bounds[1] - bounds[0])})"


def time_bounds(replay: Replay) -> tuple[float, float] | None:
    """First and last packet of all captures."""
    stamps = [at_s for capture in replay.captures for at_s in (capture.first_s, capture.last_s) if at_s is not None]
    return (min(stamps), max(stamps)) if stamps else None


def traffic_rows(replay: Replay) -> list[tuple[str, str]]:
    """What the wire held, as label and figures."""
    traffic = replay.traffic
    bounds = time_bounds(replay)
    lasted_s = bounds[1] - bounds[0] if bounds else 0.0
    rate = f" ({count(traffic.packets / lasted_s)} packets/s)" if lasted_s > 0 else ""
    rows = [
        ("packets", f"{plural(traffic.packets, 'packet')}{rate}, {figures.size(traffic.bytes)} on the wire"),
        ("flows", f"{plural(traffic.flows, 'bidirectional 5-tuple')}"),
        ("network", f"IPv4 {count(traffic.ipv4)} · IPv6 {count(traffic.ipv6)} · not IP {count(traffic.non_ip)}"),
        (
            "transport",
            f"TCP {count(traffic.tcp)} · UDP {count(traffic.udp)} · ICMP {count(traffic.icmp)} · other {count(traffic.other)}"
            f" · fragments {count(traffic.fragments)}",
        ),
        ("TCP flags", _tcp_flags(traffic)),
    ]
    undecoded = {reason: packets for reason, packets in replay.decode_errors.items() if packets and reason != "not_ip"}
    if undecoded:
        rows.append(("undecoded", reasons(undecoded)))
    return rows


def _tcp_flags(traffic: TrafficCounts) -> str:
    syn, synack, fin, rst = map(count, (traffic.tcp_syn, traffic.tcp_synack, traffic.tcp_fin, traffic.tcp_rst))
    return f"SYN {syn} · SYN-ACK {synack} · FIN {fin} · RST {rst}"


def firewall_rows(firewall: FirewallSummary) -> list[tuple[str, str]]:
    """What the session-table model went through, as label and figures."""
    pick_up = "strict: a session begins with SYN" if firewall.strict else "loose: a session may be picked up mid-stream"
    fill = firewall.peak_entries / firewall.limit if firewall.limit else 0.0
    at = f" at {figures.clock(firewall.peak_at_s)} UTC" if firewall.peak_at_s is not None else ""
    return [
        ("profile", f"{figures.printable(firewall.profile)}, {pick_up}" + ("" if firewall.expiry else ", time-outs switched off")),
        ("peak", f"{count(firewall.peak_entries)} of {plural(firewall.limit, 'entry', 'entries')} ({percent(fill)}){at}"),
        ("full", "never" if firewall.full_at_s is None else f"from {figures.clock(firewall.full_at_s, decimals=1)} UTC"),
        (
            "pressure",
            f"{plural(firewall.dropped_full, 'packet')} of new sessions dropped for want of room,"
            f" {plural(firewall.early_dropped, 'entry', 'entries')} evicted to make some",
        ),
        ("at the end", f"{plural(firewall.entries_at_end, 'entry', 'entries')}{states(firewall)}"),
        ("verdicts", " · ".join(f"{verdict} {count(packets)}" for verdict, packets in firewall.verdicts.items()) or figures.THIN),
    ]


def states(firewall: FirewallSummary) -> str:
    """``: ESTABLISHED 5,000 · TIME_WAIT 2,210``, the most first."""
    ranked = sorted(((entries, state) for state, entries in firewall.states_at_end.items() if entries), reverse=True)
    return ": " + " · ".join(f"{state} {entries:,}" for entries, state in ranked) if ranked else ""


def capture_problems(capture: CaptureSummary) -> str:
    """What was wrong with a file; empty if nothing was."""
    problems = [reasons(capture.errors)] if any(capture.errors.values()) else []
    if capture.truncated:
        problems.append("cut off in the middle of a record: what follows is missing")
    return "; ".join(problems)


def captures_worth_showing(captures: tuple[CaptureSummary, ...], limit: int) -> list[CaptureSummary]:
    """All files that have a fault, and the first of the others, in their order: of a folder of thousands nobody reads the good ones."""
    faulty = {index for index, capture in enumerate(captures) if capture_problems(capture)}
    good = [index for index in range(len(captures)) if index not in faulty][:limit]
    return [captures[index] for index in sorted(faulty.union(good))]


def reasons(counts: dict[str, int]) -> str:
    """``12 cut transport header, 3 bad ip length``, the most first."""
    ranked = sorted((-packets, reason) for reason, packets in counts.items() if packets)
    return ", ".join(f"{-packets:,} {figures.printable(reason).replace('_', ' ')}" for packets, reason in ranked)


def subject(incident: Incident) -> str:
    """Whom it hits."""
    return figures.printable(incident.service) if incident.service else firewall_name(incident)


def course(incident: Incident) -> str:
    """``onset 15:00:21, detected 15:00:22 UTC (1.0 s later), ended 15:01:14 UTC``."""
    delay_s = incident.detected_s - incident.onset_s
    end = "still on at the end of the capture" if incident.ended_s is None else f"ended {figures.clock(incident.ended_s)} UTC"
    detected = f"detected {figures.clock(incident.detected_s)} UTC ({figures.duration(max(0.0, delay_s))} later)"
    return f"onset {figures.clock(incident.onset_s)}, {detected}, {end}"


def attributed(attribution: Attribution) -> tuple[str, str]:
    """Who (or, of several services, which one it hits), and the share of the excess."""
    share = f"{percent(attribution.share)} of the excess"
    match attribution.kind:
        case "spoofed":
            return spoofed_crowd(attribution), share
        case "service":
            return f"against {figures.printable(attribution.value)}", share
        case _:
            return figures.printable(attribution.value), share


def outcome(result: WhatIfResult) -> str:
    """What a what-if came to, in a few words."""
    if result.applied_at_s is None:
        return "not called for"
    if not result.incidents:
        return "ended" if not result.dropped_full else "ended, after some drops"
    left = f"{plural(result.incidents, 'incident')} left"
    return left if result.dropped_full else f"nothing dropped, {left}"


def watched(replay: Replay) -> list[str]:
    """What was looked at where nothing was found: silence must say what it is silent about."""
    modes = [mode for mode in Mode if mode not in LIVE_ONLY]
    lines = [f"{plural(len(modes), 'failure mode')} looked for: {', '.join(modes)}"]
    if replay.services:
        names = [figures.printable(service.label) + (" (learned)" if service.learned else "") for service in replay.services[:12]]
        more = f" and {len(replay.services) - 12} more" if len(replay.services) > 12 else ""
        lines.append(f"{plural(len(replay.services), 'service')} watched: {', '.join(names)}{more}")
    else:
        lines.append("no service seen: give one with --service ADDR:PORT/PROTO if there should be one")
    if replay.warm_until_s is None:
        lines.append("the capture is too short to learn what is normal: only limits were judged, not changes")
    else:
        lines.append(f"what is normal was learned until {figures.clock(replay.warm_until_s)} UTC; before it only limits were judged")
    return lines
