"""What a mitigation does to packets, as plain values: the session table applies it in a what-if, a driver on a real firewall."""

import msgspec

from netwatch.model.service import Service
from netwatch.model.session import Timeouts


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Rules in front of and inside the state table. Empty fields do nothing; several may be set at once."""

    name: str = "none"
    drop_prefixes: tuple[str, ...] = ()  # dropped before tracking
    synproxy: tuple[Service, ...] = ()  # no entry until the client's final ACK of a handshake
    new_timeouts: Timeouts | None = None  # for entries created from now on
    new_timeouts_services: tuple[Service, ...] = ()  # only for these; empty: all
    meter_per_s: float | None = None  # new entries per second and source prefix (/24, /48); more is dropped
    meter_burst: int = 0
    meter_services: tuple[Service, ...] = ()
    connection_limit: int | None = None  # entries per source prefix and service; more is refused
    connection_limit_services: tuple[Service, ...] = ()
    evict: "Eviction | None" = None
    never_block: tuple[str, ...] = ()  # prefixes that no rule above touches


class Eviction(msgspec.Struct, frozen=True, kw_only=True):
    """Entries to delete when the mitigation starts, and again every ``repeat_s`` while it is in force."""

    states: tuple[str, ...] = ()  # names of SessionState; empty: any
    min_idle_s: float = 0.0
    only_silent: bool = False  # only where the client never sent payload
    only_unreplied: bool = False  # only where nothing ever came back
    prefixes: tuple[str, ...] = ()  # only these sources; empty: any
    services: tuple[Service, ...] = ()
    repeat_s: float = 1.0


class WhatIfResult(msgspec.Struct, frozen=True, kw_only=True):
    """The same capture through the same model, with a mitigation in force from the moment it would have been applied."""

    playbook: str
    applied_at_s: float | None  # None: nothing was found that would have applied it
    peak_entries: int  # from then on
    full_at_s: float | None
    dropped_full: int
    healthy_hit: int  # sessions that completed and carried payload both ways, refused or evicted by the mitigation
    incidents: int  # incidents still found with it in force, after it had two seconds to work
    shed: int = 0  # packets that it refused
