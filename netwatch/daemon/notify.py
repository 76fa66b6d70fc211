"""What systemd is told by the service it started: ready, still alive, about to stop (sd_notify(3), Type=notify and WatchdogSec).

A datagram to the socket that ``NOTIFY_SOCKET`` names; a name that begins with @ is abstract. Without that variable nobody listens and
nothing is sent. The variable is taken out of the environment, so that no child speaks in netwatch's name.
"""

import os
import socket


class Notifier:
    """Holds the socket open; a manager that went away is no error of ours."""

    def __init__(self) -> None:
        name = os.environ.pop("NOTIFY_SOCKET", "")
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self.failed = 0  # messages that nobody took
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self, status: str = "") -> None:
        self._send("READY=1", status)

    def alive(self) -> None:
        """To be said more often than every WatchdogSec, and only while the work goes on."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line that ``systemctl status`` shows."""
        self._send(status=text)

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, word: str = "", status: str = "") -> None:
        if self._socket is None:
            return
        lines = [word] if word else []
        if status:
            lines.append(f"STATUS={' '.join(status.split())}")
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            self.failed += 1

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
