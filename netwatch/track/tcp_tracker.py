"""netfilter's TCP tracker: one packet against one entry.

A port of the rules of net/netfilter/nf_conntrack_proto_tcp.c (Linux 6.12; 6.18 judges the same in our tests): the table of states, the
window check after van Rooij ("Real stateful TCP packet filtering in IP filter", 2000), and the exceptions that a state machine in the
middle needs because it may have missed packets. A firewall that is out of step with both ends does harm either way: it drops what the ends
would take, or keeps entries of what has ended. So a SYN that does not fit is let through and remembered, and the answer decides.

Sequence numbers live modulo 2**32; as 64-bit integers their difference keeps the sign of the shorter way in bit 31. Functions take single
records (an entry, its two sides, a packet), which compiled code passes as plain pointers.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import inlined, wide
from netwatch.model.packet import TcpFlag, TcpOption
from netwatch.model.session import TcpState
from netwatch.track.session_entry import (
    ASSURED,
    BE_LIBERAL,
    CLOSE_INIT,
    DATA_UNACKNOWLEDGED,
    EXPECT_CHALLENGE_ACK,
    LAST_SCALE_MASK,
    LAST_SCALE_SHIFT,
    MAX_ACK_SET,
    SACK_PERMITTED,
    SEEN_REPLY,
    SIMULTANEOUS_OPEN,
    WINDOW_SCALE,
    Row,
)

MODULUS_MASK = 0xFFFF_FFFF
SMALLEST_ACK_WINDOW = 66_000  # MAXACKWINCONST
BARE_HEADER_LEN = 20
ORIGINAL, REPLY = np.uint64(0), np.uint64(1)

# What a segment is, by its strongest flag.
SYN, SYN_ACK, FIN, ACK, RST, NO_KIND, MALFORMED = range(7)

# What the tracker says of a segment.
(
    ACCEPTED,  # it belongs: the entry moves to the new state and its time-out begins anew
    IGNORED,  # let through, but the entry is not moved by it
    FORBIDDEN,  # the table of states has no such step
    BAD_RESET,
    OUT_OF_WINDOW,
    REOPENS,  # a SYN on a connection that is over: the entry has to go and a fresh one takes its place
) = range(6)

# Kernels know plain integers only.
FIN_FLAG, SYN_FLAG, RST_FLAG, ACK_FLAG = int(TcpFlag.FIN), int(TcpFlag.SYN), int(TcpFlag.RST), int(TcpFlag.ACK)
WINDOW_SCALE_OPTION, SACK_PERMITTED_OPTION, SACK_OPTION = int(TcpOption.WINDOW_SCALE), int(TcpOption.SACK_PERMITTED), int(TcpOption.SACK)
NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2 = range(len(TcpState))
INVALID_STATE, IGNORE_STATE = 10, 11


def _kinds() -> NDArray[np.uint8]:
    """Kind by the lower six flag bits; PSH, ECE and CWR are always allowed, else only nine combinations (tcp_valid_flags)."""
    fin, syn, rst, ack, urg = TcpFlag.FIN, TcpFlag.SYN, TcpFlag.RST, TcpFlag.ACK, TcpFlag.URG
    allowed = {
        syn: SYN,
        syn | urg: SYN,
        syn | ack: SYN_ACK,
        rst: RST,
        rst | ack: RST,
        fin | ack: FIN,
        fin | ack | urg: FIN,
        ack: ACK,
        ack | urg: ACK,
    }
    return np.array([allowed.get(TcpFlag(bits) & ~TcpFlag.PSH, MALFORMED) for bits in range(64)], np.uint8)


KINDS = _kinds()

_STATE_NAMES = ("NO", "SS", "SR", "ES", "FW", "CW", "LA", "TW", "CL", "S2", "IV", "IG")


def _steps() -> NDArray[np.uint8]:
    """New state by direction, kind and state; columns in the order of ``_STATE_NAMES``. IV is invalid, IG let through and ignored."""
    original = """
        SS SS IG IG IG IG IG SS SS S2
        IV IV SR IV IV IV IV IV IV SR
        IV IV FW FW LA LA LA TW CL IV
        ES IV ES ES CW CW TW TW CL IV
        IV CL CL CL CL CL CL CL CL CL"""
    reply = """
        IV S2 IV IV IV IV IV SS IV S2
        IV SR IG IG IG IG IG IG IG SR
        IV IV FW FW LA LA LA TW CL IV
        IV IG SR ES CW CW TW TW CL IG
        IV CL CL CL CL CL CL CL CL CL"""
    steps = [_STATE_NAMES.index(name) for name in (original + reply).split()]
    return np.array(steps, np.uint8).reshape(2, RST + 1, len(TcpState))


STEPS = _steps()


@inlined
def before(one: int, other: int) -> bool:
    """Whether a sequence number lies before another on the shorter way around."""
    return ((one - other) >> 31) & 1 != 0


@inlined
def segment_end(packet: Row) -> int:
    """The sequence number behind a segment; SYN and FIN take one each."""
    flags = wide(packet["tcp_flags"])
    taken = wide(packet["payload_len"]) + ((flags & SYN_FLAG) >> 1) + (flags & FIN_FLAG)
    return (wide(packet["seq"]) + taken) & MODULUS_MASK


@inlined
def has_options(packet: Row) -> bool:
    """Whether there is more than the bare header."""
    return bool(packet["tcp_options"] != 0 or packet["transport_header_len"] > BARE_HEADER_LEN)


@inlined
def begin_side(side: Row, packet: Row, end: int) -> None:
    """A side's first SYN or SYN-ACK, or a new one with higher numbers (tcp_init_sender).

    A SYN without any option leaves what is known of the options as it is, as in netfilter.
    """
    side["end"] = end
    side["max_end"] = end
    side["max_window"] = max(wide(packet["window"]), 1)
    if has_options(packet):
        options, flags = packet["tcp_options"], side["flags"] & BE_LIBERAL
        side["scale"] = 0
        if options & SACK_PERMITTED_OPTION:
            flags |= SACK_PERMITTED
        if options & WINDOW_SCALE_OPTION:
            flags |= WINDOW_SCALE
            side["scale"] = packet["window_scale"]
        side["flags"] = flags


@inlined
def agree_on_scaling(original: Row, reply: Row) -> None:
    """RFC 7323 section 2.5: both sides scale their windows, or none does."""
    if not original["flags"] & reply["flags"] & WINDOW_SCALE:
        original["scale"] = 0
        reply["scale"] = 0


@inlined
def begin_entry(entry: Row, original: Row, reply: Row, packet: Row, kind: int) -> None:
    """A new entry's first segment: a SYN, or an ACK from the middle of a connection that is picked up (tcp_new).

    Of a picked-up connection neither the window scale nor whether SACK is used is known: its windows are not enforced.
    """
    flags = 0 if kind == SYN else SACK_PERMITTED | BE_LIBERAL
    end, window = segment_end(packet), max(wide(packet["window"]), 1)
    original["max_ack"] = 0
    original["flags"] = flags
    original["scale"] = 0
    reply["end"] = 0
    reply["max_end"] = window if kind == SYN else 0  # what the window of a SYN allows an answer whose numbers are not known yet
    reply["max_window"] = 0
    reply["max_ack"] = 0
    reply["flags"] = flags
    reply["scale"] = 0
    entry["last_seq"] = 0
    entry["last_ack"] = 0
    entry["last_end"] = 0
    entry["last_window"] = 0
    entry["last_direction"] = ORIGINAL
    entry["last_kind"] = NO_KIND
    entry["retransmissions"] = 0
    entry["last_flags"] = 0
    if kind == SYN:
        begin_side(original, packet, end)
    else:
        original["end"] = end
        original["max_window"] = window
        original["max_end"] = end + window


@inlined
def check_window(
    entry: Row, mine: Row, theirs: Row, packet: Row, direction: np.uint64, kind: int, flags: int, state: int, end: int, enforced: bool
) -> int:
    """tcp_in_window: does the segment fit in what both sides have said so far? If it does, it moves the windows.

    I. seq <= my max_end; II. end >= my end - their max_window; III. sack <= their end; IV. sack >= their end - max(my max_window, 66000),
    with sack the highest edge of the SACK blocks, or ack. A segment of a connection whose windows are not enforced passes all the same,
    without moving them. ``kind``, ``flags`` and ``state`` are given, since where they are constants most of this falls away.
    """
    seq, ack, window = wide(packet["seq"]), wide(packet["ack"]), wide(packet["window"])
    sack = ack
    if packet["tcp_options"] & SACK_OPTION and theirs["flags"] & SACK_PERMITTED and before(ack, wide(packet["sack_edge"])):
        sack = wide(packet["sack_edge"])
    if mine["max_window"] == 0:
        if flags & SYN_FLAG:
            begin_side(mine, packet, end)
            if direction == REPLY:
                agree_on_scaling(theirs, mine)
            if not flags & ACK_FLAG:
                return ACCEPTED
        else:
            largest = max(window << mine["scale"], 1)
            mine["end"] = end
            mine["max_window"] = largest
            mine["max_end"] = end + largest
            if theirs["max_window"] == 0:
                theirs["end"] = sack
                theirs["max_end"] = sack
            elif sack == (wide(theirs["end"]) + 1) & MODULUS_MASK:  # the answer to a keep-alive
                theirs["end"] = sack
    elif flags & SYN_FLAG and state in (SYN_SENT, SYN_RECV) and before(wide(mine["end"]), end):
        begin_side(mine, packet, end)
        if direction == REPLY:
            agree_on_scaling(theirs, mine)
            if not flags & ACK_FLAG:
                return ACCEPTED

    my_end, my_max_end, my_max_window = wide(mine["end"]), wide(mine["max_end"]), wide(mine["max_window"])
    their_end, their_max_window = wide(theirs["end"]), wide(theirs["max_window"])
    if not flags & ACK_FLAG or (flags & RST_FLAG and ack == 0):
        ack = sack = their_end
    if flags & RST_FLAG and seq == 0 and state == SYN_SENT:
        seq = end = my_end
    below_acks = their_end - max(my_max_window, SMALLEST_ACK_WINDOW) - 1
    seq_fits = before(seq, my_max_end + 1)
    in_their_window = their_max_window == 0 or before(my_end - their_max_window - 1, end)
    ack_fits = before(sack, their_end + 1)
    ack_is_recent = before(below_acks, sack)
    if not (seq_fits and in_their_window and ack_fits and ack_is_recent):
        outcome = IGNORED if seq_fits and ack_fits else OUT_OF_WINDOW
        fits_otherwise = their_max_window != 0 and in_their_window and ack_fits and ack_is_recent
        if not seq_fits and fits_otherwise and (end - my_max_end + 1) & MODULUS_MASK <= their_max_window:
            # Some send more than the window allows. If the other side acknowledges it, that must not look as if it acknowledged what was
            # never sent.
            mine["end"] = end
            mine["flags"] |= DATA_UNACKNOWLEDGED
            outcome = IGNORED
        return outcome if enforced and not mine["flags"] & BE_LIBERAL else ACCEPTED

    # What moves changes from packet to packet and cannot be predicted: so all of it is written each time, without a branch.
    scaled = window if flags & SYN_FLAG else window << mine["scale"]
    mine["max_window"] = max(my_max_window, (scaled + sack - ack) & MODULUS_MASK)
    moves_end = before(my_end, end)
    mine["end"] = end if moves_end else my_end
    my_flags = wide(mine["flags"]) | moves_end * DATA_UNACKNOWLEDGED
    if flags & ACK_FLAG:
        max_ack = wide(mine["max_ack"])
        mine["max_ack"] = ack if before(max_ack, ack) | (my_flags & MAX_ACK_SET == 0) else max_ack
        my_flags |= MAX_ACK_SET
    mine["flags"] = my_flags
    if their_max_window != 0 and before(my_max_end, end):
        theirs["max_window"] = their_max_window + end - my_max_end
    their_max_end, allowed_end = wide(theirs["max_end"]), sack + scaled
    theirs["max_end"] = allowed_end + (scaled == 0) if before(their_max_end - 1, allowed_end) else their_max_end
    theirs["flags"] = wide(theirs["flags"]) & ~((ack == their_end) * DATA_UNACKNOWLEDGED)
    if kind == ACK:  # count how often the very same segment came in a row: a peer that no longer answers
        same = (entry["last_seq"] == seq) & (entry["last_ack"] == ack) & (entry["last_end"] == end)
        same = same & (entry["last_window"] == window) & (entry["last_direction"] == direction)
        entry["last_direction"] = direction
        entry["last_seq"] = seq
        entry["last_ack"] = ack
        entry["last_end"] = end
        entry["last_window"] = window
        entry["retransmissions"] = same * (wide(entry["retransmissions"]) + 1)
    return ACCEPTED


@inlined
def resynchronise(entry: Row, mine: Row, theirs: Row) -> None:
    """A SYN-ACK answers a SYN that was let through though it did not fit: the two ends agree, and the entry follows them."""
    last_flags = entry["last_flags"] & (0xFF ^ EXPECT_CHALLENGE_ACK)
    theirs["end"] = entry["last_end"]
    theirs["max_end"] = entry["last_end"]
    theirs["max_window"] = max(wide(entry["last_window"]), 1)
    theirs["scale"] = (last_flags & LAST_SCALE_MASK) >> LAST_SCALE_SHIFT
    theirs["flags"] = last_flags & (0xFF ^ LAST_SCALE_MASK)
    entry["last_flags"] = last_flags
    mine["end"] = 0
    mine["max_end"] = 0
    mine["max_window"] = 0
    mine["max_ack"] = 0
    mine["scale"] = 0
    mine["flags"] &= BE_LIBERAL


@inlined
def remember_ignored(entry: Row, packet: Row, direction: np.uint64, kind: int, end: int) -> None:
    """Note a segment that does not fit but may be what the two ends agree on; the answer will tell."""
    state = entry["state"]
    entry["last_kind"] = kind
    entry["last_direction"] = direction
    entry["last_seq"] = packet["seq"]
    entry["last_end"] = end
    entry["last_window"] = packet["window"]
    if kind == SYN and direction == ORIGINAL:
        last_flags = 0
        if packet["tcp_options"] & WINDOW_SCALE_OPTION:
            last_flags |= WINDOW_SCALE | (packet["window_scale"] << LAST_SCALE_SHIFT)
        if packet["tcp_options"] & SACK_PERMITTED_OPTION:
            last_flags |= SACK_PERMITTED
        if state == LAST_ACK:  # RFC 5961: the answer may be an ACK that acknowledges no FIN
            last_flags |= EXPECT_CHALLENGE_ACK
        entry["last_flags"] = last_flags
    if state == SYN_SENT and kind == ACK and direction == REPLY:
        entry["last_ack"] = packet["ack"]


@inlined
def judge_reset(entry: Row, theirs: Row, packet: Row, direction: np.uint64) -> tuple[int, int, bool]:
    """A RST on an entry that is not closing yet: outcome, new state, and whether the window check is skipped."""
    seq, ack, state = wide(packet["seq"]), packet["ack"], wide(entry["state"])
    last_kind, last_direction = entry["last_kind"], entry["last_direction"]
    established = state == ESTABLISHED and entry["status"] & ASSURED != 0
    new_state = wide(CLOSE)
    if theirs["flags"] & MAX_ACK_SET and last_kind != SYN:
        acknowledged = wide(theirs["max_ack"])
        if seq == 0 and not established:
            return ACCEPTED, new_state, False
        if before(seq, acknowledged):
            return BAD_RESET, new_state, False
        if not established or seq == acknowledged:
            return ACCEPTED, new_state, False
        if last_kind == ACK and last_direction == direction and seq == entry["last_end"]:
            return ACCEPTED, new_state, False
        new_state = state  # the receiver may answer it with a challenge ACK (RFC 5961 section 3.2)
    answers_syn = entry["status"] & SEEN_REPLY != 0 and last_kind == SYN and last_direction != direction
    answers_ack = entry["status"] & ASSURED == 0 and last_kind == ACK
    if (answers_syn or answers_ack) and ack == entry["last_end"]:
        return ACCEPTED, new_state, True
    answers_challenge = state == SYN_SENT and last_kind == ACK and last_direction == REPLY and seq == entry["last_ack"]
    return ACCEPTED, new_state, answers_challenge


@inlined
def track_segment(
    entry: Row, mine: Row, theirs: Row, packet: Row, direction: np.uint64, kind: int, end: int, enforced: bool
) -> tuple[int, int, int]:
    """One segment against its entry: the outcome, and the old and new state if it was accepted.

    The entry's windows and memory of the last segment are moved; its state and time-out are left to the caller, who counts states.
    """
    state = wide(entry["state"])
    new_state = wide(STEPS[direction, kind, state])
    skips_window = False
    if new_state == IGNORE_STATE or (new_state == SYN_SENT and state >= TIME_WAIT):
        if new_state == SYN_SENT:
            closed = (mine["flags"] | theirs["flags"]) & CLOSE_INIT != 0
            if closed or (entry["last_direction"] == direction and entry["last_kind"] == RST):
                return REOPENS, state, new_state
        answers = kind == SYN_ACK and entry["last_kind"] == SYN and entry["last_direction"] != direction
        if not answers or packet["ack"] != entry["last_end"]:
            remember_ignored(entry, packet, direction, kind, end)
            return IGNORED, state, new_state
        resynchronise(entry, mine, theirs)
        state, new_state = wide(SYN_SENT), wide(SYN_RECV)
    elif new_state == INVALID_STATE:
        return FORBIDDEN, state, new_state
    elif new_state == TIME_WAIT and state == LAST_ACK and kind == ACK:
        if entry["last_flags"] & EXPECT_CHALLENGE_ACK and entry["last_kind"] == SYN and entry["last_direction"] != direction:
            entry["last_flags"] &= 0xFF ^ EXPECT_CHALLENGE_ACK
            return IGNORED, state, new_state
    elif new_state == SYN_SENT2:
        entry["last_flags"] |= SIMULTANEOUS_OPEN
    elif new_state == SYN_RECV and direction == REPLY and kind == ACK:
        if entry["last_flags"] & SIMULTANEOUS_OPEN:
            new_state = wide(ESTABLISHED)
    elif kind == RST:
        if FIN_WAIT <= state <= CLOSE:
            skips_window = True  # the tuple may be in use again, and what is remembered be out of date
        else:
            outcome, new_state, skips_window = judge_reset(entry, theirs, packet, direction)
            if outcome != ACCEPTED:
                return outcome, state, new_state
    if not skips_window:
        outcome = check_window(entry, mine, theirs, packet, direction, kind, wide(packet["tcp_flags"]), wide(entry["state"]), end, enforced)
        if outcome != ACCEPTED:
            return outcome, state, new_state
    entry["last_kind"] = kind
    entry["last_direction"] = direction
    if new_state == FIN_WAIT and state != FIN_WAIT:
        mine["flags"] |= CLOSE_INIT
    return ACCEPTED, state, new_state
