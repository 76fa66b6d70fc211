"""Network namespaces for the tests: named ``nw-<pid>-…``, linked by veth pairs, gone afterwards whatever happened."""

import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from netwatch.kernel.namespace import entered
from tests.conftest import missing

CLIENT_MAC, SERVER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"


def run(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


def within(namespace: str, *words: str, stdin: str | None = None) -> str:
    return run("ip", "netns", "exec", namespace, *words, stdin=stdin)


@contextmanager
def namespaces(*roles: str) -> Iterator[Sequence[str]]:
    """Namespaces of this process, with only their loopback interface."""
    if os.geteuid() != 0:
        missing("network namespaces need root")
    names = [f"nw-{os.getpid()}-{role}" for role in roles]
    made: list[str] = []
    try:
        for name in names:
            run("ip", "netns", "add", name)
            made.append(name)
            run("ip", "-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in made:
            run("ip", "netns", "del", name)


def add_veth(one: str, other: str, *, names: tuple[str, str] = ("veth0", "veth0"), addresses: tuple[str, str] | None = None) -> None:
    """A link between two namespaces, without IPv6 so that nothing is on it that the test did not send."""
    ends = ((one, names[0], CLIENT_MAC), (other, names[1], SERVER_MAC))
    words = ("link", "add", names[0], "netns", one, "address", CLIENT_MAC, "type", "veth")
    run("ip", *words, "peer", "name", names[1], "netns", other, "address", SERVER_MAC)
    for place, (namespace, name, _) in enumerate(ends):
        within(namespace, "sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1")
        if addresses is not None:
            run("ip", "-n", namespace, "address", "add", addresses[place], "dev", name)
        run("ip", "-n", namespace, "link", "set", name, "up")


def raw_socket(namespace: str, interface: str) -> socket.socket:
    """What puts frames on a wire as they are."""
    with entered(namespace):
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    opened.bind((interface, 0))
    return opened
