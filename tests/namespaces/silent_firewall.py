"""A real nftables firewall between two links whose ends say nothing by themselves, so that a test sends every packet, both ways.

::

    nw-…-client ──veth── nw-…-firewall ──veth── nw-…-server
     no address           forwards, counts       no address

Frames go in on either side through AF_PACKET. The firewall forwards them over one next hop on each link, whose address is entered by hand;
behind it there is nobody. Its rules note the identification of each IP packet under the conntrack state it had: a verdict for every
packet. Sending is done on one processor, since packets of two links keep their order only in that processor's one queue.
"""

import json
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from netwatch.kernel.namespace import entered
from netwatch.model.packet import FRAME, IPV4_MAPPED, FrameBlock, TcpOption
from netwatch.model.tracked import Verdict
from tests.builders import Built

CLIENT_NET, SERVER_NET = "10.0.0.0/8", "192.0.2.0/24"
CLIENT_HOP, SERVER_HOP = "169.254.1.2", "169.254.2.2"
BACKLOG = 500  # packets under way at once; a processor's queue takes 1000 (net.core.netdev_max_backlog) and drops what is more
PATIENCE_S = 20.0
STATES = {"new": Verdict.NEW, "established": Verdict.ESTABLISHED, "related": Verdict.RELATED, "invalid": Verdict.INVALID}
ETHERNET_LEN, LINKTYPE_ETHERNET = 14, 1


def run(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


def checksum(data: bytes) -> int:
    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2").astype(np.int64)
    total = int(words.sum())
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def tcp_options(row: np.void) -> bytes:
    given, options = int(row["tcp_options"]), b""
    if given & TcpOption.MSS:
        options += struct.pack("!BBH", 2, 4, int(row["mss"]))
    if given & TcpOption.WINDOW_SCALE:
        options += struct.pack("!BBBB", 1, 3, 3, int(row["window_scale"]))
    if given & TcpOption.SACK_PERMITTED:
        options += b"\x01\x01\x04\x02"
    if given & TcpOption.SACK:
        edge = int(row["sack_edge"])
        options += struct.pack("!BBBBII", 1, 1, 5, 10, (edge - 1) % 2**32, edge)
    return options


def ip_packet(built: Built, identification: int) -> bytes:
    """The IPv4 packet that a row describes, payload of zeros."""
    row = built.row[0]
    protocol, payload = int(row["protocol"]), bytes(int(row["payload_len"]))
    ports = struct.pack("!HH", int(row["sport"]), int(row["dport"]))
    if protocol == 6:
        options = tcp_options(row)
        numbers = struct.pack(
            "!IIBBH", int(row["seq"]), int(row["ack"]), (20 + len(options)) // 4 << 4, int(row["tcp_flags"]), int(row["window"])
        )
        body = ports + numbers + bytes(4) + options + payload
    else:
        body = ports + struct.pack("!HH", 8 + len(payload), 0) + payload
    ends = struct.pack("!II", int(row["src_lo"]) ^ IPV4_MAPPED, int(row["dst_lo"]) ^ IPV4_MAPPED)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), identification, 0, 64, protocol, 0)
    return head[:10] + struct.pack("!H", checksum(head + ends)) + ends + body


def frame_block(packets: Sequence[bytes], times_ns: Sequence[int]) -> FrameBlock:
    """The same packets for netwatch's decoder, behind an empty Ethernet header."""
    frames = [bytes(12) + b"\x08\x00" + packet for packet in packets]
    index = np.zeros(len(frames), FRAME)
    index["wire_len"] = index["captured_len"] = [len(frame) for frame in frames]
    index["offset"] = np.cumsum(index["wire_len"], dtype=np.int64) - index["wire_len"]
    index["ts_ns"] = times_ns
    index["link_type"] = LINKTYPE_ETHERNET
    return FrameBlock(np.frombuffer(b"".join(frames), np.uint8), index)


class SilentFirewall:
    """The three namespaces while they exist."""

    def __init__(self, label: str) -> None:
        self.names = {role: f"nw-{os.getpid()}-{label}-{role}" for role in ("client", "firewall", "server")}
        self._wires: dict[str, socket.socket] = {}
        self._ethernet: dict[str, bytes] = {}

    def build(self) -> None:
        for name in self.names.values():
            run("ip", "netns", "add", name)
        firewall = self.names["firewall"]
        hops = (("client", CLIENT_NET, CLIENT_HOP), ("server", SERVER_NET, SERVER_HOP))
        for role, network, hop in hops:
            end = self.names[role]
            run(*f"ip link add name uplink netns {end} type veth peer name {role} netns {firewall}".split())
            run("ip", "netns", "exec", end, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            run(*f"ip -n {end} link set uplink up".split())
            run(*f"ip -n {firewall} link set {role} up".split())
            run(*f"ip -n {firewall} address add {hop.removesuffix('2')}1/30 dev {role}".split())
            with entered(end):
                wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
                wire.bind(("uplink", 0))
            self._wires[role], end_mac = wire, self._mac(end, "uplink")
            self._ethernet[role] = bytes.fromhex((self._mac(firewall, role) + end_mac).replace(":", "")) + b"\x08\x00"
            run(*f"ip -n {firewall} neigh add {hop} lladdr {end_mac} dev {role} nud permanent".split())
            run(*f"ip -n {firewall} route add {network} via {hop} dev {role}".split())
        self.sysctl("net.ipv4.ip_forward", 1)
        for scope in ("all", "client", "server"):
            self.sysctl(f"net.ipv4.conf.{scope}.rp_filter", 0)

    @staticmethod
    def _mac(namespace: str, device: str) -> str:
        return str(json.loads(run("ip", "-j", "-n", namespace, "link", "show", device))[0]["address"])

    def sysctl(self, key: str, value: int | float) -> None:
        """Set one of the firewall's own; those of conntrack's time-outs are kept for each namespace apart."""
        run("ip", "netns", "exec", self.names["firewall"], "sysctl", "-qw", f"{key}={value}")

    def nft(self, text: str) -> None:
        run("ip", "netns", "exec", self.names["firewall"], "nft", "-f", "-", stdin=text)

    def note_verdicts(self) -> None:
        """An empty table, and rules that note each packet under the state it has."""
        subprocess.run(["ip", "netns", "exec", self.names["firewall"], "conntrack", "-F"], capture_output=True, check=True)
        sets = "".join(f"set seen_{state} {{ typeof ip id; size 65535; flags dynamic; }}\n" for state in STATES)
        rules = "".join(f"ct state {state} add @seen_{state} {{ ip id }}\n" for state in STATES)
        chain = f"chain forward {{ type filter hook forward priority 0; policy accept; counter name judged\n{rules}}}\n"
        self.nft(f"flush ruleset\ntable ip judge {{\ncounter judged {{ }}\n{sets}{chain}}}\n")

    def judged(self) -> int:
        """Packets that the rules have seen."""
        listed = run("ip", "netns", "exec", self.names["firewall"], "nft", "-j", "list", "counter", "ip", "judge", "judged")
        return int(next(item["counter"]["packets"] for item in json.loads(listed)["nftables"] if "counter" in item))

    def verdicts(self) -> dict[int, Verdict]:
        """The verdict of each packet by its identification."""
        found = {}
        for state, verdict in STATES.items():
            listed = run("ip", "netns", "exec", self.names["firewall"], "nft", "-j", "list", "set", "ip", "judge", f"seen_{state}")
            for item in json.loads(listed)["nftables"]:
                for element in item.get("set", {}).get("elem", ()):
                    identification = element["elem"]["val"] if isinstance(element, dict) else element
                    assert identification not in found, f"packet {identification} was judged twice"
                    found[identification] = verdict
        return found

    def send(self, packets: Sequence[tuple[str, bytes]]) -> None:
        """Put packets on the links, each on the side it is named with, in order; returns when the rules have seen all of them."""
        processors = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(processors)})
        try:
            for begin in range(0, len(packets), BACKLOG):
                for side, packet in packets[begin : begin + BACKLOG]:
                    self.put(side, packet)
                self._wait_for(min(begin + BACKLOG, len(packets)))
        finally:
            os.sched_setaffinity(0, processors)

    def put(self, side: str, packet: bytes) -> None:
        """Put one packet on the link of a side."""
        self._wires[side].send(self._ethernet[side] + packet)

    def _wait_for(self, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while (seen := self.judged()) < count:
            assert time.monotonic() < deadline, f"the firewall has seen {seen} of {count} packets"
            time.sleep(0.02)

    def entry_states(self) -> dict[str, int]:
        """Entries by protocol, state and marks, as ``conntrack -L`` tells them: ``tcp:ESTABLISHED ASSURED``."""
        counted: dict[str, int] = {}
        for line in run("ip", "netns", "exec", self.names["firewall"], "conntrack", "-L").splitlines():
            words = line.split()
            name = f"tcp:{words[3]}" if words[0] == "tcp" else words[0]
            name += " UNREPLIED" if "[UNREPLIED]" in words else ""
            name += " ASSURED" if "[ASSURED]" in words else ""
            counted[name] = counted.get(name, 0) + 1
        return counted

    def entries(self) -> int:
        """nf_conntrack_count: expired entries that no collector has met yet count too."""
        with entered(self.names["firewall"]):
            return int(Path("/proc/sys/net/netfilter/nf_conntrack_count").read_text())

    def close(self) -> None:
        for wire in self._wires.values():
            wire.close()
        for name in self.names.values():
            with suppress(AssertionError):
                run("ip", "netns", "del", name)


@contextmanager
def silent_firewall(label: str) -> Iterator[SilentFirewall]:
    """A firewall whose namespaces are gone afterwards, whatever happened."""
    firewall = SilentFirewall(label)
    try:
        firewall.build()
        yield firewall
    finally:
        firewall.close()
