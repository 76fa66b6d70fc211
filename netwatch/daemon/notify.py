"""What systemd wants to hear of a service of ``Type=notify`` (sd_notify(3)): READY, STATUS, WATCHDOG, RELOADING and STOPPING.

One datagram to the socket that NOTIFY_SOCKET names; without it nothing is said. Whoever cannot be told is no reason to stop.
"""

import os
import socket
import time
from contextlib import suppress


class Notifier:
    """Tells the service manager, if there is one."""

    def __init__(self) -> None:
        address = os.environ.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """It is started, or reloaded."""
        self._say("READY=1", f"STATUS={status}")

    def alive(self) -> None:
        """For WatchdogSec."""
        self._say("WATCHDOG=1")

    def reloading(self) -> None:
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as telling:
            telling.setblocking(False)
            telling.sendto("\n".join(lines).replace("\0", "").encode(), self._address)
