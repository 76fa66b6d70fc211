"""Stepping into a network namespace, to open there what stays open.

A socket belongs for good to the namespace that its thread was in when it was opened, whoever uses it afterwards; a file under /proc/net or
/proc/sys/net shows the namespace of the thread that opens it. So it is enough to be there while something is opened, and only the calling
thread goes. Python 3.11 has no ``setns``, hence the C library's.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netwatch.errors import FirewallUnreachableError

CLONE_NEWNET = 0x4000_0000
NAMED = Path("/run/netns")
OWN = Path("/proc/thread-self/ns/net")  # not /proc/self: that is the process's first thread

LIBC = ctypes.CDLL(None, use_errno=True)


@contextmanager
def entered(namespace: str | None) -> Iterator[None]:
    """Let the calling thread be in a namespace, by its name (``ip netns``) or the path of its file; None is where it is already.

    Raises:
        FirewallUnreachableError: there is no such namespace, or no permission to enter it.
    """
    if namespace is None:
        yield
        return
    try:
        there = os.open(NAMED / namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise FirewallUnreachableError(f"network namespace '{namespace}': {error.strerror}") from error
    here = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _go(there, namespace)
        try:
            yield
        finally:
            _go(here, "its own")
    finally:
        os.close(there)
        os.close(here)


def _go(opened: int, name: str) -> None:
    if LIBC.setns(opened, CLONE_NEWNET) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise FirewallUnreachableError(f"network namespace '{name}' cannot be entered: {reason}; CAP_SYS_ADMIN is needed")
