"""What a canary found: one attempt to use a service through the firewall, as a client would."""

from enum import StrEnum

import msgspec


class CanaryOutcome(StrEnum):
    """How an attempt ended."""

    ANSWERED = "answered"
    REFUSED = "refused"  # a reset instead of a handshake: by the server, or by a rule that rejects
    FILTERED = "no answer"  # to the handshake, in time: dropped somewhere
    UNREACHABLE = "unreachable"  # no route, or an ICMP error
    RESET = "reset"  # after the handshake
    SILENT = "connected, but no greeting"  # in time: the server hangs, or its packets are dropped
    CLOSED = "closed before a greeting"
    TURNED_AWAY = "turned away"  # greeted with something else than 220: busy, or not welcome
    COMMAND_FAILED = "the command failed"
    NO_SOURCE = "cannot be sent"  # the namespace, address or command to send from is not there


class CanaryResult(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt."""

    service: str  # label
    at_s: float  # when it was begun
    outcome: CanaryOutcome
    latency_s: float  # until it was answered, or given up
    detail: str = ""  # what the server or the kernel said, if that helps

    @property
    def ok(self) -> bool:
        return self.outcome is CanaryOutcome.ANSWERED

    @property
    def is_evidence(self) -> bool:
        """It says something of the service or the way there. One that could not be sent says only that the canary is set up wrong."""
        return self.outcome is not CanaryOutcome.NO_SOURCE
