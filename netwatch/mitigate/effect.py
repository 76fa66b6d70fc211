"""What a playbook does, as typed values: the figures its text is written with, and what a session table can be made to try.

An effect that no ``Admission`` can express is still a cure on a real firewall; a what-if of it says so instead of guessing.
"""

from typing import Annotated

import msgspec

from netwatch.model.session import Timeouts

Positive = Annotated[float, msgspec.Meta(gt=0)]
PositiveInt = Annotated[int, msgspec.Meta(ge=1)]


class Effect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    """Base of all: the table ``[effect]`` of a playbook's file, told apart by its ``type``."""


class Synproxy(Effect, frozen=True, tag="synproxy"):
    """SYNs are answered by cookies; an entry is made when the handshake is complete.

    The firewall promises an MSS before it has asked the server. What is promised must not be more than the server takes.
    """

    tiers: tuple[PositiveInt, ...]  # bytes, of rules/nftables/base.nft, rising

    def mss(self, announced: int) -> int:
        """The tier for what a service announces itself, in bytes: the next below, or the lowest. 0, not known, stays 0."""
        return max((tier for tier in self.tiers if tier <= announced), default=self.tiers[0]) if announced else 0


class ShortTimeouts(Effect, frozen=True, tag="short-timeouts"):
    """Entries created from now on live shorter."""

    timeouts: Timeouts


class PrefixMeter(Effect, frozen=True, tag="prefix-meter"):
    """New sessions a second and source prefix."""

    per_s: PositiveInt
    burst: PositiveInt


class PrefixDrop(Effect, frozen=True, tag="prefix-drop"):
    """Nothing from the prefix gets in."""


class ConnectionLimit(Effect, frozen=True, tag="connection-limit"):
    """Sessions held at once by a source prefix."""

    entries: PositiveInt


class Evict(Effect, frozen=True, tag="evict"):
    """Entries that are deleted now, and again every ``repeat_s`` while the mitigation lasts."""

    states: tuple[str, ...]  # names of SessionState
    min_idle_s: float = 0.0
    only_silent: bool = False  # only where the client never sent payload
    only_unreplied: bool = False  # only where nothing ever came back
    repeat_s: Positive = 1.0


class Unmodelled(Effect, frozen=True, tag="unmodelled"):
    """It works on packets that the session-table model cannot tell apart, or on what it does not hold."""

    reason: str


class Ramp(Unmodelled, frozen=True, tag="ramp"):
    """All senders together open no more than a rate of sessions: the lowest tier that lets the normal through, with some to spare."""

    tiers: tuple[PositiveInt, ...]  # of rules/nftables/base.nft, rising
    over_normal: Positive = 1.25

    def per_s(self, normal_per_s: float) -> int | None:
        """The tier for a service's normal rate; None if that is above all."""
        return next((tier for tier in self.tiers if tier >= self.over_normal * normal_per_s), None)


AnyEffect = Synproxy | ShortTimeouts | PrefixMeter | PrefixDrop | ConnectionLimit | Evict | Ramp | Unmodelled
