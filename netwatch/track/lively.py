"""Which sessions live: their clients sent payload, and a packet of theirs passed lately. No eviction may take them.

The kernel shows this of an entry only where it keeps accounts (``nf_conntrack_acct``), and never by time. The model has seen the packets.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import njit
from netwatch.model.packet import Rows
from netwatch.model.tuple_hash import tuple_hash
from netwatch.track.session_entry import CLIENT_PAYLOAD
from netwatch.track.session_table import SECOND_NS, SessionTable

LIVELY_NS = 300 * SECOND_NS
"""A banner of the server alone makes no session alive, nor do keep-alives; a client that spoke within these minutes does."""

ONE = np.uint64(1)


@njit
def hash_lively(entries: Rows, rows: np.uint64, since_ns: int, seed: np.uint64, hashes: NDArray[np.uint64]) -> int:
    """Write the hash of each lively entry; return how many they are."""
    found = 0
    for row in range(ONE, rows):
        entry = entries[row]
        if entry["protocol"] == 0 or not entry["history"] & CLIENT_PAYLOAD or entry["last_seen_ns"] < since_ns:
            continue
        hashes[found] = tuple_hash(
            entry["src_hi"], entry["src_lo"], entry["dst_hi"], entry["dst_lo"], entry["sport"], entry["dport"], entry["protocol"], seed
        )
        found += 1
    return found


def lively_hashes(sessions: SessionTable, now_ns: int, seed: int) -> NDArray[np.uint64]:
    """The sorted hashes (``tuple_hash``) of the sessions that live now."""
    entries, rows = sessions.rows
    hashes = np.empty(rows, np.uint64)
    found = hash_lively(entries, np.uint64(rows), now_ns - LIVELY_NS, np.uint64(seed), hashes)
    return np.sort(hashes[:found])
