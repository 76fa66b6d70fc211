"""All measurements: their tags and fields, with unit, type and meaning. This table rules what is written and what the docs say.

Tags take few values by design: sites, firewalls, services that are watched, modes, playbooks, parts of netwatch. A source prefix is never a
tag, an attacker chooses those; the busiest stand in a text of bounded length. Rates are of the window, ``_total`` counts since the start of
netwatch, so that one who looks every 15 seconds misses nothing. Flags are 0 or 1.
"""

from typing import Annotated, ClassVar, Final

from netwatch.export.metrics.schema import Field, Point, Tag

Site = Annotated[str, Tag("where netwatch runs: `site` of the configuration", "one per configuration")]
Firewall = Annotated[str, Tag("`firewall.name` of the configuration", "one per configuration")]
Service = Annotated[str, Tag("what is protected, `203.0.113.25:25/tcp`; `all`: the whole firewall", "configured ones, and 200 learned")]
Mode = Annotated[str, Tag("slug of the failure mode", "the catalogue")]
Playbook = Annotated[str, Tag("name of the playbook", "the files of `rules/playbooks`")]
Counter = Annotated[str, Tag("a counter of netwatch's nftables table", "`rules/nftables/base.nft`")]
Stage = Annotated[str, Tag("a part of netwatch, `capture`, `sink influxdb`; `netwatch`: the whole process", "parts that run, at most 200")]
Exporter = Annotated[str, Tag("the address that sends flow records", "exporters that are allowed, at most 200")]
Reason = Annotated[str, Tag("why", "32 a stage, the rest is `other`")]


class FirewallPoint(Point, frozen=True, kw_only=True, gc=False):
    """The firewall, one row a window: the state table, what enters it, what is dropped and why."""

    measurement: ClassVar[str] = "netwatch_firewall"
    site: Site
    firewall: Firewall
    entries: Annotated[int, Field("entries", "in the state table at the window's end")]
    limit: Annotated[int, Field("entries", "that the table can hold")]
    fill_ratio: Annotated[float, Field("1", "entries of the limit")]
    fill_slope_per_s: Annotated[float, Field("entries/s", "gained over the last windows; negative when it empties")]
    time_to_full_s: Annotated[float | None, Field("s", "until the table is full at this slope; not written while it does not fill")]
    drop_probability: Annotated[float, Field("1", "that the packet of a new session is dropped now, by the model of the table")]
    assured: Annotated[int, Field("entries", "that the firewall does not evict when it is full")]
    unreplied: Annotated[int, Field("entries", "that saw packets one way only")]
    half_open: Annotated[int, Field("entries", "of TCP whose handshake is not finished")]
    entries_syn_sent: Annotated[int, Field("entries", "in SYN_SENT")]
    entries_syn_recv: Annotated[int, Field("entries", "in SYN_RECV")]
    entries_established: Annotated[int, Field("entries", "in ESTABLISHED")]
    entries_fin_wait: Annotated[int, Field("entries", "in FIN_WAIT")]
    entries_close_wait: Annotated[int, Field("entries", "in CLOSE_WAIT")]
    entries_last_ack: Annotated[int, Field("entries", "in LAST_ACK")]
    entries_time_wait: Annotated[int, Field("entries", "in TIME_WAIT")]
    entries_close: Annotated[int, Field("entries", "in CLOSE")]
    entries_syn_sent2: Annotated[int, Field("entries", "in SYN_SENT2, opened from both ends at once")]
    entries_udp_unreplied: Annotated[int, Field("entries", "of UDP without an answer")]
    entries_udp_replied: Annotated[int, Field("entries", "of UDP, answered, younger than two seconds")]
    entries_udp_stream: Annotated[int, Field("entries", "of UDP that goes on")]
    entries_icmp: Annotated[int, Field("entries", "of ICMP")]
    entries_other: Annotated[int, Field("entries", "of other protocols")]
    idle_established: Annotated[int | None, Field("entries", "established and idle for 60 s or more, by the newest census")]
    silent_established: Annotated[int | None, Field("entries", "established, and the client never sent payload, by the newest census")]
    packets_per_s: Annotated[float, Field("packets/s", "seen")]
    bytes_per_s: Annotated[float, Field("B/s", "seen, as on the wire")]
    new_per_s: Annotated[float, Field("entries/s", "created")]
    new_tcp_per_s: Annotated[float, Field("entries/s", "created, of TCP")]
    new_udp_per_s: Annotated[float, Field("entries/s", "created, of UDP")]
    normal_new_per_s: Annotated[float, Field("entries/s", "that are usually created: the learned normal; 0 while it is not known")]
    expired_per_s: Annotated[float, Field("entries/s", "that ran out")]
    picked_up_per_s: Annotated[float, Field("entries/s", "created in the middle of a session")]
    elsewhere_attempts_per_s: Annotated[float, Field("sessions/s", "asked for at addresses that are no watched service")]
    one_sided_flows: Annotated[int, Field("flows", "that went on without an answer")]
    two_sided_flows: Annotated[int, Field("flows", "with packets both ways")]
    dropped_per_s: Annotated[float, Field("packets/s", "that the state table dropped, all causes; of a replay those of the model")]
    dropped_full_per_s: Annotated[float, Field("packets/s", "dropped since the table was full")]
    dropped_clash_per_s: Annotated[float, Field("packets/s", "dropped since another packet of the tuple was first; 0 in a replay")]
    dropped_ports_per_s: Annotated[float, Field("packets/s", "dropped since no port was free for translation; 0 in a replay")]
    dropped_bucket_per_s: Annotated[float, Field("packets/s", "dropped since a hash bucket was too long; 0 in a replay")]
    early_dropped_per_s: Annotated[float, Field("entries/s", "evicted to make room")]
    shed_per_s: Annotated[float, Field("packets/s", "to services that a mitigation refused, by the model")]
    invalid_per_s: Annotated[float, Field("packets/s", "that fit no session, all causes")]
    invalid_malformed_per_s: Annotated[float, Field("packets/s", "with impossible headers or flags")]
    invalid_no_session_per_s: Annotated[float, Field("packets/s", "of sessions that have no entry")]
    invalid_out_of_window_per_s: Annotated[float, Field("packets/s", "outside of the TCP window")]
    invalid_bad_rst_per_s: Annotated[float, Field("packets/s", "RST with a sequence number that is not expected")]
    invalid_bad_state_per_s: Annotated[float, Field("packets/s", "whose flags the session's state does not allow")]
    invalid_unrelated_error_per_s: Annotated[float, Field("packets/s", "ICMP errors about flows without an entry")]
    fragments_per_s: Annotated[float, Field("packets/s", "that are fragments")]
    reassembled_per_s: Annotated[float, Field("datagrams/s", "put together")]
    reassembly_failed_per_s: Annotated[float, Field("datagrams/s", "given up")]
    reassembly_bytes: Annotated[int, Field("B", "held by incomplete datagrams at the window's end")]
    interface_received_per_s: Annotated[float | None, Field("packets/s", "received by all interfaces; live only, as all below it")]
    interface_dropped_per_s: Annotated[float | None, Field("packets/s", "dropped by interfaces' receive rings or drivers")]
    softnet_dropped_per_s: Annotated[float | None, Field("packets/s", "dropped since a processor's backlog was full")]
    softnet_squeezed_per_s: Annotated[float | None, Field("1/s", "times that a processor had to stop with packets left")]
    synproxy_syn_per_s: Annotated[float | None, Field("packets/s", "SYN answered by synproxy")]
    synproxy_cookie_valid_per_s: Annotated[float | None, Field("packets/s", "ACK with a right cookie: real clients")]
    synproxy_cookie_invalid_per_s: Annotated[float | None, Field("packets/s", "ACK with a wrong cookie")]
    lost_packets_per_s: Annotated[float, Field("packets/s", "that netwatch itself did not see (ring losses): counts are too low by them")]
    sampled_one_in: Annotated[int, Field("packets", "of which one is looked at")]
    window_s: Annotated[float, Field("s", "that the window covers; longer than 1 after silence")]
    warming: Annotated[int, Field("", "1 while the normals mean nothing yet")]
    services: Annotated[int, Field("services", "watched")]
    services_left_out: Annotated[int, Field("services", "learned but not written, being too many")]
    incidents_open: Annotated[int, Field("incidents", "that last")]
    mitigations_in_force: Annotated[int, Field("mitigations", "in force")]
    top_holders: Annotated[str | None, Field("", "the source prefixes that hold the most entries, at most 8")]
    packets_total: Annotated[int, Field("packets", "seen")]
    new_total: Annotated[int, Field("entries", "created")]
    dropped_total: Annotated[int, Field("packets", "that the state table dropped")]
    early_dropped_total: Annotated[int, Field("entries", "evicted to make room")]
    shed_total: Annotated[int, Field("packets", "to services that a mitigation refused")]
    lost_packets_total: Annotated[int, Field("packets", "that netwatch did not see")]


class ServicePoint(Point, frozen=True, kw_only=True, gc=False):
    """A service, one row a window: what was asked of it, what was completed, what it holds in the table."""

    measurement: ClassVar[str] = "netwatch_service"
    site: Site
    firewall: Firewall
    service: Service
    name: Annotated[str | None, Field("", "its name in the configuration; not written for a learned one")]
    syn_per_s: Annotated[float, Field("packets/s", "SYN toward it, repeated ones included")]
    syn_retransmitted_per_s: Annotated[float, Field("packets/s", "SYN that repeat one without an answer")]
    synack_per_s: Annotated[float, Field("packets/s", "SYN-ACK from it")]
    completed_per_s: Annotated[float, Field("handshakes/s", "completed")]
    completion_ratio: Annotated[float, Field("1", "handshakes completed of first SYN; 1 when nothing was asked")]
    attempts_per_s: Annotated[float, Field("sessions/s", "asked for: first SYN, or first UDP packets")]
    new_per_s: Annotated[float, Field("entries/s", "created")]
    picked_up_per_s: Annotated[float, Field("entries/s", "created in the middle of a session")]
    normal_syn_per_s: Annotated[float, Field("packets/s", "usual SYN; 0 while it is not known")]
    normal_attempts_per_s: Annotated[float, Field("sessions/s", "usually asked for; 0 while it is not known")]
    normal_completed_per_s: Annotated[float, Field("handshakes/s", "usually completed; 0 while it is not known")]
    dropped_full_per_s: Annotated[float, Field("packets/s", "dropped since the table was full")]
    shed_per_s: Annotated[float, Field("packets/s", "that a mitigation refused, by the model")]
    resets_in_per_s: Annotated[float, Field("packets/s", "RST toward it")]
    resets_out_per_s: Annotated[float, Field("packets/s", "RST from it")]
    acks_in_per_s: Annotated[float, Field("packets/s", "pure ACK toward it")]
    retransmitted_per_s: Annotated[float, Field("packets/s", "repeated with payload")]
    fragments_per_s: Annotated[float, Field("packets/s", "that are fragments")]
    invalid_per_s: Annotated[float, Field("packets/s", "that fit no session")]
    packets_in_per_s: Annotated[float, Field("packets/s", "toward it")]
    packets_out_per_s: Annotated[float, Field("packets/s", "from it")]
    bytes_in_per_s: Annotated[float, Field("B/s", "toward it")]
    bytes_out_per_s: Annotated[float, Field("B/s", "from it")]
    one_sided_flows: Annotated[int, Field("flows", "that went on without an answer")]
    two_sided_flows: Annotated[int, Field("flows", "with packets both ways")]
    distinct_sources: Annotated[int, Field("addresses", "behind what was asked for, estimated")]
    known_sources_ratio: Annotated[float, Field("1", "of these, those that completed a session before")]
    source_entropy: Annotated[float, Field("1", "of their prefixes: 0 one prefix, 1 all different")]
    top_prefix_ratio: Annotated[float, Field("1", "of the new sessions, those of the busiest source prefix")]
    top_prefixes: Annotated[str | None, Field("", "the busiest source prefixes and what each asked for in the window, at most 8")]
    entries: Annotated[int, Field("entries", "in the state table at the window's end")]
    half_open: Annotated[int, Field("entries", "whose handshake is not finished")]
    unreplied: Annotated[int, Field("entries", "that saw packets one way only")]
    established: Annotated[int, Field("entries", "established")]
    time_wait: Annotated[int, Field("entries", "in TIME_WAIT")]
    incidents_open: Annotated[int, Field("incidents", "of this service that last")]
    syn_total: Annotated[int, Field("packets", "SYN toward it")]
    syn_retransmitted_total: Annotated[int, Field("packets", "SYN that repeat one without an answer")]
    completed_total: Annotated[int, Field("handshakes", "completed")]


class CanaryPoint(Point, frozen=True, kw_only=True, gc=False):
    """Each attempt of a canary to use a service through the firewall, at the time when it began."""

    measurement: ClassVar[str] = "netwatch_canary"
    site: Site
    firewall: Firewall
    service: Service
    success: Annotated[int | None, Field("", "1 answered, 0 not; not written when it could not be sent: that says nothing of the service")]
    latency_s: Annotated[float | None, Field("s", "until it was answered; not written when it was not")]
    outcome: Annotated[str, Field("", "how it ended")]
    attempts_total: Annotated[int, Field("attempts", "that were sent")]
    failed_total: Annotated[int, Field("attempts", "of these, not answered")]


class IncidentPoint(Point, frozen=True, kw_only=True, gc=False):
    """An incident: a row a window while it lasts, and rows with an `event` for what is to be marked in a chart."""

    measurement: ClassVar[str] = "netwatch_incident"
    site: Site
    firewall: Firewall
    service: Service
    mode: Mode
    open: Annotated[int | None, Field("", "1 while it lasts, 0 in the row that ends it")] = None
    severity: Annotated[int | None, Field("", "0 info, 1 warning, 2 critical")] = None
    onset_s: Annotated[float | None, Field("s", "since the epoch: since when")] = None
    detected_s: Annotated[float | None, Field("s", "since the epoch: when it was found")] = None
    ended_s: Annotated[float | None, Field("s", "since the epoch: when it was over; not written before")] = None
    detection_delay_s: Annotated[float | None, Field("s", "from onset to detection")] = None
    duration_s: Annotated[float | None, Field("s", "from onset until now, or to its end")] = None
    incident: Annotated[str, Field("", "its identifier")]
    event: Annotated[str | None, Field("", "`onset` (in a row at its own time), `opened`, `updated`, `closed`")] = None
    text: Annotated[str | None, Field("", "what it is, in a sentence")] = None
    attribution: Annotated[str | None, Field("", "who: prefixes or a crowd of addresses, with their share")] = None
    consequences: Annotated[str | None, Field("", "modes that follow from it")] = None
    playbook: Annotated[str | None, Field("", "what would end it")] = None
    opened_total: Annotated[int | None, Field("incidents", "of this mode and service that were opened")] = None


class ChangePoint(Point, frozen=True, kw_only=True, gc=False):
    """Mitigations by playbook: a row a second with what is in force, and rows with an `event` for each thing that happened."""

    measurement: ClassVar[str] = "netwatch_change"
    site: Site
    firewall: Firewall
    playbook: Playbook
    in_force: Annotated[int | None, Field("mitigations", "of this playbook in force")] = None
    remaining_s: Annotated[float | None, Field("s", "until the first of them ends if nobody renews it; below 0: overdue")] = None
    age_s: Annotated[float | None, Field("s", "of the oldest of them, since it was proposed")] = None
    event: Annotated[str | None, Field("", "`proposed`, `approved`, `rejected`, `applied`, `verified`, `renewed`, `undone` …")] = None
    state: Annotated[str | None, Field("", "of the plan after it")] = None
    plan: Annotated[str | None, Field("", "identifier of the plan")] = None
    incident: Annotated[str | None, Field("", "identifier of the incident it is aimed at")] = None
    mode: Annotated[str | None, Field("", "mode of that incident")] = None
    service: Annotated[str | None, Field("", "service of that incident; `all`: the whole firewall")] = None
    rung: Annotated[int | None, Field("", "of the mode's ladder, from 0")] = None
    evicted: Annotated[int | None, Field("entries", "that it deleted when it was applied")] = None
    text: Annotated[str | None, Field("", "what happened, in a sentence")] = None
    applied_total: Annotated[int, Field("changes", "applied")]
    verified_total: Annotated[int, Field("changes", "that helped")]
    undone_total: Annotated[int, Field("changes", "undone")]
    failed_total: Annotated[int, Field("changes", "that the firewall refused")]


class RulePoint(Point, frozen=True, kw_only=True, gc=False):
    """A counter of netwatch's own nftables table, live only, one row a window: what mitigations do to packets."""

    measurement: ClassVar[str] = "netwatch_rule"
    site: Site
    firewall: Firewall
    counter: Counter
    packets_per_s: Annotated[float, Field("packets/s", "counted")]
    bytes_per_s: Annotated[float, Field("B/s", "counted")]
    packets_total: Annotated[int, Field("packets", "counted")]


class ExporterPoint(Point, frozen=True, kw_only=True, gc=False):
    """A source of flow records, one row a second: the part of netwatch named `exporter` and its address."""

    measurement: ClassVar[str] = "netwatch_exporter"
    site: Site
    firewall: Firewall
    exporter: Exporter
    records_total: Annotated[int, Field("records", "taken")]
    decoded_total: Annotated[int, Field("records", "decoded")]
    dropped_total: Annotated[int, Field("records", "lost or refused; by reason in `netwatch_drop`")]
    healthy: Annotated[int, Field("", "1 while it sends what can be read")]


class SelfPoint(Point, frozen=True, kw_only=True, gc=False):
    """A part of netwatch, one row a second."""

    measurement: ClassVar[str] = "netwatch_self"
    site: Site
    firewall: Firewall
    stage: Stage
    taken_total: Annotated[int, Field("items", "packets, polls, points … taken")]
    given_total: Annotated[int, Field("items", "handed on")]
    dropped_total: Annotated[int, Field("items", "dropped; by reason in `netwatch_drop`")]
    queued: Annotated[int, Field("items", "that wait now")]
    restarts_total: Annotated[int, Field("restarts", "after trouble")]
    healthy: Annotated[int, Field("", "1 while it works")]
    detection_delay_s: Annotated[float | None, Field("s", "from a window's end by the packets' clock to its judgement; stage `netwatch`")]
    window_age_s: Annotated[float | None, Field("s", "since the end of the newest window; stage `netwatch`")]
    cpu_seconds_total: Annotated[float | None, Field("s", "of processor time; stage `netwatch`")]
    memory_bytes: Annotated[int | None, Field("B", "of memory; stage `netwatch`")]


class DropPoint(Point, frozen=True, kw_only=True, gc=False):
    """What a part of netwatch dropped, by reason, one row a second."""

    measurement: ClassVar[str] = "netwatch_drop"
    site: Site
    firewall: Firewall
    stage: Stage
    reason: Reason
    dropped_total: Annotated[int, Field("items", "dropped")]


POINT_TYPES: Final[tuple[type[Point], ...]] = (
    FirewallPoint,
    ServicePoint,
    CanaryPoint,
    IncidentPoint,
    ChangePoint,
    RulePoint,
    ExporterPoint,
    SelfPoint,
    DropPoint,
)
