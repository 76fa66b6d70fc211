"""Playbooks: what can be done about an incident, whom it hurts, when it ends by itself and how it is undone.

A playbook's file holds the exact commands. ``recommend`` picks the first rung of a ladder that fits the incident and writes them out;
``admission`` says the same to the session table, so that a what-if tries what would be done.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, assert_never

import msgspec

from netwatch.mitigate.commands import commands, protecting
from netwatch.mitigate.effect import AnyEffect, ConnectionLimit, Evict, PrefixDrop, PrefixMeter, Ramp, ShortTimeouts, Synproxy, Unmodelled
from netwatch.mitigate.target import Target, target_of
from netwatch.model.incident import Incident, Mode, Recommendation
from netwatch.model.plan import Admission, Eviction
from netwatch.model.service import Service

NORMAL_RATE = "normal_attempts_per_s"
"""The evidence that says how many sessions a second are asked for normally."""


class Need(StrEnum):
    """What an incident must offer before a playbook can be used on it."""

    SERVICE = "service"
    TCP = "tcp"  # a service of this protocol; others are left alone
    UDP = "udp"
    PREFIX = "prefix"


class Caution(StrEnum):
    """What must not be the case while a playbook is put in force: then it would cut sessions that are alive."""

    FAILOVER = "failover"  # the firewall lost its state minutes ago: live sessions must be picked up in the middle
    OUT_OF_WINDOW = "out-of-window"  # live sessions look invalid to the firewall, as behind offloading or a WAN optimiser
    ONE_WAY_PATHS = "one-way-paths"  # the firewall sees one direction only: it cannot finish a handshake for anybody


class Playbook(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One file of ``rules/playbooks``."""

    name: str
    summary: str
    hurts: str  # whom, how
    answers: tuple[Mode, ...]
    needs: tuple[Need, ...]
    life_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)]  # the kernel disarms it then
    effect: AnyEffect
    apply: tuple[str, ...]  # templates of commands
    undo: tuple[str, ...]  # before its life is over
    never_while: tuple[Caution, ...] = ()

    @property
    def modelled(self) -> bool:
        """A what-if can try it."""
        return not isinstance(self.effect, Unmodelled)


def aim(playbook: Playbook, incident: Incident, services: Sequence[Service], never_block: Sequence[str]) -> Target | None:
    """What the playbook would act on; None if it does not fit the incident."""
    if incident.mode not in playbook.answers:
        return None
    target = target_of(incident, services, never_block)
    for protocol in (Need.TCP, Need.UDP):
        if protocol in playbook.needs:
            target = Target(tuple(service for service in target.services if service.protocol == protocol), target.prefixes)
    if isinstance(playbook.effect, Synproxy):
        promised = tuple(msgspec.structs.replace(service, mss=playbook.effect.mss(service.mss)) for service in target.services)
        target = Target(promised, target.prefixes)
    needs_service = bool({Need.SERVICE, Need.TCP, Need.UDP} & set(playbook.needs))
    if (needs_service and not target.services) or (Need.PREFIX in playbook.needs and not target.prefixes):
        return None
    return target


def figures_of(playbook: Playbook, incident: Incident, *, life_s: float) -> dict[str, object] | None:
    """The figures that its commands are written with; None if the incident does not say what one of them must be."""
    figures = {"life_s": life_s, **msgspec.structs.asdict(playbook.effect)}
    if isinstance(playbook.effect, Ramp):
        normal_per_s = next((one.value for one in incident.evidence if one.name == NORMAL_RATE), None)
        tier = playbook.effect.per_s(normal_per_s) if normal_per_s is not None else None
        return None if tier is None else figures | {"per_s": tier}
    return figures


def recommend(
    incident: Incident, ladder: Sequence[Playbook], *, services: Sequence[Service], never_block: Sequence[str]
) -> Recommendation | None:
    """The first rung that fits, with the exact commands; None if no rung does, as when only the server itself can be cured."""
    for playbook in ladder:
        target = aim(playbook, incident, services, never_block)
        if target is None:
            continue
        figures = figures_of(playbook, incident, life_s=playbook.life_s)
        if figures is not None and (changes := commands(playbook.apply, target, figures)):
            guards = protecting(never_block) if any(line.startswith("nft ") for line in changes) else ()
            return Recommendation(playbook.name, guards + changes, commands(playbook.undo, target, figures))
    return None


def admission(playbook: Playbook, incident: Incident, *, services: Sequence[Service], never_block: Sequence[str]) -> Admission | None:
    """The playbook as the session table takes it; None if it does not fit the incident or is not modelled."""
    target = aim(playbook, incident, services, never_block)
    if target is None:
        return None
    plain = Admission(name=playbook.name, never_block=tuple(never_block))
    match playbook.effect:
        case Synproxy():
            return msgspec.structs.replace(plain, synproxy=target.services)
        case ShortTimeouts(timeouts=timeouts):
            return msgspec.structs.replace(plain, new_timeouts=timeouts, new_timeouts_services=target.services)
        case PrefixMeter(per_s=per_s, burst=burst):
            return msgspec.structs.replace(plain, meter_per_s=float(per_s), meter_burst=burst, meter_services=target.services)
        case PrefixDrop():
            return msgspec.structs.replace(plain, drop_prefixes=target.prefixes)
        case ConnectionLimit(entries=entries):
            return msgspec.structs.replace(plain, connection_limit=entries, connection_limit_services=target.services)
        case Evict() as effect:
            prefixes = target.prefixes if Need.PREFIX in playbook.needs else ()
            evicted = target.services if {Need.SERVICE, Need.TCP, Need.UDP} & set(playbook.needs) else ()
            return msgspec.structs.replace(
                plain,
                evict=Eviction(
                    states=effect.states,
                    min_idle_s=effect.min_idle_s,
                    only_silent=effect.only_silent,
                    only_unreplied=effect.only_unreplied,
                    prefixes=prefixes,
                    services=evicted,
                    repeat_s=effect.repeat_s,
                ),
            )
        case Unmodelled():
            return None
        case _ as unreachable:
            assert_never(unreachable)
