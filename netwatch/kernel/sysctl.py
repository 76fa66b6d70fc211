"""Sysctls, by the names that people write: ``net.netfilter.nf_conntrack_max``. It imports nothing heavy: the guardian uses it.

Files under /proc/sys/net show the namespace of the thread that opens them.
"""

from pathlib import Path

SYSCTLS = Path("/proc/sys")
BOOT = "kernel.random.boot_id"
"""Another one after each start of the machine: what was set before it is gone."""

CONNTRACK = "net.netfilter.nf_conntrack_"
TABLE_LIMIT = f"{CONNTRACK}max"
"""Entries of the state table; one value for all namespaces of the machine."""


def path(key: str) -> Path:
    """The file of a sysctl."""
    return SYSCTLS / key.replace(".", "/")


def read(key: str) -> str:
    """The value now, in the calling thread's namespace.

    Raises:
        FileNotFoundError: this kernel has no such sysctl, or its module is not loaded.
    """
    return path(key).read_text().strip()
