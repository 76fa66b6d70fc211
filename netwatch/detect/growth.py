"""How the table grows: which state gains entries, how fast, and how far that can go.

Entries of a short-lived state gather only until the first of them time out: at r new ones a second and a timeout of T seconds there are
never more than r·T (Little's law). A table that is filling towards that ceiling, below its limit, is only warming up. Established entries
have no ceiling worth the name: their timeout is days.
"""

from collections import deque
from typing import NamedTuple

from netwatch.model.session import STATE_COUNT, FirewallProfile, SessionState
from netwatch.model.window import Window

REMEMBERED_WINDOWS = 8
"""Long enough to even out bursts, short enough to follow a flood within seconds."""

CLOSING = (SessionState.FIN_WAIT, SessionState.CLOSE_WAIT, SessionState.LAST_ACK, SessionState.TIME_WAIT, SessionState.CLOSE)
UDP = (SessionState.UDP_UNREPLIED, SessionState.UDP_REPLIED, SessionState.UDP_STREAM)


class _Sample(NamedTuple):
    at_s: float
    entries: int
    by_state: tuple[int, ...]
    new_sessions: int  # since the watch began
    new_tcp: int


class Growth:
    """The last windows' table, newest last."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=REMEMBERED_WINDOWS + 1)
        self.streak = 0  # windows in a row in which the table grew

    def update(self, window: Window) -> None:
        firewall = window.firewall
        by_state = firewall.by_state if len(firewall.by_state) == STATE_COUNT else (0,) * STATE_COUNT
        if not self._samples:
            # What was there when the watch began did not grow before our eyes.
            self._samples.append(_Sample(window.start_s, firewall.entries, by_state, 0, 0))
        last = self._samples[-1]
        self.streak = self.streak + 1 if firewall.entries > last.entries else 0
        new_sessions, new_tcp = last.new_sessions + firewall.new_sessions, last.new_tcp + firewall.new_tcp
        self._samples.append(_Sample(window.end_s, firewall.entries, by_state, new_sessions, new_tcp))

    def _ends(self, windows: int = REMEMBERED_WINDOWS) -> tuple[_Sample, _Sample, float]:
        last = self._samples[-1]
        first = self._samples[max(0, len(self._samples) - 1 - windows)]
        return first, last, max(last.at_s - first.at_s, 1e-9)

    def entries_per_s(self, windows: int = REMEMBERED_WINDOWS) -> float:
        first, last, span_s = self._ends(windows)
        return (last.entries - first.entries) / span_s

    def states_per_s(self, states: tuple[SessionState, ...], windows: int = REMEMBERED_WINDOWS) -> float:
        """Net gain of entries in these states."""
        first, last, span_s = self._ends(windows)
        return sum(last.by_state[state] - first.by_state[state] for state in states) / span_s

    def fastest_state(self) -> SessionState:
        """The state that gains most."""
        first, last, _ = self._ends()
        return max(SessionState, key=lambda state: last.by_state[state] - first.by_state[state])

    def ceiling(self, states: tuple[SessionState, ...], timeout_s: float, *, tcp_only: bool) -> float:
        """Entries that the table will hold at most, if sessions keep coming at this rate and all end up in these states."""
        first, last, span_s = self._ends()
        new = last.new_tcp - first.new_tcp if tcp_only else last.new_sessions - first.new_sessions
        return last.entries - sum(last.by_state[state] for state in states) + new / span_s * timeout_s


def count(window: Window, states: tuple[SessionState, ...]) -> int:
    """Entries in these states now."""
    by_state = window.firewall.by_state
    return sum(by_state[state] for state in states) if len(by_state) == STATE_COUNT else 0


def timeout_s(state: SessionState, profile: FirewallProfile) -> float:
    """How long an idle entry of this state stays."""
    timeouts = profile.timeouts
    match state:
        case SessionState.SYN_SENT | SessionState.SYN_SENT2:
            return timeouts.syn_sent_s
        case SessionState.SYN_RECV:
            return timeouts.syn_recv_s
        case SessionState.ESTABLISHED:
            return timeouts.established_s
        case SessionState.FIN_WAIT:
            return timeouts.fin_wait_s
        case SessionState.CLOSE_WAIT:
            return timeouts.close_wait_s
        case SessionState.LAST_ACK:
            return timeouts.last_ack_s
        case SessionState.TIME_WAIT:
            return timeouts.time_wait_s
        case SessionState.CLOSE:
            return timeouts.close_s
        case SessionState.UDP_UNREPLIED | SessionState.UDP_REPLIED:
            return timeouts.udp_s
        case SessionState.UDP_STREAM:
            return timeouts.udp_stream_s
        case SessionState.ICMP:
            return timeouts.icmp_s
        case SessionState.OTHER | SessionState.OTHER_UNREPLIED | SessionState.NONE:
            return timeouts.generic_s
