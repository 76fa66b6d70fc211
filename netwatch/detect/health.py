"""The health of all services behind the firewall together: what its users feel when the table refuses them."""

from netwatch.detect import facts, harm
from netwatch.model.incident import Evidence
from netwatch.model.window import Window

MIN_ASKED = 10
"""Connections asked for in one window, before the share that came about means anything."""


class FirewallHealth:
    """Handshakes of all services against their normal; where none is known, how many of those asked for came about."""

    def __init__(self) -> None:
        self._missing = harm.MissingHandshakes()

    def update(self, window: Window) -> tuple[Evidence, ...]:
        """Evidence if health is down in this window, else none. To be called for every window."""
        completed, level_per_s, variance = 0, 0.0, 0.0
        for service in window.services:
            if not service.warming:
                normal = service.normal_completed
                completed += service.handshakes_completed
                level_per_s += normal.level
                variance += normal.spread**2
        if self._missing.update(window, completed=completed, level_per_s=level_per_s, spread_per_s=variance**0.5):
            completed_per_s = completed / window.duration_s
            text = f"{facts.number(completed_per_s)} handshakes/s completed over all services, normally {facts.number(level_per_s)}"
            return (facts.health("completed_per_s", completed_per_s, text),)
        return self._share(window) if harm.refused_share(window.firewall) >= 0.5 else ()

    @staticmethod
    def _share(window: Window) -> tuple[Evidence, ...]:
        asked = sum(service.syn - service.syn_retransmitted for service in window.services)
        finished = sum(service.handshakes_completed for service in window.services)
        if asked < MIN_ASKED or finished > 0.5 * asked:
            return ()
        text = f"{facts.number(finished)} of {facts.number(asked)} connections asked for came about"
        return (facts.health("completed_share", finished / asked, text),)
