"""What a new attempt is: a client asks for a session, whether or not it gets one.

Detectors compare what was asked with what was completed, so an attempt must count although the table was full, a mitigation refused it or
nobody answered; and a client that repeats its SYN still asks only once.
"""

from netwatch.jit import inlined
from netwatch.model.packet import TcpFlag
from netwatch.model.service import Protocol
from netwatch.model.tracked import FlowEvent, SessionEvent, Verdict

TCP, UDP = int(Protocol.TCP), int(Protocol.UDP)
SYN = int(TcpFlag.SYN)
HANDSHAKE_FLAGS = int(TcpFlag.FIN | TcpFlag.SYN | TcpFlag.RST | TcpFlag.ACK)
"""The flags that decide what a segment does to a session; the others only accompany."""

CREATED, PICKED_UP, SHED = int(SessionEvent.CREATED), int(SessionEvent.PICKED_UP), int(SessionEvent.SHED)
FIRST = int(FlowEvent.FIRST)
SYN_RETRANSMITTED = int(FlowEvent.SYN_RETRANSMITTED)
DROPPED = int(Verdict.DROPPED)


@inlined
def is_attempt(protocol: int, flags: int, events: int, flow_events: int, verdict: int) -> bool:
    """Whether the packet asks for a session.

    A first SYN does, and so does the packet that made an entry without one: picked up mid-stream, or of a protocol without handshake. (An
    entry made by the last packet of a handshake, which a SYN proxy answered, was asked for by its SYN.) Where the full table or a
    mitigation kept the entry from being made, the first packet of the flow counts and not the many behind it.
    """
    if protocol == TCP and flags & HANDSHAKE_FLAGS == SYN:
        return flow_events & SYN_RETRANSMITTED == 0
    opened = events & PICKED_UP if protocol == TCP else events & CREATED
    return opened != 0 or (flow_events & FIRST != 0 and (verdict == DROPPED or events & SHED != 0))
