"""What follows from what: the one table by which findings of different modes become one incident.

A flood fills the table, a full table silences services; whoever is paged should hear of the flood, with the rest told as what follows. The
modes are in causal order: where two could explain each other, the earlier one is the cause.
"""

from netwatch.model.incident import Mode

FOLLOWS_FROM: dict[Mode, tuple[Mode, ...]] = {
    # Its sessions are not heard any more, by anybody.
    Mode.FAILOVER_WITHOUT_SYNC: (Mode.ASYMMETRIC_ROUTING, Mode.IDLE_TIMEOUT_BLACKHOLE, Mode.RST_FLOOD, Mode.ACK_FLOOD, Mode.SERVICE_SILENT),
    # Packets of sessions that are seen one way only look like strays, like SYNs that nobody answers, and like sessions forgotten.
    Mode.ASYMMETRIC_ROUTING: (
        Mode.SYN_FLOOD,
        Mode.ACK_FLOOD,
        Mode.RST_FLOOD,
        Mode.IDLE_TIMEOUT_BLACKHOLE,
        Mode.TABLE_FULL,
        Mode.SERVICE_SILENT,
    ),
    # First fragments of UDP datagrams are new UDP flows as well.
    Mode.FRAGMENT_EXHAUSTION: (Mode.UDP_STATE_FLOOD, Mode.TABLE_FULL, Mode.SERVICE_SILENT),
    # Owners of forged addresses reset what they never asked for.
    Mode.SYN_FLOOD: (Mode.RST_FLOOD, Mode.TABLE_FULL, Mode.SERVICE_SILENT),
    Mode.UDP_STATE_FLOOD: (Mode.TABLE_FULL, Mode.SERVICE_SILENT),
    # The server resets each ACK that it does not know.
    Mode.ACK_FLOOD: (Mode.RST_FLOOD, Mode.TABLE_FULL, Mode.SERVICE_SILENT),
    # Sessions that nobody hears are reset in the end.
    Mode.IDLE_TIMEOUT_BLACKHOLE: (Mode.RST_FLOOD,),
    Mode.RST_FLOOD: (Mode.SERVICE_SILENT,),
    Mode.ESTABLISHED_CREEP: (Mode.TABLE_FULL, Mode.SERVICE_SILENT),
    # Who comes back at once also goes away again at once.
    Mode.RETRY_STORM: (Mode.TIME_WAIT_PILEUP, Mode.TABLE_FULL, Mode.SERVICE_SILENT),
    Mode.TIME_WAIT_PILEUP: (Mode.TABLE_FULL, Mode.SERVICE_SILENT),
    Mode.TABLE_FULL: (Mode.SERVICE_SILENT,),
    # A retry storm comes after an outage, but hurts on its own and is cured otherwise: an incident that follows.
    Mode.SERVICE_SILENT: (),
}
"""For each mode, what it explains."""

CAUSAL_RANK = {mode: rank for rank, mode in enumerate(FOLLOWS_FROM)}

SHARED = frozenset({Mode.TABLE_FULL})
"""What concerns every service behind the firewall, since they share one table."""


def explains(cause: Mode, effect: Mode) -> bool:
    return effect in FOLLOWS_FROM[cause]
