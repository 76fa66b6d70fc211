"""What each protocol's tracker does with a packet that has an entry: state, time-out, marks and events.

TCP's rules are in ``tcp_tracker``; here is what follows from them for the entry as the table counts it. UDP with traffic both ways is a
stream once it is two seconds old (nf_conntrack_proto_udp.c); GRE and UDP-Lite are at once. ICMP keeps its entry for the time-out after an
answer, since a second answer may come.
"""

import numpy as np

from netwatch.jit import called, inlined, wide
from netwatch.track.expiry import release, renew
from netwatch.track.plain_enums import (
    ASSURED_EVENT,
    CLOSING_EVENT,
    CREATED_EVENT,
    GRE_PROTOCOL,
    HANDSHAKE_EVENT,
    ICMP_PROTOCOL,
    ICMP_STATE,
    ICMPV6_PROTOCOL,
    OTHER,
    OTHER_UNREPLIED,
    REPEATED_EVENT,
    REPLIED_EVENT,
    RESET_EVENT,
    RESET_REASON,
    SCTP_PROTOCOL,
    STATE_REASON,
    UDP_LITE_PROTOCOL,
    UDP_PROTOCOL,
    UDP_REPLIED,
    UDP_STREAM,
    UDP_UNREPLIED,
    VALID,
    WINDOW_REASON,
)
from netwatch.track.session_entry import (
    ASSURED,
    ASSURED_COLUMN,
    CLIENT_ANSWERS,
    CLIENT_PAYLOAD,
    DATA_UNACKNOWLEDGED,
    FIRST_SIDE,
    GENERIC_TIMEOUT,
    GRE_STREAM_TIMEOUT,
    GRE_TIMEOUT,
    HANDSHAKE,
    ICMP_TIMEOUT,
    MAX_RETRANSMISSIONS,
    OPTIONS,
    OTHER_TIMEOUTS,
    RETRANSMITTED_TIMEOUT,
    SCTP_HALF_OPEN_TIMEOUT,
    SCTP_TIMEOUT,
    SEEN_REPLY,
    SIDES_PER_ENTRY,
    STREAM_AFTER,
    UDP_STREAM_TIMEOUT,
    UDP_TIMEOUT,
    UNACKNOWLEDGED_TIMEOUT,
    UNREPLIED_COLUMN,
    WINDOW_TRACKING,
    Arrays,
    Row,
)
from netwatch.track.session_slots import ASSURED_BIT, ONE, slot_of
from netwatch.track.tcp_tracker import (
    ACCEPTED,
    ACK,
    ACK_FLAG,
    BAD_RESET,
    CLOSE,
    ESTABLISHED,
    FIN,
    FIN_WAIT,
    IGNORED,
    ORIGINAL,
    OUT_OF_WINDOW,
    REOPENS,
    REPLY,
    RST,
    SYN,
    SYN_RECV,
    SYN_SENT,
    begin_entry,
    check_window,
    segment_end,
    track_segment,
)

SECOND_NS = 1_000_000_000
LONG_NS = 120 * SECOND_NS  # nf_tcp_handle_invalid shortens only what has at least this left
UNLIMITED_NS = 1 << 61
SETTLED = SEEN_REPLY | ASSURED
REOPEN = -1  # in place of a reason: the entry must be replaced first


@inlined
def settle(table: Arrays, entry: Row, row: np.uint64, state: int, status: int) -> None:
    """Set an entry's state and status, and keep the counts of its group in step."""
    old_state, old_status = wide(entry["state"]), wide(entry["status"])
    if state == old_state and status == old_status:
        return
    group = wide(entry["group"])
    table.counts[group, old_state] -= 1
    table.counts[group, state] += 1
    table.counts[group, UNREPLIED_COLUMN] += (old_status & SEEN_REPLY) - (status & SEEN_REPLY)
    if status & ASSURED > old_status & ASSURED:
        table.counts[group, ASSURED_COLUMN] += 1
        table.slots[slot_of(table, row)] |= ASSURED_BIT
    entry["state"] = state
    entry["status"] = status


@inlined
def note_packet(entry: Row, packet: Row, direction: np.uint64, now_ns: int) -> None:
    """Remember when an entry's packet came, and whether the client ever sent payload."""
    entry["last_seen_ns"] = now_ns
    # Without a branch: neither direction nor payload can be predicted.
    by_server = wide(direction) ^ (wide(entry["history"]) // CLIENT_ANSWERS & 1)
    entry["history"] |= wide(packet["payload_len"] != 0) * CLIENT_PAYLOAD << by_server


@called
def shorten_invalid_end(table: Arrays, row: np.uint64, kind: int, direction: np.uint64, now_ns: int) -> None:
    """Invalid FINs or RSTs from both sides: both ends say it is over, so do not keep the entry for days (nf_tcp_handle_invalid)."""
    entry = table.entries[row]
    if not entry["status"] & ASSURED or (kind != RST and kind != FIN):
        return
    if entry["last_direction"] != direction and (entry["last_kind"] == FIN or entry["last_kind"] == RST):
        policy = 1 if entry["status"] & OTHER_TIMEOUTS else 0
        ends_ns = now_ns + table.timeouts_ns[policy, UNACKNOWLEDGED_TIMEOUT]
        if entry["expires_ns"] - now_ns >= LONG_NS and entry["expires_ns"] > ends_ns:
            renew(table, entry, row, ends_ns)
    else:
        entry["last_kind"] = kind
        entry["last_direction"] = direction


@inlined
def segment_timeout_ns(table: Arrays, entry: Row, mine: Row, theirs: Row, kind: int, state: int, status: int) -> int:
    """How long a TCP entry may now stay silent: its state's time-out, less where something is owed or repeated."""
    timeouts_ns = table.timeouts_ns[1 if status & OTHER_TIMEOUTS else 0]
    timeout_ns: int = timeouts_ns[state]
    repeated_ns, owed_ns = timeouts_ns[RETRANSMITTED_TIMEOUT], timeouts_ns[UNACKNOWLEDGED_TIMEOUT]
    owes = ((mine["flags"] | theirs["flags"]) & DATA_UNACKNOWLEDGED != 0) | ((kind == RST) & (state == ESTABLISHED))
    longest_ns = owed_ns + (not owes) * UNLIMITED_NS  # changes with every other packet of a session: so without a branch
    too_often = entry["retransmissions"] >= table.numbers[MAX_RETRANSMISSIONS]
    if (too_often or (entry["last_window"] == 0 and longest_ns >= timeout_ns)) and timeout_ns > repeated_ns:
        timeout_ns = repeated_ns
    else:
        timeout_ns = min(timeout_ns, longest_ns)
    if state == ESTABLISHED and not status & SEEN_REPLY:  # picked up, and nobody answers
        timeout_ns = min(timeout_ns, owed_ns)
    return timeout_ns


@inlined
def track_tcp(table: Arrays, row: np.uint64, direction: np.uint64, packet: Row, kind: int, now_ns: int) -> tuple[int, int]:
    """One segment on its entry: why it is invalid (``VALID`` if it is not, ``REOPEN``), and the events."""
    entry = table.entries[row]
    mine = table.sides[row * SIDES_PER_ENTRY + FIRST_SIDE + direction]
    theirs = table.sides[row * SIDES_PER_ENTRY + FIRST_SIDE + (direction ^ ONE)]
    end = segment_end(packet)
    old_state, old_status = wide(entry["state"]), wide(entry["status"])
    enforced = table.numbers[OPTIONS] & WINDOW_TRACKING != 0
    if kind == ACK and old_state == ESTABLISHED and old_status & SETTLED == SETTLED:  # by far the most common: nothing but windows move
        outcome = check_window(entry, mine, theirs, packet, direction, ACK, ACK_FLAG, ESTABLISHED, end, enforced)
        if outcome == OUT_OF_WINDOW:
            return WINDOW_REASON, 0
        note_packet(entry, packet, direction, now_ns)
        if outcome == ACCEPTED:
            entry["last_kind"] = ACK
            entry["last_direction"] = direction
            renew(table, entry, row, now_ns + segment_timeout_ns(table, entry, mine, theirs, ACK, ESTABLISHED, old_status))
        return VALID, 0
    repeated = kind == SYN and direction == ORIGINAL and old_state in (SYN_SENT, SYN_RECV) and mine["end"] == end
    outcome, from_state, state = track_segment(entry, mine, theirs, packet, direction, kind, end, enforced)
    if outcome > IGNORED:
        reason = STATE_REASON
        if outcome == REOPENS:
            reason = REOPEN
        elif outcome == BAD_RESET:
            reason = RESET_REASON
        elif outcome == OUT_OF_WINDOW:
            reason = WINDOW_REASON
            shorten_invalid_end(table, row, kind, direction, now_ns)
        return reason, 0
    note_packet(entry, packet, direction, now_ns)
    status, events = old_status, REPEATED_EVENT if repeated else 0
    if outcome == IGNORED:
        state = old_state
    else:
        if state != old_state:
            if kind == RST and state == CLOSE:
                events |= RESET_EVENT
            elif kind == FIN and state == FIN_WAIT:
                events |= CLOSING_EVENT
            elif from_state == SYN_RECV and state == ESTABLISHED:
                events |= HANDSHAKE_EVENT
                entry["history"] |= HANDSHAKE
        if kind == RST and not status & SEEN_REPLY:  # nobody ever answered but with this: nothing is left to track
            release(table, row, slot_of(table, row))
            return VALID, events | RESET_EVENT
        if status & (SEEN_REPLY | ASSURED) == SEEN_REPLY and state == ESTABLISHED and from_state in (SYN_RECV, ESTABLISHED):
            status |= ASSURED
            events |= ASSURED_EVENT
        if kind != SYN or from_state != SYN_SENT or status & SEEN_REPLY:  # or a repeated SYN could keep the entry for ever
            renew(table, entry, row, now_ns + segment_timeout_ns(table, entry, mine, theirs, kind, state, status))
    if direction == REPLY and not status & SEEN_REPLY:
        status |= SEEN_REPLY
        events |= REPLIED_EVENT
    settle(table, entry, row, state, status)
    return VALID, events


@inlined
def track_datagram(table: Arrays, row: np.uint64, direction: np.uint64, packet: Row, now_ns: int) -> int:
    """One packet of a protocol without connections on its entry; returns the events.

    Of SCTP the rows do not hold the chunks: an association counts as established from its first answer on.
    """
    entry = table.entries[row]
    protocol, status = entry["protocol"], wide(entry["status"])
    timeouts_ns = table.timeouts_ns[1 if status & OTHER_TIMEOUTS else 0]
    replied = status & SEEN_REPLY != 0
    answered = replied or direction == REPLY
    assures = replied
    note_packet(entry, packet, direction, now_ns)
    if protocol == UDP_PROTOCOL:
        assures = replied and (status & ASSURED != 0 or now_ns - entry["created_ns"] > table.numbers[STREAM_AFTER])
        timeout_ns = timeouts_ns[UDP_STREAM_TIMEOUT if assures else UDP_TIMEOUT]
        state = UDP_STREAM if assures else (UDP_REPLIED if answered else UDP_UNREPLIED)
    elif protocol in (ICMP_PROTOCOL, ICMPV6_PROTOCOL):
        timeout_ns, state, assures = timeouts_ns[ICMP_TIMEOUT], ICMP_STATE, False
    else:
        state = OTHER if answered else OTHER_UNREPLIED
        if protocol == GRE_PROTOCOL:
            timeout_ns = timeouts_ns[GRE_STREAM_TIMEOUT if replied else GRE_TIMEOUT]
        elif protocol == SCTP_PROTOCOL:
            timeout_ns = timeouts_ns[SCTP_TIMEOUT if replied else SCTP_HALF_OPEN_TIMEOUT]
        elif protocol == UDP_LITE_PROTOCOL:
            timeout_ns = timeouts_ns[UDP_STREAM_TIMEOUT if replied else UDP_TIMEOUT]
        else:
            timeout_ns, assures = timeouts_ns[GENERIC_TIMEOUT], False
    renew(table, entry, row, now_ns + timeout_ns)
    events = 0
    if answered and not replied:
        status |= SEEN_REPLY
        events |= REPLIED_EVENT
    if assures and not status & ASSURED:
        status |= ASSURED
        events |= ASSURED_EVENT
    settle(table, entry, row, state, status)
    return events


@inlined
def begin_tcp(table: Arrays, row: np.uint64, packet: Row, kind: int) -> None:
    """Prepare a new entry for its first segment."""
    original = row * SIDES_PER_ENTRY + FIRST_SIDE
    begin_entry(table.entries[row], table.sides[original], table.sides[original + ONE], packet, kind)


@inlined
def begin_syn(table: Arrays, row: np.uint64, packet: Row, now_ns: int) -> None:
    """The rest of what a session's first SYN does; nothing in it can be invalid."""
    entry = table.entries[row]
    note_packet(entry, packet, ORIGINAL, now_ns)
    settle(table, entry, row, wide(SYN_SENT), wide(entry["status"]))
    timeouts_ns = table.timeouts_ns[1 if entry["status"] & OTHER_TIMEOUTS else 0]
    renew(table, entry, row, now_ns + min(timeouts_ns[SYN_SENT], timeouts_ns[RETRANSMITTED_TIMEOUT]))
    entry["last_kind"] = SYN


@inlined
def begin_proxied(table: Arrays, row: np.uint64, packet: Row, now_ns: int) -> int:
    """An entry, prepared as for a picked-up connection, of a handshake that the firewall answered itself: established from the start."""
    entry = table.entries[row]
    entry["history"] |= HANDSHAKE
    note_packet(entry, packet, ORIGINAL, now_ns)
    status = wide(entry["status"]) | SEEN_REPLY | ASSURED
    settle(table, entry, row, wide(ESTABLISHED), status)
    renew(table, entry, row, now_ns + table.timeouts_ns[1 if status & OTHER_TIMEOUTS else 0, ESTABLISHED])
    return CREATED_EVENT | HANDSHAKE_EVENT | REPLIED_EVENT | ASSURED_EVENT
