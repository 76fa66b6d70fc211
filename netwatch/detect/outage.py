"""An outage of one service as it is seen from outside: it is asked, and does not answer.

Fewer handshakes than normal are no outage as long as those who ask are served: a quiet night looks like that. So a window counts when
handshakes are few *and* what was asked was mostly in vain, or when silence is itself the wonder: nothing at all is seen where a hundred
packets should have come, or nobody asks a service that is never left alone.
"""

from netwatch.detect.harm import MissingHandshakes
from netwatch.detect.level import Level
from netwatch.model.window import Normal, ServiceWindow, Window

FEW_SHARE = 0.5
"""Of the normal handshakes (UDP: answers): less is few."""

VAIN_SHARE = 0.5
"""Answered, of what is asked: more is served, if less often than usual."""

MISSED_PACKETS = 100.0
"""Packets that a silence of everything would normally have brought: fewer are chance."""

NEVER_ALONE_PER_S, ALONE_S = 20.0, 10.0
"""Normal handshakes of a service that is missed when nobody asks, and for how long nobody must ask."""

NOT_YET = float("-inf")


class Outage:
    """The run of windows in which one service did not answer. Its normals are kept from before the run."""

    def __init__(self) -> None:
        self.windows = 0  # of the present run
        self.since_s = 0.0
        self.normal = Normal(0.0, 0.0)  # handshakes (UDP: answers) before it
        self.missed = 0.0  # handshakes, since it began
        self._asked_s = NOT_YET  # when somebody last asked
        self._heard_s = NOT_YET  # when any packet at all was last seen
        self._missing = MissingHandshakes()
        self._answers = Level()  # of a UDP service, which brings no normal of its own

    @property
    def healthy(self) -> bool:
        return self.windows == 0

    @property
    def forgettable(self) -> bool:
        """Nothing is missing, and nothing was learned that a window would not bring again."""
        return self.windows == 0 and self._missing.missing == 0.0 and not self._answers.learned

    def update(self, window: Window, service: ServiceWindow) -> bool:
        """Take in a window; does the service lack so many handshakes that its health is down?"""
        udp = service.service.protocol == "udp"
        completed = service.two_sided_flows if udp else service.handshakes_completed
        if service.warming or (udp and not self._answers.warm):
            if udp:
                self._answers.learn(completed / window.duration_s)
            return False
        if self.windows == 0:
            self.missed = 0.0
            self.normal = Normal(self._answers.value, self._answers.spread) if udp else service.normal_completed
        normal = self.normal
        down = self._missing.update(window, completed=completed, level_per_s=normal.level, spread_per_s=normal.spread)
        usual = normal.level * window.duration_s
        asked = self._listen(window, service)
        silent_since_s = self._missed_since_s(window, service, asked, completed) if completed < FEW_SHARE * usual else None
        if silent_since_s is not None:
            self.since_s = silent_since_s if self.windows == 0 else self.since_s
            self.windows += 1
            self.missed += usual - completed
            return down
        self.windows = 0
        if udp:
            self._answers.learn(completed / window.duration_s)
        return False

    def _listen(self, window: Window, service: ServiceWindow) -> int:
        """Note when somebody asked and when anything was heard; return how many asked."""
        end_s = window.end_s
        asked = service.new_attempts + service.syn_retransmitted
        if asked < service.syn:
            asked = service.syn
        # Who has only now come to be watched was served in the window before.
        if asked:
            self._asked_s = end_s
        elif self._asked_s == NOT_YET:
            self._asked_s = window.start_s
        if window.firewall.packets:
            self._heard_s = end_s
        elif self._heard_s == NOT_YET:
            self._heard_s = window.start_s
        return asked

    def _missed_since_s(self, window: Window, service: ServiceWindow, asked: int, completed: int) -> float | None:
        """Since when answers are missed; ``None`` if whoever asks is served, or nobody has to ask."""
        if asked:
            return window.start_s if completed <= VAIN_SHARE * asked else None
        if window.firewall.packets == 0:
            return self._heard_s if service.normal_packets.level * (window.end_s - self._heard_s) >= MISSED_PACKETS else None
        alone = self.normal.level >= NEVER_ALONE_PER_S and window.end_s - self._asked_s >= ALONE_S
        return self._asked_s if alone else None


def is_served(window: Window, service: ServiceWindow) -> bool:
    """Are there about as many handshakes as normal, so that nothing needs to be remembered? UDP services always need a memory."""
    expected = MissingHandshakes.EXPECTED_SHARE * service.normal_completed.level * window.duration_s
    return service.service.protocol == "tcp" and service.handshakes_completed >= expected


def answered(service: ServiceWindow) -> int:
    """Handshakes completed; for UDP flows answered."""
    return service.two_sided_flows if service.service.protocol == "udp" else service.handshakes_completed
