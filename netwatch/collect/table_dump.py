"""The live state table as ctnetlink dumps it, read block by block and added up on the way.

A table of a million entries is 240 MB of messages and takes the kernel two seconds to write; nothing of that is kept. It is asked every
ten seconds or more, and the less often the longer it takes (``TableSurvey.duration_s``). Entries come and go meanwhile, so the sum is a
moment's only to within the walk.
"""

import os
import time
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from netwatch.collect.census import Classify, TableCount
from netwatch.errors import FirewallUnreachableError
from netwatch.kernel.netlink import CHUNK, DUMP, Netlink, message
from netwatch.model.firewall_state import TableSurvey
from netwatch.model.packet import Rows

GET_ENTRIES = 0x101
ANY_FAMILY = 0

BATCH = 8 * CHUNK
"""Bytes that are decoded together, a dozen of the kernel's blocks: a call for each would cost as much as the decoding."""


class DecodesEntries(Protocol):
    """``netwatch.decode.ctnetlink.EntryDecoder``; stages do not know each other, so it is handed in."""

    def decode(self, block: NDArray[np.uint8]) -> Rows: ...

    @property
    def done(self) -> bool: ...

    @property
    def error_number(self) -> int: ...

    @property
    def errors(self) -> dict[str, int]: ...


def dumped_entries(decoder: DecodesEntries, *, namespace: str | None = None) -> Iterator[Rows]:
    """Every entry of a namespace's table (``ENTRY``), IPv4 and IPv6, block by block.

    Raises:
        FirewallUnreachableError: the kernel refuses or does not answer.
    """
    buffer = np.empty(BATCH, np.uint8)
    room = memoryview(buffer)  # type: ignore[arg-type]  # numpy does not say that its arrays are buffers
    with Netlink(namespace) as asked:
        asked.send(message(GET_ENTRIES, DUMP, ANY_FAMILY))
        while True:
            filled = asked.receive_into(room)
            while filled <= BATCH - CHUNK and asked.waits():
                filled += asked.receive_into(room[filled:])
            rows = decoder.decode(buffer[:filled])
            if number := decoder.error_number:
                raise FirewallUnreachableError(f"the state table cannot be read: {os.strerror(number)}; CAP_NET_ADMIN is needed")
            yield rows
            if decoder.done:
                return


def survey_table(
    decoder: DecodesEntries,
    possible_timeouts: NDArray[np.uint32],
    *,
    namespace: str | None = None,
    classify: Classify | None = None,
    groups: int = 1,
) -> TableSurvey:
    """Walk over a namespace's table once.

    Raises:
        FirewallUnreachableError: the kernel refuses or does not answer.
    """
    at_s, began_s = time.time(), time.monotonic()
    count = TableCount(possible_timeouts, classify=classify, groups=groups)
    for entries in dumped_entries(decoder, namespace=namespace):
        count.add(entries)
    return count.survey(at_s=at_s, duration_s=time.monotonic() - began_s, errors=decoder.errors)
