"""The world of a drill: namespaces, links, addresses, a stateful firewall, and the machine's limits for as long as it lasts.

The firewall's rules are the ordinary ones of a mail edge: established sessions pass, invalid packets do not, new sessions may open to the
service. Loading them is what makes the kernel track connections in that namespace.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from netwatch.errors import DrillError
from netwatch.lab import caretaker, plan
from netwatch.lab.plan import Role, namespace_name

PACKAGE_FOLDER = Path(__file__).resolve().parents[2]
STATE_FOLDER = Path("/run/netwatch-drill")
ENDED_WITHIN_S = 3.0
CLEARED_WITHIN_S = 30.0

RULES = f"""
table inet edge {{
  chain forward {{
    type filter hook forward priority 0; policy drop;
    ct state established,related accept
    ct state invalid drop
    ip daddr {plan.SERVER} tcp dport {plan.SERVICE_PORT} ct state new accept
    ip6 daddr {plan.SERVER6} tcp dport {plan.SERVICE_PORT} ct state new accept
    ip daddr {plan.SERVER} udp dport {plan.SINK_PORT} ct state new accept
    ip6 daddr {plan.SERVER6} udp dport {plan.SINK_PORT} ct state new accept
    iifname "{plan.INSIDE}" ct state new accept
    meta l4proto {{ icmp, icmpv6 }} accept
  }}
}}
"""

SILENT_SERVER = """
table inet silent {
  chain output { type filter hook output priority 0; policy accept; tcp flags & rst == rst drop; }
}
"""
"""A hardened server does not answer packets of sessions that it does not have. Without conntrack, so it holds no entries itself."""

NO_WAITING = {"net.ipv6.conf.default.accept_dad": "0"}
"""Duplicate address detection would keep IPv6 silent for the first seconds."""

BASE_SYSCTLS = {
    Role.CLIENT: {"net.ipv4.tcp_syn_retries": "3", "net.ipv4.ip_local_port_range": "1024 65000"},
    Role.ATTACKER: {"net.ipv4.ip_forward": "0"},
    Role.FIREWALL: {
        "net.ipv4.ip_forward": "1",
        "net.ipv6.conf.all.forwarding": "1",
        "net.ipv4.conf.all.rp_filter": "0",
        "net.ipv4.conf.default.rp_filter": "0",
    },
    # Handshakes end in the kernel: the listen queue must take a burst, or the flood would stop at the server and not at the firewall.
    Role.SERVER: {"net.core.somaxconn": "65535", "net.ipv4.tcp_max_syn_backlog": "65535"},
}


def run(command: Sequence[str], text: str = "") -> str:
    """Run a system command to its end.

    Raises:
        DrillError: it is missing or failed; with its own words.
    """
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    except OSError as error:
        raise DrillError(f"{command[0]}: {error.strerror}; a drill needs the programs ip, nft, conntrack and sysctl") from error
    if done.returncode != 0:
        raise DrillError(f"{' '.join(command)}: {done.stderr.strip() or 'failed'}")
    return done.stdout


class World(AbstractContextManager["World"]):
    """The namespaces of a drill while it lasts. Enter it, and leave it by any way: everything is removed."""

    def __init__(
        self,
        *,
        limit: int | None = None,
        buckets: int | None = None,
        sysctls: Mapping[str, str] | None = None,
        silent_server: bool = False,
        state_folder: Path = STATE_FOLDER,
    ) -> None:
        self.limit = limit
        self.owner_pid = os.getpid()
        self._machine = {
            file: str(value) for file, value in ((caretaker.LIMIT_FILE, limit), (caretaker.BUCKETS_FILE, buckets)) if value is not None
        }
        self._firewall_sysctls = dict(sysctls or {})
        self._silent_server = silent_server
        self._state_folder = state_folder
        self._caretaker: subprocess.Popen[str] | None = None
        self._children: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        if os.geteuid() != 0:
            raise DrillError("a drill makes network namespaces and needs root")
        self._employ()
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def namespace(self, role: Role) -> str:
        return namespace_name(self.owner_pid, role)

    def within(self, role: Role, *command: str, text: str = "") -> str:
        """Run a command to its end in a namespace; what it printed."""
        return run(["ip", "netns", "exec", self.namespace(role), *command], text)

    def start(self, role: Role, *command: str, output: int = subprocess.PIPE) -> subprocess.Popen[str]:
        """Start a process in a namespace; it does not outlive this world."""
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace(role), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            text=True,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the drill, which then ends them
        )
        self._children.append(child)
        return child

    def start_module(self, role: Role, module: str, *words: str) -> subprocess.Popen[str]:
        """Start a part of the lab in a namespace."""
        return self.start(role, sys.executable, "-m", f"netwatch.lab.{module}", *words)

    def close(self) -> None:
        """Remove everything; a second call does nothing."""
        children, self._children = self._children, []
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(ENDED_WITHIN_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            if child.stdout is not None:
                child.stdout.close()
        keeper, self._caretaker = self._caretaker, None
        if keeper is None:
            return
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdin.close()
        keeper.stdout.close()
        try:
            keeper.wait(CLEARED_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise DrillError(f"a drill is not cleared away after {CLEARED_WITHIN_S:g} s; see `ip netns`") from error
        if keeper.returncode < 0:  # killed: another one, whose pipe is closed from the start, clears away at once
            subprocess.run(self._caretaker_command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=_environment(), check=False)

    def _employ(self) -> None:
        wanted = [f"{file}={value}" for file, value in self._machine.items()]
        keeper = subprocess.Popen(
            [*self._caretaker_command(), *wanted],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
            start_new_session=True,
        )
        self._caretaker = keeper
        assert keeper.stdout is not None
        answer = keeper.stdout.readline().strip()
        if answer != "ready":
            self.close()
            raise DrillError(answer or "the caretaker of the drill did not start")

    def _caretaker_command(self) -> list[str]:
        return [sys.executable, "-m", "netwatch.lab.caretaker", str(self.owner_pid), str(self._state_folder)]

    def _build(self) -> None:
        client, attacker, firewall, server = (self.namespace(role) for role in Role)
        run(["ip", "-batch", "-"], "".join(f"netns add {name}\n" for name in (client, attacker, firewall, server)))
        for role in Role:
            sysctls = NO_WAITING | BASE_SYSCTLS[role] | (self._firewall_sysctls if role is Role.FIREWALL else {})
            self.within(role, "sysctl", "-qw", *(f"{key}={value}" for key, value in sysctls.items() if not _of_conntrack(key)))
        link = f"name {plan.LINK}"
        run(
            ["ip", "-n", firewall, "-batch", "-"],
            f"""link set lo up
link add {plan.OUTSIDE} address {plan.FIREWALL_MAC} type bridge mcast_snooping 0
link add port-client type veth peer {link} address {plan.CLIENT_MAC} netns {client}
link add port-attacker type veth peer {link} address {plan.ATTACKER_MAC} netns {attacker}
link add {plan.INSIDE} address {plan.INSIDE_MAC} type veth peer {link} address {plan.SERVER_MAC} netns {server}
link set port-client master {plan.OUTSIDE} up
link set port-attacker master {plan.OUTSIDE} up
link set {plan.OUTSIDE} up
link set {plan.INSIDE} up
address add {plan.FIREWALL_OUTSIDE}/24 dev {plan.OUTSIDE}
address add {plan.FIREWALL_OUTSIDE6}/64 dev {plan.OUTSIDE} nodad
address add {plan.FIREWALL_INSIDE}/24 dev {plan.INSIDE}
address add {plan.FIREWALL_INSIDE6}/64 dev {plan.INSIDE} nodad
route add {plan.ATTACK_SOURCES} via {plan.ATTACKER_ROUTER}
route add {plan.ATTACK_SOURCES6} via {plan.ATTACKER_ROUTER6}
neighbor add {plan.ATTACKER_ROUTER} lladdr {plan.ATTACKER_MAC} dev {plan.OUTSIDE} nud permanent
neighbor add {plan.ATTACKER_ROUTER6} lladdr {plan.ATTACKER_MAC} dev {plan.OUTSIDE} nud permanent
""",
        )
        self._address(
            client, [f"{one}/24" for one in (*plan.CLIENTS, plan.CANARY)], plan.CLIENT6, plan.FIREWALL_OUTSIDE, plan.FIREWALL_OUTSIDE6
        )
        self._address(server, [f"{plan.SERVER}/24"], plan.SERVER6, plan.FIREWALL_INSIDE, plan.FIREWALL_INSIDE6)
        run(["ip", "-n", attacker, "link", "set", plan.LINK, "up"])
        self.within(Role.FIREWALL, "nft", "-f", "-", text=RULES)
        if tracked := [f"{key}={value}" for key, value in self._firewall_sysctls.items() if _of_conntrack(key)]:
            self.within(Role.FIREWALL, "sysctl", "-qw", *tracked)
        if self._silent_server:
            self.within(Role.SERVER, "nft", "-f", "-", text=SILENT_SERVER)

    def _address(self, namespace: str, addresses: Sequence[str], address6: str, gateway: str, gateway6: str) -> None:
        lines = ["link set lo up", f"link set {plan.LINK} up", f"address add {address6}/64 dev {plan.LINK} nodad"]
        lines += [f"address add {one} dev {plan.LINK}" for one in addresses]
        lines += [f"route add default via {gateway}", f"route add default via {gateway6}"]
        run(["ip", "-n", namespace, "-batch", "-"], "\n".join(lines) + "\n")


def _of_conntrack(key: str) -> bool:
    """Whether a sysctl is there only once connections are tracked."""
    return key.startswith("net.netfilter.")


def _environment() -> dict[str, str]:
    """Children must find this very netwatch, wherever they are started."""
    path = os.pathsep.join(filter(None, (str(PACKAGE_FOLDER), os.environ.get("PYTHONPATH"))))
    return os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
