"""Three network namespaces, client, firewall and server, with netwatch's base table on the firewall: where rules meet real packets.

::

    client 198.51.100.2 ──── firewall ──── 203.0.113.25 server
    2001:db8:c::2                          2001:db8:5::25

The client also owns 192.0.2.2, as the attacker's prefix.
"""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pyroute2 import netns

from captures.generator.wire import Packet, ip_header, transport
from netwatch.rulebook import rules_folder

SERVER, SERVER6, PORT = "203.0.113.25", "2001:db8:5::25", 25
CLIENT, CLIENT6, ATTACKER = "198.51.100.2", "2001:db8:c::2", "192.0.2.2"
BANNER = b"220 mail.example\r\n"
PATIENCE_S = 1.5


def run(*words: str, stdin: str | None = None, check: bool = True) -> str:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0 or not check, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


class Site:
    """The namespaces, their links and the server; ``closing`` removes all of it."""

    def __init__(self) -> None:
        self.names = {role: f"nw-{os.getpid()}-{role}" for role in ("client", "firewall", "server")}
        self._listeners: list[socket.socket] = []

    def build(self) -> None:
        for role, name in self.names.items():
            run("ip", "netns", "add", name)
            self.on(role, "sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")  # else IPv6 says nothing for up to two seconds
        self._link("client", (f"{CLIENT}/24", f"{CLIENT6}/64", f"{ATTACKER}/24"), ("198.51.100.1/24", "2001:db8:c::1/64", "192.0.2.1/24"))
        self._link("server", (f"{SERVER}/24", f"{SERVER6}/64"), ("203.0.113.1/24", "2001:db8:5::1/64"))
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.on("firewall", "sysctl", "-qw", f"{key}=1")
        self.on("client", "ip", "route", "add", "default", "via", "198.51.100.1")
        self.on("client", "ip", "-6", "route", "add", "default", "via", "2001:db8:c::1")
        self.on("server", "ip", "route", "add", "default", "via", "203.0.113.1")
        self.on("server", "ip", "-6", "route", "add", "default", "via", "2001:db8:5::1")
        self.nft_file(rules_folder() / "nftables" / "base.nft")
        self.serve("server", "::")

    def _link(self, role: str, addresses: tuple[str, ...], gateways: tuple[str, ...]) -> None:
        run(
            "ip",
            "link",
            "add",
            "name",
            "uplink",
            "netns",
            self.names[role],
            "type",
            "veth",
            "peer",
            "name",
            role,
            "netns",
            self.names["firewall"],
        )
        for where, device, prefixes in ((role, "uplink", addresses), ("firewall", role, gateways)):
            for prefix in prefixes:
                self.on(where, "ip", "address", "add", prefix, "dev", device, *(["nodad"] if ":" in prefix else []))
            self.on(where, "ip", "link", "set", device, "up")
            self.on(where, "ip", "link", "set", "lo", "up")

    def serve(self, role: str, address: str) -> None:
        """Greet whoever connects to an address of a machine."""
        with self.inside(role):
            if ":" in address:
                listener = socket.create_server((address, PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
            else:
                listener = socket.create_server((address, PORT), backlog=128)
        self._listeners.append(listener)
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # the test is over
            with connection:
                connection.sendall(BANNER)

    def on(self, role: str, *words: str, check: bool = True) -> str:
        return run("ip", "netns", "exec", self.names[role], *words, check=check)

    def errors(self, role: str, *words: str) -> str:
        """What a command says on standard error, whatever its exit code."""
        command = ("ip", "netns", "exec", self.names[role], *words)
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stderr

    @contextmanager
    def inside(self, role: str) -> Iterator[None]:
        netns.pushns(self.names[role])
        try:
            yield
        finally:
            netns.popns()

    def nft(self, commands: str) -> None:
        run("ip", "netns", "exec", self.names["firewall"], "nft", "-f", "-", stdin=commands)

    def nft_file(self, path: Path) -> None:
        self.on("firewall", "nft", "-f", str(path))

    def sent(self, packets: list[Packet]) -> None:
        """Put raw IPv4 packets on the client's wire, as an attacker would."""
        with self.inside("client"), closing(socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)) as raw:
            for packet in packets:
                header = b"" if packet.fragment and packet.fragment.offset else transport(packet)
                datagram = ip_header(packet, len(header) + packet.payload) + header + bytes(packet.payload)
                raw.sendto(datagram, (socket.inet_ntoa(packet.target.address), 0))

    def banner(self, *, source: str = CLIENT, port: int = 0, server: str = SERVER, patience_s: float = PATIENCE_S) -> bytes | None:
        """What a client reads after connecting; None if nobody answers in time, empty if it is refused."""
        with self.inside("client"):
            try:
                with socket.create_connection((server, PORT), timeout=patience_s, source_address=(source, port)) as connection:
                    heard = connection.recv(100)
                    if port:
                        connection.recv(1)  # who closes last has his port back at once
                    return heard
            except TimeoutError:
                return None
            except ConnectionRefusedError:
                return b""

    def entries(self, *filters: str) -> list[str]:
        """Lines of the firewall's state table."""
        return self.on("firewall", "conntrack", "-L", *filters).splitlines()

    def counter(self, name: str) -> int:
        """Packets that a counter of the base table has seen."""
        words = self.on("firewall", "nft", "list", "counter", "inet", "netwatch", name).split()
        return int(words[words.index("packets") + 1])

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()
        for name in self.names.values():
            run("ip", "netns", "del", name, check=False)
