"""What mitigations rely on, tried with real connections through netwatch's own table, in two network namespaces that are removed again.

A kernel may take a rule and not do what it says, so each is judged by what connections and counters show. Namespaces are named
``nw-<pid>-doctor-…``: should this process be killed, the next doctor or drill removes them.
"""

import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self

from netwatch.doctor.check import Check, failed, ok, skipped, warning
from netwatch.enforce.ctnetlink import CT_GET
from netwatch.enforce.libnftables import Nft, nft
from netwatch.errors import NetwatchError
from netwatch.kernel.namespace import NAMED, entered
from netwatch.kernel.netlink import DUMP, Netlink, message
from netwatch.lab.caretaker import sweep

CLIENT, SERVER, PORT = "198.51.100.2", "198.51.100.1", 2525
PATIENCE_S = 1.0
CT_TIMEOUT = 7
IPV4 = 2
SHORT_ESTABLISHED_S = 7440
"""Of policy tcp_short4; the kernel's default is five days, that of a closed session two minutes."""

METERED = 40
"""SYNs at once; the gentlest tier of the base table lets 20 pass."""

TIMESTAMP = ("sack-perm", "sack-perm timestamp")


class Bench:
    """A client and a firewall that is its own server, linked. Leave it by any way: both namespaces are gone."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._names = [f"nw-{os.getpid()}-doctor-{role}" for role in ("client", "server")]
        self._held = ExitStack()
        self.nft: Nft

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._held.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._held.close()

    @property
    def firewall(self) -> str:
        return self._names[1]

    def _build(self) -> None:
        sweep()
        client, server = self._names
        for name in self._names:
            self._held.callback(_remove, name)  # before it is there: Ctrl-C may come between
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "link", "add", "wire", "netns", client, "type", "veth", "peer", "name", "wire", "netns", server)
        for name, address in ((client, CLIENT), (server, SERVER)):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "wire")
            _run("ip", "-n", name, "link", "set", "wire", "up")
        self.nft = nft(server)
        self._held.callback(self.nft.close)
        self.load(self._base)
        with entered(server):
            listener = socket.create_server((SERVER, PORT), backlog=64)
        self._held.callback(listener.close)
        self._held.callback(listener.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=_greet, args=(listener,), daemon=True, name="doctor-server").start()

    def load(self, text: str) -> None:
        """Load a table in the place of the one before: nothing is armed."""
        self.nft.run(text)

    def arm(self, elements: str) -> None:
        self.nft.run(f"add element inet netwatch {elements}")

    def connects(self) -> bool:
        """A new connection comes about and carries the server's greeting."""
        with self._connected() as opened:
            return opened is not None

    @contextmanager
    def _connected(self) -> Iterator[socket.socket | None]:
        with entered(self._names[0]):
            opened = socket.socket()
        with opened:
            opened.settimeout(PATIENCE_S)
            try:
                opened.connect((SERVER, PORT))
                greeted = opened.recv(3) == b"220"
            except OSError:
                greeted = False
            yield opened if greeted else None

    def knock(self, times: int) -> None:
        """Begin connections without waiting for them."""
        with ExitStack() as opened, entered(self._names[0]):
            for _ in range(times):
                one = opened.enter_context(socket.socket())
                one.setblocking(False)
                with suppress(BlockingIOError):
                    one.connect((SERVER, PORT))

    def counted(self, counter: str) -> int:
        words = self.nft.run(f"list counter inet netwatch {counter}").split()
        return int(words[words.index("packets") + 1])

    def longest_left_s(self) -> int:
        """With a connection held open, the longest time that an entry has left; 0 if none came about."""
        with self._connected() as opened:
            if opened is None:
                return 0
            return self._longest_left_s()

    def _longest_left_s(self) -> int:
        with Netlink(self.firewall) as netlink:
            left = [answer.attributes.get(CT_TIMEOUT, bytes(4)) for answer in netlink.ask(message(CT_GET, DUMP, IPV4))]
        return max((struct.unpack(">I", value)[0] for value in left), default=0)


def checks(base: str) -> Iterator[Check]:
    if os.geteuid() != 0:
        yield skipped("trials with real packets", "network namespaces need root", advice="run doctor as root")
        return
    if shutil.which("ip") is None:
        yield skipped("trials with real packets", "the program ip is missing", advice="apt install iproute2")
        return
    try:
        with Bench(base) as bench:
            yield from _tried(bench, base)
    except (NetwatchError, OSError, subprocess.SubprocessError) as error:
        words = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
        yield skipped("trials with real packets", f"they could not be made: {' '.join(str(words).split())}", advice="see the checks above")


def _tried(bench: Bench, base: str) -> Iterator[Check]:
    if not bench.connects():
        yield failed(
            "trial: netwatch's table, nothing armed",
            "it does not let a connection through",
            why="netwatch would harm what it protects",
            advice="leave mitigate.mode at observe on this kernel, and report it",
        )
        return
    yield ok("trial: netwatch's table, nothing armed", "lets connections through")
    for trial in (_short_timeouts, _synproxy, _meters, _expiry):
        bench.load(base)
        yield trial(bench)
    bench.load(base.replace(*TIMESTAMP))
    yield _timestamps(bench)


def _short_timeouts(bench: Bench) -> Check:
    bench.arm(f"short4 {{ {SERVER} . tcp . {PORT} timeout 60s }}")
    longest_s = bench.longest_left_s()
    if 0 < longest_s <= SHORT_ESTABLISHED_S:
        return ok("trial: short time-outs", "new entries of one service get them")
    found = f"an established session has {longest_s:,} s left" if longest_s else "no session came about"
    return _useless("trial: short time-outs", found, "a kernel with CONFIG_NF_CONNTRACK_TIMEOUT")


def _synproxy(bench: Bench) -> Check:
    bench.arm(f"synproxy4 {{ {SERVER} . {PORT} timeout 60s }}")
    connects = bench.connects()
    if connects and bench.counted("proxied") > 0:
        return ok("trial: synproxy", "a real connection passes it")
    found = "it breaks real connections" if not connects else "it is not asked"
    return _useless("trial: synproxy", found, "the module nft_synproxy, and a kernel on which it works")


def _timestamps(bench: Bench) -> Check:
    bench.arm(f"synproxy4 {{ {SERVER} . {PORT} timeout 60s }}")
    breaks = not bench.connects()
    told = (
        "breaks every connection here; netwatch never uses it"
        if breaks
        else "works here; netwatch does not use it, since on others it does not"
    )
    return ok("trial: synproxy with `timestamp`", told)


def _meters(bench: Bench) -> Check:
    bench.arm(f"meter4 {{ {SERVER} . tcp . {PORT} timeout 60s : jump meter_10 }}")
    bench.knock(METERED)
    dropped = bench.counted("dropped_meter")
    if 0 < dropped < METERED:
        return ok("trial: meters by prefix", f"of {METERED} SYNs at once {dropped} were refused")
    return _useless("trial: meters by prefix", f"of {METERED} SYNs at once {dropped} were refused", "dynamic sets and limits of nftables")


def _expiry(bench: Bench) -> Check:
    bench.arm(f"blk4 {{ {CLIENT} timeout 1s }}")
    armed = not bench.connects()  # it waits as long as the element lives
    deadline = time.monotonic() + 3.0
    while time.monotonic() < deadline:
        if bench.connects():
            break
    else:
        return failed(
            "trial: elements expire",
            "an element of 1 s is still in force after 3 s",
            why="mitigations must end by themselves when netwatch dies",
            advice="leave mitigate.mode at observe on this kernel",
        )
    if not armed:
        return _useless("trial: elements expire", "a blocked client gets through", "sets with time-outs of nftables")
    return ok("trial: elements expire", "a block of 1 s was in force, and ended by itself")


def _useless(name: str, found: str, needs: str) -> Check:
    return warning(
        name, found, why="playbooks that use it do not help here: they are undone and the next is tried", advice=f"needed: {needs}"
    )


def _greet(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # the trials are over
        with connection, suppress(OSError):
            connection.settimeout(PATIENCE_S)
            connection.sendall(b"220 doctor\r\n")
            connection.recv(1)  # until the client leaves


def _remove(namespace: str) -> None:
    if (NAMED / namespace).exists():
        _run("ip", "netns", "del", namespace)


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=10)
