"""Counts since the start of netwatch, added up from windows and polls."""

from dataclasses import dataclass

from netwatch.model.firewall_state import DropCause, FirewallState
from netwatch.model.window import FirewallWindow, ServiceWindow, Window


def other_drops(window: FirewallWindow, state: FirewallState) -> dict[DropCause, int]:
    """Packets that the table dropped in a poll's interval although it was not full, by cause; the first poll has no interval."""
    if state.interval_s <= 0:
        return {}
    drops = state.table.drops(window.new_sessions)
    return {cause: packets for cause, packets in drops.items() if cause is not DropCause.TABLE_FULL}


@dataclass(slots=True)
class FirewallTotals:
    packets: int = 0
    new: int = 0
    dropped: int = 0
    early_dropped: int = 0
    shed: int = 0
    lost_packets: int = 0

    def add(self, window: Window, poll: FirewallState | None) -> None:
        """``poll``: one that was not added yet."""
        self.packets += window.firewall.packets
        self.new += window.firewall.new_sessions
        self.dropped += window.firewall.dropped_full + (sum(other_drops(window.firewall, poll).values()) if poll else 0)
        self.early_dropped += window.firewall.early_dropped
        self.shed += sum(service.shed for service in window.services)
        self.lost_packets += window.lost_packets


@dataclass(slots=True)
class ServiceTotals:
    syn: int = 0
    syn_retransmitted: int = 0
    completed: int = 0

    def add(self, service: ServiceWindow) -> None:
        self.syn += service.syn
        self.syn_retransmitted += service.syn_retransmitted
        self.completed += service.handshakes_completed


@dataclass(slots=True)
class CanaryTotals:
    attempts: int = 0
    failed: int = 0


@dataclass(slots=True)
class ChangeTotals:
    applied: int = 0
    verified: int = 0
    undone: int = 0
    failed: int = 0
