"""The model's enumerations as plain integers: compiled kernels know no classes."""

from netwatch.model.service import Protocol
from netwatch.model.session import SessionState
from netwatch.model.tracked import InvalidReason, SessionEvent, Verdict

TCP_PROTOCOL, UDP_PROTOCOL, UDP_LITE_PROTOCOL = int(Protocol.TCP), int(Protocol.UDP), 136
GRE_PROTOCOL, SCTP_PROTOCOL = int(Protocol.GRE), int(Protocol.SCTP)
ICMP_PROTOCOL, ICMPV6_PROTOCOL = int(Protocol.ICMP), int(Protocol.ICMPV6)

UDP_UNREPLIED, UDP_REPLIED, UDP_STREAM = int(SessionState.UDP_UNREPLIED), int(SessionState.UDP_REPLIED), int(SessionState.UDP_STREAM)
ICMP_STATE, OTHER_UNREPLIED, OTHER = int(SessionState.ICMP), int(SessionState.OTHER_UNREPLIED), int(SessionState.OTHER)

VERDICT_NONE, VERDICT_NEW, VERDICT_ESTABLISHED = int(Verdict.NONE), int(Verdict.NEW), int(Verdict.ESTABLISHED)
VERDICT_RELATED, VERDICT_INVALID = int(Verdict.RELATED), int(Verdict.INVALID)
VERDICT_UNTRACKED, VERDICT_DROPPED = int(Verdict.UNTRACKED), int(Verdict.DROPPED)

VALID, MALFORMED_PACKET, NO_SESSION = int(InvalidReason.NONE), int(InvalidReason.MALFORMED), int(InvalidReason.NO_SESSION)
WINDOW_REASON, RESET_REASON = int(InvalidReason.OUT_OF_WINDOW), int(InvalidReason.BAD_RST)
STATE_REASON, ERROR_REASON = int(InvalidReason.BAD_STATE), int(InvalidReason.UNRELATED_ERROR)

CREATED_EVENT, REPLIED_EVENT, ASSURED_EVENT = int(SessionEvent.CREATED), int(SessionEvent.REPLIED), int(SessionEvent.ASSURED)
HANDSHAKE_EVENT, PICKED_UP_EVENT = int(SessionEvent.HANDSHAKE_COMPLETED), int(SessionEvent.PICKED_UP)
REPEATED_EVENT, RESET_EVENT, CLOSING_EVENT = int(SessionEvent.SYN_REPEATED), int(SessionEvent.RESET), int(SessionEvent.CLOSING)
EARLY_DROPPED_EVENT, REOPENED_EVENT = int(SessionEvent.EARLY_DROPPED), int(SessionEvent.REOPENED)
SHED_EVENT = int(SessionEvent.SHED)
