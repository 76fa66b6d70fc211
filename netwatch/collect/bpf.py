"""The filter that a ring's socket carries: cuts packets, samples them, leaves out what was sent. Classic BPF, run by the kernel.

A ring has no snap length of its own; what a filter returns is how many bytes of a packet are kept, and 0 drops it before it costs anything
of the ring (128 bytes instead of whole packets made a ring last three times as long). The kernel offers the packet's direction and a
random number as words at negative addresses (linux/filter.h, ``SKF_AD_OFF``), so a program of seven instructions does all of it.
"""

import ctypes
import socket
import struct

SO_ATTACH_FILTER = 26
LOAD_WORD, MODULO, JUMP_IF_EQUAL, RETURN = 0x20, 0x94, 0x15, 0x06
PACKET_TYPE, RANDOM = 0xFFFF_F004, 0xFFFF_F038  # SKF_AD_OFF + SKF_AD_PKTTYPE and SKF_AD_RANDOM
INSTRUCTION = struct.Struct("=HBBI")  # code, jump if true, jump if false, operand; jumps skip so many instructions


def ring_filter(*, snaplen: int, one_in: int = 1, outgoing: bool = True) -> bytes:
    """A program that keeps ``snaplen`` bytes of one in ``one_in`` packets, by lot.

    A lot for each packet, not every n-th one: senders and timers have a rhythm, and counting would fall in step with it.
    """
    sampling = [(LOAD_WORD, 0, 0, RANDOM), (MODULO, 0, 0, one_in), (JUMP_IF_EQUAL, 0, 1, 0)] if one_in > 1 else []
    direction = [(LOAD_WORD, 0, 0, PACKET_TYPE), (JUMP_IF_EQUAL, len(sampling) + 1, 0, socket.PACKET_OUTGOING)] if not outgoing else []
    verdicts = [(RETURN, 0, 0, snaplen), (RETURN, 0, 0, 0)]
    return b"".join(INSTRUCTION.pack(*instruction) for instruction in direction + sampling + verdicts)


def attach(program: bytes, to: socket.socket) -> None:
    """Let the kernel run a program for each packet of a socket."""
    instructions = ctypes.create_string_buffer(program, len(program))
    length = len(program) // INSTRUCTION.size
    to.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", length, ctypes.addressof(instructions)))
