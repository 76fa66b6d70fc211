"""A state table with entries that a test chose, put in by ctnetlink: 20,000 within a second, in any state, with any time left."""

import errno
import os
import subprocess
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, ip_address

from netwatch.enforce.ctnetlink import UNREAD_BYTES
from netwatch.enforce.filter_probe import Conversation
from netwatch.kernel.netlink import ERROR, Netlink, error_number, messages
from netwatch.model.session import TcpState
from tests.conftest import missing

BATCH = 256
SERVER, OTHER = ip_address("203.0.113.25"), ip_address("203.0.113.26")
SERVER6, OTHER6 = ip_address("2001:db8:5::25"), ip_address("2001:db8:5::26")


def fill(namespace: str, conversations: Iterable[Conversation]) -> None:
    """Put entries into the table of a namespace; each is acknowledged."""
    insertions = [conversation.insertion() for conversation in conversations]
    with Netlink(namespace, unread_bytes=UNREAD_BYTES) as netlink:
        for first in range(0, len(insertions), BATCH):
            part = insertions[first : first + BATCH]
            netlink.send(b"".join(part))
            answered = 0
            while answered < len(part):
                for kind, _, value in messages(netlink.receive()):
                    if kind == ERROR:
                        if error_number(value) == errno.ENOMEM:
                            missing("nf_conntrack_max, one for all namespaces of the machine, was set too low for this test")
                        assert error_number(value) == 0, os.strerror(error_number(value))
                        answered += 1


def half_open(count: int, *, server: object = SERVER, port: int = 25, left_s: int = 100) -> Iterator[Conversation]:
    """SYNs that nobody answered, each from an address of its own in 10.0.0.0/8 or 2001:db8:bad::/48."""
    for number in range(count):
        client = IPv4Address(0x0A00_0000 + number) if server in (SERVER, OTHER) else ip_address(f"2001:db8:bad::{number + 1:x}")
        yield Conversation(client, ip_address(str(server)), port, client_port=1024 + number % 60_000, life_s=left_s)


def established(count: int, *, prefix: str = "192.0.2", port: int = 25, left_s: int = 431_000) -> Iterator[Conversation]:
    """Sessions of one prefix (of up to 254 hosts), assured."""
    for number in range(count):
        client = ip_address(f"{prefix}.{1 + number % 254}")
        yield Conversation(client, SERVER, port, 1024 + number // 254, TcpState.ESTABLISHED, assured=True, life_s=left_s)


def entries(namespace: str, *words: str) -> list[str]:
    """Lines of ``conntrack -L``, which reads the table its own way."""
    command = ["ip", "netns", "exec", namespace, "conntrack", "-L", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def sources(namespace: str, *words: str) -> list[str]:
    """The openers of the entries that ``conntrack -L`` shows."""
    return sorted(next(word[4:] for word in line.split() if word.startswith("src=")) for line in entries(namespace, *words))


def set_sysctl(namespace: str, key: str, value: str) -> None:
    """In a namespace that is thrown away afterwards."""
    subprocess.run(["ip", "netns", "exec", namespace, "sysctl", "-qw", f"{key}={value}"], check=True)
