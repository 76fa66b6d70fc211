"""A network interface as the kernel knows it now: whether it is there and up, and what its frames begin with.

Asked by ``ioctl`` on a socket of the right namespace; files under /sys/class/net show the namespace in which /sys was mounted.
Numbers: include/uapi/linux/sockios.h, if.h and if_arp.h.
"""

import errno
import fcntl
import socket
import struct

import msgspec

from netwatch.errors import CaptureError
from netwatch.kernel.namespace import entered

SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX = 0x8913, 0x8927, 0x8933
IFF_UP, IFF_LOOPBACK = 0x1, 0x8
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
LONGEST_NAME = 15
REQUEST = struct.Struct("=16sI20x")  # struct ifreq: the name, then a union

LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101
GONE = (errno.ENODEV, errno.ENXIO)


class Interface(msgspec.Struct, frozen=True):
    """What decides how an interface is captured."""

    name: str
    index: int
    is_up: bool
    is_loopback: bool
    has_ethernet: bool

    @property
    def link_type(self) -> int:
        """Of the frames that a ring of ours delivers (tcpdump's registry).

        Whatever is not Ethernet (tun, WireGuard, PPP, IP in IP, InfiniBand) has a header of its own or none, and not the same in both
        directions, so the kernel is asked for packets from their IP header on.
        """
        return LINKTYPE_ETHERNET if self.has_ethernet else LINKTYPE_RAW


def find_interface(name: str, namespace: str | None = None) -> Interface | None:
    """Look an interface up; ``None`` if there is none of that name (any more).

    Raises:
        CaptureError: there cannot be one of that name.
        FirewallUnreachableError: there is no such namespace.
    """
    if not 0 < len(name.encode()) <= LONGEST_NAME:
        raise CaptureError(f"interface '{name}': a name has 1 to {LONGEST_NAME} bytes")
    with entered(namespace):
        asked_on = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        with asked_on:
            flags, hardware, index = (_asked(asked_on, request, name) for request in (SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX))
    except OSError as error:
        if error.errno in GONE:
            return None
        raise CaptureError(f"interface '{name}': {error.strerror}") from error
    has_ethernet = hardware & 0xFFFF in (ARPHRD_ETHER, ARPHRD_LOOPBACK)
    return Interface(name, index, bool(flags & IFF_UP), bool(flags & IFF_LOOPBACK), has_ethernet)


def _asked(asked_on: socket.socket, request: int, name: str) -> int:
    answer = fcntl.ioctl(asked_on, request, REQUEST.pack(name.encode(), 0))
    return int(REQUEST.unpack(answer)[1])
