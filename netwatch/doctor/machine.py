"""The machine: who we are on it, what it runs, and whether its clock can be believed."""

import os
import platform
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from netwatch.doctor.check import Check, failed, ok, warning
from netwatch.jit.folder import cache_folder

CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21}
OLDEST_KERNEL = (5, 8)
"""Since then the kernel filters a dump of the state table, which keeps surveys cheap."""

FILTERED_DELETION = (6, 8)
PLAUSIBLE_S = 1_700_000_000.0
"""A clock before November 2023 was never set."""


def held() -> frozenset[str]:
    """The capabilities in effect, of those that matter here."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff"))
    mask = int(line.split()[1], 16)
    return frozenset(name for name, bit in CAPABILITIES.items() if mask >> bit & 1)


def checks() -> Iterator[Check]:
    yield from _privileges()
    yield from _versions()
    yield _clock()
    yield _cache()


def _privileges() -> Iterator[Check]:
    have = held()
    for name, need, without in (
        ("CAP_NET_RAW", "to capture packets", failed),
        ("CAP_NET_ADMIN", "to read the state table and to change the firewall", failed),
        ("CAP_SYS_ADMIN", "to enter or make network namespaces (firewall.namespace, canaries in one, the trials of doctor)", warning),
    ):
        if name in have:
            yield ok(f"privileges: {name}", "held")
        else:
            advice = (
                f"run it as root, or as the service in systemd/, which gives {name}" if without is failed else "nothing, if none is used"
            )
            yield without(f"privileges: {name}", "not held", why=f"it is needed {need}", advice=advice)


def _versions() -> Iterator[Check]:
    yield ok("python", f"{platform.python_version()} at {sys.executable}")
    release = os.uname().release
    numbers = tuple(int(part) for part in release.replace("-", ".").split(".")[:2] if part.isdigit())
    if numbers < OLDEST_KERNEL:
        yield warning(
            "kernel", release, why="before Linux 5.8 a dump of the state table is not filtered, and surveys cost more", advice="update it"
        )
    elif numbers < FILTERED_DELETION:
        yield ok("kernel", f"{release}; before 6.8 entries are deleted one by one, not by a filter")
    else:
        yield ok("kernel", release)


def _clock() -> Check:
    now_s = time.time()
    if now_s < PLAUSIBLE_S:
        return failed(
            "clock",
            time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s)),
            why="incidents, metrics and the journal carry its time",
            advice="set it, and let chrony or systemd-timesyncd keep it",
        )
    return ok("clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s)))


def _cache() -> Check:
    import netwatch.decode.kernel  # noqa: F401

    folder = cache_folder("netwatch.decode.kernel")
    if folder is None:
        return warning(
            "kernel cache",
            "no folder can be written",
            why="machine code is then compiled anew at each start, which takes about a minute",
            advice="set NETWATCH_CACHE_DIR to a folder that only netwatch's user can write",
        )
    return ok("kernel cache", str(folder))
