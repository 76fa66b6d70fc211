"""From a packet to its entry: which fields name a session, and in which direction the packet goes.

TCP, UDP, UDP-Lite and SCTP sessions are named by addresses and ports, ICMP's by addresses, identifier, type and code, all others by their
addresses alone (net/netfilter/nf_conntrack_core.c, nf_ct_get_tuple). PPTP's GRE would also have a call number; without a helper that knows
both, netfilter itself cannot put its two directions together, so here such tunnels are named like any other GRE.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import called, inlined, wide
from netwatch.model.packet import Rows
from netwatch.track.plain_enums import ICMP_PROTOCOL, ICMPV6_PROTOCOL
from netwatch.track.session_entry import NO_ROW, Arrays
from netwatch.track.session_slots import EMPTY, ONE, ROW_MASK, TAG_SHIFT, hash_tag, home_slot
from netwatch.track.tcp_tracker import ORIGINAL

# Of an ICMP type without an answering type.
UNTRACKED_TYPE, ERROR_TYPE, UNKNOWN_TYPE, LONELY_TYPE = -1, -2, -3, -4


def _answers() -> NDArray[np.int16]:
    """The type that answers each ICMP type, or what else netfilter does with it; row 0 ICMP, row 1 ICMPv6.

    nf_conntrack_proto_icmp.c: errors are 3, 4, 5, 11 and 12, and types above 18 are invalid. nf_conntrack_proto_icmpv6.c: errors are all
    below 128, and redirects (137), which say what they are about in an option that the decoder does not read: they find no session.
    Neighbour discovery and multicast membership are not tracked at all.
    """
    answers = np.full((2, 256), LONELY_TYPE, np.int16)
    answers[0, 19:] = UNKNOWN_TYPE
    answers[0, [3, 4, 5, 11, 12]] = ERROR_TYPE
    answers[1, :128] = ERROR_TYPE
    answers[1, 137] = ERROR_TYPE
    answers[1, [130, 131, 132, 133, 134, 135, 136, 143, 151, 152]] = UNTRACKED_TYPE
    for row, asked, answered in ((0, 8, 0), (0, 13, 14), (0, 15, 16), (0, 17, 18), (1, 128, 129), (1, 139, 140)):
        answers[row, asked], answers[row, answered] = answered, asked
    return answers


def _opening() -> NDArray[np.bool_]:
    """Whether an ICMP type may open a session: only what asks."""
    opening = np.zeros((2, 256), np.bool_)
    opening[0, [8, 13, 15, 17]] = True
    opening[1, [128, 139]] = True
    return opening


ICMP_ANSWERS = _answers()
ICMP_OPENS = _opening()


@inlined
def find(
    table: Arrays,
    tag: np.uint64,
    src_hi: np.uint64,
    src_lo: np.uint64,
    dst_hi: np.uint64,
    dst_lo: np.uint64,
    sport: int,
    dport: int,
    protocol: int,
    icmp_type: int,
    icmp_answer: int,
    icmp_code: int,
) -> tuple[np.uint64, np.uint64]:
    """The row of a packet's entry and the packet's direction in it; ``NO_ROW`` if there is none.

    A packet from an address and port to themselves is in both directions; netfilter meets the reply first, having hung it up last.
    """
    slot_count = np.uint64(len(table.slots))
    position = home_slot(tag, slot_count)
    while True:
        slot = table.slots[position]
        if slot == EMPTY:
            return NO_ROW, ORIGINAL
        if slot >> TAG_SHIFT == tag:
            row = slot & ROW_MASK
            entry = table.entries[row]
            # Which direction a packet goes cannot be predicted, so both are compared as numbers, without a branch.
            named_otherwise = np.uint64(entry["protocol"] ^ protocol) | np.uint64(entry["icmp_code"] ^ icmp_code)
            as_reply = (entry["dst_lo"] ^ src_lo) | (entry["src_lo"] ^ dst_lo) | (entry["dst_hi"] ^ src_hi) | (entry["src_hi"] ^ dst_hi)
            as_reply |= np.uint64(entry["dport"] ^ sport) | np.uint64(entry["sport"] ^ dport) | np.uint64(entry["icmp_type"] ^ icmp_answer)
            as_original = (entry["src_lo"] ^ src_lo) | (entry["dst_lo"] ^ dst_lo) | (entry["src_hi"] ^ src_hi) | (entry["dst_hi"] ^ dst_hi)
            as_original |= np.uint64(entry["sport"] ^ sport) | np.uint64(entry["dport"] ^ dport) | np.uint64(entry["icmp_type"] ^ icmp_type)
            is_reply = as_reply == EMPTY
            if named_otherwise == EMPTY and (is_reply | (as_original == EMPTY)):
                return row, np.uint64(is_reply)
        position = (position + ONE) & (slot_count - ONE)


@called
def concerns_session(table: Arrays, quoted: Rows, number: int, to_hi: np.uint64, to_lo: np.uint64, now_ns: int) -> bool:
    """Whether an ICMP error is about an entry: it quotes a packet of one, and goes to who sent that packet (nf_conntrack_inet_error)."""
    if number < 0 or number >= len(quoted):
        return False
    quote = quoted[number]
    if quote["src_hi"] != to_hi or quote["src_lo"] != to_lo:
        return False
    protocol = wide(quote["protocol"])
    sport, dport, icmp_id = wide(quote["sport"]), wide(quote["dport"]), wide(0)
    kind, answer = wide(0), wide(0)
    if protocol in (ICMP_PROTOCOL, ICMPV6_PROTOCOL):
        kind = wide(quote["icmp_type"])
        answer = wide(ICMP_ANSWERS[1 if protocol == ICMPV6_PROTOCOL else 0, kind])
        if answer < 0:
            return False
        icmp_id = wide(quote["icmp_id"])
        sport = dport = icmp_id
    row, _ = find(
        table,
        hash_tag(quote["hash"], np.uint64(icmp_id)),
        quote["src_hi"],
        quote["src_lo"],
        quote["dst_hi"],
        quote["dst_lo"],
        sport,
        dport,
        protocol,
        kind,
        answer,
        wide(0),
    )
    return bool(row != NO_ROW and table.entries[row]["expires_ns"] > now_ns)
