"""Entries of a kernel's state table as columns: one structured numpy row each, as ctnetlink shows them."""

from enum import IntFlag

import numpy as np

ENTRY = np.dtype(
    [
        ("src_hi", np.uint64),  # of the original direction, as are the ports: who opened it, and to what before translation
        ("src_lo", np.uint64),
        ("dst_hi", np.uint64),
        ("dst_lo", np.uint64),
        ("hash", np.uint64),  # of the 5-tuple, by ``tuple_hash`` with the decoder's seed: the same as a packet's
        ("original_bytes", np.uint64),  # IP bytes of the opener; valid if ``accounted``
        ("reply_bytes", np.uint64),
        ("original_packets", np.uint64),
        ("reply_packets", np.uint64),
        ("timeout_s", np.uint32),  # seconds it has left; NO_TIMEOUT if the kernel does not say
        ("status", np.uint32),  # EntryStatus
        ("mark", np.uint32),
        ("id", np.uint32),  # tells it from a later entry of the same tuple
        ("tuple_at", np.uint32),  # where the message's CTA_TUPLE_ORIG lies in the block it was read from
        ("tuple_len", np.uint16),  # bytes of that attribute, its header included
        ("zone", np.uint16),  # of both directions; a zone of one direction is part of its tuple
        ("sport", np.uint16),
        ("dport", np.uint16),
        ("protocol", np.uint8),
        ("state", np.uint8),  # SessionState
        ("family", np.uint8),  # AF_INET or AF_INET6, as the message has it
        ("accounted", np.uint8),  # 1: the kernel counts packets and bytes (nf_conntrack_acct)
    ]
)
"""104 bytes; the kernel's message of an entry takes about 240."""

NO_TIMEOUT = 0xFFFF_FFFF
"""Entries in a flowtable are shown without a time left: the hardware or the fast path keeps them alive, not the state table."""


class EntryStatus(IntFlag):
    """include/uapi/linux/netfilter/nf_conntrack_common.h, ``enum ip_conntrack_status``."""

    EXPECTED = 0x0001
    SEEN_REPLY = 0x0002
    ASSURED = 0x0004
    CONFIRMED = 0x0008
    SRC_NAT = 0x0010
    DST_NAT = 0x0020
    DYING = 0x0200
    FIXED_TIMEOUT = 0x0400
    OFFLOAD = 0x4000
    HW_OFFLOAD = 0x8000
