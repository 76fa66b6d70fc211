"""IP reassembly as the kernel does it in front of its connection tracker: fragments wait, whole datagrams go on.

A firewall that keeps state has to see ports, and only the first fragment has them; so Linux collects fragments before conntrack
(nf_defrag_ipv4, nf_defrag_ipv6), in at most 4 MiB for each family and for at most 30 s (IPv4) or 60 s (IPv6) a datagram. Whoever sends
fragments that never become whole fills that memory, and from then on *every* fragmented datagram is lost, until the time-out frees it.

What the model does to packet rows:

* a fragment that waits, or is refused, is marked ``HELD``: the tracker never sees it (but for one of IPv6 that is not the last and
  whose length is no multiple of 8, which RFC 8200 section 4.5 forbids: the kernel lets that pass as it is, and its tracker, which finds no
  ports unless it is the first, calls it invalid);
* the one that completes a datagram is marked ``REASSEMBLED`` and takes the first fragment's ports, flags and numbers, with the payload of
  the whole datagram; it is the packet that the tracker sees;
* a later fragment that comes after its first takes its ports, so that its bytes count for the flow it belongs to. One that comes before has
  no ports and counts as a flow of fragments of its own; captures without fragments are not touched at all.

Not modelled: ``ipfrag_max_dist`` (a sender's datagrams that are overtaken by 64 other fragments), and errors of ECN bits.
"""

import numpy as np

from netwatch.model.packet import PACKET, Layer, PacketBlock, Rows
from netwatch.model.tuple_hash import FIXED_SEED
from netwatch.track.fragment_bits import WORDS
from netwatch.track.fragment_kernel import BOOK, DATAGRAM, QUEUE_BYTES, SMALLEST_BUFFER, expire_datagrams, holds_fragments, reassemble

MEMORY_LIMIT_BYTES = 4 << 20
"""net.ipv4.ipfrag_high_thresh and net.netfilter.nf_conntrack_frag6_high_thresh."""

IPV4_TIMEOUT_S = 30.0
IPV6_TIMEOUT_S = 60.0
BUCKETS = 8192
FAILURES = ("timed_out", "memory", "overlap", "too_big", "inconsistent")


class Reassembly:
    """Incomplete datagrams of both families, and what became of those before."""

    def __init__(
        self,
        *,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        ipv4_timeout_s: float = IPV4_TIMEOUT_S,
        ipv6_timeout_s: float = IPV6_TIMEOUT_S,
        seed: int = FIXED_SEED,
    ) -> None:
        if memory_limit_bytes < 0:
            raise ValueError(f"memory_limit_bytes of the reassembly must be at least 0, got {memory_limit_bytes}")
        if ipv4_timeout_s <= 0 or ipv6_timeout_s <= 0:
            raise ValueError(f"time-outs of the reassembly must be above 0 s, got {ipv4_timeout_s} and {ipv6_timeout_s}")
        rows = 2 * (memory_limit_bytes // (QUEUE_BYTES + SMALLEST_BUFFER) + 2)
        self._seed = np.uint64(seed)
        self._book = np.zeros(1, BOOK)
        self._book["memory_limit"] = memory_limit_bytes
        self._book["timeout_ns"] = [[round(ipv4_timeout_s * 1e9), round(ipv6_timeout_s * 1e9)]]
        self._book["free"] = 1
        self._datagrams = np.zeros(rows, DATAGRAM)
        self._datagrams["chain"][:-1] = np.arange(2, rows + 1)
        self._firsts = np.zeros(rows, PACKET)
        self._buckets = np.zeros(BUCKETS, np.uint32)
        self._held, self._starts = np.zeros((rows, WORDS), np.uint64), np.zeros((rows, WORDS), np.uint64)

    def track(self, block: PacketBlock, tracked: Rows | None = None) -> None:
        """Mark the fragments of a block, and make whole what is complete. ``tracked`` is what the other trackers fill; there is nothing of
        fragments in it."""
        if holds_fragments(block.packets):
            chosen = np.flatnonzero(block.packets["layers"] & Layer.FRAGMENT)
            reassemble(
                block.packets,
                chosen,
                self._seed,
                self._book,
                self._datagrams,
                self._firsts,
                self._buckets,
                self._held,
                self._starts,
            )

    def advance(self, now_ns: int) -> None:
        """Let time pass: give up what waited too long."""
        if self.datagrams_held:
            expire_datagrams(now_ns, self._book, self._datagrams, self._buckets)

    def _number(self, name: str) -> int:
        return int(self._book[name].sum())

    @property
    def received(self) -> int:
        """Fragments, atomic ones not counted."""
        return self._number("received")

    @property
    def completed(self) -> int:
        """Datagrams that became whole."""
        return self._number("completed")

    @property
    def failures(self) -> dict[str, int]:
        """What was given up, by reason: datagrams, and for ``memory`` fragments (as the kernel's ReasmFails counts them)."""
        return {reason: self._number(reason) for reason in FAILURES}

    @property
    def failed(self) -> int:
        """The same, all reasons together."""
        return sum(self.failures.values())

    @property
    def duplicates(self) -> int:
        """Fragments that came again and were ignored."""
        return self._number("duplicates")

    @property
    def datagrams_held(self) -> int:
        return self._number("datagrams")

    @property
    def bytes_held(self) -> int:
        """Kernel memory of incomplete datagrams, both families."""
        return int(self._book["memory_held"].sum())
