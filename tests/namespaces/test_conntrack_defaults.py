"""The profile ``linux`` against what a kernel gives a fresh network namespace."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from netwatch.kernel.namespace import entered
from netwatch.rulebook import firewall_profile
from tests.conftest import missing

pytestmark = pytest.mark.namespace

SYSCTLS = Path("/proc/sys/net/netfilter")
NAMES = {
    "udp_s": "udp_timeout",
    "udp_stream_s": "udp_timeout_stream",
    "icmp_s": "icmp_timeout",
    "generic_s": "generic_timeout",
    "gre_s": "gre_timeout",
    "gre_stream_s": "gre_timeout_stream",
    "sctp_s": "sctp_timeout_established",
}


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace in which nobody has changed anything; conntrack is there once a rule asks for it."""
    if os.geteuid() != 0:
        missing("network namespaces need root")
    if shutil.which("nft") is None:
        missing("nft is not installed")
    name = f"nw-{os.getpid()}-defaults"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        rules = "table inet t { chain c { type filter hook forward priority 0; ct state new accept; }; }"
        subprocess.run(["ip", "netns", "exec", name, "nft", rules], check=True)
        yield name
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def test_the_linux_profile_is_the_kernels_defaults(namespace: str) -> None:
    profile = firewall_profile("linux")
    timeouts = msgspec.structs.asdict(profile.timeouts)
    with entered(namespace):
        kernel = {name: float((SYSCTLS / f"nf_conntrack_{NAMES.get(name, f'tcp_timeout_{name[:-2]}')}").read_text()) for name in timeouts}
        loose = int((SYSCTLS / "nf_conntrack_tcp_loose").read_text())
        liberal = int((SYSCTLS / "nf_conntrack_tcp_be_liberal").read_text())
        retransmissions = int((SYSCTLS / "nf_conntrack_tcp_max_retrans").read_text())
    assert timeouts == kernel
    assert (profile.strict, profile.window_tracking, profile.max_retrans) == (not loose, not liberal, retransmissions)
