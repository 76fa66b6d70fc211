"""Network namespaces: which firewall of this machine is meant.

The kernel keeps rules, the state table and its sysctls for each network namespace. A socket belongs for good to the namespace that its
thread was in when it was opened, and so does a file opened under /proc/sys/net; a child process begins in the namespace of the thread
that started it. So it is enough to step into a namespace for as long as that takes, and only the calling thread steps. Python 3.11 has no
``setns``, hence the C library's.
"""

import ctypes
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from netwatch.errors import FirewallUnreachableError

CLONE_NEWNET = 0x4000_0000
NAMED = Path("/run/netns")
OWN = Path("/proc/thread-self/ns/net")

LIBC = ctypes.CDLL(None, use_errno=True)

Result = TypeVar("Result")


def _checked(outcome: int, what: str) -> None:
    if outcome != 0:
        raise FirewallUnreachableError(f"{what}: {os.strerror(ctypes.get_errno())}; CAP_SYS_ADMIN is needed")


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
        _checked(LIBC.setns(there, CLONE_NEWNET), f"network namespace '{namespace}' cannot be entered")
        try:
            yield
        finally:
            _checked(LIBC.setns(here, CLONE_NEWNET), "the thread cannot go back to its own network namespace")
    finally:
        os.close(there)
        os.close(here)


def in_fresh_namespace(action: Callable[[], Result]) -> Result:
    """Run an action in a network namespace of its own, which is gone when the action ends.

    It runs in a thread of its own: the namespace lives as long as that thread and what the action leaves open.

    Raises:
        FirewallUnreachableError: this process may not make namespaces.
    """

    def run() -> Result:
        _checked(LIBC.unshare(CLONE_NEWNET), "a network namespace cannot be made")
        return action()

    with ThreadPoolExecutor(1, "fresh-namespace") as threads:
        return threads.submit(run).result()
