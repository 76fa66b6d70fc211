"""Which sessions live, and which are silent: their clients sent payload and a packet of theirs passed lately, or never said anything.

No eviction may take the first; an eviction of the silent takes nothing but the second.

The kernel shows this of an entry only where it keeps accounts (``nf_conntrack_acct``), and never by time. The model has seen the packets.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import njit, wide
from netwatch.model.packet import Rows
from netwatch.model.tuple_hash import tuple_hash
from netwatch.track.session_entry import CLIENT_PAYLOAD, HANDSHAKE
from netwatch.track.session_table import SECOND_NS, SessionTable

LIVELY_NS = 300 * SECOND_NS
"""A banner of the server alone makes no session alive, nor do keep-alives; a client that spoke within these minutes does."""

ONE = np.uint64(1)


@njit
def hash_sessions(
    entries: Rows, rows: np.uint64, since_ns: int, looked_at: int, wanted: int, seed: np.uint64, hashes: NDArray[np.uint64]
) -> int:
    """Write the hash of each entry seen since then with that history; return how many they are."""
    found = 0
    for row in range(ONE, rows):
        entry = entries[row]
        if entry["protocol"] == 0 or wide(entry["history"]) & looked_at != wanted or entry["last_seen_ns"] < since_ns:
            continue
        hashes[found] = tuple_hash(
            entry["src_hi"], entry["src_lo"], entry["dst_hi"], entry["dst_lo"], entry["sport"], entry["dport"], entry["protocol"], seed
        )
        found += 1
    return found


def lively_hashes(sessions: SessionTable, now_ns: int, seed: int) -> NDArray[np.uint64]:
    """The sorted hashes (``tuple_hash``) of the sessions that live now."""
    return _hashes(sessions, now_ns - LIVELY_NS, CLIENT_PAYLOAD, CLIENT_PAYLOAD, seed)


def silent_hashes(sessions: SessionTable, seed: int) -> NDArray[np.uint64]:
    """The sorted hashes of the sessions whose handshake was seen, and not a word of the client since."""
    return _hashes(sessions, 0, HANDSHAKE | CLIENT_PAYLOAD, HANDSHAKE, seed)


def _hashes(sessions: SessionTable, since_ns: int, looked_at: int, wanted: int, seed: int) -> NDArray[np.uint64]:
    entries, rows = sessions.rows
    hashes = np.empty(rows, np.uint64)
    found = hash_sessions(entries, np.uint64(rows), since_ns, looked_at, wanted, np.uint64(seed), hashes)
    return np.sort(hashes[:found])
