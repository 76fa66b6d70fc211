"""A TCP session as the tap sees it: who speaks, when, with which sequence numbers, and what gets lost on the way.

Seen at the firewall, a server answers within the site's own delay and a client after the round trip of its access. Both sides
acknowledge every second segment, hold back the last acknowledgement for a while to send it with data (RFC 1122 section 4.2.3.2), and
repeat what was lost beyond the tap: the tap then sees it twice, with duplicate acknowledgements and SACK between.
"""

import struct

from captures.generator.scene import Scene
from captures.generator.wire import ACK, FIN, PSH, RST, SYN, TCP, Endpoint, Packet

CLIENT, SERVER = 0, 1

BURST = 10  # segments; the initial window of RFC 6928
SYN_WINDOW, WINDOW = 64_240, 502  # bytes; units of 2**7 bytes afterwards
SITE_DELAY_S = 0.0006  # from the tap to a server and back
DELAYED_ACK_S = 0.04
LOSS_RATIO = 0.004  # of bursts
FIRST_RTO_S = 0.2
SYN_RETRY_S = (1.0, 2.0, 4.0, 8.0)  # Linux: 1 s, doubling
DATA_RETRIES = 5  # that a capture still sees; stacks try on for 15 minutes


class ServerGoneError(Exception):
    """The server stopped answering in the middle of a dialogue, or refused it."""


def syn_options(mss: int) -> bytes:
    """MSS, SACK permitted, window scale 7."""
    return struct.pack("!BBH", 2, 4, mss) + bytes([1, 1, 4, 2, 1, 3, 3, 7])


def sack_option(left: int, right: int) -> bytes:
    return bytes([1, 1, 5, 10]) + struct.pack("!II", left, right)


class Session:
    """One connection; its methods are what happens to it, in order, and ``now_s`` is when."""

    def __init__(self, scene: Scene, client: bytes, server: Endpoint, *, at_s: float) -> None:
        rng = scene.rng
        self.scene = scene
        self.server = server
        self.ends = (Endpoint(client, scene.ephemeral_port(client)), server)
        self.now_s = at_s
        self.rtt_s = float(rng.lognormal(-3.5, 0.6))  # median 30 ms
        self.mss = 1440 if len(client) == 16 else 1460
        self.next_seq = [int(rng.integers(2**32)), int(rng.integers(2**32))]
        self.owes_ack = [False, False]
        self.is_open = False
        self._speaker, self._spoke_s = CLIENT, at_s
        self._unanswered: tuple[int, int] | None = None  # sequence number and size of the client's last data, until the server speaks

    # what a side puts on the wire

    def _send(self, side: int, flags: int, size: int = 0, *, seq: int | None = None, ack: int | None = None, options: bytes = b"") -> None:
        seq = self.next_seq[side] if seq is None else seq
        ack = (self.next_seq[1 - side] if ack is None else ack) if flags & ACK else 0
        window = 0 if flags & RST else SYN_WINDOW if flags & SYN else WINDOW
        at_us, inbound = round(self.now_s * 1e6), side == CLIENT
        source, target = self.ends[side], self.ends[1 - side]
        self.scene.add(Packet(at_us, source, target, TCP, inbound, size, flags, seq, ack, window, options))
        self.owes_ack[side] = False
        self._speaker, self._spoke_s = side, self.now_s
        if side == SERVER:
            self._unanswered = None
        elif size:
            self._unanswered = (seq, size)

    def _advance(self, side: int, size: int) -> None:
        self.next_seq[side] = (self.next_seq[side] + size) % 2**32

    def _turn(self, side: int) -> None:
        """Let the time pass until ``side`` can speak, and see whether the server still does."""
        if side == self._speaker:
            self.now_s += 20e-6 * (1 + self.scene.rng.random())
        else:
            self.now_s += (self.rtt_s if side == CLIENT else SITE_DELAY_S) * (0.8 + 0.4 * self.scene.rng.random())
        outage = self.scene.interruption(self.server, self._spoke_s, self.now_s) if self.is_open else None
        if outage and outage.restart:
            self.now_s = max(self._spoke_s, outage.start_s + 0.2 * self.scene.rng.random())
            self._send(SERVER, RST | ACK)
            raise ServerGoneError
        if outage and side == SERVER:
            self._repeat_in_vain()
            raise ServerGoneError

    def _repeat_in_vain(self) -> None:
        """The client's last data again and again, each time after twice as long; without any it has nothing to say."""
        wait_s = FIRST_RTO_S + self.rtt_s
        if self._unanswered is None:
            return
        seq, size = self._unanswered
        for _ in range(DATA_RETRIES):
            self.now_s = self._spoke_s + wait_s
            self._send(CLIENT, PSH | ACK, size, seq=seq)
            wait_s *= 2

    # the life of a session

    def open(self) -> "Session":
        """The handshake; while the server is silent, SYNs again after 1, 3, 7 and 15 s."""
        self._send(CLIENT, SYN, options=syn_options(self.mss))
        for wait_s in SYN_RETRY_S:
            outage = self.scene.outage_of(self.server, self.now_s)
            if outage is None:
                break
            if outage.restart:
                self._advance(CLIENT, 1)
                self._turn(SERVER)
                self._send(SERVER, RST | ACK, seq=0)
                raise ServerGoneError
            self.now_s += wait_s
            self._send(CLIENT, SYN, options=syn_options(self.mss))
        else:
            raise ServerGoneError
        self._advance(CLIENT, 1)
        self._turn(SERVER)
        self._send(SERVER, SYN | ACK, options=syn_options(self.mss))
        self._advance(SERVER, 1)
        self._turn(CLIENT)
        self._send(CLIENT, ACK)
        self.is_open = True
        return self

    def half_open(self) -> "Session":
        """A SYN without options, as flooders write it, and the server's answer, which no one waits for."""
        self._send(CLIENT, SYN)
        self._advance(CLIENT, 1)
        self._turn(SERVER)
        self._send(SERVER, SYN | ACK, options=syn_options(self.mss))
        self._advance(SERVER, 1)
        return self

    def forged(self, flags: int, *, at_s: float) -> "Session":
        """A packet in the client's name by someone who guesses the sequence numbers."""
        seq, ack = (int(number) for number in self.scene.rng.integers(2**32, size=2))
        source, target = self.ends
        self.scene.add(Packet(round(at_s * 1e6), source, target, TCP, True, 0, flags, seq, ack if flags & ACK else 0, WINDOW))
        return self

    def knock(self, tries: int = 2) -> "Session":
        """SYNs to an address where nothing answers."""
        for wait_s in SYN_RETRY_S[:tries]:
            self._send(CLIENT, SYN, options=syn_options(self.mss))
            self.now_s += wait_s
        return self

    def refused(self) -> "Session":
        """A SYN to a closed port."""
        self._send(CLIENT, SYN, options=syn_options(self.mss))
        self._advance(CLIENT, 1)
        self._turn(SERVER)
        self._send(SERVER, RST | ACK, seq=0)
        return self

    def ask(self, size: int) -> "Session":
        return self._say(CLIENT, size)

    def answer(self, size: int) -> "Session":
        return self._say(SERVER, size)

    def _say(self, side: int, size: int) -> "Session":
        while size > 0:
            burst = min(size, BURST * self.mss)
            self._burst(side, burst)
            size -= burst
        return self

    def _burst(self, side: int, size: int) -> None:
        """Segments back to back, then the other side's acknowledgements; the last one may wait for data to travel with."""
        segments = [min(self.mss, size - done) for done in range(0, size, self.mss)]
        edges = [self.next_seq[side]]
        for segment in segments:
            self._turn(side)
            self._send(side, ACK if segment == self.mss else PSH | ACK, segment)
            self._advance(side, segment)
            edges.append(self.next_seq[side])
        self.owes_ack[1 - side] = True
        if self.scene.rng.random() < LOSS_RATIO:
            self._repair(side, segments, edges)
        else:
            for edge in edges[2::2]:
                self._turn(1 - side)
                self._send(1 - side, ACK, ack=edge)
            self.owes_ack[1 - side] = len(segments) % 2 == 1

    def _repair(self, side: int, segments: list[int], edges: list[int]) -> None:
        """The burst's first segment was lost beyond the tap: told by SACK if others arrived, else by silence."""
        if len(segments) > 1:
            for edge in edges[2:]:
                self._turn(1 - side)
                self._send(1 - side, ACK, ack=edges[0], options=sack_option(edges[1], edge))
            self._turn(side)
        else:
            self.now_s += FIRST_RTO_S + self.rtt_s
        self._send(side, PSH | ACK, segments[0], seq=edges[0])
        self._turn(1 - side)
        self._send(1 - side, ACK)

    def wait(self, seconds: float) -> "Session":
        """Nobody says anything; an acknowledgement held back is sent."""
        resume_s = self.now_s + seconds
        for side in (CLIENT, SERVER):
            if self.owes_ack[side] and seconds > DELAYED_ACK_S + self.rtt_s:
                self.now_s += DELAYED_ACK_S
                self._turn(side)
                self._send(side, ACK)
        self.now_s = max(resume_s, self.now_s)
        return self

    def keepalive(self) -> "Session":
        """A probe with an old sequence number and its answer (RFC 9293 section 3.8.4)."""
        self._turn(CLIENT)
        self._send(CLIENT, ACK, seq=(self.next_seq[CLIENT] - 1) % 2**32)
        self._turn(SERVER)
        self._send(SERVER, ACK)
        return self

    def ask_in_vain(self, size: int) -> "Session":
        """The client asks, and nothing ever comes back."""
        self._turn(CLIENT)
        self._send(CLIENT, PSH | ACK, size)
        self._advance(CLIENT, size)
        self._repeat_in_vain()
        return self

    def close(self, by: int = CLIENT) -> "Session":
        """Both sides say FIN; the first to say it acknowledges the other's."""
        for side in (by, 1 - by):
            self._turn(side)
            self._send(side, FIN | ACK)
            self._advance(side, 1)
        self._turn(by)
        self._send(by, ACK)
        return self

    def reset(self, by: int = CLIENT) -> "Session":
        self._turn(by)
        self._send(by, RST | ACK)
        return self
