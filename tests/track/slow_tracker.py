"""The session table's slow twin: netfilter's rules once more, in plain Python over a dict, to be read beside the kernel's source.

It knows no limit, no collector and no mitigation: an entry is there until its time-out.
"""

from dataclasses import dataclass, field
from typing import Any

from netwatch.model.packet import TcpFlag, TcpOption
from netwatch.model.session import FirewallProfile, SessionState, TcpState
from netwatch.model.tracked import InvalidReason, Verdict

SECOND_NS = 1_000_000_000
MODULUS = 1 << 32

TABLE = {
    # kind: (original direction, reply direction), each by state in the order of TcpState
    "syn": ("SS SS IG IG IG IG IG SS SS S2", "IV S2 IV IV IV IV IV SS IV S2"),
    "synack": ("IV IV SR IV IV IV IV IV IV SR", "IV SR IG IG IG IG IG IG IG SR"),
    "fin": ("IV IV FW FW LA LA LA TW CL IV", "IV IV FW FW LA LA LA TW CL IV"),
    "ack": ("ES IV ES ES CW CW TW TW CL IV", "IV IG SR ES CW CW TW TW CL IG"),
    "rst": ("IV CL CL CL CL CL CL CL CL CL", "IV CL CL CL CL CL CL CL CL CL"),
}
NAMES = {
    "SS": TcpState.SYN_SENT,
    "SR": TcpState.SYN_RECV,
    "ES": TcpState.ESTABLISHED,
    "FW": TcpState.FIN_WAIT,
    "CW": TcpState.CLOSE_WAIT,
    "LA": TcpState.LAST_ACK,
    "TW": TcpState.TIME_WAIT,
    "CL": TcpState.CLOSE,
    "S2": TcpState.SYN_SENT2,
}
CLOSING = (TcpState.FIN_WAIT, TcpState.CLOSE_WAIT, TcpState.LAST_ACK, TcpState.TIME_WAIT, TcpState.CLOSE)
VALID_FLAGS = ({"S"}, {"S", "U"}, {"S", "A"}, {"R"}, {"R", "A"}, {"F", "A"}, {"F", "A", "U"}, {"A"}, {"A", "U"})
LETTERS = {"F": TcpFlag.FIN, "S": TcpFlag.SYN, "R": TcpFlag.RST, "A": TcpFlag.ACK, "U": TcpFlag.URG}

Tuple = tuple[int, ...]


def before(one: int, other: int) -> bool:
    return (one - other) % MODULUS >= MODULUS // 2


def after(one: int, other: int) -> bool:
    return before(other, one)


@dataclass
class Side:
    end: int = 0
    max_end: int = 0
    max_window: int = 0
    max_ack: int = 0
    scale: int = 0
    flags: set[str] = field(default_factory=set)

    def take_options(self, packet: Any) -> None:
        if not packet["tcp_options"] and packet["transport_header_len"] <= 20:
            return
        self.scale = 0
        self.flags &= {"liberal"}
        if packet["tcp_options"] & TcpOption.SACK_PERMITTED:
            self.flags.add("sack")
        if packet["tcp_options"] & TcpOption.WINDOW_SCALE:
            self.flags.add("scale")
            self.scale = int(packet["window_scale"])


@dataclass
class Session:
    state: int
    expires_ns: int
    created_ns: int
    seen_reply: bool = False
    assured: bool = False
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    last_direction: int = 0
    last_kind: str = "none"
    last_seq: int = 0
    last_ack: int = 0
    last_end: int = 0
    last_window: int = 0
    last_scale: int = 0
    last_flags: set[str] = field(default_factory=set)
    retransmissions: int = 0


def kind_of(flags: int) -> str:
    letters = {letter for letter, bit in LETTERS.items() if flags & bit}
    if letters not in VALID_FLAGS:
        return "malformed"
    if "R" in letters:
        return "rst"
    if "S" in letters:
        return "synack" if "A" in letters else "syn"
    return "fin" if "F" in letters else "ack"


class SlowTracker:
    """One ``judge`` a packet; ``sessions`` holds what is left."""

    def __init__(self, profile: FirewallProfile) -> None:
        self.profile = profile
        self.sessions: dict[Tuple, Session] = {}
        self.now_ns = 0

    def states(self) -> dict[str, int]:
        counted: dict[str, int] = {}
        for session in self.sessions.values():
            name = SessionState(session.state).name
            counted[name] = counted.get(name, 0) + 1
        return counted

    def pass_time(self, now_ns: int) -> None:
        self.now_ns = max(self.now_ns, now_ns)
        self.sessions = {key: session for key, session in self.sessions.items() if session.expires_ns > self.now_ns}

    def judge(self, packet: Any) -> tuple[Verdict, InvalidReason]:
        self.pass_time(int(packet["ts_ns"]))
        protocol = int(packet["protocol"])
        key = tuple(int(packet[name]) for name in ("src_hi", "src_lo", "sport", "dst_hi", "dst_lo", "dport", "protocol"))
        mirrored = (*key[3:6], *key[0:3], protocol)
        if mirrored in self.sessions:
            key, direction = mirrored, 1
        else:
            direction = 0
        return self._judge_tcp(packet, key, direction) if protocol == 6 else self._judge_udp(packet, key, direction)

    def _verdict(self, session: Session, direction: int) -> Verdict:
        return Verdict.ESTABLISHED if direction or session.seen_reply else Verdict.NEW

    def _judge_udp(self, packet: Any, key: Tuple, direction: int) -> tuple[Verdict, InvalidReason]:
        times = self.profile.timeouts
        session = self.sessions.setdefault(key, Session(SessionState.UDP_UNREPLIED, 0, self.now_ns))
        verdict = self._verdict(session, direction)
        timeout_s = times.udp_s
        if session.seen_reply and self.now_ns - session.created_ns > 2 * SECOND_NS:
            timeout_s = times.udp_stream_s
            session.assured = True
            session.state = SessionState.UDP_STREAM
        session.expires_ns = self.now_ns + round(timeout_s * SECOND_NS)
        if direction:
            session.seen_reply = True
            if session.state == SessionState.UDP_UNREPLIED:
                session.state = SessionState.UDP_REPLIED
        return verdict, InvalidReason.NONE

    def _judge_tcp(self, packet: Any, key: Tuple, direction: int) -> tuple[Verdict, InvalidReason]:
        kind = kind_of(int(packet["tcp_flags"]))
        if kind == "malformed":
            return Verdict.INVALID, InvalidReason.MALFORMED
        flags = {letter for letter, bit in LETTERS.items() if int(packet["tcp_flags"]) & bit}
        end = (int(packet["seq"]) + int(packet["payload_len"]) + ("S" in flags) + ("F" in flags)) % MODULUS
        session = self.sessions.get(key)
        if session is None:
            if kind != "syn" and (kind != "ack" or self.profile.strict):
                return Verdict.INVALID, InvalidReason.NO_SESSION
            session = self.sessions[key] = self._new(packet, kind, end)
        verdict = self._verdict(session, direction)
        outcome = self._track(session, packet, key, direction, kind, flags, end)
        if outcome == "reopen":
            del self.sessions[key]
            swapped = (*key[3:6], *key[0:3], key[6]) if direction else key
            return self._judge_tcp(packet, swapped, 0)
        if isinstance(outcome, InvalidReason):
            return Verdict.INVALID, outcome
        if direction and key in self.sessions:
            session.seen_reply = True
        return verdict, InvalidReason.NONE

    def _new(self, packet: Any, kind: str, end: int) -> Session:
        session = Session(TcpState.NONE, 0, self.now_ns)
        mine, theirs = session.sides
        mine.end = mine.max_end = end
        mine.max_window = max(1, int(packet["window"]))
        if kind == "syn":
            mine.take_options(packet)
        else:
            mine.max_end = (end + mine.max_window) % MODULUS
            mine.flags = {"sack", "liberal"}
            theirs.flags = {"sack", "liberal"}
        return session

    def _track(
        self, session: Session, packet: Any, key: Tuple, direction: int, kind: str, flags: set[str], end: int
    ) -> InvalidReason | str:
        ack = int(packet["ack"])
        old = session.state
        step = TABLE[kind][direction].split()[old]
        mine, theirs = session.sides[direction], session.sides[1 - direction]
        skips_window = False
        if step == "IV":
            return InvalidReason.BAD_STATE
        if step == "SS" and old >= TcpState.TIME_WAIT:
            closed = "close_init" in mine.flags | theirs.flags
            if closed or (session.last_direction == direction and session.last_kind == "rst"):
                return "reopen"
            step = "IG"
        if step == "IG":
            answers = kind == "synack" and session.last_kind == "syn" and session.last_direction != direction
            if not (answers and ack == session.last_end):
                self._remember(session, packet, direction, kind, end)
                return "ignored"
            old, step = TcpState.SYN_SENT, "SR"
            theirs.end = theirs.max_end = session.last_end
            theirs.max_window = max(1, session.last_window)
            theirs.scale = session.last_scale
            session.last_flags.discard("challenge")
            theirs.flags = set(session.last_flags)
            mine.end = mine.max_end = mine.max_window = mine.max_ack = mine.scale = 0
            mine.flags &= {"liberal"}
            new: int = TcpState.SYN_RECV
        else:
            new = NAMES[step]
            if new == TcpState.TIME_WAIT and old == TcpState.LAST_ACK and kind == "ack":
                if session.last_direction != direction and session.last_kind == "syn" and "challenge" in session.last_flags:
                    session.last_flags.discard("challenge")
                    return "ignored"
            elif new == TcpState.SYN_SENT2:
                session.last_flags.add("simultaneous")
            elif new == TcpState.SYN_RECV:
                if direction and kind == "ack" and "simultaneous" in session.last_flags:
                    new = TcpState.ESTABLISHED
            elif new == TcpState.CLOSE and kind == "rst":
                if old in CLOSING:
                    skips_window = True
                else:
                    judged = self._reset(session, packet, direction, old)
                    if isinstance(judged, InvalidReason):
                        return judged
                    new, skips_window = judged
        if not skips_window:
            checked = self._window(session, packet, direction, kind, flags, end)
            if checked == "ignored":
                return "ignored"
            if checked == "invalid":
                self._invalid_end(session, kind, direction)
                return InvalidReason.OUT_OF_WINDOW
        return self._accept(session, key, direction, kind, old, new)

    def _remember(self, session: Session, packet: Any, direction: int, kind: str, end: int) -> None:
        session.last_kind, session.last_direction = kind, direction
        session.last_seq, session.last_end, session.last_window = int(packet["seq"]), end, int(packet["window"])
        if kind == "syn" and direction == 0:
            seen = Side()
            seen.take_options(packet)
            session.last_scale = seen.scale
            session.last_flags = set(seen.flags)
            if session.state == TcpState.LAST_ACK:
                session.last_flags.add("challenge")
        if session.state == TcpState.SYN_SENT and kind == "ack" and direction:
            session.last_ack = int(packet["ack"])

    def _reset(self, session: Session, packet: Any, direction: int, old: int) -> InvalidReason | tuple[int, bool]:
        seq, ack = int(packet["seq"]), int(packet["ack"])
        other = session.sides[1 - direction]
        established = session.state == TcpState.ESTABLISHED and session.assured
        new: int = TcpState.CLOSE
        if "max_ack" in other.flags and session.last_kind != "syn":
            if seq == 0 and not established:
                return new, False
            if before(seq, other.max_ack):
                return InvalidReason.BAD_RST
            if not established or seq == other.max_ack:
                return new, False
            if session.last_kind == "ack" and session.last_direction == direction and seq == session.last_end:
                return new, False
            new = old
        answers_syn = session.seen_reply and session.last_kind == "syn" and session.last_direction != direction
        answers_ack = not session.assured and session.last_kind == "ack"
        if (answers_syn or answers_ack) and ack == session.last_end:
            return new, True
        if old == TcpState.SYN_SENT and session.last_kind == "ack" and session.last_direction == 1 and seq == session.last_ack:
            return new, True
        return new, False

    def _window(self, session: Session, packet: Any, direction: int, kind: str, flags: set[str], end: int) -> str:
        mine, theirs = session.sides[direction], session.sides[1 - direction]
        seq, ack, raw_window = int(packet["seq"]), int(packet["ack"]), int(packet["window"])
        window = raw_window
        sack = ack
        if "sack" in theirs.flags and packet["tcp_options"] & TcpOption.SACK and after(int(packet["sack_edge"]), sack):
            sack = int(packet["sack_edge"])

        def begin() -> None:
            mine.end = mine.max_end = end
            mine.max_window = max(1, window)
            mine.take_options(packet)
            if direction and not ("scale" in mine.flags and "scale" in theirs.flags):
                mine.scale = theirs.scale = 0

        if mine.max_window == 0:
            if "S" in flags:
                begin()
                if "A" not in flags:
                    return "accepted"
            else:
                mine.end = end
                mine.max_window = max(1, window << mine.scale)
                mine.max_end = (end + mine.max_window) % MODULUS
                if theirs.max_window == 0:
                    theirs.end = theirs.max_end = sack
                elif sack == (theirs.end + 1) % MODULUS:
                    theirs.end = sack
        elif "S" in flags and after(end, mine.end) and session.state in (TcpState.SYN_SENT, TcpState.SYN_RECV):
            begin()
            if direction and "A" not in flags:
                return "accepted"
        if "A" not in flags or ("R" in flags and ack == 0):
            ack = sack = theirs.end
        if "R" in flags and seq == 0 and session.state == TcpState.SYN_SENT:
            seq = end = mine.end
        liberal = "liberal" in mine.flags or not self.profile.window_tracking
        in_window = theirs.max_window == 0 or after(end, mine.end - theirs.max_window - 1)
        oldest = theirs.end - max(mine.max_window, 66000) - 1
        if not before(seq, mine.max_end + 1):
            over = (end - mine.max_end + 1) % MODULUS
            fits = theirs.max_window > 0 and in_window and after(sack, oldest)
            if fits and over <= theirs.max_window and before(sack, theirs.end + 1):
                mine.end = end
                mine.flags.add("unacknowledged")
                return "accepted" if liberal else "ignored"
            return "accepted" if liberal else "invalid"
        if not before(sack, theirs.end + 1):
            return "accepted" if liberal else "invalid"
        if not in_window or not after(sack, oldest):
            return "accepted" if liberal else "ignored"
        if "S" not in flags:
            window <<= mine.scale
        mine.max_window = max(mine.max_window, (window + sack - ack) % MODULUS)
        if after(end, mine.end):
            mine.end = end
            mine.flags.add("unacknowledged")
        if "A" in flags and ("max_ack" not in mine.flags or after(ack, mine.max_ack)):
            mine.max_ack = ack
            mine.flags.add("max_ack")
        if theirs.max_window and after(end, mine.max_end):
            theirs.max_window = (theirs.max_window + end - mine.max_end) % MODULUS
        if after(sack + window, theirs.max_end - 1):
            theirs.max_end = (sack + window + (window == 0)) % MODULUS
        if ack == theirs.end:
            theirs.flags.discard("unacknowledged")
        if kind == "ack":
            now = (direction, seq, ack, end, raw_window)
            last = (session.last_direction, session.last_seq, session.last_ack, session.last_end, session.last_window)
            session.retransmissions = (session.retransmissions + 1) % 256 if now == last else 0
            session.last_direction, session.last_seq, session.last_ack, session.last_end, session.last_window = now
        return "accepted"

    def _invalid_end(self, session: Session, kind: str, direction: int) -> None:
        if not session.assured or kind not in ("rst", "fin"):
            return
        if session.last_direction != direction and session.last_kind in ("rst", "fin"):
            left_ns = session.expires_ns - self.now_ns
            shortened_ns = round(self.profile.timeouts.unacknowledged_s * SECOND_NS)
            if left_ns >= 120 * SECOND_NS and left_ns > shortened_ns:
                session.expires_ns = self.now_ns + shortened_ns
        else:
            session.last_kind, session.last_direction = kind, direction

    def _accept(self, session: Session, key: Tuple, direction: int, kind: str, old: int, new: int) -> str:
        times = self.profile.timeouts
        by_state = (
            0.0,
            times.syn_sent_s,
            times.syn_recv_s,
            times.established_s,
            times.fin_wait_s,
            times.close_wait_s,
            times.last_ack_s,
            times.time_wait_s,
            times.close_s,
            times.syn_sent_s,
        )
        mine = session.sides[direction]
        session.last_kind, session.last_direction = kind, direction
        if old != new and new == TcpState.FIN_WAIT:
            mine.flags.add("close_init")
        session.state = new
        timeout_s = by_state[new]
        owed = "unacknowledged" in session.sides[0].flags | session.sides[1].flags
        if session.retransmissions >= self.profile.max_retrans and timeout_s > times.max_retrans_s:
            timeout_s = times.max_retrans_s
        elif ((kind == "rst" and new == TcpState.ESTABLISHED) or owed) and timeout_s > times.unacknowledged_s:
            timeout_s = times.unacknowledged_s
        elif session.last_window == 0 and timeout_s > times.max_retrans_s:
            timeout_s = times.max_retrans_s
        if not session.seen_reply:
            if kind == "rst":
                del self.sessions[key]
                return "accepted"
            if kind == "syn" and old == TcpState.SYN_SENT:
                return "accepted"
            if new == TcpState.ESTABLISHED:
                timeout_s = min(timeout_s, times.unacknowledged_s)
        elif not session.assured and old in (TcpState.SYN_RECV, TcpState.ESTABLISHED) and new == TcpState.ESTABLISHED:
            session.assured = True
        session.expires_ns = self.now_ns + round(timeout_s * SECOND_NS)
        return "accepted"
