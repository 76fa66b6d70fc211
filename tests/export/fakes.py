"""A SYN flood against a mail service as a ready ``Replay``: what the outputs are developed and tested with.

The numbers follow the physics, so that the charts look as they will: 60 connections per second as the normal, from second 21 on 2,000
spoofed SYNs per second, each holding an entry of a table of 30,000 for the 60 s of SYN_RECV; the table is full 15 s later, and the
service starves until the flood ends.
"""

import random

from netwatch.export.series import SeriesBuilder
from netwatch.model.incident import Attribution, Evidence, EvidenceKind, Incident, Mode, Recommendation, Severity, TimelineEntry
from netwatch.model.packet import TrafficCounts
from netwatch.model.plan import WhatIfResult
from netwatch.model.replay import CaptureSummary, FirewallSummary, PrefixPoint, Replay, SeriesPoint, ServicePoint, WhatIf
from netwatch.model.service import Service

START_S = 1_709_823_600.0  # 2024-03-07 15:00:00 UTC
ONSET_S = START_S + 21
DETECTED_S = ONSET_S + 1
DURATION_S = 90
FLOOD_S = 50
LIMIT = 30_000
ENDED_S = ONSET_S + 63
FLOOD_PER_S = 2_000
SMTP = Service("inbound-smtp", "203.0.113.25", 25, "tcp")
DNS = Service("resolver", "203.0.113.53", 53, "udp", learned=True)
WEB = Service("web", "2001:db8::80", 443, "tcp", learned=True)


def flood_series(*, mitigated_by: str | None = None, seconds: int = DURATION_S) -> tuple[SeriesPoint, ...]:
    """One point a second; ``mitigated_by`` "synproxy" keeps spoofed SYNs out from detection on, "short-timeouts" ends them after 10 s."""
    chance = random.Random(7)
    builder = SeriesBuilder()
    half_open: list[int] = []  # flood entries made in each second
    entries_before = 7_000
    for second in range(seconds):
        now_s = START_S + second
        flooding = ONSET_S <= now_s < ONSET_S + FLOOD_S
        shielded = mitigated_by == "synproxy" and now_s >= DETECTED_S
        asked = 60 + chance.randint(-9, 9)
        spoofed = FLOOD_PER_S + chance.randint(-160, 160) if flooding else 0
        life_s = 10 if mitigated_by == "short-timeouts" and now_s >= DETECTED_S else 60
        base = 7_200 + chance.randint(-90, 90)
        room = max(0, LIMIT - base - sum(half_open[-life_s:]))
        admitted = 0 if shielded else min(spoofed, room)
        half_open.append(admitted)
        if shielded:
            half_open = [0] * len(half_open)
        held = sum(half_open[-life_s:])
        entries = min(LIMIT, base + held)
        dropped = 0 if shielded else spoofed - admitted
        starving = entries >= LIMIT
        completed = 3 + chance.randint(0, 4) if starving else asked - chance.randint(0, 2)
        slope = float(entries - entries_before)
        web = 10 + chance.randint(-3, 3)
        builder.add_point(
            SeriesPoint(
                start_s=now_s,
                duration_s=1.0,
                entries=entries,
                limit=LIMIT,
                fill_slope_per_s=slope,
                time_to_full_s=(LIMIT - entries) / slope if slope > 200 and entries < LIMIT else None,
                assured=4_800,
                half_open=held + 30,
                packets=900 + spoofed,
                attempts=asked + spoofed + 41,
                new_sessions=admitted + asked + 41,
                dropped_full=dropped + (asked - completed if starving else 0),
                early_dropped=dropped // 11 if starving else 0,
                shed=spoofed if shielded else 0,
                invalid=chance.randint(0, 3),
                resets=chance.randint(2, 9),
                services=(
                    ServicePoint(SMTP.label, asked + spoofed, completed, held + 12, base // 2 + held),
                    ServicePoint(DNS.label, 31 + chance.randint(-6, 6), 0, 0, 900),
                    ServicePoint(WEB.label, web, web, 1, 1_400),
                ),
                prefixes=_prefixes(chance, flooding=flooding),
            )
        )
        entries_before = entries
    return builder.points()


def _prefixes(chance: random.Random, *, flooding: bool) -> tuple[PrefixPoint, ...]:
    usual = [("198.51.100.0/24", 22), ("192.0.2.0/24", 14), ("203.0.113.128/24", 6), ("2001:db8:77::/48", 4)]
    points = [PrefixPoint(prefix, max(0, level + chance.randint(-4, 4))) for prefix, level in usual]
    if flooding:
        points.insert(0, PrefixPoint("10.66.0.0/24", 240 + chance.randint(-30, 30)))
        points += [PrefixPoint(f"10.{chance.randint(70, 250)}.{chance.randint(0, 255)}.0/24", 9) for _ in range(6)]
    return tuple(points)


def flood_incident() -> Incident:
    return Incident(
        id="2024-03-07T150021-syn-flood-1",
        mode=Mode.SYN_FLOOD,
        severity=Severity.CRITICAL,
        firewall="edge-1",
        service=SMTP.label,
        onset_s=ONSET_S,
        detected_s=DETECTED_S,
        ended_s=ENDED_S,
        evidence=(
            Evidence("syn_per_s", 2_071.0, EvidenceKind.TRAFFIC, "2,071 SYN/s, 34 times the normal of 60 ± 6"),
            Evidence("completion_ratio", 0.026, EvidenceKind.HEALTH, "2.6 % of the handshakes asked for were completed; normally 99 %"),
            Evidence("half_open", 22_788.0, EvidenceKind.STATE, "22,788 half-open entries, 75 % of a table of 30,000"),
            Evidence(
                "source_entropy",
                0.98,
                EvidenceKind.TRAFFIC,
                "sources spread evenly over prefixes (entropy 0.98 of 1), 96 % never seen before",
            ),
        ),
        attribution=(Attribution("spoofed", "37669 sources", 0.93), Attribution("prefix", "10.66.0.0/24", 0.06)),
        timeline=(
            TimelineEntry(ONSET_S, "SYN rate leaves its normal: 2,071/s against 60/s"),
            TimelineEntry(DETECTED_S, "syn-flood detected, 1.0 s after its onset; table 29 % full, full in 11 s at this slope"),
            TimelineEntry(START_S + 32, "table full: 30,000 of 30,000 entries; packets of new sessions are dropped"),
            TimelineEntry(ONSET_S + FLOOD_S, "SYN rate back at its normal"),
            TimelineEntry(ENDED_S, "ended: 60 s after the first, half-open entries run out and completion is back above 95 %"),
        ),
        consequences=(Mode.TABLE_FULL,),
        recommendation=Recommendation(
            "synproxy",
            ("nft add element inet netwatch synproxy4 '{ 203.0.113.25 . 25 timeout 300s }'",),
            ("nft delete element inet netwatch synproxy4 '{ 203.0.113.25 . 25 }'",),
        ),
    )


def flood_what_if() -> tuple[WhatIf, ...]:
    return (
        _what_if("synproxy", peak=8_600, full_at_s=None, dropped=0, hit=0, incidents=0, shed=98_112),
        _what_if("short-timeouts", peak=27_654, full_at_s=None, dropped=0, hit=3, incidents=1, shed=0),
        WhatIf(
            result=WhatIfResult(
                playbook="drop-prefix",
                applied_at_s=None,
                peak_entries=LIMIT,
                full_at_s=START_S + 32,
                dropped_full=71_310,
                healthy_hit=0,
                incidents=1,
            )
        ),
    )


def _what_if(playbook: str, *, peak: int, full_at_s: float | None, dropped: int, hit: int, incidents: int, shed: int) -> WhatIf:
    series = tuple(point for point in flood_series(mitigated_by=playbook) if point.start_s >= DETECTED_S)
    return WhatIf(
        result=WhatIfResult(
            playbook=playbook,
            applied_at_s=DETECTED_S + 1,
            peak_entries=peak,
            full_at_s=full_at_s,
            dropped_full=dropped,
            healthy_hit=hit,
            incidents=incidents,
            shed=shed,
        ),
        series=series,
        changes=("nft add element inet netwatch synproxy4 '{ 203.0.113.25 . 25 timeout 300s }'",) if playbook == "synproxy" else (),
    )


def flood_replay() -> Replay:
    """The whole outcome of the flood."""
    return Replay(
        captures=(
            CaptureSummary(
                path="edge-1-2024-03-07.pcapng",
                link_types=("EN10MB",),
                packets=184_220,
                bytes=21_904_118,
                first_s=START_S,
                last_s=START_S + DURATION_S,
                errors={"cut_transport_header": 12},
                size_bytes=15_883_002,
            ),
        ),
        traffic=TrafficCounts(
            packets=184_220,
            bytes=21_904_118,
            non_ip=310,
            ipv4=177_800,
            ipv6=6_110,
            tcp=170_020,
            udp=12_980,
            icmp=910,
            tcp_syn=106_412,
            tcp_synack=28_150,
            tcp_fin=9_804,
            tcp_rst=1_207,
            flows=104_930,
        ),
        firewall=FirewallSummary(
            profile="linux",
            strict=False,
            limit=LIMIT,
            peak_entries=LIMIT,
            peak_at_s=START_S + 32.4,
            full_at_s=START_S + 32.4,
            entries_at_end=30_000,
            states_at_end={"SYN_RECV": 22_788, "ESTABLISHED": 4_812, "TIME_WAIT": 1_490, "UDP_UNREPLIED": 910},
            dropped_full=71_310,
            early_dropped=6_481,
            verdicts={"new": 35_120, "established": 77_204, "related": 14, "invalid": 262, "untracked": 310},
            created=35_120,
            expired=5_120,
        ),
        incidents=(flood_incident(),),
        what_if=flood_what_if(),
        series=flood_series(),
        services=(SMTP, DNS, WEB),
        decode_errors={"not_ip": 310, "cut_transport_header": 12},
        warm_until_s=START_S + 10,
        reproduce=(
            "netwatch",
            "replay",
            "edge-1-2024-03-07.pcapng",
            "--limit",
            "30000",
            "--what-if",
            "synproxy",
            "--report",
            "incident.html",
        ),
        settings={"time-outs": "SYN_RECV 60 s, SYN_SENT 120 s, ESTABLISHED 5 d", "services": "1 given, 2 learned"},
        netwatch_version="0.1.0",
    )


def quiet_replay() -> Replay:
    """The same traffic without the flood: nothing to say but what was watched."""
    series = flood_series(seconds=20)
    return Replay(
        captures=(
            CaptureSummary(
                path="quiet.pcap",
                link_types=("EN10MB",),
                packets=18_100,
                bytes=2_190_400,
                first_s=START_S,
                last_s=START_S + 20,
                size_bytes=2_480_024,
            ),
        ),
        traffic=TrafficCounts(
            packets=18_100, bytes=2_190_400, ipv4=18_100, tcp=17_000, udp=1_100, tcp_syn=1_200, tcp_synack=1_190, flows=1_800
        ),
        firewall=FirewallSummary(
            profile="linux",
            strict=False,
            limit=LIMIT,
            peak_entries=7_290,
            peak_at_s=START_S + 11,
            full_at_s=None,
            entries_at_end=7_210,
            states_at_end={"ESTABLISHED": 5_000, "TIME_WAIT": 2_210},
            dropped_full=0,
            early_dropped=0,
            verdicts={"new": 2_020, "established": 16_080, "related": 0, "invalid": 0, "untracked": 0},
        ),
        series=series,
        services=(SMTP,),
        warm_until_s=START_S + 10,
        reproduce=("netwatch", "replay", "quiet.pcap"),
        netwatch_version="0.1.0",
    )


def empty_replay() -> Replay:
    """A capture file without a packet."""
    return Replay(
        captures=(CaptureSummary(path="empty.pcap", link_types=(), packets=0, bytes=0, first_s=None, last_s=None),),
        traffic=TrafficCounts(),
        firewall=FirewallSummary(
            profile="linux",
            strict=False,
            limit=262_144,
            peak_entries=0,
            peak_at_s=None,
            full_at_s=None,
            entries_at_end=0,
            states_at_end={},
            dropped_full=0,
            early_dropped=0,
            verdicts={},
        ),
    )
