"""One interface's packets, read where the kernel wrote them: an AF_PACKET ring (TPACKET_V3, Documentation/networking/packet_mmap.rst).

The kernel fills blocks of a memory map one after the other and hands a block over when it is full, or ``retire_ms`` after its first packet.
Python looks at one status word a block, a kernel of ours at its packets; nothing is copied. So a block is lent: it must be given back when
it was decoded, and what is not given back in time is lost for new packets. The kernel counts those losses.

What a ring shows is what the state table is shown, not the wire: neighbouring segments of a TCP stream come joined (GRO), as one packet
of up to 64 kB, one for the firewall and one here. A SYN or RST is never joined, and a FIN only as the last; bytes are right.
"""

import mmap
import socket
import struct
from typing import Literal, Self

import msgspec
import numpy as np

from netwatch.collect.bpf import attach, ring_filter
from netwatch.collect.interface import Interface
from netwatch.collect.ring_block import SMALLEST_PACKET, STATUS_OFFSET, walk_block
from netwatch.errors import CaptureError
from netwatch.kernel.namespace import entered
from netwatch.model.packet import FRAME, FrameBlock

SNAPLEN = 128
"""Bytes kept of a packet: Ethernet with two tags, IPv6 and a TCP header with all its options are 122. Headers inside a tunnel need 192."""

# linux/if_packet.h; Python's socket module has none of these.
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, PACKET_IGNORE_OUTGOING = 1, 5, 6, 10, 23
PACKET_MR_PROMISC = 1
TPACKET_V3 = 2
STATUS_KERNEL, STATUS_USER = 0, 1
ETH_P_ALL = 0x0003
FRAME_SIZE = 2048
"""The kernel wants to be told one, and checks it against the block; a V3 ring packs its packets without regard to it."""


class InterfaceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one interface is captured."""

    interface: str
    sample: int = 1
    """One in so many packets, by lot. Counts of packets and flags are then multiplied by it; counts of flows must not be."""

    ways: Literal["in", "both"] = "both"
    """``both`` sees both directions on one link. Where both sides of a firewall are captured, a forwarded packet is received on one and
    sent on the other: ``in`` on each side counts it once, before the firewall judges it. If the firewall translates addresses, a session
    looks the same in both directions on one side only: capture that one, ``both`` ways. On the loopback interface each packet is sent and
    received at once; only what is received is taken, whatever is set."""

    promiscuous: bool = False
    snaplen: int = SNAPLEN


class RingGeometry(msgspec.Struct, frozen=True, kw_only=True):
    """The memory of a ring, 64 MiB as it is.

    A reader may stay away until all blocks are used up. They are at the latest after ``blocks * retire_ms``, 2.6 s, since a block is handed
    over after that time however little is in it: sixteen blocks lose packets of a nearly idle link after 0.16 s. And they are when all
    bytes are used: after half a second at 0.6 million packets a second, 128 bytes kept of each.
    """

    block_bytes: int = 1 << 18
    blocks: int = 256
    retire_ms: int = 10


class RingStatistics(msgspec.Struct, frozen=True):
    """Of the kernel; packets that the filter left out are not in it."""

    packets: int = 0  # the lost ones included
    lost: int = 0
    freezes: int = 0  # times that the ring was full

    def __add__(self, other: Self) -> "RingStatistics":
        return RingStatistics(self.packets + other.packets, self.lost + other.lost, self.freezes + other.freezes)


class Ring:
    """The ring of one interface; ``number`` is what its frames call it."""

    def __init__(
        self,
        interface: Interface,
        settings: InterfaceSettings,
        *,
        number: int = 0,
        geometry: RingGeometry = RingGeometry(),  # noqa: B008 (frozen)
        namespace: str | None = None,
    ) -> None:
        """Begin to capture.

        Raises:
            CaptureError: no permission, no memory, or the interface went away.
        """
        self.interface = interface
        self.number = number
        self.statistics = RingStatistics()
        try:
            with entered(namespace):
                # Without a protocol nothing is received before ``bind``, when filter and ring are in place.
                self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW if interface.has_ethernet else socket.SOCK_DGRAM, 0)
        except OSError as error:
            raise CaptureError(f"interface {interface.name}: {error.strerror}; capturing needs CAP_NET_RAW") from error
        try:
            self._map = self._mapped(settings, geometry)
        except OSError as error:
            self._socket.close()
            raise CaptureError(f"interface {interface.name} cannot be captured: {error.strerror}") from error
        memory = np.frombuffer(self._map, np.uint8)
        self._blocks = list(memory.reshape(geometry.blocks, geometry.block_bytes))
        self._statuses = memory.view(np.uint32)[STATUS_OFFSET // 4 :: geometry.block_bytes // 4]
        self._frames = np.zeros(geometry.block_bytes // SMALLEST_PACKET, FRAME)
        self._next = 0
        try:
            self._begin(settings)
        except OSError as error:
            self.close()
            raise CaptureError(f"interface {interface.name} cannot be captured: {error.strerror}") from error

    def _mapped(self, settings: InterfaceSettings, geometry: RingGeometry) -> mmap.mmap:
        """Filter and ring, in this order, and before anything is received."""
        opened = self._socket
        opened.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
        incoming_only = settings.ways == "in" or self.interface.is_loopback
        if incoming_only:
            self._spare_outgoing()
        attach(ring_filter(snaplen=settings.snaplen, one_in=settings.sample, outgoing=not incoming_only), opened)
        frames = geometry.block_bytes // FRAME_SIZE * geometry.blocks
        request = struct.pack("=7I", geometry.block_bytes, geometry.blocks, FRAME_SIZE, frames, geometry.retire_ms, 0, 0)
        opened.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
        return mmap.mmap(opened.fileno(), geometry.block_bytes * geometry.blocks)

    def _begin(self, settings: InterfaceSettings) -> None:
        # Compiled or loaded at its first call, which takes up to seconds: a full ring, if packets came by then.
        walk_block(self._blocks[0], self.interface.link_type, self.number, self._frames)
        self._socket.bind((self.interface.name, ETH_P_ALL))
        if settings.promiscuous:
            membership = struct.pack("=iHH8x", self.interface.index, PACKET_MR_PROMISC, 0)
            self._socket.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership)

    def _spare_outgoing(self) -> None:
        """Since Linux 4.20 packets that are sent can be left out before they cost anything; older kernels let the filter drop them."""
        try:
            self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        except OSError:
            return

    def fileno(self) -> int:
        """For ``poll``: readable while a block waits."""
        return self._socket.fileno()

    def take(self) -> FrameBlock | None:
        """The next block that the kernel has handed over, lent until ``give_back``; ``None`` if there is none yet."""
        if not self._statuses[self._next] & STATUS_USER:
            return None
        block = self._blocks[self._next]
        found = walk_block(block, self.interface.link_type, self.number, self._frames)
        return FrameBlock(block, self._frames[:found])

    def give_back(self) -> None:
        """Let the kernel fill the block that was taken last."""
        # The interpreter's lock, let go and taken again around each kernel, is the memory barrier between the last read and this.
        self._statuses[self._next] = STATUS_KERNEL
        self._next = (self._next + 1) % len(self._blocks)

    def trouble(self) -> int:
        """``errno`` of what befell the socket since it was asked last; ENETDOWN when the interface went down or away."""
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def count(self) -> RingStatistics:
        """Statistics since the ring was opened; the kernel forgets what it has told."""
        told = struct.unpack("=3I", self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 12))
        self.statistics += RingStatistics(*told)
        return self.statistics

    def close(self) -> None:
        """Stop capturing. The memory of a block that somebody still holds lives until it is let go."""
        self._socket.close()
        del self._blocks, self._statuses
        try:
            self._map.close()
        except BufferError:
            return
