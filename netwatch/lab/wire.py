"""Many frames in one system call: ``sendmmsg`` and ``recvmmsg`` on an AF_PACKET socket, over the rows of a numpy array.

One ``send`` a frame costs Python about 1 µs and the kernel an entry each; here the message headers are made once, as columns that point
into the array, and a call moves up to 1024 frames (UIO_MAXIOV). PACKET_QDISC_BYPASS hands frames to the device without a queue, so
nothing is kept back that could come after the end.
"""

import ctypes
import errno
import os
import socket

import numpy as np
from numpy.typing import NDArray

BATCH = 1024
SOL_PACKET, PACKET_QDISC_BYPASS, PACKET_IGNORE_OUTGOING = 263, 20, 23
RECEIVE_BUFFER_BYTES = 8 << 20
SO_RCVBUFFORCE = 33

Frames = NDArray[np.uint8]
"""A frame a row, all of one length."""

IOVEC = np.dtype([("base", "u8"), ("length", "u8")])
MESSAGE = np.dtype(
    [
        *(("name", "u8"), ("name_length", "u4"), ("pad", "u4"), ("iov", "u8"), ("iov_length", "u8")),
        *(("control", "u8"), ("control_length", "u8"), ("flags", "i4"), ("pad2", "i4"), ("length", "u4"), ("pad3", "u4")),
    ]
)
"""``struct mmsghdr`` on 64-bit Linux."""

LIBC = ctypes.CDLL(None, use_errno=True)


class Messages:
    """Message headers over the rows of an array that they keep alive."""

    def __init__(self, frames: Frames) -> None:
        assert frames.flags.c_contiguous
        rows, width = frames.shape
        self.frames = frames
        self._iov = np.zeros(rows, IOVEC)
        self._iov["base"] = frames.ctypes.data + np.arange(rows, dtype=np.uint64) * np.uint64(width)
        self._iov["length"] = width
        self.headers = np.zeros(rows, MESSAGE)
        self.headers["iov"] = self._iov.ctypes.data + np.arange(rows, dtype=np.uint64) * np.uint64(IOVEC.itemsize)
        self.headers["iov_length"] = 1

    def address(self, row: int) -> int:
        return int(self.headers.ctypes.data) + row * MESSAGE.itemsize


def open_wire(interface: str, *, receive: bool) -> socket.socket:
    """What puts frames on a link as they are; with ``receive``, IPv4 frames that come in can be read from it too."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    if receive:
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
    opened.bind((interface, 0x0800 if receive else 0))
    return opened


def send(wire: socket.socket, messages: Messages, count: int) -> int:
    """Send the first ``count`` frames; how many the kernel took. It takes fewer when its buffers are full: those are not tried again."""
    sent = 0
    while sent < count:
        taken = LIBC.sendmmsg(wire.fileno(), ctypes.c_void_p(messages.address(sent)), min(count - sent, BATCH), 0)
        if taken < 0:
            code = ctypes.get_errno()
            if code == errno.EINTR:
                continue
            if code in (errno.ENOBUFS, errno.EAGAIN):
                return sent
            raise OSError(code, os.strerror(code))
        sent += taken
    return sent


def receive(wire: socket.socket, messages: Messages) -> int:
    """Read what is there into the first rows, without waiting; how many rows."""
    taken = LIBC.recvmmsg(wire.fileno(), ctypes.c_void_p(messages.address(0)), min(len(messages.headers), BATCH), socket.MSG_DONTWAIT, None)
    return max(int(taken), 0)
