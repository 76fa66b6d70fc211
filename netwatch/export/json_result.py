"""``replay --json``: one object, the contract that scripts rely on.

The types below are the contract; ``docs/replay.schema.json`` is made from them, and a test holds the two together. Keys come in the order
written here and counts by reason in alphabetical order, so that equal replays give equal bytes. JSON knows no infinity and no NaN: such a
value is null.
"""

import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from netwatch.errors import ReportError
from netwatch.export.figures import printable
from netwatch.export.verdict import verdict
from netwatch.model.incident import Incident, Mode, Severity
from netwatch.model.packet import TrafficCounts
from netwatch.model.replay import CaptureSummary, FirewallSummary, Replay, WhatIf
from netwatch.model.session import SessionState

STANDARD_OUTPUT = "-"

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(description="Seconds since the epoch, UTC.")]
Share = Annotated[float, Meta(ge=0, le=1)]


class JsonCapture(msgspec.Struct, frozen=True, kw_only=True):
    """A capture file as it was read."""

    path: str
    link_types: tuple[str, ...]
    packets: Annotated[int, Meta(ge=0, description="Whole records in the file.")]
    bytes: Annotated[int, Meta(ge=0, description="On the wire.")]
    first_s: Seconds | None
    last_s: Seconds | None
    truncated: Annotated[bool, Meta(description="The file ends in the middle of a record.")]
    errors: Annotated[dict[str, Count], Meta(description="Damaged records by reason.")]
    size_bytes: Annotated[int | None, Meta(description="Of the file as it lies there, compressed or not.")]


class JsonTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of the outermost IP header, with --inner of the innermost. Headers quoted inside ICMP errors never count."""

    packets: Count
    bytes: Count
    non_ip: Count
    ipv4: Count
    ipv6: Count
    tcp: Count
    udp: Count
    icmp: Count
    other: Count
    fragments: Count
    tcp_syn: Annotated[int, Meta(ge=0, description="SYN without ACK.")]
    tcp_synack: Annotated[int, Meta(ge=0, description="SYN with ACK.")]
    tcp_fin: Count
    tcp_rst: Count
    flows: Annotated[int, Meta(ge=0, description="Bidirectional 5-tuples.")]
    errors: Annotated[dict[str, Count], Meta(description="Packets that could not be decoded further, by reason.")]


class JsonFirewall(msgspec.Struct, frozen=True, kw_only=True):
    """What the session-table model says the firewall went through."""

    profile: str
    strict: Annotated[bool, Meta(description="A TCP session must begin with SYN.")]
    limit: Annotated[int, Meta(ge=0, description="Entries the state table may hold.")]
    peak_entries: Count
    peak_at_s: Seconds | None
    full_at_s: Annotated[float | None, Meta(description="First moment at the limit, seconds since the epoch; null: never.")]
    entries_at_end: Count
    states_at_end: Annotated[dict[str, Count], Meta(description="Entries by state; states without entries are left out.")]
    dropped_full: Annotated[int, Meta(ge=0, description="Packets of new sessions dropped because the table was full.")]
    early_dropped: Annotated[int, Meta(ge=0, description="Entries evicted to make room.")]
    verdicts: Annotated[dict[str, Count], Meta(description="Packets by conntrack's verdict.")]
    created: Count
    expired: Count
    expiry: Annotated[bool, Meta(description="False with --no-expiry.")]


class JsonAttribution(msgspec.Struct, frozen=True, kw_only=True):
    """Who caused it."""

    kind: str
    value: str
    share: Annotated[Share | None, Meta(description="Of the excess.")]


class JsonRecommendation(msgspec.Struct, frozen=True, kw_only=True):
    """What would end it."""

    playbook: str
    changes: Annotated[tuple[str, ...], Meta(description="The exact text it would push.")]
    undo: Annotated[tuple[str, ...], Meta(description="The text that takes it back before it expires.")]


class JsonTimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    at_s: Seconds
    text: str


class JsonIncident(msgspec.Struct, frozen=True, kw_only=True):
    """Findings of one cause."""

    id: str
    mode: Mode
    severity: Severity
    firewall: str
    service: str | None
    onset_s: Seconds
    detected_s: Seconds
    ended_s: Annotated[float | None, Meta(description="Null while it lasts.")]
    evidence: Annotated[dict[str, float | None], Meta(description="Measured facts by name.")]
    attribution: tuple[JsonAttribution, ...]
    recommendation: JsonRecommendation | None
    consequences: Annotated[tuple[Mode, ...], Meta(description="Modes that follow from this one and are told with it.")]
    timeline: tuple[JsonTimelineEntry, ...]
    explanation: Annotated[tuple[str, ...], Meta(description="The evidence in sentences, with units and bases.")]


class JsonWhatIf(msgspec.Struct, frozen=True, kw_only=True):
    """The same capture with one playbook in force."""

    playbook: str
    applied_at_s: Annotated[float | None, Meta(description="Null: nothing was found that would have applied it.")]
    peak_entries: Count
    full_at_s: Seconds | None
    dropped_full: Count
    shed: Annotated[int, Meta(ge=0, description="Packets that the mitigation refused.")]
    healthy_hit: Annotated[int, Meta(ge=0, description="Healthy sessions that it refused or evicted.")]
    incidents: Annotated[int, Meta(ge=0, description="Incidents still found with it in force.")]


class JsonReplay(msgspec.Struct, frozen=True, kw_only=True):
    """The result of `netwatch replay`."""

    schema_version: int
    captures: tuple[JsonCapture, ...]
    traffic: JsonTraffic
    firewall: JsonFirewall
    incidents: tuple[JsonIncident, ...]
    what_if: tuple[JsonWhatIf, ...]
    verdict: Annotated[str, Meta(description="The result in one sentence.")]
    services: Annotated[tuple[str, ...], Meta(description="Watched services.")]
    command: Annotated[tuple[str, ...], Meta(description="The words of the command line.")]
    netwatch_version: str


def write_json(replay: Replay, target: str) -> None:
    """Write the result to a file, or to standard output for ``-``."""
    write_text(json_text(replay), target)


def write_text(document: str, target: str) -> None:
    """Write a document to a file, or to standard output for ``-``.

    Raises:
        ReportError: it cannot be written there.
    """
    if target == STANDARD_OUTPUT:
        sys.stdout.write(document)
        sys.stdout.flush()
        return
    try:
        Path(target).write_text(document, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"{printable(target)}: the JSON cannot be written there: {error.strerror}") from error


def json_text(replay: Replay) -> str:
    """The whole document, indented, with a line break at its end."""
    return msgspec.json.format(msgspec.json.encode(json_replay(replay)), indent=2).decode() + "\n"


def json_schema() -> str:
    """JSON Schema (draft 2020-12) of the document, as it lies in ``docs/replay.schema.json``."""
    schema: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "netwatch replay --json"}
    schema |= msgspec.json.schema(JsonReplay)
    return msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"


def json_replay(replay: Replay) -> JsonReplay:
    """The outcome of a replay in the contract's shape."""
    return JsonReplay(
        schema_version=replay.schema_version,
        captures=tuple(_capture(capture) for capture in replay.captures),
        traffic=_traffic(replay.traffic, replay.decode_errors),
        firewall=_firewall(replay.firewall),
        incidents=tuple(_incident(incident) for incident in replay.incidents),
        what_if=tuple(_what_if(what_if) for what_if in replay.what_if),
        verdict=verdict(replay),
        services=tuple(service.label for service in replay.services),
        command=tuple(printable(word) for word in replay.reproduce),
        netwatch_version=replay.netwatch_version,
    )


def _capture(capture: CaptureSummary) -> JsonCapture:
    return JsonCapture(
        path=_encodable(capture.path),
        link_types=capture.link_types,
        packets=capture.packets,
        bytes=capture.bytes,
        first_s=capture.first_s,
        last_s=capture.last_s,
        truncated=capture.truncated,
        errors=_by_name(capture.errors),
        size_bytes=capture.size_bytes,
    )


def _traffic(traffic: TrafficCounts, errors: dict[str, int]) -> JsonTraffic:
    return JsonTraffic(**msgspec.structs.asdict(traffic), errors=_by_name(errors))


def _firewall(firewall: FirewallSummary) -> JsonFirewall:
    values = msgspec.structs.asdict(firewall)
    values["states_at_end"] = states_in_order(firewall.states_at_end)
    return JsonFirewall(**values)


def _incident(incident: Incident) -> JsonIncident:
    recommendation = incident.recommendation
    return JsonIncident(
        id=incident.id,
        mode=incident.mode,
        severity=incident.severity,
        firewall=incident.firewall,
        service=incident.service,
        onset_s=incident.onset_s,
        detected_s=incident.detected_s,
        ended_s=incident.ended_s,
        evidence={item.name: item.value for item in incident.evidence},
        attribution=tuple(JsonAttribution(kind=who.kind, value=who.value, share=who.share) for who in incident.attribution),
        recommendation=None if recommendation is None else JsonRecommendation(**msgspec.structs.asdict(recommendation)),
        consequences=incident.consequences,
        timeline=tuple(JsonTimelineEntry(at_s=entry.at_s, text=entry.text) for entry in incident.timeline),
        explanation=tuple(item.text for item in incident.evidence),
    )


def _what_if(what_if: WhatIf) -> JsonWhatIf:
    return JsonWhatIf(**msgspec.structs.asdict(what_if.result))


def states_in_order(states: dict[str, int]) -> dict[str, int]:
    """Entries by state in netfilter's order, without the states that hold none; names it does not know come last."""
    known = {state.name: states[state.name] for state in SessionState if states.get(state.name)}
    return known | {name: entries for name, entries in sorted(states.items()) if entries and name not in known}


def _by_name(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _encodable(path: str) -> str:
    """A path as it is; only bytes that are no UTF-8, which JSON cannot hold, become escapes."""
    return path.encode("utf-8", "backslashreplace").decode()
