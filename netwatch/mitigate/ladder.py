"""The ladder of a failure mode: its rungs, gentlest first, and what a rung would change for an incident.

A rung is one playbook, or several that are one cure together, joined by ``+`` in the detector's file: ``synproxy+clear-half-open``.
Synproxy alone leaves the half-open entries of before in the table for a minute, their eviction alone cannot keep up with the flood; both
together gave 100 % success from the same second on (measured, kernel 6.18, 75,000 SYN/s into 20,000 entries). The first playbook leads: a
rung fits where its leader does, and the others join it where they fit.

A change lives for a minute and is renewed while its cause lasts, so that a netwatch that died is disarmed by the kernel within a minute.
That is why ``life_s`` of a playbook, made for people who paste, is only an upper bound here.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import NamedTuple

import msgspec

from netwatch.errors import ConfigError
from netwatch.mitigate.commands import commands
from netwatch.mitigate.effect import Evict, Synproxy
from netwatch.mitigate.playbook import Caution, Need, Playbook, admission, aim, figures_of, recommend
from netwatch.model.change import Change, Element
from netwatch.model.incident import Incident, Recommendation
from netwatch.model.plan import Admission, Eviction
from netwatch.model.service import Service

LIFE_S = 60
"""Of a change, before it must be renewed."""

JOINED_BY = "+"
TIMEOUT = re.compile(r"\btimeout \d+s")
IPV4_DOTS = 3
DELETED = re.compile(r"^delete element inet netwatch (\w+) \{ (.+?)(?: : .+)? \}$")


class Rung(NamedTuple):
    """Playbooks that are tried together; the first leads."""

    name: str
    playbooks: tuple[Playbook, ...]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What a rung would do about an incident, before anybody has judged it."""

    rung: Rung
    number: int  # of the rung in its ladder
    parts: tuple[Playbook, ...]  # those of the rung that fit
    nft: tuple[str, ...]
    undo: tuple[str, ...]
    evict: Eviction | None
    admission: Admission | None  # the same for the session table; None if no part of it can be modelled
    services: tuple[Service, ...]
    prefixes: tuple[str, ...]
    notes: tuple[str, ...] = ()  # what people should know about its figures

    @property
    def tells_sources_apart(self) -> bool:
        """It hits some senders and not others, so it can hit the wrong ones."""
        return any(Need.PREFIX in playbook.needs for playbook in self.parts)

    @property
    def cautions(self) -> frozenset[Caution]:
        return frozenset(caution for playbook in self.parts for caution in playbook.never_while)

    @property
    def life_s(self) -> float:
        """At most: no part lives longer than its own file lets it."""
        return float(min(LIFE_S, *(playbook.life_s for playbook in self.parts)))

    def change(self, change_id: str, life_s: float) -> Change:
        """The transaction, with so long a life."""
        change = Change(id=change_id, playbook=self.rung.name, nft=self.nft, undo=self.undo, evict=self.evict, life_s=LIFE_S)
        return with_life(change, life_s)


def rungs(entries: Sequence[str], playbooks: Mapping[str, Playbook]) -> tuple[Rung, ...]:
    """The rungs of a ladder as a detector's file names them.

    Raises:
        ConfigError: a playbook that does not exist, or two evictions in one rung: a change has one.
    """
    found = []
    for entry in entries:
        names = entry.split(JOINED_BY)
        if unknown := [name for name in names if name not in playbooks]:
            raise ConfigError(f"ladder: '{entry}' names the playbook '{unknown[0]}': there are {', '.join(sorted(playbooks))}")
        together = tuple(playbooks[name] for name in names)
        if sum(isinstance(playbook.effect, Evict) for playbook in together) > 1:
            raise ConfigError(f"ladder: '{entry}' evicts twice: put the evictions on rungs of their own")
        found.append(Rung(entry, together))
    return tuple(found)


def next_draft(
    incident: Incident,
    ladder: Sequence[Rung],
    *,
    tried: frozenset[str] = frozenset(),
    services: Sequence[Service],
    never_block: Sequence[str],
) -> Draft | None:
    """The first rung that fits the incident and was not tried; None if none is left."""
    for number, rung in enumerate(ladder):
        if rung.name not in tried and (draft := draft_of(rung, number, incident, services=services, never_block=never_block)) is not None:
            return draft
    return None


def draft_of(rung: Rung, number: int, incident: Incident, *, services: Sequence[Service], never_block: Sequence[str]) -> Draft | None:
    """What one rung would do about the incident; None if it does not fit."""
    nft: list[str] = []
    undo: list[str] = []
    admissions: list[Admission] = []
    hurt: dict[str, Service] = {}
    prefixes: dict[str, None] = {}
    parts: list[Playbook] = []
    notes: list[str] = []
    for playbook in rung.playbooks:
        target = aim(playbook, incident, services, never_block)
        figures = figures_of(playbook, incident, life_s=min(LIFE_S, playbook.life_s))
        lines = commands(playbook.apply, target, figures) if target is not None and figures is not None else ()
        if target is None or figures is None or not lines:
            if playbook is rung.playbooks[0]:
                return None
            continue
        parts.append(playbook)
        nft += _nft(lines)
        undo += _nft(commands(playbook.undo, target, figures))
        if (admitted := admission(playbook, incident, services=services, never_block=never_block)) is not None:
            admissions.append(admitted)
        hurt |= {service.label: service for service in target.services}
        if isinstance(playbook.effect, Synproxy):
            notes.append(_promised(target.services))
        if Need.PREFIX in playbook.needs:
            prefixes |= dict.fromkeys(target.prefixes)
    together = combined(rung.name, admissions)
    return Draft(
        rung=rung,
        number=number,
        parts=tuple(parts),
        nft=tuple(dict.fromkeys(nft)),
        undo=tuple(dict.fromkeys(undo)),
        evict=together.evict if together is not None else None,
        admission=together,
        services=tuple(hurt.values()),
        prefixes=tuple(prefixes),
        notes=tuple(notes),
    )


def _promised(services: Sequence[Service]) -> str:
    """What clients are told of an MSS, and why, in words."""
    known = sorted({service.mss for service in services if service.mss})
    told = [f"clients are told an MSS of {' or '.join(map(str, known))}, as the service's own SYN-ACKs told them"] if known else []
    if not all(service.mss for service in services):
        told.append("no SYN-ACK of the service was seen, so clients are told a cautious MSS")
    return "; ".join(told)


def combined(name: str, admissions: Sequence[Admission]) -> Admission | None:
    """Several mitigations in force at once; each sets fields of its own. None if there is none."""
    fields: dict[str, object] = {}
    plain = Admission()
    for one in admissions:
        fields |= {key: value for key, value in msgspec.structs.asdict(one).items() if value != getattr(plain, key)}
    return Admission(**{**fields, "name": name}) if admissions else None  # type: ignore[arg-type]  # each field from its own kind


def recommend_rung(
    incident: Incident, ladder: Sequence[Rung], *, services: Sequence[Service], never_block: Sequence[str]
) -> Recommendation | None:
    """The first rung that fits, as text for people: named after its leader, with the commands of all its parts."""
    for rung in ladder:
        parts = [recommend(incident, [playbook], services=services, never_block=never_block) for playbook in rung.playbooks]
        if parts[0] is None:
            continue
        changes = [line for part in parts if part is not None for line in part.changes]
        undo = [line for part in parts if part is not None for line in part.undo]
        return Recommendation(parts[0].playbook, tuple(dict.fromkeys(changes)), tuple(dict.fromkeys(undo)))
    return None


def with_life(change: Change, life_s: float) -> Change:
    """The same change with another life, in whole seconds as nft takes it: rounded down, at least one."""
    whole_s = max(1, int(life_s))
    return msgspec.structs.replace(
        change, nft=tuple(TIMEOUT.sub(f"timeout {whole_s}s", line) for line in change.nft), life_s=float(whole_s)
    )


def elements_of(change: Change) -> tuple[Element, ...]:
    """The elements that are in the kernel while a change is in force."""
    found = (DELETED.match(line) for line in change.undo)
    return tuple(Element(match[1], " ".join(_as_listed(word) for word in match[2].split())) for match in found if match)


def _as_listed(word: str) -> str:
    """A word of a key in the one form in which the kernel lists it: ``2001:DB8::25/128`` is ``2001:db8::25``."""
    if not (":" in word or word.count(".") == IPV4_DOTS):
        return word
    network = ip_network(word, strict=False)
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)


def _nft(lines: Sequence[str]) -> tuple[str, ...]:
    """Of lines of shell those for nft, without the word and the shell's quotes. What conntrack does is an ``Eviction``."""
    return tuple(" ".join(shlex.split(line)[1:]) for line in lines if line.startswith("nft "))
