"""The kernel's layout of a ring block (TPACKET_V3, include/uapi/linux/if_packet.h), and the walk over the packets in it.

The block begins with a descriptor; each packet has a header of 48 bytes, a link address (``sockaddr_ll``) and its bytes, and says where the
next one begins. The kernel takes a VLAN tag out of the bytes and reports it in the header; its four bytes are added to the length on the
wire again, as libpcap does, so that live counts are those of a capture file.
"""

import numpy as np
from numpy.typing import NDArray

from netwatch.jit import njit
from netwatch.model.packet import Direction, Rows

STATUS_OFFSET = 8
COUNT_WORD, FIRST_WORD = 3, 4  # of tpacket_block_desc, in words of 32 bits
NEXT, SECONDS, NANOSECONDS, CAPTURED, WIRE, STATUS, PLACES, VLAN = 0, 1, 2, 3, 4, 5, 6, 8  # of tpacket3_hdr, likewise
PACKET_TYPE_OFFSET = 58  # sll_pkttype, from the packet's header on
HEADER_BYTES = 68
VLAN_VALID = 1 << 4
VLAN_ID_MASK, VLAN_TAG_BYTES = 0x0FFF, 4
OTHER_HOST, OUTGOING = 3, 4
SMALLEST_PACKET = 96
"""Bytes of a block that a packet costs at least: its header, padding, and the first bytes of a frame."""

INGRESS, EGRESS, UNKNOWN = int(Direction.INGRESS), int(Direction.EGRESS), int(Direction.UNKNOWN)


@njit
def walk_block(block: NDArray[np.uint8], link_type: int, interface: int, frames: Rows) -> int:
    """Write a row for each packet of a block; return how many. What would lie outside of the block ends the walk."""
    words = block.view(np.uint32)
    count, offset = np.int64(words[COUNT_WORD]), np.int64(words[FIRST_WORD])
    found, room = 0, min(count, np.int64(len(frames)))
    while found < room and 0 <= offset <= len(block) - HEADER_BYTES and offset % 4 == 0:
        at = offset // 4
        captured, first = np.int64(words[at + CAPTURED]), offset + np.int64(words[at + PLACES] & np.uint32(0xFFFF))
        if first + captured > len(block):
            break
        frame = frames[found]
        frame.offset = first
        frame.ts_ns = np.int64(words[at + SECONDS]) * 1_000_000_000 + np.int64(words[at + NANOSECONDS])
        frame.captured_len = captured
        frame.wire_len = words[at + WIRE]
        frame.link_type = link_type
        frame.interface = interface
        frame.vlan = 0
        if words[at + STATUS] & np.uint32(VLAN_VALID):
            frame.vlan = words[at + VLAN] & np.uint32(VLAN_ID_MASK)
            frame.wire_len += VLAN_TAG_BYTES
        packet_type = block[offset + PACKET_TYPE_OFFSET]
        frame.direction = EGRESS if packet_type == OUTGOING else UNKNOWN if packet_type == OTHER_HOST else INGRESS
        found += 1
        step = np.int64(words[at + NEXT])
        if step == 0:
            break
        offset += step
    return found
