"""ctnetlink: a dump of the kernel's state table, blocks of messages in, columns out.

The kernel hands a dump out in blocks of up to 32 kB. Which attributes an entry has depends on the kernel and on what is switched on
(accounting, marks, zones, helpers), so they are read by type, not by place; that costs about 100 ns an entry, next to the 2 µs that the
kernel takes to write one (465,000 entries/s measured). An entry that is not whole is counted and left out: somebody may delete what is
shown here. Numbers: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.decode.ctnetlink_entry import read_entry
from netwatch.decode.netlink import MESSAGE_DONE, MESSAGE_ERROR, MESSAGE_HEADER, MessageStatus, aligned, host_16, host_32
from netwatch.decode.octets import Octets
from netwatch.jit import njit
from netwatch.model.entry import ENTRY
from netwatch.model.packet import Rows
from netwatch.model.tuple_hash import FIXED_SEED

ENTRY_MESSAGE = 0x0100
"""Subsystem 1 (ctnetlink), message 0 (IPCTNL_MSG_CT_NEW): how an entry is shown in a dump, and a new one in the stream of events."""

SMALLEST_ENTRY = 56
"""Bytes of the smallest message that can make a row: headers, two addresses and a protocol."""

CUT_MESSAGE, OTHER_MESSAGE = int(MessageStatus.CUT_MESSAGE), int(MessageStatus.OTHER_MESSAGE)
ROWS, DONE, ERROR = range(3)
"""Places of a block's outcome."""


@njit
def decode_entries(data: Octets, rows: Rows, statuses: NDArray[np.int64], outcome: NDArray[np.int64], seed: np.uint64) -> None:
    """Fill one row for each entry of a block; count each message by its status; note how the dump stands."""
    at, row_count = 0, 0
    while at < data.size and row_count < len(rows):
        length = host_32(data, at) if data.size - at >= MESSAGE_HEADER else 0
        if length < MESSAGE_HEADER or length > data.size - at:
            statuses[CUT_MESSAGE] += 1
            break
        kind, end = host_16(data, at + 4), at + length
        if kind == ENTRY_MESSAGE:
            status = read_entry(data, at, end, rows[row_count], seed)
            statuses[status] += 1
            if status == 0:
                row_count += 1
        elif kind in (MESSAGE_DONE, MESSAGE_ERROR):
            outcome[DONE] = 1
            if length >= MESSAGE_HEADER + 4:
                outcome[ERROR] = (1 << 32) - host_32(data, at + MESSAGE_HEADER) & 0xFFFF_FFFF
        else:
            statuses[OTHER_MESSAGE] += 1
        at += aligned(length)
    outcome[ROWS] = row_count


class EntryDecoder:
    """Decodes the blocks of one dump after the other; ``errors`` adds up over all of them."""

    def __init__(self, *, hash_seed: int = FIXED_SEED) -> None:
        self._seed = np.uint64(hash_seed)
        self._statuses = np.zeros(len(MessageStatus), np.int64)
        self._outcome = np.zeros(3, np.int64)

    def decode(self, block: NDArray[np.uint8]) -> Rows:
        """Return the rows (``ENTRY``) of a block, in its order. They hold no reference to its bytes.

        A block that is cut in the middle of a message gives the rows before it.
        """
        data = np.ascontiguousarray(block).view()
        data.flags.writeable = False  # one kernel serves a buffer and a file map
        rows = np.empty(len(data) // SMALLEST_ENTRY + 1, ENTRY)
        self._outcome[:] = 0
        decode_entries(data, rows, self._statuses, self._outcome, self._seed)
        return rows[: self._outcome[ROWS]]

    @property
    def done(self) -> bool:
        """The last block ended its dump (or answered with an error)."""
        return bool(self._outcome[DONE])

    @property
    def error_number(self) -> int:
        """``errno`` that the kernel ended the dump with; 0 none."""
        return int(self._outcome[ERROR])

    @property
    def entries(self) -> int:
        """Rows so far."""
        return int(self._statuses[MessageStatus.OK])

    @property
    def errors(self) -> dict[str, int]:
        """Messages that gave no row, by reason."""
        return {status.name.lower(): int(self._statuses[status]) for status in MessageStatus if status and self._statuses[status]}
