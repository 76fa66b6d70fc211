"""Guards: why a plan is not carried out. Each looks at one thing and returns a reason, or None.

A mitigation must never become the outage. What it would hit is known before (never-block prefixes, the services' own addresses, the
rehearsal's healthy sessions), what the firewall's situation forbids is asked, and how much is changed at once is bounded. A guard holds for
people too: an approval replaces only evidence, and the wait for it.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec
import netaddr

from netwatch.mitigate.effect import Evict, ShortTimeouts
from netwatch.mitigate.ladder import Draft
from netwatch.mitigate.playbook import Caution, Playbook
from netwatch.mitigate.settings import MitigationSettings, OperatingMode
from netwatch.mitigate.target import MIN_TOTAL_SHARE, overlap
from netwatch.model.change import Rehearsal
from netwatch.model.incident import Incident, Severity
from netwatch.model.service import Service

FORECAST, MAKES_ROOM = "time_to_full_s", "early_drop_makes_room"
"""The evidence that a table will be full, and that this will hurt nobody. A warning with only the first may be acted on ahead of harm."""

KINDS_NEEDED = 2
OF_ONE_PACKET = frozenset({"SYN_SENT", "SYN_RECV", "UDP_UNREPLIED"})
"""States that a single packet of anybody's makes."""

TOO_MANY = 2.0
"""Times what fits: then less than half of those who ask find room, and another cure is better."""

HITS_OF_CHANCE = 1
"""A healthy session that ends by itself may look as if a rehearsed plan had hit it."""


class Guard(StrEnum):
    """Slugs of the guards, for the event stream and the documentation."""

    NEVER_BLOCK = "never-block"
    VICTIM = "victim"
    PREFIXES = "prefixes"
    SERVICE = "service"
    HEALTHY = "healthy-sessions"
    BASELINE = "baseline-traffic"
    REHEARSAL = "rehearsal"
    KEEPS_UP = "keeps-up"
    FAILOVER = "failover"
    OUT_OF_WINDOW = "out-of-window"
    ONE_WAY_PATHS = "one-way-paths"
    EVIDENCE = "evidence"
    DRY_RUN = "dry-run"
    MODE = "mode"
    RATE = "rate"
    ONE_AT_A_TIME = "one-at-a-time"


class Refusal(msgspec.Struct, frozen=True):
    """Which guard says no, and why."""

    guard: Guard
    text: str
    for_good: bool  # another rung may do; otherwise the plan waits until the reason is gone


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A plan in its situation, as guards see it."""

    now_s: float
    draft: Draft
    incident: Incident
    services: tuple[Service, ...]  # known ones
    settings: MitigationSettings
    rehearsal: Rehearsal | None = None  # None: there was none in time
    approved: bool = False  # by a person
    in_flight: str | None = None  # another plan whose change is being made, judged or undone
    changes_at_s: tuple[float, ...] = ()  # when changes were made lately
    lost_state_at_s: float | None = None  # when the firewall last failed over or was flushed
    out_of_window: bool = False  # live sessions are being called invalid
    one_way_paths: bool = False
    new_per_s: float = 0.0  # sessions that packets ask for now
    limit: int = 0  # entries that the table holds


Check = Callable[[Request], Refusal | None]


def never_block(request: Request) -> Refusal | None:
    """Prefixes that must not be touched: monitoring, own servers, known good senders."""
    for prefix, spared in _overlaps(request.draft.prefixes, request.settings.never_block):
        return Refusal(Guard.NEVER_BLOCK, f"{prefix} overlaps {spared} of mitigate.never_block", for_good=True)
    return _out_of_reach(request)


def _out_of_reach(request: Request) -> Refusal | None:
    """No rule touches who is never blocked, so none helps against him."""
    shares = {suspect.value: suspect.share for suspect in request.incident.attribution if suspect.kind == "prefix"}
    spared = {
        prefix: by for prefix, by in _overlaps(shares, request.settings.never_block) if netaddr.IPNetwork(prefix) in netaddr.IPNetwork(by)
    }
    share = sum(shares[prefix] for prefix in spared)
    if share < MIN_TOTAL_SHARE:
        return None
    largest = max(spared, key=lambda prefix: shares[prefix])
    text = f"{share:.0%} of the excess comes from prefixes such as {largest}, within {spared[largest]} of mitigate.never_block"
    return Refusal(Guard.NEVER_BLOCK, f"{text}: no rule of netwatch's would touch them", for_good=True)


def victim(request: Request) -> Refusal | None:
    """To block the victim's own address would finish the attacker's work."""
    for prefix, address in _overlaps(request.draft.prefixes, [service.address for service in request.services]):
        return Refusal(Guard.VICTIM, f"{prefix} holds the service address {address}", for_good=True)
    return None


def prefixes(request: Request) -> Refusal | None:
    count, most = len(request.draft.prefixes), request.settings.max_prefixes
    if count <= most:
        return None
    return Refusal(Guard.PREFIXES, f"{count:,} prefixes, mitigate.max_prefixes is {most:,}", for_good=True)


def service(request: Request) -> Refusal | None:
    """Without knowing the service nobody can say whether a change helped it."""
    named = request.incident.service
    if named is None or any(one.label == named for one in request.services):
        return None
    return Refusal(Guard.SERVICE, f"{named} is no known service, so nothing would tell whether it helps", for_good=True)


def healthy_sessions(request: Request) -> Refusal | None:
    found, most = request.rehearsal, request.settings.max_healthy_share
    if found is None or found.healthy_hit <= HITS_OF_CHANCE or found.healthy_share <= most:
        return None
    text = f"it would have hit {found.healthy_hit:,} of {found.healthy_sessions:,} healthy sessions of the last {found.seconds:.0f} s"
    return Refusal(Guard.HEALTHY, f"{text}, {found.healthy_share:.1%}; mitigate.max_healthy_share is {most:.1%}", for_good=True)


def baseline_traffic(request: Request) -> Refusal | None:
    found, most = request.rehearsal, request.settings.max_baseline_share
    if found is None or found.baseline_share <= most:
        return None
    text = f"it would have refused {found.baseline_share:.1%} of {found.packets_before:,} packets from before the incident"
    return Refusal(Guard.BASELINE, f"{text}; mitigate.max_baseline_share is {most:.1%}", for_good=True)


def rehearsal(request: Request) -> Refusal | None:
    """What tells senders apart can hit the wrong ones; that is not tried out on people."""
    if request.rehearsal is not None or request.draft.admission is None or not request.draft.tells_sources_apart:
        return None
    return Refusal(Guard.REHEARSAL, "it could not be rehearsed in time, and it tells senders apart", for_good=True)


def keeps_up(request: Request) -> Refusal | None:
    """Little's law: what one packet makes, and an eviction takes only when it has been idle for so long, fills any table at some rate."""
    draft = request.draft
    if draft.evict is None or not frozenset(draft.evict.states) <= OF_ONE_PACKET or not all(_only_ages(part) for part in draft.parts):
        return None
    age_s = draft.evict.min_idle_s + draft.evict.repeat_s + 1.0  # idle times are whole seconds
    if request.new_per_s * age_s <= TOO_MANY * request.limit:
        return None
    text = f"{request.new_per_s:,.0f} new sessions/s for {age_s:.0f} s are more than twice the {request.limit:,} that fit"
    return Refusal(Guard.KEEPS_UP, text, for_good=True)


def _only_ages(part: Playbook) -> bool:
    """It ends entries sooner, and keeps none from being made."""
    return isinstance(part.effect, Evict | ShortTimeouts)


def failover(request: Request) -> Refusal | None:
    """Measured: with strict pick-up after a loss of state, clients hang; loose pick-up lets them go on at once."""
    lost_s, settings = request.lost_state_at_s, request.settings
    if Caution.FAILOVER not in request.draft.cautions or lost_s is None or request.now_s - lost_s >= settings.failover_s:
        return None
    text = f"the firewall lost its state {request.now_s - lost_s:.0f} s ago: live sessions must be picked up in the middle"
    return Refusal(Guard.FAILOVER, f"{text}; mitigate.failover_s is {settings.failover_s:.0f}", for_good=True)


def out_of_window(request: Request) -> Refusal | None:
    if Caution.OUT_OF_WINDOW not in request.draft.cautions or not request.out_of_window:
        return None
    return Refusal(Guard.OUT_OF_WINDOW, "live sessions look out of window to the firewall just now: a reset would cut them", for_good=True)


def one_way_paths(request: Request) -> Refusal | None:
    if Caution.ONE_WAY_PATHS not in request.draft.cautions or not request.one_way_paths:
        return None
    return Refusal(Guard.ONE_WAY_PATHS, "an asymmetric-routing incident is open: the firewall does not see both ways", for_good=True)


def _harm_is_forecast(incident: Incident) -> bool:
    """The table will be full, and early drop will not make room then."""
    names = {item.name for item in incident.evidence}
    return FORECAST in names and MAKES_ROOM not in names


def evidence(request: Request) -> Refusal | None:
    """Two kinds that agree, and harm that is there or forecast. A person who approves has looked for himself."""
    if request.approved:
        return None
    incident = request.incident
    kinds = {item.kind for item in incident.evidence}
    if len(kinds) < KINDS_NEEDED:
        seen = " and ".join(sorted(kinds)) or "no"
        return Refusal(Guard.EVIDENCE, f"{seen} evidence alone: {KINDS_NEEDED} of traffic, state and health must agree", for_good=False)
    if incident.severity is Severity.CRITICAL or (incident.severity is Severity.WARNING and _harm_is_forecast(incident)):
        return None
    return Refusal(Guard.EVIDENCE, f"the incident is {incident.severity}, and no harm is forecast", for_good=False)


def dry_run(request: Request) -> Refusal | None:
    return Refusal(Guard.DRY_RUN, "the driver is dry-run: nothing is changed", for_good=False) if request.settings.dry_run else None


def mode(request: Request) -> Refusal | None:
    match request.settings.mode:
        case OperatingMode.OBSERVE:
            return Refusal(Guard.MODE, "mitigate.mode is observe: nothing is changed", for_good=False)
        case OperatingMode.SUGGEST if not request.approved:
            return Refusal(Guard.MODE, "mitigate.mode is suggest: waits for an approval", for_good=False)
        case _:
            return None


def rate(request: Request) -> Refusal | None:
    settings = request.settings
    lately = [at_s for at_s in request.changes_at_s if request.now_s - at_s < settings.changes_per_s]
    if len(lately) < settings.max_changes:
        return None
    text = f"{len(lately)} changes within {settings.changes_per_s:.0f} s, mitigate.max_changes is {settings.max_changes}"
    return Refusal(Guard.RATE, text, for_good=False)


def one_at_a_time(request: Request) -> Refusal | None:
    """Of two changes at once nobody could say which one helped."""
    if request.in_flight is None:
        return None
    return Refusal(Guard.ONE_AT_A_TIME, f"{request.in_flight} comes first: one change at a time", for_good=False)


GUARDS: tuple[Check, ...] = (
    never_block,
    victim,
    prefixes,
    service,
    healthy_sessions,
    baseline_traffic,
    rehearsal,
    keeps_up,
    failover,
    out_of_window,
    one_way_paths,
    evidence,
    dry_run,
    mode,
    rate,
    one_at_a_time,
)
"""Those that end a plan come first, so that a plan that waits is one that could be carried out."""


def first_refusal(request: Request) -> Refusal | None:
    """What stands in the way of a plan; None if nothing does."""
    return next((refusal for guard in GUARDS if (refusal := guard(request)) is not None), None)


def _overlaps(ones: Iterable[str], others: Iterable[str]) -> Iterable[tuple[str, str]]:
    networks = [(other, netaddr.IPNetwork(other)) for other in others]
    for one in ones:
        network = netaddr.IPNetwork(one)
        yield from ((one, other) for other, against in networks if overlap(network, against))
